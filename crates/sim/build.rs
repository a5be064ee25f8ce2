//! Compiles `src/whole/chance.c` into `atoll-sim`, and into nothing else.

fn main() {
    println!("cargo:rerun-if-changed=src/whole/chance.c");
    let mut build = cc::Build::new();
    for object in build.file("src/whole/chance.c").compile_intermediates() {
        println!("cargo:rustc-link-arg-bin=atoll-sim={}", object.display());
    }
}
