//! Certificates and CAs change while a region of three and a link work on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use atoll_api::http::{ChangesQuery, LinkState};
use atoll_client::tls::CertificateName;
use atoll_client::{Client, ReadOptions, WriteOptions};

use crate::authority::{Authority, Leaf, STORE};
use crate::site::{PATIENCE, Site, eventually, json};

/// Writes as fast as it is answered, and reads back, until told to stop; answers with what failed.
async fn write_on(client: Client, stop: Arc<AtomicBool>, written: Arc<AtomicU64>) -> Vec<String> {
    let mut failed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let value = json(written.load(Ordering::Relaxed));
        let put = client
            .put_json("pages", "home", &value, &WriteOptions::default())
            .await;
        let read = client.get("pages", "home", &ReadOptions::default()).await;
        failed.extend(put.err().map(|error| format!("put: {error}")));
        failed.extend(read.err().map(|error| format!("get: {error}")));
        written.fetch_add(1, Ordering::Relaxed);
    }
    failed
}

/// Old CA → both → new certificates → new CA, in all nodes, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_their_ca_change_without_a_failed_request() {
    let site = Site::new(&[("eu", 3), ("us", 1)]);
    let store = site.start().await;
    let (old, new) = (&site.authority, Authority::new("shop, next"));
    let both = format!("{}{}", old.pem(), new.pem());

    let (stop, written) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let urls: Vec<String> = site.of("eu").map(crate::site::Place::clients_url).collect();
    let client = Client::of_region(&urls, Site::trusting(&both)).unwrap();
    let writing = tokio::spawn(write_on(client, Arc::clone(&stop), Arc::clone(&written)));

    // An administrator of the old CA, who follows what arrives in the region of one.
    let ada = Leaf::of(&CertificateName::administrator(STORE, "ada"));
    let settings = Site::showing(&both, &old.issue(&ada));
    let us = site.of("us").next().unwrap();
    let ada = Client::with_settings(&us.nodes_url(), settings).unwrap();
    let query = ChangesQuery {
        follow: true,
        ..ChangesQuery::default()
    };
    let mut followed = ada.changes(&query).await.unwrap();
    assert!(matches!(followed.next().await, Some(Ok(_))));
    let heard = Arc::new(AtomicU64::new(0));
    let hears = Arc::clone(&heard);
    let following = tokio::spawn(async move {
        while let Some(Ok(_)) = followed.next().await {
            hears.fetch_add(1, Ordering::Relaxed);
        }
    });

    let issued = |year: i32, authority: &Authority| -> Vec<_> {
        let leaf = |place: &crate::site::Place| Leaf {
            ends: year,
            ..Leaf::of(&place.name())
        };
        site.places
            .iter()
            .map(|place| authority.issue(&leaf(place)))
            .collect()
    };
    let steps = [
        (2101, both.clone(), issued(2101, old)),
        (2102, both.clone(), issued(2102, &new)),
        (2103, new.pem(), issued(2103, &new)),
    ];
    let everywhere = Client::of_region(&urls, Site::trusting(&both)).unwrap();
    for (year, ca, certificates) in steps {
        let before = heard.load(Ordering::Relaxed);
        eventually("the administrator hears", async || {
            heard.load(Ordering::Relaxed) > before
        })
        .await;
        for (place, issued) in site.places.iter().zip(&certificates) {
            place.write(&ca, issued);
        }
        for place in &site.places {
            let asked = Client::with_settings(&place.clients_url(), Site::trusting(&both)).unwrap();
            eventually("the node has the new certificate", async || {
                let tls = asked.status().await.unwrap().tls.unwrap();
                tls.certificate_expires
                    .is_some_and(|end| end.starts_with(&year.to_string()))
            })
            .await;
        }
        let before = written.load(Ordering::Relaxed);
        eventually("writing goes on", async || {
            written.load(Ordering::Relaxed) > before + 20
        })
        .await;
    }

    // Whose CA is gone is cut off, in the middle of what goes on.
    let cut = tokio::time::timeout(PATIENCE, following).await;
    assert!(cut.is_ok(), "an administrator of the old CA is served on");
    stop.store(true, Ordering::Relaxed);
    let failed = writing.await.unwrap();
    assert!(
        failed.is_empty(),
        "{} failed: {:?}",
        failed.len(),
        failed.first()
    );

    // All that was written passes the links that were opened anew.
    let (one, plainly) = (json(1), WriteOptions::default());
    let last = everywhere
        .put_json("pages", "last", &one, &plainly)
        .await
        .unwrap();
    let options = ReadOptions {
        session: Some(last.session),
        timeout: Some(PATIENCE),
        ..ReadOptions::default()
    };
    let far = Client::with_settings(&us.clients_url(), Site::trusting(&both)).unwrap();
    assert!(far.get("pages", "last", &options).await.is_ok());
    eventually("links stream", async || {
        let links = far.links().await.unwrap().links;
        links.iter().all(|link| link.state == LinkState::Streaming)
    })
    .await;
    tokio::time::timeout(Duration::from_secs(60), store.stop())
        .await
        .unwrap();
}
