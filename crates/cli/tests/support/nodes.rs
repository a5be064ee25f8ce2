//! A region of several nodes, each a real process.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use atoll_api::http::{ChangeLine, NodeRole, NodeStatus};
use atoll_client::{Client, PeerClient, Settings};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::ports::Port;
use super::store::{STORE, last_lines, spawn};
use super::until;

/// The nodes of one region.
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<Node>,
    _directory: TempDir,
}

/// One of them.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) data: PathBuf,
    port: Port,
    neighbours: Port,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Nodes {
    /// Starts `count` nodes that form a region, and waits until each is ready.
    pub(crate) async fn start(count: usize, collections: Value, testing: Value) -> Nodes {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let node = |at: usize| {
            let name = format!("eu-{at}");
            Node {
                data: file(&format!("{name}-data")),
                config: file(&format!("{name}.yaml")),
                log: file(&format!("{name}.log")),
                port: Port::take(),
                neighbours: Port::take(),
                child: None,
                name,
            }
        };
        let mut nodes: Vec<Node> = (0..count).map(node).collect();
        let named: Vec<Value> = nodes
            .iter()
            .map(|node| json!({"name": node.name, "address": node.internal()}))
            .collect();
        for node in &nodes {
            let config = json!({
                "store": {"name": "shop", "id": STORE.to_string()},
                "region": "eu",
                "listen": node.port.address.to_string(),
                "data": node.data,
                "node": {
                    "name": node.name,
                    "address": node.internal(),
                    "listen": node.neighbours.address.to_string(),
                },
                "nodes": named,
                "collections": collections,
                "testing": testing,
            });
            fs::write(&node.config, config.to_string()).unwrap();
        }
        nodes.iter_mut().for_each(Node::start);
        for node in &mut nodes {
            node.ready().await;
        }
        Nodes {
            nodes,
            _directory: directory,
        }
    }

    /// The nodes' addresses for clients.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Node::address).collect()
    }

    /// The nodes as the region's leader sees them.
    pub(crate) async fn seen(&self) -> Vec<NodeStatus> {
        until("a leader tells who the nodes are", async || {
            for node in self.nodes.iter().filter(|node| node.child.is_some()) {
                if let Ok(list) = node.client().nodes().await
                    && list.nodes.iter().any(|n| n.role == NodeRole::Leader)
                {
                    return Some(list.nodes);
                }
            }
            None
        })
        .await
    }

    /// The leader's place among the nodes.
    pub(crate) async fn leader(&self) -> usize {
        let seen = self.seen().await;
        let leader = seen.iter().find(|n| n.role == NodeRole::Leader).unwrap();
        let place = self.nodes.iter().position(|n| n.name == leader.name);
        place.expect("the leader is one of ours")
    }

    /// Waits until all nodes have applied the same.
    pub(crate) async fn settle(&self) {
        until("all nodes have the same entries", async || {
            let mut vectors = Vec::new();
            for node in &self.nodes {
                vectors.push(node.client().status().await.ok()?.vector);
            }
            vectors.windows(2).all(|w| w[0] == w[1]).then_some(())
        })
        .await;
    }
}

impl Node {
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.port.address)
    }

    fn internal(&self) -> String {
        format!("http://{}", self.neighbours.address)
    }

    /// A client of this node alone, which sends everything once.
    pub(crate) fn client(&self) -> Client {
        let settings = Settings {
            attempts: 1,
            request_timeout: Duration::from_secs(10),
            ..Settings::default()
        };
        Client::with_settings(&self.address(), settings).unwrap()
    }

    /// Every change that this very node has, in its order of arrival.
    pub(crate) async fn changes_here(&self) -> Vec<ChangeLine> {
        let here = HeaderMap::from_iter([(
            HeaderName::from_static("atoll-consistency"),
            HeaderValue::from_static("any"),
        )]);
        let peers = PeerClient::new(Duration::from_secs(5)).unwrap();
        let address = self.address();
        let mut lines: Vec<ChangeLine> = Vec::new();
        loop {
            let since = lines.last().map(|line| format!("&since={}", line.cursor));
            let path = format!("/v1/changes?limit=5000{}", since.unwrap_or_default());
            let answer = peers.hand_on(
                Method::GET,
                &address,
                &path,
                here.clone(),
                Bytes::new(),
                Duration::from_secs(60),
            );
            let mut answer = answer.await.unwrap();
            assert_eq!(answer.status, StatusCode::OK);
            let mut text = Vec::new();
            while let Some(chunk) = answer.next().await {
                text.extend_from_slice(&chunk.unwrap());
            }
            let known = lines.len();
            let read = text
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            lines.extend(read.map(|line| serde_json::from_slice::<ChangeLine>(line).unwrap()));
            if lines.len() == known {
                return lines;
            }
        }
    }

    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        self.child = Some(spawn(&self.config, &self.log));
    }

    pub(crate) async fn ready(&mut self) {
        let client = self.client();
        let (name, log) = (self.name.clone(), self.log.clone());
        let child = self.child.as_mut().expect("a started node");
        until(&format!("{name} is ready"), async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{name} ended with {status}:\n{}", last_lines(&log));
            }
            client.readiness().await.ok().filter(|r| r.ready)
        })
        .await;
    }

    /// Ends its process as a crash would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("a started node");
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    }

    /// Ends its process in good order.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("a started node");
        let status = until("a node stops in good order", async || {
            child.try_wait().unwrap()
        })
        .await;
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    /// Sends its process a signal, such as STOP.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("a started node").id();
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(pid.to_string())
            .status();
        assert!(sent.unwrap().success());
    }

    /// Loses its disk.
    pub(crate) fn lose_disk(&self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        fs::remove_dir_all(&self.data).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!(
                "--- {} at the end ---\n{}",
                self.name,
                last_lines(&self.log)
            );
        }
    }
}
