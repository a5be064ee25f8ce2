//! Clients that take their time, or more than their share: tests against short bounds.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::Door;
use super::bounds::Bounds;
use super::server::serve_within;
use crate::surroundings::Listener;
use crate::{Node, NodeConfig, Running};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(200);
const PUT: &str = "PUT /v1/collections/pages/keys/a HTTP/1.1\r\nhost: a\r\n";
const CLOSE: &str = "connection: close\r\n\r\n";

/// A node, served a second time within other bounds.
struct Store {
    running: Running,
    address: SocketAddr,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    _data: tempfile::TempDir,
}

impl Store {
    async fn start(change: impl FnOnce(&mut Bounds)) -> Store {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "store: {{name: shop, id: 00000000000000aa}}\nregion: eu\nlisten: 127.0.0.1:0\ndata: {}\n\
             collections: [{{name: pages, type: Register}}]\n",
            data.path().display()
        );
        let config = NodeConfig::from_yaml("node.yaml", &text).unwrap();
        let mut bounds = Bounds::of(&config);
        (
            bounds.header_timeout,
            bounds.body_timeout,
            bounds.idle_timeout,
        ) = (LONG, LONG, LONG);
        change(&mut bounds);
        let running = Node::start(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (node, stopped) = (running.node().clone(), stop.clone());
        let serving = tokio::spawn(async move {
            serve_within(
                bounds,
                node,
                Listener::Tcp(listener),
                Door::Open {
                    takes_neighbours: true,
                },
                stopped.cancelled(),
            )
            .await;
        });
        Store {
            running,
            address,
            stop,
            serving,
            _data: data,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.running.stop().await;
    }

    /// Sends this much and then nothing more.
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// What a request that ends its connection is answered with.
    async fn ask(&self, request: &str) -> String {
        rest(self.send(request).await).await
    }
}

/// All that comes until the server closes, which it must do soon.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    read.expect("the server closes").unwrap();
    answer
}

/// Waits until the handler asks for the body.
async fn until_body_is_wanted(stream: &mut TcpStream) {
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_answered_with_timeout() {
    let store = Store::start(|bounds| bounds.body_timeout = SHORT).await;
    let before = store.running.node().vector();
    for slow in [
        "content-length: 5\r\n\r\nhal",
        "transfer-encoding: chunked\r\n\r\n3\r\nhal\r\n",
    ] {
        let answer = store.ask(&format!("{PUT}{slow}")).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("\"reason\":\"Timeout\""), "{answer}");
    }
    assert_eq!(store.running.node().vector(), before);
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_do_not_come_end_the_connection() {
    let store = Store::start(|bounds| bounds.header_timeout = SHORT).await;
    for start in [
        "",
        "G",
        "PRI * HTTP/2.0\r\n",
        "GET /healthz HTTP/1.1\r\nhost: ",
    ] {
        assert_eq!(store.ask(start).await, "", "{start:?}");
    }
    let mut stream = store.send("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    stream.write_all(b"GET /heal").await.unwrap();
    let second = rest(stream).await;
    assert_eq!(second.matches("HTTP/1.1").count(), 0, "{second}");
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed_and_a_follower_is_not_idle() {
    let store = Store::start(|bounds| bounds.idle_timeout = SHORT).await;
    let follows = "GET /v1/changes?follow=true HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut follower = store.send(follows).await;
    let idle = store.send("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = rest(idle).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Several times as long as an idle connection would have lived.
    let mut received = Vec::new();
    let read = async { while follower.read_buf(&mut received).await.unwrap() > 0 {} };
    let waited = tokio::time::timeout(SHORT * 5, read).await;
    assert!(
        waited.is_err(),
        "closed: {}",
        String::from_utf8_lossy(&received)
    );
    let put = format!("{PUT}content-length: 1\r\n{CLOSE}1");
    assert!(store.ask(&put).await.starts_with("HTTP/1.1 200 "));
    let mut lines = String::from_utf8(received).unwrap();
    while !lines.contains("\"key\":\"a\"") {
        let mut more = vec![0; 4096];
        let read = follower.read(&mut more).await.unwrap();
        assert!(read > 0, "closed after {lines}");
        lines.push_str(std::str::from_utf8(&more[..read]).unwrap());
    }
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_are_turned_away_and_probes_are_not() {
    let store = Store::start(|bounds| bounds.requests = 1).await;
    let waits = format!("{PUT}content-length: 1\r\nexpect: 100-continue\r\n{CLOSE}");
    let mut first = store.send(&waits).await;
    until_body_is_wanted(&mut first).await;
    let second = store
        .ask(&format!("GET /v1/status HTTP/1.1\r\nhost: a\r\n{CLOSE}"))
        .await;
    assert!(second.starts_with("HTTP/1.1 503 "), "{second}");
    assert!(
        second.contains("\"reason\":\"Overloaded\"") && second.contains("retry-after: 1"),
        "{second}"
    );
    let probe = store
        .ask(&format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{CLOSE}"))
        .await;
    assert!(probe.starts_with("HTTP/1.1 200 "), "{probe}");
    first.write_all(b"1").await.unwrap();
    assert!(rest(first).await.starts_with("HTTP/1.1 200 "));
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_take_no_more_memory_than_they_may() {
    let store = Store::start(|bounds| bounds.body_memory_bytes = 1 << 20).await;
    let body_of =
        |len: usize| format!("{PUT}content-length: {len}\r\nexpect: 100-continue\r\n{CLOSE}");
    let mut first = store.send(&body_of(900 << 10)).await;
    until_body_is_wanted(&mut first).await;
    let second = store.ask(&body_of(500 << 10)).await;
    assert!(second.contains("\"reason\":\"Overloaded\""), "{second}");
    let mut small = store.send(&body_of(1)).await;
    until_body_is_wanted(&mut small).await;
    small.write_all(b"1").await.unwrap();
    assert!(
        rest(small).await.starts_with("HTTP/1.1 200 "),
        "small ones go on"
    );
    first.write_all(&vec![b'x'; 900 << 10]).await.unwrap();
    assert!(rest(first).await.starts_with("HTTP/1.1 200 "));
    let mut third = store.send(&body_of(900 << 10)).await;
    until_body_is_wanted(&mut third).await;
    drop(third);
    store.stop().await;
}
