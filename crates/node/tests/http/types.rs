//! A tour of all types, as a person with curl would take it.

use atoll_api::http::{Problem, Reason};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Store, header, refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_keeps_json_as_written_and_bytes_with_their_media_type() {
    let store = Store::start().await;
    let path = "/v1/collections/pages/keys/caf%C3%A9%2Fmenu";
    let text = "{ \"price\": 1.10, \"big\": 12345678901234567890123 }";
    let put = store
        .ask(Method::PUT, path)
        .header("content-type", "application/json")
        .body(text);
    let receipt = put.send().await.unwrap();
    assert_eq!(receipt.status(), StatusCode::OK);
    let dot = header(&receipt, "atoll-dot");
    let session = header(&receipt, "atoll-session");
    let receipt: atoll_api::http::Receipt = receipt.json().await.unwrap();
    assert_eq!(
        (receipt.dot, receipt.session, receipt.seen_by),
        (dot, session, None)
    );
    let read = store.get(path).await;
    assert_eq!(header(&read, "content-type"), "application/json");
    assert_eq!(read.text().await.unwrap(), text);

    let image = store
        .ask(Method::PUT, path)
        .header("content-type", "image/png")
        .body(vec![0_u8, 255]);
    assert_eq!(image.send().await.unwrap().status(), StatusCode::OK);
    let read = store.get(path).await;
    assert_eq!(header(&read, "content-type"), "image/png");
    assert_eq!(header(&read, "x-content-type-options"), "nosniff");
    assert_eq!(read.bytes().await.unwrap(), &[0, 255][..]);
    let listed = store.json(&format!("{path}?siblings=true")).await;
    assert_eq!(
        listed["siblings"][0]["valueBase64"],
        STANDARD.encode([0, 255])
    );
    assert_eq!(listed["siblings"][0]["region"], "eu");

    let unnamed = store
        .ask(Method::PUT, path)
        .body("plain")
        .send()
        .await
        .unwrap();
    assert_eq!(unnamed.status(), StatusCode::OK);
    assert_eq!(
        header(&store.get(path).await, "content-type"),
        "application/octet-stream"
    );
    let head = store.ask(Method::HEAD, path).send().await.unwrap();
    assert_eq!(
        (head.status(), header(&head, "content-length")),
        (StatusCode::OK, "5".into())
    );

    let deleted = store.ask(Method::DELETE, path).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::OK);
    let gone = store.get(path).await;
    assert!(!header(&gone, "atoll-context").is_empty());
    assert_eq!(refusal(gone).await, (404, "NotFound".into()));
    let again = store.ask(Method::DELETE, path).send().await.unwrap();
    assert_eq!(refusal(again).await, (404, "NotFound".into()));
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_patched_field_by_field() {
    let store = Store::start().await;
    let path = "/v1/collections/users/keys/ann";
    let ann = json!({"name": "Ann", "address": {"city": "Oslo", "zip": "1"}, "tags": ["a"]});
    store.done(Method::PUT, path, &ann).await;
    let patch = r#"{"address": {"zip": null, "street": "Main"}, "age": 41}"#;
    let patched = store
        .ask(Method::PATCH, path)
        .header("content-type", "application/merge-patch+json")
        .body(patch)
        .send()
        .await
        .unwrap();
    assert_eq!(patched.status(), StatusCode::OK);
    let expected = json!({"name": "Ann", "address": {"city": "Oslo", "street": "Main"}, "tags": ["a"], "age": 41});
    assert_eq!(store.json(path).await, expected);
    store.done(Method::PUT, path, &json!({"name": "Ann"})).await;
    assert_eq!(store.json(path).await, json!({"name": "Ann"}));
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_sets_and_maps_take_typed_operations() {
    let store = Store::start().await;
    let operate = async |path: &str, body| {
        store
            .done(Method::POST, &format!("{path}/ops"), &body)
            .await
    };

    let hits = "/v1/collections/hits/keys/home";
    operate(hits, json!({"increment": 5})).await;
    operate(hits, json!({"decrement": 2})).await;
    assert_eq!(store.json(hits).await, json!(3));
    operate(hits, json!({"reset": true, "increment": 1})).await;
    assert_eq!(store.json(hits).await, json!(1));

    let tags = "/v1/collections/tags/keys/post";
    operate(tags, json!({"add": ["b", "a", 1, null]})).await;
    operate(tags, json!({"remove": ["b"]})).await;
    assert_eq!(store.json(tags).await, json!([null, 1, "a"]));
    let nothing = operate(tags, json!({"remove": ["b"]})).await;
    assert!(
        nothing.headers().get("atoll-dot").is_none(),
        "nothing was written"
    );
    assert_eq!(
        nothing.json::<serde_json::Value>().await.unwrap()["dot"],
        ""
    );

    let cart = "/v1/collections/carts/keys/1";
    operate(
        cart,
        json!({"put": {"note": {"x": 1}}, "increment": {"apples": 2}, "add": {"labels": ["new"]}}),
    )
    .await;
    operate(
        cart,
        json!({"increment": {"apples": 1}, "remove": ["note"]}),
    )
    .await;
    assert_eq!(
        store.json(cart).await,
        json!({"apples": 3, "labels": ["new"]})
    );
    for path in [hits, tags, cart] {
        let deleted = store.ask(Method::DELETE, path).send().await.unwrap();
        assert_eq!(deleted.status(), StatusCode::OK, "{path}");
        assert_eq!(
            refusal(store.get(path).await).await,
            (404, "NotFound".into()),
            "{path}"
        );
    }
    store.running.stop().await;
}

/// Two writes of which neither saw the other need no second region: a context says what was seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn siblings_are_kept_shown_and_resolved() {
    let store = Store::start().await;
    let path = "/v1/collections/kept/keys/a";
    let absent = store.get(path).await;
    let nothing_seen = header(&absent, "atoll-context");
    let write = async |value: &str, context: &str| {
        let put = store
            .ask(Method::PUT, path)
            .header("atoll-context", context)
            .json(&value);
        assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    };
    write("one", &nothing_seen).await;
    write("two", &nothing_seen).await;

    let both = store.get(path).await;
    assert_eq!(both.status(), StatusCode::MULTIPLE_CHOICES);
    let seen = header(&both, "atoll-context");
    let both: atoll_api::http::Siblings = both.json().await.unwrap();
    let values: Vec<&str> = both
        .siblings
        .iter()
        .map(|s| s.value.as_ref().unwrap().get())
        .collect();
    assert_eq!(values, ["\"one\"", "\"two\""]);
    let listed = store.json("/v1/collections/kept/keys?values=true").await;
    assert_eq!(listed["items"][0]["siblings"].as_array().unwrap().len(), 2);

    let open = store.json("/v1/conflicts?collection=kept&state=open").await;
    let row = &open["conflicts"][0];
    assert_eq!(
        (&row["kind"], &row["outcome"]),
        (&json!("create-create"), &json!("siblings-kept"))
    );
    assert_eq!(row["versions"][1]["value"], "two");
    let id = row["id"].as_str().unwrap();

    write("both", &seen).await;
    assert_eq!(store.json(path).await, json!("both"));
    let resolved = store.json(&format!("/v1/conflicts/{id}")).await;
    assert!(resolved["resolved"].is_string(), "{resolved}");
    let none = store.json("/v1/conflicts?state=open").await;
    assert_eq!(none["conflicts"], json!([]));
    let metrics = store.get("/metrics").await.text().await.unwrap();
    let counted = "atoll_conflicts_total{collection=\"kept\",kind=\"create-create\",outcome=\"siblings-kept\",";
    let is_told = |line: &str| line.starts_with(counted) && line.ends_with("} 1");
    assert!(metrics.lines().any(is_told), "{metrics}");
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_are_declared_and_policies_changed_at_once() {
    let store = Store::start().await;
    store
        .done(Method::PUT, "/v1/collections/pages/keys/a", &json!(1))
        .await;
    let before = store.get("/v1/collections/pages/keys/a").await;
    let tag = header(&before, "etag");
    let list = json!({"collections": [
        {"name": "pages", "type": "Register", "conflicts": {"policy": "KeepSiblings", "updateDelete": "KeepBoth"}},
        {"name": "fresh", "type": "Set"},
    ]});
    let declared = store
        .done(Method::PUT, "/v1/admin/collections", &list)
        .await;
    let declared: serde_json::Value = declared.json().await.unwrap();
    assert_eq!(declared["collections"].as_array().unwrap().len(), 2);
    store
        .done(
            Method::POST,
            "/v1/collections/fresh/keys/a/ops",
            &json!({"add": [1]}),
        )
        .await;
    let gone = store.get("/v1/collections/users/keys/a").await;
    assert_eq!(refusal(gone).await, (404, "UnknownCollection".into()));
    let after = store.get("/v1/collections/pages/keys/a").await;
    assert_ne!(
        header(&after, "etag"),
        tag,
        "another policy may show another value"
    );
    let other_type = json!({"collections": [{"name": "pages", "type": "Set"}]});
    let refused = store
        .send(Method::PUT, "/v1/admin/collections", &other_type)
        .await;
    let problem: Problem = refused.json().await.unwrap();
    assert_eq!(problem.reason(), Some(Reason::TypeMismatch), "{problem}");
    store.running.stop().await;
}
