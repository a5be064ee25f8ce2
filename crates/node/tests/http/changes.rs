//! The changes feed: whole entries, in order, from any cursor, and as they come.

use atoll_api::http::ChangeLine;
use futures_util::StreamExt;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::support::{Store, header, refusal};

fn lines(text: &str) -> Vec<ChangeLine> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn changes(store: &Store, query: &str) -> Vec<ChangeLine> {
    let response = store.get(&format!("/v1/changes?{query}")).await;
    assert_eq!(response.status(), StatusCode::OK, "{query}");
    assert_eq!(header(&response, "content-type"), "application/x-ndjson");
    lines(&response.text().await.unwrap())
}

fn keys(lines: &[ChangeLine]) -> Vec<&str> {
    lines.iter().map(|line| line.key.as_str()).collect()
}

async fn write(store: &Store) {
    store
        .done(Method::PUT, "/v1/collections/pages/keys/a", &json!(1))
        .await;
    let pair = json!({"operations": [
        {"collection": "pages", "key": "b", "put": 1},
        {"collection": "users", "key": "c", "put": {"x": 1, "y": 2}},
    ]});
    store.done(Method::POST, "/v1/batch", &pair).await;
    store
        .done(
            Method::PATCH,
            "/v1/collections/users/keys/c",
            &json!({"x": null}),
        )
        .await;
    for path in [
        "/v1/collections/users/keys/c",
        "/v1/collections/pages/keys/a",
    ] {
        store.ask(Method::DELETE, path).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_resume_after_any_line_and_entries_stay_whole() {
    let store = Store::start().await;
    write(&store).await;
    let all = changes(&store, "").await;
    assert_eq!(keys(&all), ["a", "b", "c", "c", "c", "a"]);
    let deleted: Vec<bool> = all.iter().map(|line| line.deleted).collect();
    assert_eq!(
        deleted,
        [false, false, false, false, true, true],
        "a field deleted is no key deleted"
    );
    assert_eq!(all[1].dot, all[2].dot);
    assert!(all.iter().all(|line| line.region == "eu"));

    for (index, expected) in [(0, 5), (1, 5), (2, 3), (3, 2), (5, 0)] {
        let rest = changes(&store, &format!("since={}", all[index].cursor)).await;
        assert_eq!(rest.len(), expected, "after line {index}");
    }
    assert_eq!(
        keys(&changes(&store, "collection=pages").await),
        ["a", "b", "a"]
    );
    assert_eq!(
        keys(&changes(&store, "limit=2").await),
        ["a"],
        "half an entry is never shown"
    );
    assert_eq!(keys(&changes(&store, "limit=3").await), ["a", "b", "c"]);
    let pair = format!("limit=1&since={}", all[0].cursor);
    assert_eq!(
        keys(&changes(&store, &pair).await),
        ["b", "c"],
        "one entry at least"
    );
    let unknown = store.get("/v1/changes?collection=nope").await;
    assert_eq!(refusal(unknown).await, (404, "UnknownCollection".into()));
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_deleted_is_no_key_deleted() {
    let store = Store::start().await;
    store
        .done(
            Method::PUT,
            "/v1/collections/users/keys/c",
            &json!({"x": 1, "y": 2}),
        )
        .await;
    store
        .done(
            Method::PATCH,
            "/v1/collections/users/keys/c",
            &json!({"x": null}),
        )
        .await;
    store
        .done(
            Method::POST,
            "/v1/collections/tags/keys/t/ops",
            &json!({"add": [1, 2]}),
        )
        .await;
    store
        .done(
            Method::POST,
            "/v1/collections/tags/keys/t/ops",
            &json!({"remove": [1]}),
        )
        .await;
    let all = changes(&store, "").await;
    assert!(all.iter().all(|line| !line.deleted), "{all:?}");
    store
        .done(
            Method::POST,
            "/v1/collections/tags/keys/t/ops",
            &json!({"remove": [2]}),
        )
        .await;
    let last = changes(&store, &format!("since={}", all[3].cursor)).await;
    assert!(last[0].deleted, "the last element went");
    store.running.stop().await;
}

async fn next_line(
    stream: &mut (impl StreamExt<Item = reqwest::Result<bytes::Bytes>> + Unpin),
) -> Vec<ChangeLine> {
    let chunk = tokio::time::timeout(std::time::Duration::from_secs(10), stream.next());
    let chunk = chunk
        .await
        .expect("a change comes")
        .expect("the stream goes on")
        .unwrap();
    lines(std::str::from_utf8(&chunk).unwrap())
}

async fn follow(store: &Store, query: &str) -> Response {
    let response = store.get(&format!("/v1/changes?follow=true&{query}")).await;
    assert_eq!(response.status(), StatusCode::OK);
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_sees_changes_as_they_come_until_the_node_stops() {
    let store = Store::start().await;
    let put = async |key: &str| {
        let path = format!("/v1/collections/pages/keys/{key}");
        store.done(Method::PUT, &path, &json!(1)).await;
    };
    put("a").await;
    let mut stream = follow(&store, "").await.bytes_stream();
    let first = next_line(&mut stream).await;
    assert_eq!(keys(&first), ["a"]);
    for key in ["b", "c"] {
        put(key).await;
        assert_eq!(keys(&next_line(&mut stream).await), [key]);
    }
    let from_b = follow(&store, &format!("limit=1&since={}", first[0].cursor)).await;
    assert_eq!(
        keys(&lines(&from_b.text().await.unwrap())),
        ["b"],
        "a limit ends it"
    );
    let (rest, ()) = tokio::join!(stream.collect::<Vec<_>>(), store.running.stop());
    assert!(
        rest.iter().all(Result::is_ok),
        "it ends, it does not break off"
    );
}
