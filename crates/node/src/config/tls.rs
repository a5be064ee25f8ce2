//! Config: TLS, and which addresses go with it.
//!
//! A node either has certificates, and then talks by TLS alone to nodes and administrators, or it has none, and
//! then talks plainly to everybody. What is half of each is refused, not guessed at.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use atoll_client::tls::TlsFiles;

use super::NodeConfig;

/// PEM files, in the layout of a Kubernetes TLS Secret, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsConfig {
    /// The node's certificate, with those between it and the CA: `tls.crt`. It names the node by the URI
    /// `atoll://STORE/REGION/NODE`, and the hosts that clients know it by.
    pub certificate: PathBuf,
    /// Its key: `tls.key`.
    pub key: PathBuf,
    /// The CAs of the store's nodes and administrators: `ca.crt`. Two while one takes the other's place.
    pub ca: PathBuf,
    /// The CAs of clients, which must then show a certificate. Absent: clients need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether clients come to `listen` by plain HTTP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_clients: bool,
}

impl TlsConfig {
    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles {
            ca: self.ca.clone(),
            identity: Some((self.certificate.clone(), self.key.clone())),
            client_ca: self.client_ca.clone(),
        }
    }
}

impl NodeConfig {
    /// How addresses of nodes begin.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// How the address begins that clients come to.
    #[must_use]
    pub fn client_scheme(&self) -> &'static str {
        match &self.tls {
            Some(tls) if !tls.plain_clients => "https",
            Some(_) | None => "http",
        }
    }

    /// An address of another node must be of the kind that this node talks to.
    pub(crate) fn check_scheme(&self, address: &str) -> Result<(), String> {
        let (scheme, has) = match &self.tls {
            Some(_) => ("https", "has certificates (tls)"),
            None => ("http", "has no certificates (tls)"),
        };
        let authority = address
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"));
        if authority.is_none()
            && (address.starts_with("http://") || address.starts_with("https://"))
        {
            return Err(format!(
                "{address} does not fit a node that {has}: write {scheme}://, or change tls in all nodes of \
                 the store"
            ));
        }
        let authority = authority.unwrap_or_default();
        if authority.is_empty() || authority.contains('/') {
            return Err(format!(
                "{address:?} is no address; write {scheme}://host:port"
            ));
        }
        Ok(())
    }

    /// Checks what the rest of the configuration must say when there is TLS.
    pub(super) fn check_tls(&self) -> Result<(), String> {
        let Some(tls) = &self.tls else {
            return Ok(());
        };
        let Some(node) = &self.node else {
            return Err(
                "tls: say which node this is, by node.name, node.address and node.listen".into(),
            );
        };
        if node.listen.is_none() {
            return Err(
                "tls: give node.listen, where nodes and administrators come with certificates; listen is for \
                 clients"
                    .into(),
            );
        }
        if tls.plain_clients && tls.client_ca.is_some() {
            return Err(
                "tls: clients of plain HTTP show no certificates; leave out plainClients or clientCa".into(),
            );
        }
        Ok(())
    }
}
