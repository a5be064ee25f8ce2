//! Who is not taken, and what both sides say.

use atoll_api::http::{CollectionList, LinkState, Reason};
use atoll_client::tls::{CertificateName, StoreId, TlsFaultKind};
use atoll_client::{Client, ClientError, Settings, WriteOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::authority::{Authority, Leaf, STORE, node};
use crate::site::{Site, eventually, json};

fn administrator() -> Leaf {
    Leaf::of(&CertificateName::administrator(STORE, "ada"))
}

fn fault(error: &ClientError) -> TlsFaultKind {
    match error {
        ClientError::Untrusted { fault, .. } => fault.kind,
        other => panic!("{other}"),
    }
}

/// Asks once.
fn hasty(settings: Settings) -> Settings {
    Settings {
        attempts: 1,
        ..settings
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listener_of_nodes_takes_certificates_of_its_store_alone() {
    let site = Site::new(&[("eu", 1)]);
    let store = site.start().await;
    let place = &site.places[0];
    let ca = site.authority.pem();
    let ask = async |settings: Settings| {
        let client = Client::with_settings(&place.nodes_url(), hasty(settings)).unwrap();
        client.status().await
    };
    let shown = |leaf: &Leaf| Site::showing(&ca, &site.authority.issue(leaf));

    assert!(ask(shown(&administrator())).await.is_ok());
    assert!(ask(shown(&Leaf::of(&place.name()))).await.is_ok());

    let error = ask(Site::trusting(&ca)).await.unwrap_err();
    assert_eq!(fault(&error), TlsFaultKind::NoCertificate, "{error}");
    let foreign = Authority::new("other").issue(&administrator());
    let error = ask(Site::showing(&ca, &foreign)).await.unwrap_err();
    assert_eq!(fault(&error), TlsFaultKind::UnknownCa, "{error}");
    let old = Leaf {
        ends: 2020,
        ..administrator()
    };
    let error = ask(shown(&old)).await.unwrap_err();
    assert_eq!(fault(&error), TlsFaultKind::Expired, "{error}");
    let stranger = Authority::new("other").pem();
    let error = ask(Site::trusting(&stranger)).await.unwrap_err();
    assert_eq!(fault(&error), TlsFaultKind::UnknownCa, "{error}");

    let other_store = CertificateName::node(StoreId(8), "eu".parse().unwrap(), "eu-0");
    for (leaf, said) in [
        (
            Leaf::of(&other_store),
            "this node belongs to store 5bd1e995cafe0001",
        ),
        (
            Leaf {
                uris: Vec::new(),
                ..administrator()
            },
            "does not say whose it is",
        ),
    ] {
        let error = ask(shown(&leaf)).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::Forbidden), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }

    let status = site.client_of(place).status().await.unwrap().tls.unwrap();
    assert!(status.refused >= 6, "{status:?}");
    assert!(
        status
            .last_refusal
            .is_some_and(|told| told.contains("whose it is"))
    );
    let metrics = site.client_of(place).metrics().await.unwrap();
    for reason in [
        "no-certificate",
        "unknown-ca",
        "expired",
        "other-store",
        "no-name",
    ] {
        let series = format!("reason=\"{reason}\",side=\"accepting\"");
        assert!(metrics.contains(&series), "{series} in {metrics}");
    }
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_may_have_what_is_not_theirs() {
    let site = Site::new(&[("eu", 1)]);
    let store = site.start().await;
    let place = &site.places[0];
    let nothing = CollectionList {
        collections: Vec::new(),
    };
    let (one, options) = (json(1), WriteOptions::default());

    let client = site.client_of(place);
    client
        .put_json("pages", "home", &one, &options)
        .await
        .unwrap();
    let refused = client.put_collections(&nothing).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::Forbidden), "{refused}");
    assert!(refused.to_string().contains("node.listen"), "{refused}");

    let ada = site.holder(place, &administrator());
    ada.put_json("pages", "home", &one, &options).await.unwrap();
    let links = ada.pause_link("us:eu").await.unwrap_err();
    assert_eq!(links.reason(), Some(Reason::NotFound), "let in: {links}");
    let raft = ada.text("/internal/v1/formation").await.unwrap_err();
    assert_eq!(raft.reason(), Some(Reason::Forbidden), "{raft}");

    let neighbour = site.holder(place, &Leaf::of(&node("eu", "eu-1")));
    assert!(neighbour.text("/internal/v1/formation").await.is_ok());
    let other = site.holder(place, &Leaf::of(&node("us", "us-0")));
    assert!(other.status().await.is_ok());
    for refused in [
        other.text("/internal/v1/formation").await.unwrap_err(),
        other
            .put_json("pages", "home", &one, &options)
            .await
            .unwrap_err(),
        other.put_collections(&nothing).await.unwrap_err(),
    ] {
        assert_eq!(refused.reason(), Some(Reason::Forbidden), "{refused}");
        assert!(
            refused.to_string().contains("node us-0 of region us"),
            "{refused}"
        );
    }
    let internal = client.text("/internal/v1/formation").await.unwrap_err();
    assert_eq!(internal.reason(), Some(Reason::NotFound), "{internal}");
    store.stop().await;
}

/// Whoever mixes up http and https reads what is wrong, at either end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_and_tls_tell_each_other_apart() {
    let site = Site::new(&[("eu", 1)]);
    let store = site.start_with(", plainClients: true").await;
    let place = &site.places[0];

    let mut stream = TcpStream::connect(place.nodes.address).await.unwrap();
    stream
        .write_all(b"GET /v1/status HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
    assert!(told.contains("write https:// instead of http://"), "{told}");

    let plain = Client::new(&format!("http://{}", place.clients.address)).unwrap();
    assert!(plain.status().await.is_ok());
    let nothing = CollectionList {
        collections: Vec::new(),
    };
    let refused = plain.put_collections(&nothing).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::Forbidden), "{refused}");

    let settings = hasty(Site::trusting(&site.authority.pem()));
    let tls = Client::with_settings(&place.clients_url(), settings).unwrap();
    let error = tls.status().await.unwrap_err();
    assert_eq!(fault(&error), TlsFaultKind::NoTls, "{error}");
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_show_a_certificate_where_there_is_a_ca_for_them() {
    let site = Site::new(&[("eu", 1)]);
    let people = Authority::new("people");
    let place = &site.places[0];
    let file = place.directory.join("people.crt");
    std::fs::write(&file, people.pem()).unwrap();
    let store = site
        .start_with(&format!(", clientCa: {}", file.display()))
        .await;

    let stranger = site.client_of(place);
    assert!(stranger.readiness().await.unwrap().ready);
    let refused = stranger.status().await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::Unauthorized), "{refused}");

    let anybody = Leaf {
        uris: Vec::new(),
        ..administrator()
    };
    let settings = Site::showing(&site.authority.pem(), &people.issue(&anybody));
    let known = Client::with_settings(&place.clients_url(), settings).unwrap();
    known
        .put_json("pages", "home", &json(1), &WriteOptions::default())
        .await
        .unwrap();
    let settings = Site::showing(
        &site.authority.pem(),
        &site.authority.issue(&administrator()),
    );
    let other_ca = Client::with_settings(&place.clients_url(), hasty(settings)).unwrap();
    let error = other_ca.status().await.unwrap_err();
    assert_eq!(fault(&error), TlsFaultKind::UnknownCa, "{error}");
    store.stop().await;
}

/// Two stores whose configurations name each other: both sides say so, and nothing passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_another_store_is_refused_by_name() {
    let site = Site::new(&[("eu", 1), ("us", 1)]);
    let foreign = Authority::new("other");
    let us = site.of("us").next().unwrap();
    us.write(&foreign.pem(), &foreign.issue(&Leaf::of(&us.name())));
    let store = site.start().await;
    let mine = site.client("eu");
    eventually("the link says why it is down", async || {
        let links = mine.links().await.unwrap().links;
        let told = links[0].detail.clone().unwrap_or_default();
        links[0].state != LinkState::Streaming && told.contains("is of a CA that is not trusted")
    })
    .await;
    eventually("both sides count it", async || {
        let metrics = mine.metrics().await.unwrap();
        ["accepting", "dialing"]
            .iter()
            .all(|side| metrics.contains(&format!("reason=\"unknown-ca\",side=\"{side}\"")))
    })
    .await;
    store.stop().await;
}

/// An endpoint of one region in the place of another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_another_region_is_refused_by_name() {
    let site = Site::new(&[("eu", 1), ("us", 1), ("ap", 1)]);
    let [eu, us, ap] = &site.places[..] else {
        panic!("three places")
    };
    let text = site.text(eu, "").replace(&us.nodes_url(), &ap.nodes_url());
    let config = atoll_node::NodeConfig::from_yaml("node.yaml", &text).unwrap();
    let ap_config = atoll_node::NodeConfig::from_yaml("node.yaml", &site.text(ap, "")).unwrap();
    let running = Box::pin(atoll_node::Node::start(config)).await.unwrap();
    let other = Box::pin(atoll_node::Node::start(ap_config)).await.unwrap();
    let client = site.client_of(eu);
    eventually("the link says whom it found", async || {
        let links = client.links().await.unwrap().links;
        let link = links.iter().find(|link| link.from == "us").unwrap();
        let told = link.detail.clone().unwrap_or_default();
        told.contains("/ap/ap-0, and a node of region us was expected")
    })
    .await;
    running.stop().await;
    other.stop().await;
}
