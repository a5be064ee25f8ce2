//! The router, the table of routes and the OpenAPI document are one.

use std::collections::{BTreeMap, BTreeSet};

use atoll_api::openapi::{ROUTES, document};
use reqwest::{Method, StatusCode};

use crate::support::{Store, header};

/// A path with something in the place of its parameters.
fn example(path: &str) -> String {
    path.replace("{collection}", "pages")
        .replace("{key}", "a")
        .replace("{name}", "us:eu")
        .replace("{id}", &"0".repeat(32))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_declared_route_answers_and_no_other_method_does() {
    let store = Store::start().await;
    let mut by_path = BTreeMap::<&str, BTreeSet<&str>>::new();
    for route in ROUTES {
        by_path
            .entry(route.path)
            .or_default()
            .insert(route.method.as_str());
        let method: Method = route.method.as_str().parse().unwrap();
        let response = store
            .ask(method, &example(route.path))
            .send()
            .await
            .unwrap();
        let status = response.status();
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{route:?}");
        let text = response.text().await.unwrap();
        assert!(!text.contains("no such route"), "{route:?}: {text}");
    }
    for (path, declared) in by_path {
        for method in [
            "GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
        ] {
            if declared.contains(method) {
                continue;
            }
            let method: Method = method.parse().unwrap();
            let response = store
                .ask(method.clone(), &example(path))
                .send()
                .await
                .unwrap();
            assert_eq!(
                response.status(),
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            let allowed = header(&response, "allow");
            let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).collect();
            let allowed: BTreeSet<&str> = allowed.into_iter().filter(|m| *m != "HEAD").collect();
            assert_eq!(allowed, declared, "{path}");
        }
    }
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_served_is_the_one_of_the_table() {
    let store = Store::start().await;
    assert_eq!(store.json("/v1/openapi.json").await, document());
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_under_v1_carries_a_session() {
    let store = Store::start().await;
    for path in [
        "/v1/status",
        "/v1/links",
        "/v1/nowhere",
        "/v1/collections/pages/keys/a",
    ] {
        assert!(
            !header(&store.get(path).await, "atoll-session").is_empty(),
            "{path}"
        );
    }
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_and_metrics_answer() {
    let store = Store::start().await;
    assert_eq!(store.json("/healthz").await["alive"], true);
    assert_eq!(store.json("/readyz").await["ready"], true);
    assert_eq!(store.json("/v1/status").await["region"], "eu");
    assert_eq!(
        store.json("/v1/links").await["links"],
        serde_json::json!([])
    );
    let metrics = store.get("/metrics").await;
    assert!(header(&metrics, "content-type").starts_with("text/plain"));
    let text = metrics.text().await.unwrap();
    let counted = "atoll_http_server_request_duration_seconds_count{http_request_method=\"GET\",\
                   http_response_status_code=\"200\",http_route=\"/healthz\",";
    let is_told = |line: &str| line.starts_with(counted) && line.ends_with("} 1");
    assert!(text.lines().any(is_told), "{text}");
    store.running.stop().await;
}
