//! Two regions and a collector in this process: one write is one tree of spans, told by both regions.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atoll_node::{Node, NodeConfig, Running};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// Spans wait five seconds for others.
const PATIENCE: Duration = Duration::from_secs(60);

/// Region and span.
type Told = Arc<Mutex<Vec<(String, Span)>>>;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A collector that remembers.
async fn collector() -> (SocketAddr, Told) {
    async fn take(State(told): State<Told>, headers: HeaderMap, body: Bytes) {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let said = ExportTraceServiceRequest::decode(body).unwrap();
        for of_region in said.resource_spans {
            let attributes = of_region.resource.unwrap().attributes;
            let region = attributes.iter().find(|a| a.key == "atoll.region");
            let region = region.and_then(|a| a.value.clone()?.value).unwrap();
            let Value::StringValue(region) = region else {
                panic!("{region:?}")
            };
            let spans = of_region.scope_spans.into_iter().flat_map(|s| s.spans);
            let spans = spans.map(|span| (region.clone(), span));
            told.lock().unwrap().extend(spans);
        }
    }
    let (listener, address) = listener().await;
    let told = Told::default();
    let routes = Router::new()
        .route("/v1/traces", post(take))
        .with_state(Arc::clone(&told));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, told)
}

async fn start(
    region: &str,
    other: &str,
    listener: TcpListener,
    addresses: [SocketAddr; 3],
    data: &Path,
) -> Running {
    let [mine, others, collector] = addresses;
    let text = format!(
        "store: {{name: shop, id: 00000000000000aa}}\nregion: {region}\nlisten: {mine}\ndata: {}\n\
         peers: [{{region: {other}, endpoint: 'http://{others}'}}]\nlinks: [{{from: {other}, carries: OwnEntries}}]\n\
         collections: [{{name: pages, type: Register}}]\n\
         telemetry: {{otlp: {{endpoint: 'http://{collector}'}}, traceRatio: 0}}\n",
        data.join(region).display(),
    );
    let config = NodeConfig::from_yaml("node.yaml", &text).unwrap();
    Node::start_on(config, listener).await.unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `region: name < parent's name`, each once; of the trace alone.
fn tree(told: &Told) -> BTreeSet<String> {
    let told = told.lock().unwrap();
    let spans = told.iter().filter(|(_, span)| hex(&span.trace_id) == TRACE);
    let line = |(region, span): &(String, Span)| {
        let parent = told
            .iter()
            .find(|(_, parent)| parent.span_id == span.parent_span_id);
        let parent = parent.map_or("client", |(_, parent)| &parent.name);
        format!("{region}: {} < {parent}", span.name)
    };
    spans.map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_one_tree_of_spans_in_all_regions() {
    let data = tempfile::tempdir().unwrap();
    let (collector, told) = collector().await;
    let (eu, eu_at) = listener().await;
    let (us, us_at) = listener().await;
    let eu = start("eu", "us", eu, [eu_at, us_at, collector], data.path()).await;
    let us = start("us", "eu", us, [us_at, eu_at, collector], data.path()).await;

    let put = reqwest::Client::new()
        .put(format!("http://{eu_at}/v1/collections/pages/keys/k"))
        .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"))
        .header("content-type", "application/json")
        .body("1");
    assert!(put.send().await.unwrap().status().is_success());

    let request = "PUT /v1/collections/{collection}/keys/{key}";
    let whole = BTreeSet::from([
        format!("eu: {request} < client"),
        format!("eu: propose < {request}"),
        format!("eu: sync < {request}"),
        format!("eu: apply < {request}"),
        format!("eu: ship < {request}"),
        format!("us: replicate < {request}"),
        "us: sync < replicate".to_owned(),
        "us: apply < replicate".to_owned(),
    ]);
    let told_all = async {
        while !tree(&told).is_superset(&whole) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let is_told = tokio::time::timeout(PATIENCE, told_all).await;
    let mut tree = tree(&told);
    assert!(is_told.is_ok(), "{tree:#?}");
    // Shown only when it takes long enough.
    tree.remove("us: wait < replicate");
    assert_eq!(tree, whole);
    eu.stop().await;
    us.stop().await;
}
