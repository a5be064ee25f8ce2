//! Pages of keys: in order, within bounds, without gaps.

use atoll_api::http::KeyPage;
use reqwest::Method;
use serde_json::json;

use crate::support::Store;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_list_present_keys_in_order_without_gaps() {
    let store = Store::start().await;
    let put = |i: u32| json!({"collection": "users", "key": format!("k{i:03}"), "put": {"i": i}});
    let operations: Vec<_> = (0..250).map(put).collect();
    store
        .done(
            Method::POST,
            "/v1/batch",
            &json!({"operations": operations}),
        )
        .await;
    store
        .ask(Method::DELETE, "/v1/collections/users/keys/k007")
        .send()
        .await
        .unwrap();

    let (mut keys, mut start) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/collections/users/keys?values=true&limit=40&start={start}");
        let page: KeyPage = serde_json::from_value(store.json(&path).await).unwrap();
        assert!(page.items.len() <= 40);
        for item in page.items {
            let i: u32 = item.key[1..].parse().unwrap();
            assert_eq!(item.value.unwrap().get(), format!("{{\"i\":{i}}}"));
            keys.push(i);
        }
        match page.next {
            Some(next) => start = next,
            None => break,
        }
    }
    let expected: Vec<u32> = (0..250).filter(|i| *i != 7).collect();
    assert_eq!(keys, expected);

    let names = async |query: &str| {
        let page = store
            .json(&format!("/v1/collections/users/keys?{query}"))
            .await;
        let items = page["items"].as_array().unwrap().clone();
        let name = |item: serde_json::Value| item["key"].as_str().unwrap().to_owned();
        items.into_iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names("prefix=k00").await.len(), 9);
    assert_eq!(names("start=k005&end=k009").await, ["k005", "k006", "k008"]);
    assert_eq!(names("prefix=k01&start=k018").await, ["k018", "k019"]);
    assert_eq!(names("prefix=zz").await, [""; 0]);
    assert_eq!(names("").await.len(), 100, "the default limit");
    store.running.stop().await;
}
