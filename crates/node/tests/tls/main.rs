//! A store whose nodes have certificates: who is taken, who is not and what they are told, and how certificates
//! change while everything goes on.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../../../client/tests/support/authority.rs"]
mod authority;
mod configuration;
#[path = "../../../cli/tests/support/ports.rs"]
mod ports;
mod refusals;
mod rotation;
mod site;

use atoll_api::http::LinkState;
use atoll_client::{Content, ReadOptions, WriteOptions};
use site::{PATIENCE, Site, eventually, json};

/// A region of three and a region of one, all by TLS: Raft, what is handed on, links, clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_regions_and_clients_talk_by_tls() {
    let site = Site::new(&[("eu", 3), ("us", 1)]);
    let store = site.start().await;
    let eu = site.client("eu");
    let (one, plainly) = (json(1), WriteOptions::default());
    let session = eu
        .put_json("pages", "home", &one, &plainly)
        .await
        .unwrap()
        .session;
    let options = ReadOptions {
        session: Some(session),
        timeout: Some(PATIENCE),
        ..ReadOptions::default()
    };
    let read = site
        .client("us")
        .get("pages", "home", &options)
        .await
        .unwrap();
    assert!(matches!(read.content, Content::Value { .. }), "{read:?}");

    for place in &site.places {
        let status = site.client_of(place).status().await.unwrap();
        let tls = status.tls.unwrap();
        let name = format!(
            "atoll://{}/{}/{}",
            authority::STORE,
            place.region,
            place.node
        );
        assert_eq!((tls.name, tls.refused, tls.problem), (name, 0, None));
        assert_eq!(
            tls.certificate_expires.as_deref(),
            Some("2100-01-01T00:00:00.000Z")
        );
        assert!(status.leader.unwrap_or_default().starts_with("https://"));
    }
    eventually("both links are up", async || {
        let mut up = 0;
        for region in ["eu", "us"] {
            let links = site.client(region).links().await.unwrap().links;
            up += links
                .iter()
                .filter(|link| link.state == LinkState::Streaming)
                .count();
        }
        up == 2
    })
    .await;
    let metrics = site.client("us").metrics().await.unwrap();
    assert!(
        metrics.contains("atoll_tls_certificate_expiry_seconds{"),
        "{metrics}"
    );
    store.stop().await;
}
