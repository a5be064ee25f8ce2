//! An API server for tests: answers a script of requests, in order, and refuses any other.

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// One request and its answer.
pub(crate) struct Exchange {
    /// Method and path, such as `GET /api/v1/namespaces/team/services/shop`.
    pub(crate) request: &'static str,
    pub(crate) status: u16,
    pub(crate) answer: Value,
}

/// A request that does not come is a failed test, not a test that hangs.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// What was asked, with bodies, once the script has been played.
pub(crate) type Played = tokio::task::JoinHandle<Vec<(String, Value)>>;

/// A client of such a server.
pub(crate) fn server(script: Vec<Exchange>) -> (Client, Played) {
    let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let played = tokio::spawn(async move {
        let mut asked = Vec::new();
        for exchange in script {
            let next = tokio::time::timeout(WITHIN, handle.next_request()).await;
            let next = next.expect("the next request of the script comes");
            let (request, answer) = next.expect("a client that is there");
            let (parts, body) = request.into_parts();
            let what = format!("{} {}", parts.method, parts.uri.path());
            assert_eq!(what, exchange.request);
            let body = body.collect_bytes().await.expect("a body that is there");
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            asked.push((parts.uri.to_string(), body));
            let response = Response::builder()
                .status(exchange.status)
                .body(Body::from(exchange.answer.to_string().into_bytes()));
            answer.send_response(response.expect("a response that can be built"));
        }
        asked
    });
    (Client::new(service, "default"), played)
}

/// An answer that refuses.
pub(crate) fn refusal(request: &'static str, status: u16, reason: &str) -> Exchange {
    let answer = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "message": format!("it is {reason}"), "reason": reason, "code": status,
    });
    Exchange {
        request,
        status,
        answer,
    }
}
