//! A region whose data directory is an older copy: it sees so before it gives a dot to a second entry, and says so.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use atoll_node::{Node, NodeConfig, Running};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::net::TcpListener;

fn config(data: &Path, region: &str, peer: (&str, &str)) -> NodeConfig {
    let (other, endpoint) = peer;
    let text = format!(
        "store: {{name: shop, id: 00000000000000aa}}\nregion: {region}\nlisten: 127.0.0.1:0\ndata: {}\n\
         peers: [{{region: {other}, endpoint: \"http://{endpoint}\"}}]\ntopology: {{type: AllToAll, regions: [eu, us]}}\n\
         collections: [{{name: pages, type: Register}}]\ntesting: {{peersHeardWithinMs: 60000}}\n",
        data.display()
    );
    NodeConfig::from_yaml("node.yaml", &text).unwrap()
}

struct Region {
    address: String,
    client: Client,
}

impl Region {
    async fn put(&self, key: &str) -> Response {
        let url = format!("http://{}/v1/collections/pages/keys/{key}", self.address);
        self.client.put(url).json(&key).send().await.unwrap()
    }

    async fn shows(&self, key: &str) -> bool {
        let url = format!("http://{}/v1/collections/pages/keys/{key}", self.address);
        self.client.get(url).send().await.unwrap().status() == 200
    }

    async fn comes_to_show(&self, key: &str) {
        for _ in 0..1200 {
            if self.shows(key).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{key} is not there");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).unwrap();
        }
    }
}

/// Caught: with `ask_for_the_past` left out, the first write gets a dot that us knows from another entry, is
/// acknowledged, and never arrives in us.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_with_an_older_copy_of_its_data_writes_nothing_and_says_why() {
    let place = tempfile::tempdir().unwrap();
    let (older, newer, of_us) = (
        place.path().join("older"),
        place.path().join("newer"),
        place.path().join("us"),
    );
    let listen = async |address: &str| TcpListener::bind(address).await.unwrap();
    let (at_eu, at_us) = (listen("127.0.0.1:0").await, listen("127.0.0.1:0").await);
    let region = |listener: &TcpListener| Region {
        address: listener.local_addr().unwrap().to_string(),
        client: Client::new(),
    };
    let (eu, us) = (region(&at_eu), region(&at_us));
    let start = async |data: &Path, listener: TcpListener| -> Running {
        let config = config(data, "eu", ("us", &us.address));
        Node::start_on(config, listener).await.unwrap()
    };
    let config_of_us = config(&of_us, "us", ("eu", &eu.address));
    let running_us = Node::start_on(config_of_us.clone(), at_us).await.unwrap();

    let running = start(&newer, at_eu).await;
    assert_eq!(eu.put("first").await.status(), 200);
    us.comes_to_show("first").await;
    assert_eq!(us.put("from-us").await.status(), 200);
    eu.comes_to_show("from-us").await;
    running.stop().await;
    copy(&newer, &older);
    let running = start(&newer, listen(&eu.address).await).await;
    assert_eq!(eu.put("second").await.status(), 200, "nothing is missing");
    us.comes_to_show("second").await;
    running.stop().await;

    running_us.stop().await;
    let running = start(&older, listen(&eu.address).await).await;
    let (refused, running_us) = tokio::join!(eu.put("third"), async {
        // The write comes while no peer has been heard of.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Node::start_on(config_of_us, listen(&us.address).await)
            .await
            .unwrap()
    });
    assert_eq!(refused.status(), 503);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["reason"], "RolledBack", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("let it join again"), "{detail}");
    assert!(eu.shows("first").await, "it reads");
    assert_eq!(us.put("later").await.status(), 200);
    eu.comes_to_show("later").await;
    let metrics = eu.client.get(format!("http://{}/metrics", eu.address));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    let is_told = |line: &str| line.starts_with("atoll_log_own_missing{") && line.ends_with("} 1");
    assert!(metrics.lines().any(is_told), "{metrics}");
    running.stop().await;
    running_us.stop().await;
}
