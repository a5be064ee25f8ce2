//! Regions of nodes with certificates, in this process.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use atoll_api::http::RawJson;
use atoll_client::tls::{CertificateName, Credentials, Expected, TlsPem};
use atoll_client::{Client, Dialer, Network, Settings};
use atoll_node::{Node, NodeConfig, Running};
use tempfile::TempDir;

use crate::authority::{self, Authority, Issued, Leaf, STORE};
use crate::ports::Port;

/// For what takes a moment on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A node to be.
pub(crate) struct Place {
    pub(crate) region: String,
    pub(crate) node: String,
    pub(crate) clients: Port,
    pub(crate) nodes: Port,
    pub(crate) directory: PathBuf,
}

/// Regions, and the CA of their store.
pub(crate) struct Site {
    pub(crate) authority: Authority,
    pub(crate) places: Vec<Place>,
    _data: TempDir,
}

/// Nodes that run.
pub(crate) struct Store(pub(crate) Vec<Running>);

impl Store {
    pub(crate) async fn stop(self) {
        for running in self.0 {
            running.stop().await;
        }
    }
}

impl Place {
    pub(crate) fn name(&self) -> CertificateName {
        authority::node(&self.region, &self.node)
    }

    pub(crate) fn clients_url(&self) -> String {
        format!("https://{}", self.clients.address)
    }

    pub(crate) fn nodes_url(&self) -> String {
        format!("https://{}", self.nodes.address)
    }

    /// Puts a certificate where the node looks for it, as a Secret is put: one file after the other.
    pub(crate) fn write(&self, ca: &str, issued: &Issued) {
        authority::write(&self.directory, ca, issued);
    }
}

impl Site {
    pub(crate) fn new(regions: &[(&str, usize)]) -> Site {
        let data = tempfile::tempdir().unwrap();
        let authority = Authority::new("shop");
        let mut places = Vec::new();
        for (region, nodes) in regions {
            for at in 0..*nodes {
                let node = format!("{region}-{at}");
                let directory = data.path().join(&node);
                std::fs::create_dir(&directory).unwrap();
                let place = Place {
                    region: (*region).to_owned(),
                    node,
                    clients: Port::take(),
                    nodes: Port::take(),
                    directory,
                };
                place.write(&authority.pem(), &authority.issue(&Leaf::of(&place.name())));
                places.push(place);
            }
        }
        Site {
            authority,
            places,
            _data: data,
        }
    }

    pub(crate) fn of<'a>(&'a self, region: &'a str) -> impl Iterator<Item = &'a Place> {
        self.places
            .iter()
            .filter(move |place| place.region == region)
    }

    /// A node's configuration; `more` goes into its `tls`.
    pub(crate) fn text(&self, place: &Place, more: &str) -> String {
        let neighbour = |p: &Place| format!("{{name: {}, address: \"{}\"}}", p.node, p.nodes_url());
        let neighbours: Vec<String> = self.of(&place.region).map(neighbour).collect();
        let mut others: Vec<&str> = self.places.iter().map(|p| p.region.as_str()).collect();
        others.dedup();
        others.retain(|region| *region != place.region);
        let peer = |region: &&str| {
            let urls: Vec<String> = self
                .of(region)
                .map(|p| format!("\"{}\"", p.nodes_url()))
                .collect();
            format!("{{region: {region}, endpoints: [{}]}}", urls.join(", "))
        };
        let peers: Vec<String> = others.iter().map(peer).collect();
        let links: Vec<String> = others
            .iter()
            .map(|r| format!("{{from: {r}, carries: OwnEntries}}"))
            .collect();
        let directory = place.directory.display();
        format!(
            "store: {{name: shop, id: {STORE}}}\nregion: {}\nlisten: {}\n\
             node: {{name: {}, address: \"{}\", listen: \"{}\"}}\nnodes: [{}]\n\
             tls: {{certificate: {directory}/tls.crt, key: {directory}/tls.key, ca: {directory}/ca.crt{more}}}\n\
             data: {directory}/data\npeers: [{}]\nlinks: [{}]\n\
             collections: [{{name: pages, type: Register}}, {{name: votes, type: Counter}}]\n",
            place.region,
            place.clients.address,
            place.node,
            place.nodes_url(),
            place.nodes.address,
            neighbours.join(", "),
            peers.join(", "),
            links.join(", "),
        )
    }

    pub(crate) async fn start(&self) -> Store {
        self.start_with("").await
    }

    /// Starts all nodes, and waits until their regions have leaders.
    pub(crate) async fn start_with(&self, more: &str) -> Store {
        let starting = self.places.iter().map(|place| {
            let config = NodeConfig::from_yaml("node.yaml", &self.text(place, more)).unwrap();
            Box::pin(Node::start(config))
        });
        let started = futures_util::future::join_all(starting).await;
        let store = Store(started.into_iter().map(Result::unwrap).collect());
        eventually("all nodes are ready", async || {
            store
                .0
                .iter()
                .all(|running| running.node().readiness().ready)
        })
        .await;
        store
    }

    fn settings(credentials: TlsPem) -> Settings {
        let credentials = Credentials::of_pem(credentials, None).unwrap();
        Settings {
            dialer: Dialer::with_tls(Network::Tcp, credentials, Expected::Host),
            ..Settings::default()
        }
    }

    /// A client that knows these CAs and has no certificate.
    pub(crate) fn trusting(ca: &str) -> Settings {
        Site::settings(TlsPem {
            ca: ca.as_bytes().to_vec(),
            identity: None,
            client_ca: None,
        })
    }

    /// A client that shows a certificate of a CA.
    pub(crate) fn showing(ca: &str, issued: &Issued) -> Settings {
        Site::settings(authority::pem(ca, issued))
    }

    /// A client of a region's nodes.
    pub(crate) fn client(&self, region: &str) -> Client {
        let urls: Vec<String> = self.of(region).map(Place::clients_url).collect();
        Client::of_region(&urls, Site::trusting(&self.authority.pem())).unwrap()
    }

    pub(crate) fn client_of(&self, place: &Place) -> Client {
        let settings = Site::trusting(&self.authority.pem());
        Client::with_settings(&place.clients_url(), settings).unwrap()
    }

    /// Somebody with a certificate of the store's CA, at the listener of nodes.
    pub(crate) fn holder(&self, place: &Place, leaf: &Leaf) -> Client {
        let settings = Site::showing(&self.authority.pem(), &self.authority.issue(leaf));
        Client::with_settings(&place.nodes_url(), settings).unwrap()
    }
}

/// A number as a value.
pub(crate) fn json(number: u64) -> RawJson {
    RawJson::from_string(number.to_string()).unwrap()
}

/// Waits until something is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
