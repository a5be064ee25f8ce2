//! A node of one region with a collection of every type, a client for it, and a client without manners.

use std::net::SocketAddr;

use atoll_node::{Node, NodeConfig, Running};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const COLLECTIONS: &str = "[{name: pages, type: Register}, {name: users, type: Document}, \
     {name: hits, type: Counter}, {name: tags, type: Set}, {name: carts, type: Map}, \
     {name: kept, type: Register, conflicts: {policy: KeepSiblings}}]";

/// A node, its data and a client.
pub(crate) struct Store {
    pub(crate) running: Running,
    pub(crate) client: Client,
    base: String,
    _data: TempDir,
}

impl Store {
    pub(crate) async fn start() -> Store {
        Store::start_with("").await
    }

    /// With further lines of configuration.
    pub(crate) async fn start_with(more: &str) -> Store {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Store::start_region("eu", listener, more).await
    }

    /// A node of this region, behind a socket that listens already.
    pub(crate) async fn start_region(region: &str, listener: TcpListener, more: &str) -> Store {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "store: {{name: shop, id: 00000000000000aa}}\nregion: {region}\nlisten: 127.0.0.1:0\ndata: {}\n\
             collections: {COLLECTIONS}\n{more}",
            data.path().display()
        );
        let config = NodeConfig::from_yaml("node.yaml", &text).unwrap();
        let running = Node::start_on(config, listener).await.unwrap();
        Store {
            base: format!("http://{}", running.address()),
            client: Client::builder().build().unwrap(),
            running,
            _data: data,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    /// The JSON of a GET that is answered with 200.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// A request with a JSON body.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        self.ask(method, path).json(body).send().await.unwrap()
    }

    /// The same, which must be answered with 200.
    pub(crate) async fn done(&self, method: Method, path: &str, body: &Value) -> Response {
        let response = self.send(method.clone(), path, body).await;
        let status = response.status();
        if status != StatusCode::OK {
            panic!(
                "{method} {path}: {status} {}",
                response.text().await.unwrap()
            );
        }
        response
    }
}

/// A header of an answer; it must be there.
pub(crate) fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    let value = value.unwrap_or_else(|| panic!("no header {name}: {:?}", response.headers()));
    value.to_str().unwrap().to_owned()
}

/// Status and reason of a refusal, whose shape is checked.
pub(crate) async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(
        header(&response, "content-type"),
        "application/problem+json"
    );
    let problem: atoll_api::http::Problem = response.json().await.unwrap();
    assert_eq!(problem.status, status, "{problem:?}");
    assert!(
        problem.reason().is_some() && problem.instance.is_some(),
        "{problem:?}"
    );
    assert!(!problem.detail.is_empty(), "{problem:?}");
    (status, problem.reason_word)
}

/// What came back over a plain connection.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    /// The problem's reason, or nothing when it was not Atoll's own code that answered.
    pub(crate) fn reason(&self) -> String {
        let problem: Option<Value> = serde_json::from_slice(&self.body).ok();
        let reason = problem.and_then(|problem| Some(problem["reason"].as_str()?.to_owned()));
        reason.unwrap_or_default()
    }
}

/// Sends bytes as they are and reads what comes back. Writing may fail: an answer can come before the end
/// of the request. `None` when the connection is closed without an answer.
pub(crate) async fn raw(address: SocketAddr, request: Vec<u8>, then_close: bool) -> Option<Raw> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let writing = tokio::spawn(async move {
        let _ = writer.write_all(&request).await;
        if then_close {
            let _ = writer.shutdown().await;
        }
        writer
    });
    let mut answer = Vec::new();
    let _ = reader.read_to_end(&mut answer).await;
    writing.abort();
    parse(&answer)
}

pub(crate) fn parse(answer: &[u8]) -> Option<Raw> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = answer[end + 4..].to_vec();
    Some(Raw { status, head, body })
}
