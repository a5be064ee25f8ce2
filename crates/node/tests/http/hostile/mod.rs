//! Requests that nobody should send: each has its status and reason, and none changes anything.
//!
//! They are written to the socket as they are, so that no client's library makes them well-behaved. The
//! table that this prints is the one in the documentation.

mod addresses;
mod batches;
mod bodies;
mod headers;

use std::fmt::Write as _;

use atoll_core::token::{self, TokenKind};
use atoll_core::{Dot, ReplicaId, StoreId, VersionVector};
use reqwest::Method;
use serde_json::json;

use crate::support::{Store, header, raw};

/// One request and what it must be answered with; no reason where hyper answers before Atoll sees it.
struct Row {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Body,
    status: u16,
    reason: &'static str,
}

enum Body {
    None,
    /// With its length and `application/json`, unless the headers say otherwise.
    Json(Vec<u8>),
    /// As it is, after the headers as they are.
    Bytes(Vec<u8>),
    /// As it is, and then the client stops sending.
    Cut(Vec<u8>),
}

/// Tokens that rows need.
struct Tokens {
    session: String,
    context: String,
    cursor_kind: String,
    other_store: String,
    other_context: String,
    forged: String,
    future: String,
    future_context: String,
    tag: String,
}

const PAGE: &str = "/v1/collections/pages/keys/a";
const USER: &str = "/v1/collections/users/keys/a";
const HITS: &str = "/v1/collections/hits/keys/a/ops";
const TAGS: &str = "/v1/collections/tags/keys/a/ops";
const CART: &str = "/v1/collections/carts/keys/a/ops";

fn row(
    what: &'static str,
    method: &'static str,
    path: impl Into<String>,
    status: u16,
    reason: &'static str,
) -> Row {
    Row {
        what,
        method,
        path: path.into(),
        headers: vec![],
        body: Body::None,
        status,
        reason,
    }
}

impl Row {
    fn json(mut self, body: impl Into<Vec<u8>>) -> Row {
        self.body = Body::Json(body.into());
        self
    }

    fn bytes(mut self, body: impl Into<Vec<u8>>) -> Row {
        self.body = Body::Bytes(body.into());
        self
    }

    fn cut(mut self, body: impl Into<Vec<u8>>) -> Row {
        self.body = Body::Cut(body.into());
        self
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Row {
        self.headers.push((name, value.into()));
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: atoll\r\nconnection: close\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let is_typed = self.headers.iter().any(|(name, _)| *name == "content-type");
        let mut request = match &self.body {
            Body::Json(body) => {
                if !is_typed {
                    head.push_str("content-type: application/json\r\n");
                }
                write!(head, "content-length: {}\r\n\r\n", body.len()).unwrap();
                head.into_bytes()
            }
            Body::None | Body::Bytes(_) | Body::Cut(_) => (head + "\r\n").into_bytes(),
        };
        if let Body::Json(body) | Body::Bytes(body) | Body::Cut(body) = &self.body {
            request.extend_from_slice(body);
        }
        request
    }
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

async fn prepared(store: &Store) -> Tokens {
    let first = store.ask(Method::PUT, PAGE).json(&json!("before"));
    let first = first.header("idempotency-key", "hostile").send().await;
    assert_eq!(first.unwrap().status(), 200);
    let tag = header(&store.get(PAGE).await, "etag");
    store.done(Method::PUT, PAGE, &json!("now")).await;
    store.done(Method::PUT, USER, &json!({"name": "Ann"})).await;
    store
        .done(Method::POST, HITS, &json!({"increment": 1}))
        .await;
    let read = store.get(PAGE).await;
    let (session, context) = (
        header(&read, "atoll-session"),
        header(&read, "atoll-context"),
    );
    let mut forged = session.clone().into_bytes();
    forged[10] ^= 1;
    let mut future: VersionVector = (*store.running.node().vector()).clone();
    future.raise(Dot::new(ReplicaId(77), 1));
    let write = |kind, store| token::write(kind, StoreId(store), &future);
    Tokens {
        cursor_kind: session.clone(),
        session,
        context,
        forged: String::from_utf8(forged).unwrap(),
        other_store: write(TokenKind::Session, 0xbb),
        other_context: write(TokenKind::Context, 0xbb),
        future: write(TokenKind::Session, 0xaa),
        future_context: write(TokenKind::Context, 0xaa),
        tag,
    }
}

/// Bytes of memory that this process holds.
fn memory_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or_default();
    pages * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_by_name_and_change_nothing() {
    let store = Store::start().await;
    let tokens = prepared(&store).await;
    let (vector, memory) = (store.running.node().vector(), memory_bytes());
    let catalog = store.running.node().catalog();
    let rows = [
        addresses::keys(),
        addresses::routes(),
        bodies::values(),
        bodies::operations(),
        headers::headers(&tokens),
        batches::batches(&tokens),
        batches::administration(),
    ];
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for row in rows.into_iter().flatten() {
        let answer = raw(
            store.address(),
            row.encode(),
            matches!(row.body, Body::Cut(_)),
        )
        .await;
        let (status, reason) = answer
            .as_ref()
            .map_or((0, String::new()), |a| (a.status, a.reason()));
        let path = row.path.replace(&tokens.cursor_kind, "<session>");
        let path: String = path.chars().take(60).collect();
        writeln!(
            table,
            "{status} {reason:20} {:48} {} {path}",
            row.what, row.method
        )
        .unwrap();
        if (status, reason.as_str()) != (row.status, row.reason) {
            wrong.push(format!(
                "{}: {status} {reason}, not {} {}",
                row.what, row.status, row.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_snapshot!(table);

    assert_eq!(store.running.node().vector(), vector, "nothing was written");
    assert_eq!(
        store.running.node().catalog(),
        catalog,
        "nothing was declared"
    );
    assert_eq!(store.json("/v1/collections/hits/keys/a").await, json!(1));
    assert_eq!(
        store.json("/v1/collections/pages/keys?values=true").await["items"],
        json!([{"key": "a", "value": "now"}])
    );
    assert_eq!(store.json("/healthz").await["alive"], true);
    let grown = memory_bytes().saturating_sub(memory);
    assert!(grown < 200 << 20, "{grown} bytes more are held");
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_answered_or_cut_off() {
    let store = Store::start().await;
    let tls: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    for garbage in [
        b"GARBAGE\r\n\r\n",
        tls,
        preface,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0",
        b"",
    ] {
        let answer = raw(store.address(), garbage.to_vec(), true).await;
        assert!(answer.is_none_or(|a| a.status == 400), "{garbage:?}");
    }
    assert_eq!(store.json("/healthz").await["alive"], true);
    store.running.stop().await;
}
