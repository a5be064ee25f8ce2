//! A link over loopback: both directions at once, refusals and silence told apart.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use atoll_client::Network;
use atoll_client::link::{self, LinkError};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

const PATIENCE: Duration = Duration::from_secs(5);

/// A server that answers every request by `answer`; it ends with the test's runtime.
async fn serve(answer: fn(Request<Incoming>) -> Option<Answer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request| async move {
                match answer(request) {
                    Some(answer) => Ok::<_, Infallible>(answer),
                    None => std::future::pending().await,
                }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(tcp), service);
            tokio::spawn(connection);
        }
    });
    format!("http://{address}")
}

/// Sends back what comes in, as it comes in.
fn echo(request: Request<Incoming>) -> Option<Answer> {
    assert_eq!(request.uri().path(), link::LINK_PATH);
    Some(Response::new(request.into_body().boxed_unsync()))
}

fn refuse(_: Request<Incoming>) -> Option<Answer> {
    let problem = r#"{"reason":"Draining","status":503,"detail":"ask another node","leader":"http://10.0.1.6:7401"}"#;
    let body = Full::new(Bytes::from_static(problem.as_bytes()));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    Some(answer)
}

fn say_nothing(_: Request<Incoming>) -> Option<Answer> {
    None
}

#[tokio::test]
async fn frames_pass_both_ways_while_both_bodies_are_open() {
    let server = serve(echo).await;
    let mut stream = link::open(&Network::Tcp, &server, PATIENCE).await.unwrap();
    for frame in ["hello", "ack", "want"] {
        stream.upstream.send(Bytes::from(frame)).await.unwrap();
        let echoed = stream.downstream.next().await.unwrap().unwrap();
        assert_eq!(echoed, frame);
    }
    drop(stream.upstream);
    assert!(stream.downstream.next().await.is_none());
    assert!(stream.downstream.next().await.is_none());
}

#[tokio::test]
async fn a_megabyte_is_not_held_up_by_windows() {
    let server = serve(echo).await;
    let mut stream = link::open(&Network::Tcp, &server, PATIENCE).await.unwrap();
    let frame = Bytes::from(vec![7_u8; 64 << 10]);
    let upstream = stream.upstream;
    tokio::spawn(async move {
        for _ in 0..64 {
            upstream.send(frame.clone()).await.unwrap();
        }
    });
    let mut received = 0;
    while let Some(bytes) = stream.downstream.next().await {
        received += bytes.unwrap().len();
    }
    assert_eq!(received, 64 * (64 << 10));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_nodes_words() {
    let server = serve(refuse).await;
    let mut stream = link::open(&Network::Tcp, &server, PATIENCE).await.unwrap();
    let error = stream.downstream.next().await.unwrap().unwrap_err();
    let told = error.to_string();
    assert!(
        matches!(
            &error,
            LinkError::Refused { status: 503, leader: Some(leader), .. } if leader == "http://10.0.1.6:7401"
        ),
        "{told}"
    );
    assert!(
        told.contains("Draining") && told.contains("ask another node"),
        "{told}"
    );
    assert!(stream.downstream.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = serve(say_nothing).await;
    let mut stream = link::open(&Network::Tcp, &server, Duration::from_millis(200))
        .await
        .unwrap();
    let error = stream.downstream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, LinkError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn nobody_at_home_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = link::open(&Network::Tcp, &format!("http://{address}"), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, LinkError::Connect { .. }), "{error}");
}
