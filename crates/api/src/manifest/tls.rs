//! GeoStore as written: how nodes, clients and the operator talk.

use serde::{Deserialize, Serialize};

use super::time_span::TimeSpan;

/// How nodes, clients and the operator talk. The operator makes a CA for each store, and the certificates of its
/// nodes, and renews all of them in time; nothing of this has to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// How nodes talk to each other and to the operator. Default: Mutual. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TlsMode>,
    /// How clients talk to nodes. Default: Tls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<ClientTls>,
    /// A Secret with CAs (`ca.crt`); clients must show a certificate of one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca_secret_ref: Option<SecretRef>,
    /// A Secret with a CA of your own (`tls.crt`, `tls.key`, as cert-manager writes them), which then signs in
    /// place of the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
    /// Secrets with CAs (`ca.crt`) of the same store in other clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "k8s", schemars(length(max = 16)))]
    pub trusted_ca_secret_refs: Option<Vec<SecretRef>>,
    /// Raise it, and the operator makes a new CA: the old one is trusted until nothing of it is in use.
    /// Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "k8s", schemars(range(min = 0, max = 1_000_000), extend("format" = "int32")))]
    pub ca_revision: Option<u32>,
    /// How long certificates of nodes are valid; they are renewed when a third of that is left. Default: 2160h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_lifetime: Option<TimeSpan>,
}

/// How nodes talk to each other and to the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub enum TlsMode {
    /// By TLS, both sides with certificates.
    #[default]
    Mutual,
    /// By plain HTTP, and so do clients: whoever reaches a node is obeyed.
    Plain,
}

/// How clients talk to nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub enum ClientTls {
    /// By HTTPS.
    #[default]
    Tls,
    /// By plain HTTP.
    Plain,
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "k8s", derive(schemars::JsonSchema))]
pub struct SecretRef {
    /// Its name.
    #[cfg_attr(feature = "k8s", schemars(length(min = 1, max = 253)))]
    pub name: String,
}

impl TlsSpec {
    /// How nodes talk, whether it is written or not.
    #[must_use]
    pub fn mode_of(tls: Option<&TlsSpec>) -> TlsMode {
        tls.and_then(|tls| tls.mode).unwrap_or_default()
    }
}
