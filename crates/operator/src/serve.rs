//! What watches over the operator: `/healthz`, `/readyz`, `/metrics`.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;

/// Connections at once.
const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take.
const HEAD_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Answers until told to stop.
pub(crate) async fn serve(listener: TcpListener, metrics: Metrics, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            continue;
        };
        let Ok(permit) = std::sync::Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let (metrics, stop) = (metrics.clone(), stop.clone());
        tasks.spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let answer = answer(request.method(), request.uri().path(), &metrics);
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN);
            let connection = http.serve_connection(TokioIo::new(stream), answer);
            tokio::select! {
                () = stop.cancelled() => {}
                // Whoever went away while being answered is nobody's trouble.
                _ = connection => {}
            }
            drop(permit);
        });
    }
}

/// An operator that waits for the lease is ready, too: it stands by.
fn answer(method: &Method, path: &str, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, text) = match (method, path) {
        (&Method::GET, "/healthz" | "/readyz") => {
            let part = if metrics.leading() {
                "leads"
            } else {
                "stands by"
            };
            (StatusCode::OK, format!("{part}\n"))
        }
        (&Method::GET, "/metrics") => (StatusCode::OK, metrics.render()),
        _ => (
            StatusCode::NOT_FOUND,
            "ask for /healthz, /readyz or /metrics\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn it_says_how_it_is() {
        let metrics = Metrics::new().unwrap();
        metrics.passed("ok", 0.1);
        let status = |path| answer(&Method::GET, path, &metrics).status();
        assert_eq!(status("/healthz"), 200);
        assert_eq!(status("/readyz"), 200);
        assert_eq!(status("/"), 404);
        let text = metrics.render();
        assert!(text.contains("atoll_operator_passes_total{outcome=\"ok\"} 1"));
    }

    #[test]
    fn a_store_waits_once_however_often_it_changes() {
        let metrics = Metrics::new().unwrap();
        for name in ["shop", "shop", "wiki"] {
            metrics.waits("default", name);
        }
        assert!(metrics.render().contains("atoll_operator_queue_depth 2"));
        metrics.waited("default", "shop");
        assert!(metrics.render().contains("atoll_operator_queue_depth 1"));
    }

    /// docs/metrics.md has every metric with its labels, and no other. Caught: a gauge added without a line.
    #[test]
    fn docs_list_what_is_served() {
        use crate::caches::Counts;
        use crate::kinds::Kind;
        let metrics = Metrics::new().unwrap();
        metrics.passed("ok", 0.1);
        metrics.wrote("GeoStore");
        metrics.acted("Forming");
        metrics.count(|| Counts {
            stores: 1,
            objects: [(Kind::Service, 2)].into(),
        });
        let text = metrics.render();
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, page) = page.split_once("## Operator").unwrap();
        let cells = |line: &str| line.split('|').map(|c| c.trim().replace('`', "")).collect();
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(cells);
        let documented: std::collections::BTreeMap<String, String> = rows
            .map(|row: Vec<String>| (row[1].clone(), row[4].clone()))
            .collect();
        let mut served = std::collections::BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let is_of = |known: &&String| {
                name == *known
                    || ["_bucket", "_sum", "_count"]
                        .iter()
                        .any(|end| name.strip_suffix(end) == Some(known.as_str()))
            };
            let known = documented.keys().find(is_of).cloned();
            let labels: Vec<&str> = labels
                .split("\",")
                .filter_map(|label| label.split_once('=').map(|(name, _)| name))
                .filter(|label| *label != "le")
                .collect();
            served.insert(
                known.unwrap_or_else(|| panic!("{name} is not listed")),
                labels.join(", "),
            );
        }
        assert_eq!(served, documented);
    }
}
