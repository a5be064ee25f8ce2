//! Three regions in this process, over real links on loopback: they converge, in state and in ledger, and a
//! paused link delays and loses nothing.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use atoll_core::intent::{Action, Intent};
use atoll_core::view::{self, Answer};
use atoll_core::{CollectionName, Key, Timestamp, Value, VersionVector};
use atoll_node::{Node, NodeConfig, Running};
use atoll_store::query::Conflict;
use atoll_store::{Request, query};
use tokio::net::TcpListener;

const REGIONS: [&str; 3] = ["eu", "us", "ap"];
const PATIENCE: Duration = Duration::from_secs(20);

struct Store {
    nodes: Vec<Running>,
    _data: tempfile::TempDir,
}

async fn start() -> Store {
    let data = tempfile::tempdir().unwrap();
    let mut listeners = Vec::new();
    for _ in REGIONS {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let mut nodes = Vec::new();
    for (i, listener) in listeners.into_iter().enumerate() {
        let others = || (0..3).filter(|&j| j != i);
        let peers: Vec<String> = others()
            .map(|j| {
                format!(
                    "{{region: {}, endpoint: \"http://{}\"}}",
                    REGIONS[j], addresses[j]
                )
            })
            .collect();
        let links: Vec<String> = others()
            .map(|j| format!("{{from: {}, carries: OwnEntries}}", REGIONS[j]))
            .collect();
        let text = format!(
            "store: {{name: shop, id: 00000000000000aa}}\nregion: {}\nlisten: {}\ndata: {}\npeers: [{}]\nlinks: [{}]\n\
             collections: [{{name: pages, type: Register}}, {{name: votes, type: Counter}}]\n",
            REGIONS[i],
            addresses[i],
            data.path().join(REGIONS[i]).display(),
            peers.join(", "),
            links.join(", "),
        );
        let config = NodeConfig::from_yaml("node.yaml", &text).unwrap();
        nodes.push(Node::start_on(config, listener).await.unwrap());
    }
    Store { nodes, _data: data }
}

impl Store {
    async fn write(&self, region: usize, collection: &str, action: Action) -> VersionVector {
        let intent = Intent {
            collection: collection.parse().unwrap(),
            key: "k".parse().unwrap(),
            action,
            precondition: None,
            context: None,
        };
        let request = Request {
            intents: vec![intent],
            trace: bytes::Bytes::new(),
            idempotency: None,
        };
        self.nodes[region]
            .node()
            .write(request)
            .await
            .unwrap()
            .session
    }

    /// Waits until every region has what any region has.
    async fn settle(&self) {
        for _ in 0..2 {
            let mut all = VersionVector::new();
            for running in &self.nodes {
                all.merge(&running.node().vector());
            }
            for running in &self.nodes {
                if let Err(missing) = running.node().reach(&all, PATIENCE).await {
                    panic!("{} lacks {missing}", running.node().config().region);
                }
            }
        }
    }

    fn read(&self, region: usize, collection: &str) -> Answer {
        let node = self.nodes[region].node();
        let collection: CollectionName = collection.parse().unwrap();
        let key: Key = "k".parse().unwrap();
        let slots = node
            .engine()
            .snapshot(|read| query::slots(read, &collection, &key))
            .unwrap();
        view::answer(&node.catalog().lens(&collection).unwrap(), &slots)
    }

    fn ledger(&self, region: usize) -> Vec<Conflict> {
        let node = self.nodes[region].node();
        let catalog = node.catalog();
        let mut rows = Vec::new();
        node.engine()
            .snapshot(|read| {
                query::conflicts(read, &catalog, Timestamp(0), None, None, &mut |mut row| {
                    row.seen_here_ms = 0;
                    rows.push(row);
                    true
                })
            })
            .unwrap();
        rows
    }

    async fn stop(self) {
        for running in self.nodes {
            running.stop().await;
        }
    }
}

fn put(text: &str) -> Action {
    Action::Put(Value::json(format!("{text:?}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_converge_in_state_and_ledger() {
    let store = start().await;
    store.settle().await;
    for round in 0..50 {
        for (region, name) in REGIONS.iter().enumerate() {
            store
                .write(region, "pages", put(&format!("{round} from {name}")))
                .await;
            store
                .write(
                    region,
                    "votes",
                    Action::Ops(bytes::Bytes::from_static(b"{\"increment\": 1}")),
                )
                .await;
        }
    }
    store.settle().await;
    assert_eq!(store.read(0, "votes"), Answer::One(Value::json("150")));
    for region in 1..3 {
        assert_eq!(store.read(region, "pages"), store.read(0, "pages"));
        assert_eq!(store.read(region, "votes"), store.read(0, "votes"));
        assert_eq!(store.ledger(region), store.ledger(0));
    }
    store.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_cut_off_goes_on_and_catches_up() {
    let store = start().await;
    store.settle().await;
    let pause = |paused| {
        for running in &store.nodes {
            let node = running.node();
            for link in node.links() {
                if link.from == "ap" || link.to == "ap" {
                    node.set_link_paused(&link.name, paused).unwrap();
                }
            }
        }
    };
    pause(true);
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.write(0, "pages", put("from eu")).await;
    store.write(2, "pages", put("from ap")).await;
    assert_eq!(
        store.read(2, "pages"),
        Answer::One(Value::json("\"from ap\""))
    );
    pause(false);
    store.settle().await;
    // One conflict, one row, the same in all regions; the later write is shown.
    for region in 0..3 {
        assert_eq!(
            store.read(region, "pages"),
            Answer::One(Value::json("\"from ap\""))
        );
        let ledger = store.ledger(region);
        assert_eq!(ledger.len(), 1, "{ledger:#?}");
        assert_eq!(ledger, store.ledger(0));
        assert_eq!(ledger[0].verdict.kind, "create-create");
    }
    store.stop().await;
}
