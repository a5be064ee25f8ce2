//! What one client sees of two regions: sessions, cursors and write concerns that cross between them.

use std::time::Duration;

use atoll_api::http::{ChangeLine, Problem, Receipt};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{Store, header, refusal};

const PATH: &str = "/v1/collections/pages/keys/a";

/// Two regions, each pulling from the other.
async fn two() -> (Store, Store) {
    let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (eu, us) = (listen().await, listen().await);
    let pulls_from = |region: &str, listener: &TcpListener| {
        format!(
            "peers: [{{region: {region}, endpoint: \"http://{}\"}}]\nlinks: [{{from: {region}, carries: OwnEntries}}]\n",
            listener.local_addr().unwrap()
        )
    };
    let (of_eu, of_us) = (pulls_from("us", &us), pulls_from("eu", &eu));
    let eu = Store::start_region("eu", eu, &of_eu).await;
    let us = Store::start_region("us", us, &of_us).await;
    (eu, us)
}

async fn changes(store: &Store, query: &str) -> Vec<ChangeLine> {
    let text = store
        .get(&format!("/v1/changes?{query}"))
        .await
        .text()
        .await
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_cursors_and_concerns_cross_regions() {
    let (eu, us) = two().await;
    let everywhere = eu
        .ask(Method::PUT, PATH)
        .header("atoll-write-concern", "all");
    let everywhere = everywhere
        .header("atoll-timeout", "30s")
        .json(&1)
        .send()
        .await
        .unwrap();
    let receipt: Receipt = everywhere.json().await.unwrap();
    let mut seen_by = receipt.seen_by.unwrap();
    seen_by.sort_unstable();
    assert_eq!(seen_by, ["eu", "us"]);

    let put = eu.done(Method::PUT, PATH, &json!(2)).await;
    let read = us
        .ask(Method::GET, PATH)
        .header("atoll-session", header(&put, "atoll-session"));
    let read = read.header("atoll-timeout", "30s").send().await.unwrap();
    let back = header(&read, "atoll-session");
    assert_eq!(
        read.text().await.unwrap(),
        "2",
        "its own write, in the other region"
    );
    let put = us
        .ask(Method::PUT, PATH)
        .header("atoll-session", back)
        .json(&3)
        .send()
        .await
        .unwrap();
    let read = eu
        .ask(Method::GET, PATH)
        .header("atoll-session", header(&put, "atoll-session"));
    let read = read.header("atoll-timeout", "30s").send().await.unwrap();
    assert_eq!(read.text().await.unwrap(), "3");
    assert_eq!(
        eu.json("/v1/conflicts").await["conflicts"],
        json!([]),
        "each had seen the last"
    );

    let in_eu = changes(&eu, "").await;
    let regions: Vec<&str> = in_eu.iter().map(|line| line.region.as_str()).collect();
    assert_eq!(regions, ["eu", "eu", "us"]);
    for (index, line) in in_eu.iter().enumerate() {
        let rest = changes(&us, &format!("since={}", line.cursor)).await;
        let dots = |lines: &[ChangeLine]| lines.iter().map(|l| l.dot.clone()).collect::<Vec<_>>();
        assert_eq!(dots(&rest), dots(&in_eu[index + 1..]), "after line {index}");
    }

    let paused = eu
        .ask(Method::POST, "/v1/links/us%3Aeu/pause")
        .send()
        .await
        .unwrap();
    assert_eq!(
        paused.json::<serde_json::Value>().await.unwrap()["state"],
        "Paused"
    );
    let resumed = eu
        .ask(Method::POST, "/v1/links/us:eu/resume")
        .send()
        .await
        .unwrap();
    assert_ne!(
        resumed.json::<serde_json::Value>().await.unwrap()["state"],
        "Paused"
    );
    eu.running.stop().await;
    us.running.stop().await;
}

/// Caught: with the link stopped instead, it stays so until it is resumed by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_goes_on_by_itself_once_the_right_region_answers() {
    let listen = async |address| TcpListener::bind(address).await.unwrap();
    let place = listen("127.0.0.1:0".to_owned()).await;
    let address = place.local_addr().unwrap().to_string();
    let pulls = format!(
        "peers: [{{region: us, endpoint: \"http://{address}\"}}]\nlinks: [{{from: us, carries: OwnEntries}}]\n"
    );
    let wrong = Store::start_region("ap", place, "").await;
    let eu = Store::start_with(&pulls).await;
    let until = async |what: &str, is_so: &dyn Fn(&serde_json::Value) -> bool| {
        for _ in 0..600 {
            let link = eu.json("/v1/links").await["links"][0].clone();
            if is_so(&link) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}: {}", eu.json("/v1/links").await);
    };
    until("it says who answers", &|link| {
        link["detail"] == "the endpoint is region ap's; check it"
    })
    .await;
    wrong.running.stop().await;
    let us = Store::start_region("us", listen(address).await, "").await;
    until("it goes on", &|link| link["state"] == "Streaming").await;
    eu.running.stop().await;
    us.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_concern_that_is_not_met_in_time_says_that_the_write_stands() {
    let nowhere = "peers: [{region: us, endpoint: \"http://127.0.0.1:1\"}]\n";
    let store = Store::start_with(nowhere).await;
    let put = store
        .ask(Method::PUT, PATH)
        .header("atoll-write-concern", "regions=2");
    let late = put
        .header("atoll-timeout", "50ms")
        .json(&1)
        .send()
        .await
        .unwrap();
    assert_eq!(late.status(), 504);
    let problem: Problem = late.json().await.unwrap();
    assert_eq!(problem.reason_word, "WriteConcernTimeout");
    assert_eq!(problem.seen_by, Some(vec!["eu".to_owned()]));
    assert!(problem.dot.is_some(), "{problem:?}");
    assert_eq!(store.json(PATH).await, json!(1), "the write stands");
    let never = store
        .ask(Method::PUT, PATH)
        .header("atoll-write-concern", "regions=3");
    let never = never.json(&2).send().await.unwrap();
    assert_eq!(refusal(never).await, (400, "InvalidHeader".into()));
    assert_eq!(store.json(PATH).await, json!(1));
    store.running.stop().await;
}
