//! Conditions, sessions, contexts and batches: what holds, and what changes nothing.

use atoll_core::token::{self, TokenKind};
use atoll_core::{ReplicaId, StoreId, VersionVector};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Store, header, refusal};

const PATH: &str = "/v1/collections/pages/keys/a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etag_demands_what_was_read() {
    let store = Store::start().await;
    let put = |value: u32| store.ask(Method::PUT, PATH).json(&value);
    let create = async || put(1).header("if-none-match", "*").send().await.unwrap();
    assert_eq!(create().await.status(), StatusCode::OK);
    assert_eq!(
        refusal(create().await).await,
        (412, "PreconditionFailed".into())
    );

    let tag = header(&store.get(PATH).await, "etag");
    assert_eq!(tag.len(), 34, "{tag}");
    let unchanged = store
        .ask(Method::GET, PATH)
        .header("if-none-match", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&unchanged, "etag"), tag);
    let replaced = put(2).header("if-match", &tag).send().await.unwrap();
    assert_eq!(replaced.status(), StatusCode::OK);
    let moved = put(3).header("if-match", &tag).send().await.unwrap();
    assert_eq!(refusal(moved).await, (412, "PreconditionFailed".into()));
    let changed = store
        .ask(Method::GET, PATH)
        .header("if-none-match", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (changed.status(), changed.text().await.unwrap()),
        (StatusCode::OK, "2".into())
    );
    let present = put(4).header("if-match", "*").send().await.unwrap();
    assert_eq!(present.status(), StatusCode::OK);
    store.running.stop().await;
}

/// Every kind of write is applied once under one key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_one_idempotency_key_is_applied_once() {
    let store = Store::start().await;
    let batch = json!({"operations": [
        {"collection": "hits", "key": "b", "ops": {"increment": 5}},
        {"collection": "hits", "key": "a", "ops": {"increment": 1}}]});
    let merge = "application/merge-patch+json";
    let table = [
        (Method::PUT, "pages/keys/a", json!(1), "application/json"),
        (Method::PATCH, "users/keys/a", json!({"name": "Ann"}), merge),
        (
            Method::POST,
            "hits/keys/a/ops",
            json!({"increment": 1}),
            "application/json",
        ),
        (
            Method::DELETE,
            "pages/keys/a",
            json!(null),
            "application/json",
        ),
        (Method::POST, "batch", batch, "application/json"),
    ];
    for (n, (method, path, body, media)) in table.into_iter().enumerate() {
        let path = match path {
            "batch" => "/v1/batch".to_owned(),
            path => format!("/v1/collections/{path}"),
        };
        let ask = async || {
            let request = store
                .ask(method.clone(), &path)
                .header("content-type", media);
            let request = request.header("idempotency-key", format!("key-{n}"));
            let body = if method == Method::DELETE {
                String::new()
            } else {
                body.to_string()
            };
            let response = request.body(body).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
            response
        };
        let first = ask().await;
        assert_eq!(first.headers().get("idempotent-replayed"), None);
        let state = store.running.node().vector();
        let again = ask().await;
        assert_eq!(header(&again, "idempotent-replayed"), "true");
        assert_eq!(header(&again, "atoll-dot"), header(&first, "atoll-dot"));
        assert_eq!(store.running.node().vector(), state, "{method} {path}");
    }
    assert_eq!(store.json("/v1/collections/hits/keys/b").await, json!(5));
    assert_eq!(store.json("/v1/collections/hits/keys/a").await, json!(2));
    let other = store
        .ask(Method::PUT, PATH)
        .header("idempotency-key", "key-0");
    let refused = refusal(other.json(&json!(2)).send().await.unwrap()).await;
    assert_eq!(refused, (422, "IdempotencyKeyReused".into()));
    store.running.stop().await;
}

/// Keys are forgotten by age and number, as the configuration says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_forgotten_names_a_new_request() {
    let store = Store::start_with("idempotency: {maxKeys: 1}").await;
    let put = async |key: &str| {
        let request = store.ask(Method::PUT, PATH).json(&json!(1));
        let answer = request.header("idempotency-key", key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.headers().contains_key("idempotent-replayed")
    };
    for key in ["first", "second"] {
        assert!(!put(key).await);
    }
    let kept = || {
        let engine = store.running.node().engine();
        atoll_store::query::applied(&**engine)
            .unwrap()
            .idempotency_keys
    };
    let forgotten = async {
        while kept() > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, forgotten).await.unwrap();
    assert!(put("second").await && !put("first").await);
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_not_reached_is_named_and_one_that_is_covered_is_not_waited_for() {
    let store = Store::start().await;
    let receipt = store.done(Method::PUT, PATH, &json!(1)).await;
    let session = header(&receipt, "atoll-session");
    let read = store
        .ask(Method::GET, PATH)
        .header("atoll-session", session)
        .send()
        .await
        .unwrap();
    assert_eq!(read.status(), StatusCode::OK);

    let own = store.running.node().identity().replica;
    let lost: VersionVector = [(own, 99), (ReplicaId(7), 3)].into_iter().collect();
    let lost = token::write(TokenKind::Session, StoreId(0xaa), &lost);
    let waits = store
        .ask(Method::GET, PATH)
        .header("atoll-session", lost)
        .header("atoll-timeout", "50ms");
    let refused = waits.send().await.unwrap();
    assert_eq!(header(&refused, "retry-after"), "1");
    let problem: atoll_api::http::Problem = refused.json().await.unwrap();
    assert_eq!(problem.reason_word, "SessionNotReached");
    let missing = problem.missing.unwrap();
    assert_eq!(missing.get("eu"), Some(&99), "{missing:?}");
    assert_eq!(missing.get("0000000000000007"), Some(&3), "{missing:?}");
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_waited_for_until_it_is_reached() {
    let store = Store::start().await;
    let receipt = store.done(Method::PUT, PATH, &json!("old")).await;
    let mut next = store.running.node().vector().as_ref().clone();
    let own = store.running.node().identity().replica;
    next.raise(atoll_core::Dot::new(own, next.get(own) + 1));
    let session = token::write(TokenKind::Session, StoreId(0xaa), &next);
    assert_ne!(header(&receipt, "atoll-session"), session);
    let waits = store
        .ask(Method::GET, PATH)
        .header("atoll-session", session)
        .send();
    let new = json!("new");
    let writes = store.done(Method::PUT, PATH, &new);
    let (read, _) = tokio::join!(waits, writes);
    assert_eq!(read.unwrap().text().await.unwrap(), "\"new\"");
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_concern_of_one_region_is_met_at_once() {
    let store = Store::start().await;
    for concern in ["regions=1", "majority", "all"] {
        let put = store
            .ask(Method::PUT, PATH)
            .header("atoll-write-concern", concern)
            .json(&1);
        let receipt: atoll_api::http::Receipt = put.send().await.unwrap().json().await.unwrap();
        assert_eq!(receipt.seen_by, Some(vec!["eu".to_owned()]), "{concern}");
    }
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_one_entry_or_nothing() {
    let store = Store::start().await;
    let batch = |last: serde_json::Value| {
        json!({"operations": [
            {"collection": "pages", "key": "a", "put": {"n": 1}},
            {"collection": "pages", "key": "b", "putBase64": "AP8=", "mediaType": "image/png"},
            {"collection": "users", "key": "ann", "patch": {"age": 41}},
            {"collection": "hits", "key": "home", "ops": {"increment": 2}},
            {"collection": "tags", "key": "post", "ops": {"add": ["x"]}},
            last,
        ]})
    };
    let before = store.running.node().vector();
    let failing = batch(json!({"collection": "pages", "key": "c", "put": 1, "ifMatch": "*"}));
    let refused = store.send(Method::POST, "/v1/batch", &failing).await;
    assert_eq!(refusal(refused).await, (412, "PreconditionFailed".into()));
    assert_eq!(store.running.node().vector(), before, "nothing was written");
    assert_eq!(
        store.get("/v1/collections/pages/keys/a").await.status(),
        StatusCode::NOT_FOUND
    );

    let good = batch(json!({"collection": "pages", "key": "c", "put": null, "ifNoneMatch": "*"}));
    let done = store.done(Method::POST, "/v1/batch", &good).await;
    let answer: atoll_api::http::BatchAnswer = done.json().await.unwrap();
    assert_eq!(answer.operations, 6);
    let after = store.running.node().vector();
    assert_eq!(after.ahead_of(&before), 1, "one entry");
    assert_eq!(store.json("/v1/collections/hits/keys/home").await, json!(2));

    let keys = json!({"keys": [
        {"collection": "pages", "key": "c"}, {"collection": "pages", "key": "b"},
        {"collection": "users", "key": "ann"}, {"collection": "users", "key": "bob"},
    ]});
    let read = store.done(Method::POST, "/v1/read", &keys).await;
    assert!(!header(&read, "atoll-context").is_empty());
    let read: atoll_api::http::ReadAnswer = read.json().await.unwrap();
    let found: Vec<bool> = read.items.iter().map(|item| item.found).collect();
    assert_eq!(found, [true, true, true, false]);
    assert_eq!(read.items[0].value.as_ref().unwrap().get(), "null");
    assert_eq!(read.items[1].value_base64.as_deref(), Some("AP8="));
    let demanding = json!({"operations": [
        {"collection": "pages", "key": "c", "delete": true, "ifMatch": read.items[0].etag},
    ]});
    store.done(Method::POST, "/v1/batch", &demanding).await;
    assert_eq!(
        store.get("/v1/collections/pages/keys/c").await.status(),
        StatusCode::NOT_FOUND
    );
    store.running.stop().await;
}
