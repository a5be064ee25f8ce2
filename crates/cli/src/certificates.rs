//! Which certificates a command shows and trusts: `--ca`, `--cert`, `--key`, or the variables of the environment.

use std::path::PathBuf;

use atoll_client::tls::{Credentials, Expected, StoreId, TlsFiles};
use atoll_client::{Dialer, Network};
use clap::Args;

use crate::failure::Failure;

/// Flags for servers at `https`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CertificateArguments {
    /// CA that servers' certificates are of (PEM), for https:// servers
    #[arg(
        id = "tls-ca",
        long = "ca",
        value_name = "FILE",
        env = "ATOLL_CA",
        global = true
    )]
    ca: Option<PathBuf>,
    /// Certificate to show (PEM): to administer a store, one that names an administrator
    #[arg(
        id = "tls-cert",
        long = "cert",
        value_name = "FILE",
        env = "ATOLL_CERT",
        requires = "tls-key",
        requires = "tls-ca",
        global = true
    )]
    certificate: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(
        id = "tls-key",
        long = "key",
        value_name = "FILE",
        env = "ATOLL_KEY",
        requires = "tls-cert",
        global = true
    )]
    key: Option<PathBuf>,
    /// Take any node of the store with this id, whatever host it is reached by; for port-forwards
    #[arg(
        id = "tls-store",
        long = "store-id",
        value_name = "ID",
        env = "ATOLL_STORE_ID",
        value_parser = store_id,
        global = true
    )]
    store: Option<StoreId>,
}

fn store_id(text: &str) -> Result<StoreId, String> {
    let invalid = |_| "write the store's id of 16 hexadecimal digits".to_owned();
    text.parse().map_err(invalid)
}

impl CertificateArguments {
    /// How servers are connected to.
    pub(crate) fn dialer(&self) -> Result<Dialer, Failure> {
        let Some(ca) = &self.ca else {
            return Ok(Dialer::default());
        };
        let files = TlsFiles {
            ca: ca.clone(),
            identity: self.certificate.clone().zip(self.key.clone()),
            client_ca: None,
        };
        let credentials = Credentials::read(files, None);
        let credentials = credentials.map_err(|error| Failure::usage(error.to_string()))?;
        let expected = self.store.map_or(Expected::Host, Expected::Store);
        Ok(Dialer::with_tls(Network::Tcp, credentials, expected))
    }
}
