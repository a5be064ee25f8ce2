//! How people with a kubeconfig come to a store's nodes: by connections through the API server, to its pods.
//!
//! - `find`: which pods, shown and trusting which certificates
//! - `store`: where a store keeps these
//! - `forward`: the connections; nothing listens on this machine

mod find;
mod forward;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;

use atoll_client::Dialer;

pub use self::find::find;

/// Which store of which cluster.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// The kubeconfig; without it as for kubectl, `$KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; without it the current one.
    pub context: Option<String>,
    /// The namespace; without it the context's.
    pub namespace: Option<String>,
    /// The GeoStore; without it the only one there.
    pub geostore: Option<String>,
}

/// The regions of a store that run in a cluster.
#[derive(Clone, Debug)]
pub struct Found {
    /// The addresses of each region's pods; those that are ready come first.
    pub regions: BTreeMap<String, Vec<String>>,
    /// How they are connected to.
    pub dialer: Dialer,
}

/// Why a store cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReachError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether it was asked for wrongly.
    pub is_usage: bool,
}

impl ReachError {
    fn new(message: impl Into<String>) -> Self {
        ReachError {
            message: message.into(),
            help: None,
            is_usage: false,
        }
    }

    fn usage(message: impl Into<String>) -> Self {
        ReachError {
            is_usage: true,
            ..ReachError::new(message)
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        ReachError { help, ..self }
    }
}
