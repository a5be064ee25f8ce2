//! Config: what a node is told by its file. Goes one way: nothing is ever written back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use atoll_api::manifest::{
    CollectionSettings, DeclaredCollection, RegionName, TimeSpan, declare_collections,
};
use atoll_api::topology::Carries;

mod telemetry;
mod tls;

pub use self::telemetry::{LogRetentionConfig, OtlpConfig, TelemetryConfig};
pub use self::tls::TlsConfig;
use crate::link::declared::Declared;
pub use crate::link::declared::{LinkEnds, TopologyConfig};

/// A node's configuration (`atoll node --config FILE`, YAML).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeConfig {
    /// The store that it belongs to.
    pub store: StoreConfig,
    /// The region that it is a node of.
    pub region: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Which node of its region it is. Absent: the region's only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<ThisNode>,
    /// The nodes that form the region together, or some that exist already when this one is to join them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NeighbourConfig>,
    /// The certificates of the node. Absent: it talks plainly to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Its data directory.
    pub data: PathBuf,
    /// The other regions, and where they are.
    #[serde(default)]
    pub peers: Vec<PeerConfig>,
    /// The topology; it says which links end here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<TopologyConfig>,
    /// The links that end here, where no topology is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkConfig>,
    /// Whether the region joins a store that has data already: it is not ready before it has caught up. Of no
    /// effect once its data directory is formed. Leave it out for the regions that a store is formed with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub join: bool,
    /// Silence of a link after which another way is taken.
    #[serde(default = "failover_after")]
    pub failover_after: TimeSpan,
    /// The collections. Absent: as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<CollectionSettings>>,
    /// What is aimed at.
    #[serde(default)]
    pub objectives: ObjectivesConfig,
    /// How long conflicts stay in the ledger.
    #[serde(default)]
    pub conflict_retention: ConflictRetention,
    /// How much log is kept for a silent region. The log is kept whole until entries are dropped from it; alerts
    /// compare with this.
    #[serde(default)]
    pub log_retention: LogRetentionConfig,
    /// Where telemetry goes.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// How long idempotency keys are remembered.
    #[serde(default)]
    pub idempotency: IdempotencyConfig,
    /// How long an entry waits for what it depends on before a neighbour is asked; `never` to only wait.
    #[serde(default)]
    pub ask_after: AskAfter,
    /// Bounds of what clients may do.
    #[serde(default)]
    pub limits: Limits,
    /// How much memory the storage may take.
    #[serde(default)]
    pub memory: MemoryConfig,
    /// Faults for tests; leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub testing: Option<TestingConfig>,
}

/// The store that a node belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Its name, for people.
    pub name: String,
    /// Its id, 16 hexadecimal digits, equal in all regions.
    pub id: String,
}

/// Which node of its region a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThisNode {
    /// Its name, such as `eu-0`: stays when its disk is replaced.
    pub name: String,
    /// `http://host:port` (`https` with TLS) where the region's other nodes reach it.
    pub address: String,
    /// A listener of their own for nodes and, with TLS, administrators; absent: they come to `listen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// A node of the same region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourConfig {
    /// Its name.
    pub name: String,
    /// `http://host:port` (`https` with TLS) where the region's other nodes reach it.
    pub address: String,
}

/// Another region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its name.
    pub region: String,
    /// `http://host:port` of one of its nodes; `https`, and its `node.listen`, with TLS.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// Of several of its nodes, tried in turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
}

/// A link that ends here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkConfig {
    /// The region that it comes from.
    pub from: String,
    /// Which entries pass.
    pub carries: Carries,
}

/// What is aimed at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ObjectivesConfig {
    /// How far the clock may be off from the peers' before writes are refused.
    pub max_clock_skew: TimeSpan,
    /// How far a region that joins may lag when it is admitted to traffic.
    pub max_lag: TimeSpan,
}

/// How long conflicts stay in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConflictRetention {
    /// Rows older than this go.
    pub max_age: TimeSpan,
    /// And the oldest beyond this many.
    pub max_rows: u64,
}

/// How long idempotency keys are remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IdempotencyConfig {
    /// Keys of writes older than this are forgotten.
    pub max_age: TimeSpan,
    /// And the oldest beyond this many.
    pub max_keys: u64,
}

/// Bounds of what clients may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Writes waiting to be proposed.
    pub pending_writes: usize,
}

/// How much memory the storage may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MemoryConfig {
    /// Bytes of the block cache.
    pub cache_bytes: usize,
    /// Bytes of all write buffers.
    pub buffer_bytes: usize,
}

/// Faults for tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestingConfig {
    /// Milliseconds by which the wall clock is off.
    #[serde(default)]
    pub clock_shift_ms: i64,
    /// Commands applied between two flushes, and kept behind the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands_kept: Option<u64>,
    /// Where this node reaches others of its region, by their names, when not where they say: each pair of
    /// nodes can be cut off from each other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reach: BTreeMap<String, String>,
    /// How long the first write after a start waits to hear from a peer, in milliseconds; in place of a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers_heard_within_ms: Option<u64>,
}

/// How long an entry waits before a neighbour is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AskAfter {
    /// This long.
    Some(Duration),
    /// Nobody is ever asked.
    Never,
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct InvalidConfig {
    /// The file.
    pub file: String,
    /// Where, what, and how to fix it.
    pub problem: String,
}

impl Default for ObjectivesConfig {
    fn default() -> Self {
        ObjectivesConfig {
            max_clock_skew: time_span("500ms"),
            max_lag: time_span("30s"),
        }
    }
}

impl Default for ConflictRetention {
    fn default() -> Self {
        ConflictRetention {
            max_age: time_span("720h"),
            max_rows: 1_000_000,
        }
    }
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        IdempotencyConfig {
            max_age: time_span("24h"),
            max_keys: 1_000_000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            pending_writes: 8192,
        }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        MemoryConfig {
            cache_bytes: 32 << 20,
            buffer_bytes: 32 << 20,
        }
    }
}

impl Default for AskAfter {
    fn default() -> Self {
        AskAfter::Some(Duration::from_millis(50))
    }
}

impl TryFrom<String> for AskAfter {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "never" {
            return Ok(AskAfter::Never);
        }
        let span: TimeSpan = text.parse().map_err(|e| format!("{e}; or say never"))?;
        Ok(AskAfter::Some(span.as_duration()))
    }
}

impl From<AskAfter> for String {
    fn from(ask: AskAfter) -> String {
        match ask {
            AskAfter::Some(after) => format!("{}ms", after.as_millis()),
            AskAfter::Never => "never".into(),
        }
    }
}

fn failover_after() -> TimeSpan {
    time_span("10s")
}

fn time_span(text: &str) -> TimeSpan {
    text.parse().expect("a time span written here")
}

fn check_name(name: &str) -> Result<(), String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || name.len() > 253 || !name.chars().all(is_name) {
        return Err(format!(
            "{name:?} is no name of a node; use letters, digits, '-', '_' and '.'"
        ));
    }
    Ok(())
}

impl PeerConfig {
    /// Where its nodes are.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let first = std::iter::once(&self.endpoint).filter(|endpoint| !endpoint.is_empty());
        first.chain(&self.endpoints).cloned().collect()
    }
}

impl NodeConfig {
    /// Reads a configuration file's text.
    ///
    /// # Errors
    /// [`InvalidConfig`], naming the field.
    pub fn from_yaml(file: &str, text: &str) -> Result<NodeConfig, InvalidConfig> {
        let invalid = |problem: String| InvalidConfig {
            file: file.to_owned(),
            problem,
        };
        let config: NodeConfig =
            serde_yaml_ng::from_str(text).map_err(|e| invalid(e.to_string()))?;
        config.check().map_err(invalid)?;
        Ok(config)
    }

    /// Checks what the shape does not say.
    ///
    /// # Errors
    /// What is wrong and how to fix it.
    pub fn check(&self) -> Result<(), String> {
        self.store_id()?;
        let mut regions = self.regions()?;
        regions.sort_unstable();
        if let Some(twice) = regions.windows(2).find(|w| w[0] == w[1]) {
            return Err(format!("peers: region {} is named twice", twice[0]));
        }
        if self.join && self.peers.is_empty() {
            return Err("join: a region joins through its peers; name them".into());
        }
        for link in &self.links {
            if !self.peers.iter().any(|peer| peer.region == link.from) {
                return Err(format!(
                    "links: {} is not among the peers; add its endpoint",
                    link.from
                ));
            }
        }
        self.check_tls()?;
        self.check_nodes()?;
        for peer in &self.peers {
            if peer.addresses().is_empty() {
                let region = &peer.region;
                let scheme = self.scheme();
                return Err(format!(
                    "peers: {region} has no endpoint; write {scheme}://host:port"
                ));
            }
            for address in peer.addresses() {
                let region = &peer.region;
                self.check_scheme(&address)
                    .map_err(|e| format!("peers: {region}: {e}"))?;
            }
        }
        Declared::by(self)?;
        self.declared_collections().map(|_| ())
    }

    fn check_nodes(&self) -> Result<(), String> {
        let check_node = |name: &str, address: &str| {
            check_name(name)?;
            self.check_scheme(address)
        };
        if let Some(node) = &self.node {
            check_node(&node.name, &node.address).map_err(|e| format!("node: {e}"))?;
        } else if !self.nodes.is_empty() {
            return Err(
                "nodes: say which of them this one is, by node.name and node.address".into(),
            );
        }
        for (at, node) in self.nodes.iter().enumerate() {
            check_node(&node.name, &node.address).map_err(|e| format!("nodes[{at}]: {e}"))?;
            if self.nodes[..at].iter().any(|other| other.name == node.name) {
                return Err(format!("nodes: {} is named twice", node.name));
            }
        }
        Ok(())
    }

    /// Where this node reaches others of its region, when not where they say.
    pub(crate) fn reach(&self) -> BTreeMap<String, String> {
        let testing = self.testing.as_ref();
        testing.map_or_else(BTreeMap::new, |testing| testing.reach.clone())
    }

    /// This node's name.
    #[must_use]
    pub fn node_name(&self) -> String {
        let node = self.node.as_ref().map(|node| node.name.clone());
        node.unwrap_or_else(|| format!("{}-0", self.region))
    }

    pub(crate) fn store_id(&self) -> Result<atoll_core::StoreId, String> {
        self.store.id.parse().map_err(|e| format!("store.id: {e}"))
    }

    pub(crate) fn region_name(&self) -> Result<atoll_core::RegionName, String> {
        self.region.parse().map_err(|e| format!("region: {e}"))
    }

    fn regions(&self) -> Result<Vec<RegionName>, String> {
        let peers = self.peers.iter().map(|peer| &peer.region);
        let parse = |name: &String| name.parse().map_err(|e| format!("region {name:?}: {e}"));
        std::iter::once(&self.region)
            .chain(peers)
            .map(parse)
            .collect()
    }

    pub(crate) fn declared_collections(&self) -> Result<Option<Vec<DeclaredCollection>>, String> {
        let Some(settings) = &self.collections else {
            return Ok(None);
        };
        let declared = declare_collections(settings, &self.regions()?).map_err(|errors| {
            errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        })?;
        Ok(Some(declared))
    }
}
