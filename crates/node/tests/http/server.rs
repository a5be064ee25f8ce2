//! The server below the routes: both protocols, too many connections, an orderly end.

use reqwest::{Client, Method, StatusCode, Version};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Store, parse, raw};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_without_tls_is_spoken_on_the_same_port() {
    let mut store = Store::start().await;
    store.client = Client::builder().http2_prior_knowledge().build().unwrap();
    store
        .done(
            Method::PUT,
            "/v1/collections/pages/keys/a",
            &json!({"n": 1}),
        )
        .await;
    let read = store.get("/v1/collections/pages/keys/a").await;
    assert_eq!(
        (read.version(), read.status()),
        (Version::HTTP_2, StatusCode::OK)
    );
    let operations: Vec<_> = (0..1000)
        .map(|i| json!({"collection": "pages", "key": format!("k{i}"), "put": "x".repeat(5000)}))
        .collect();
    store
        .done(
            Method::POST,
            "/v1/batch",
            &json!({"operations": operations}),
        )
        .await;
    let refused = store
        .send(
            Method::PUT,
            "/v1/collections/pages/keys/a",
            &json!("x".repeat(2 << 20)),
        )
        .await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_a_row_are_answered_in_a_row() {
    let store = Store::start().await;
    let one = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let last = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = raw(
        store.address(),
        [one, one, last].concat().into_bytes(),
        false,
    )
    .await
    .unwrap();
    let rest = String::from_utf8(answer.body).unwrap();
    assert_eq!(rest.matches("HTTP/1.1 200 OK").count(), 2, "{rest}");
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_too_many_is_told_so() {
    let store = Store::start_with("limits: {connections: 2}\n").await;
    let ask = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(store.address()).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
        held.push(stream);
    }
    let refused = raw(store.address(), ask.into(), true).await.unwrap();
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (503, "Overloaded")
    );
    drop(held);
    // The places are free again as soon as the server has noticed.
    loop {
        let close = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        if raw(store.address(), close.into(), false)
            .await
            .is_some_and(|answer| answer.status == 200)
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_what_is_under_way_and_closes_what_is_idle() {
    let store = Store::start().await;
    let mut idle = TcpStream::connect(store.address()).await.unwrap();
    let started = std::time::Instant::now();
    let address = store.address();
    let slow = "PUT /v1/collections/pages/keys/a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\
                expect: 100-continue\r\n\r\n";
    let mut under_way = TcpStream::connect(address).await.unwrap();
    under_way.write_all(slow.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let (mut reader, mut writer) = under_way.into_split();
    let ends = async {
        let mut nothing = Vec::new();
        idle.read_to_end(&mut nothing).await.unwrap();
        assert!(nothing.is_empty());
        writer.write_all(b"abc").await.unwrap();
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).await.unwrap();
        parse(&answer).unwrap()
    };
    let (answer, ()) = tokio::join!(ends, store.running.stop());
    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert!(
        started.elapsed() < std::time::Duration::from_secs(8),
        "nothing was waited for in vain"
    );
}
