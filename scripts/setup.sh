#!/bin/sh
# Checks for what a build needs beside Rust, and installs what is missing on Debian and Ubuntu.
#
# Needed: clang and clang++ (RocksDB), libclang with its headers (bindgen), cc (Rust's linker).
# Wanted: python3 (`make verify`), iso-codes (the demo's data; it falls back on a small sample).
# Near-instant when everything is there. `--verbose` says so, and tries wanted packages again.
set -eu

iso_codes=/usr/share/iso-codes/json/iso_3166-2.json
tried="${XDG_CACHE_HOME:-$HOME/.cache}/atoll/setup-tried"
verbose=${1:-}

main() {
    check_rust
    if [ -z "$(needs)" ] && { [ -z "$(wants)" ] || already_tried; }; then
        report_wants
        [ -z "$verbose" ] || echo "setup: everything needed is there."
        return
    fi
    if can_install; then
        install_missing
    fi
    if [ -n "$(needs)" ]; then
        advise >&2
        exit 1
    fi
    report_wants
    echo "setup: done."
}

# What is missing and needed, one line each.
needs() {
    compiles c clang stdbool.h || echo "clang (with its headers)"
    compiles c++ clang++ cstddef || echo "clang++ (with the C++ standard library's headers)"
    has_libclang || echo "libclang (the library)"
    has cc || echo "cc (the linker that Rust calls)"
}

# What is missing and only wanted: names of Debian packages.
wants() {
    has python3 || echo python3
    [ -r "$iso_codes" ] || [ "$(uname)" = Darwin ] || echo iso-codes
}

has() { command -v "$1" >/dev/null 2>&1; }

compiles() { echo "#include <$3>" | "$2" -x "$1" -fsyntax-only - >/dev/null 2>&1; }

# The places where bindgen looks.
has_libclang() {
    llvm=$(llvm-config --libdir 2>/dev/null || true)
    for file in \
        ${LIBCLANG_PATH:+"$LIBCLANG_PATH" "$LIBCLANG_PATH"/libclang[.-]*} ${llvm:+"$llvm"/libclang[.-]*} \
        /usr/lib/llvm*/lib*/libclang[.-]*so* /usr/lib/*-linux-*/libclang[.-]*so* \
        /usr/lib/libclang[.-]*so* /usr/lib64/libclang[.-]*so* /usr/lib64/llvm*/lib*/libclang[.-]*so* \
        /usr/local/lib/libclang[.-]*so* /usr/local/llvm*/lib*/libclang[.-]*so* \
        /Library/Developer/CommandLineTools/usr/lib/libclang.dylib \
        /Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib/libclang.dylib \
        /opt/homebrew/opt/llvm/lib/libclang.dylib /usr/local/opt/llvm/lib/libclang.dylib
    do
        case $file in *libclang-cpp*) continue ;; esac
        [ -f "$file" ] && return 0
    done
    return 1
}

# Rust is the one thing that is not installed here: how is the user's choice.
check_rust() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! has cargo || ! has rustc; then
        echo "setup: Rust $wanted or newer is needed: https://rustup.rs" >&2
        exit 1
    fi
    found=$(rustc --version | cut -d ' ' -f 2)
    printf '%s %s\n' "$found" "$wanted" | awk '{
        split($1, found, "[.-]"); split($2, wanted, ".")
        exit !(found[1] > wanted[1] || (found[1] == wanted[1] && found[2] + 0 >= wanted[2] + 0))
    }' || {
        echo "setup: rustc is $found, Atoll needs $wanted or newer: rustup update stable" >&2
        exit 1
    }
}

already_tried() { [ -z "$verbose" ] && [ -e "$tried" ]; }

report_wants() {
    missing=$(wants | tr '\n' ' ')
    [ -z "$missing" ] || echo "setup: going on without ${missing% } (see the top of scripts/setup.sh)."
}

can_install() {
    has apt-get || return 1
    [ "$(id -u)" = 0 ] || has sudo
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt_get() {
    echo "setup: apt-get $*" >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" >&2
}

# Failures are not the end here: `main` looks again at what is there. What is only wanted must not
# keep out what is needed, hence the second try.
install_missing() {
    apt_get update || true
    needed=$([ -z "$(needs)" ] || compiler_packages)
    # shellcheck disable=SC2046,SC2086 # one word a package
    apt_get install -y --no-install-recommends $needed $(wants) ||
        { [ -n "$needed" ] && apt_get install -y --no-install-recommends $needed; } || true
    mkdir -p "$(dirname "$tried")" && touch "$tried"
}

# clang, and the library and headers of the version that it stands for here.
compiler_packages() {
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
    echo clang "libclang1${version:+-$version}" ${version:+"libclang-common-$version-dev"}
}

advise() {
    echo "setup: missing:"
    needs | sed 's/^/  - /'
    cat <<'END'
Install it, then run the same command again:
  Debian, Ubuntu   sudo apt-get install clang libclang-dev python3 iso-codes
  Fedora           sudo dnf install gcc-c++ clang clang-devel python3 iso-codes
  macOS            xcode-select --install
Elsewhere: clang, clang++ and libclang of one version. When libclang is in an unusual place, set
LIBCLANG_PATH to its directory. python3 serves `make verify`; iso-codes is the demo's data set.
END
}

main
