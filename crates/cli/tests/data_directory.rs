//! Data that is not this node's to open is refused by name, and nothing in it is touched.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use atoll_client::{Content, ReadOptions, WriteOptions};
use serde_json::{Value, json};
use support::ports::Port;
use support::process::Process;
use support::store::{Plan, Store};

/// One region with one key, its node killed.
async fn killed() -> Store {
    let collections = json!([{"name": "pages", "type": "Register"}]);
    let mut store = Plan::new(&["eu"], collections).start().await;
    let put = store.regions[0].client();
    let options = WriteOptions::default();
    put.put("pages", "k", "application/json", "1", &options)
        .await
        .unwrap();
    store.regions[0].kill();
    store
}

/// The region's node starts, and has its key.
async fn check_starts(region: &mut Process) {
    region.start();
    region.ready().await;
    let read = region
        .client()
        .get("pages", "k", &ReadOptions::default())
        .await
        .unwrap();
    assert!(matches!(read.content, Content::Value { bytes, .. } if bytes == "1"));
}

/// A node with a changed configuration ends with exit code 1, says all of `words`, and changes no file.
async fn check_refused(region: &Process, change: impl FnOnce(&mut Value), words: &[&str]) {
    let before = files(&region.data);
    let (status, said) = region.refuse(change).await;
    println!("{}", said.trim());
    assert_eq!(status.code(), Some(1), "{said}");
    // Messages are wrapped for the terminal.
    let said = said
        .split_whitespace()
        .filter(|word| *word != "│")
        .collect::<Vec<_>>()
        .join(" ");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert_eq!(files(&region.data), before, "files were touched");
}

/// All files below a directory, by name, with their bytes.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let name = path.display().to_string();
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_format_is_refused() {
    let mut store = killed().await;
    let region = &mut store.regions[0];
    let format = region.data.join("FORMAT");
    let ours = fs::read_to_string(&format).unwrap();
    let newer = ours.replace("format 1", "format 7");
    assert_ne!(newer, ours);
    fs::write(&format, newer).unwrap();
    let directory = region
        .data
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    check_refused(
        region,
        |_| {},
        &[&directory, "data format 7", "formats up to 1"],
    )
    .await;

    fs::write(&format, ours).unwrap();
    check_starts(region).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_another_region_or_store_is_refused() {
    let mut store = killed().await;
    let region = &mut store.regions[0];
    let other_region = |config: &mut Value| config["region"] = json!("us");
    let (status, said) = region.refuse(other_region).await;
    println!("{}", said.trim());
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("region eu") && said.contains("says us"),
        "{said}"
    );

    let other_store = |config: &mut Value| config["store"]["id"] = json!("00000000000000bb");
    let (status, said) = region.refuse(other_store).await;
    println!("{}", said.trim());
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("00000000000000aa") && said.contains("00000000000000bb"),
        "{said}"
    );
    check_starts(region).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_is_refused() {
    let mut store = killed().await;
    let region = &mut store.regions[0];
    check_starts(region).await;
    let elsewhere = Port::take();
    let listen = |config: &mut Value| config["listen"] = json!(elsewhere.address.to_string());
    let (status, said) = region.refuse(listen).await;
    println!("{}", said.trim());
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("in use"), "{said}");
    // The one that runs does not notice.
    let options = WriteOptions::default();
    let put = region.client();
    put.put("pages", "k2", "application/json", "2", &options)
        .await
        .unwrap();
    region.kill();
    check_starts(region).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_somebody_else_is_refused() {
    let mut store = killed().await;
    let region = &mut store.regions[0];
    let theirs = tempfile::tempdir().unwrap();
    fs::write(theirs.path().join("thesis.tex"), "years of work").unwrap();
    let data = |config: &mut Value| config["data"] = json!(theirs.path());
    let (status, said) = region.refuse(data).await;
    println!("{}", said.trim());
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("thesis.tex"), "{said}");
    let left = files(theirs.path());
    assert_eq!(
        left.values().collect::<Vec<_>>(),
        [b"years of work"],
        "{left:?}"
    );
}
