//! One region, in this process: what is acknowledged is there after a restart, and nothing else changes.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use atoll_core::intent::{Action, Intent};
use atoll_core::{CollectionName, Key, Value};
use atoll_node::{Node, NodeConfig, Running, StartError};
use atoll_store::{Request, query};

fn config(data: &Path, region: &str) -> NodeConfig {
    let text = format!(
        "store: {{name: shop, id: 00000000000000aa}}\nregion: {region}\nlisten: 127.0.0.1:0\ndata: {}\n\
         collections: [{{name: pages, type: Register}}]\n",
        data.display()
    );
    NodeConfig::from_yaml("node.yaml", &text).unwrap()
}

fn put(key: &str, value: &str) -> Request {
    let intent = Intent {
        collection: "pages".parse().unwrap(),
        key: key.parse().unwrap(),
        action: Action::Put(Value::json(format!("{value:?}"))),
        precondition: None,
        context: None,
    };
    Request {
        intents: vec![intent],
        trace: bytes::Bytes::new(),
        idempotency: None,
    }
}

fn read(running: &Running, key: &str) -> Option<String> {
    let collection: CollectionName = "pages".parse().unwrap();
    let key: Key = key.parse().unwrap();
    let node = running.node();
    let slots = node
        .engine()
        .snapshot(|read| query::root(read, &collection, &key))
        .unwrap();
    let catalog = node.catalog();
    match atoll_core::view::answer(&catalog.lens(&collection).unwrap(), &slots) {
        atoll_core::view::Answer::One(value) => {
            Some(String::from_utf8(value.data.to_vec()).unwrap())
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let first = Node::start(config(data.path(), "eu")).await.unwrap();
    for i in 0..200 {
        let written = first
            .node()
            .write(put(&format!("k{i}"), &format!("v{i}")))
            .await
            .unwrap();
        // Sequence 1 announced the region.
        assert_eq!(written.entry.unwrap().0.seq, i + 2);
    }
    let vector = first.node().vector();
    let replica = first.node().identity().replica;
    first.stop().await;

    let second = Node::start(config(data.path(), "eu")).await.unwrap();
    assert_eq!(second.node().vector(), vector);
    assert_eq!(second.node().identity().replica, replica);
    assert_eq!(read(&second, "k199").as_deref(), Some("\"v199\""));
    let written = second.node().write(put("k0", "again")).await.unwrap();
    assert_eq!(written.entry.unwrap().0.seq, 202);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_another_region_or_store_is_refused_by_name() {
    let data = tempfile::tempdir().unwrap();
    Node::start(config(data.path(), "eu"))
        .await
        .unwrap()
        .stop()
        .await;
    let Err(StartError::Data { problem, .. }) = Node::start(config(data.path(), "us")).await else {
        panic!("another region's data was taken");
    };
    assert!(problem.contains("region eu"), "{problem}");
    let mut other = config(data.path(), "eu");
    other.store.id = "00000000000000bb".into();
    let Err(StartError::Data { problem, .. }) = Node::start(other).await else {
        panic!("another store's data was taken");
    };
    assert!(problem.contains("00000000000000aa"), "{problem}");
}
