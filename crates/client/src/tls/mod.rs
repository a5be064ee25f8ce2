//! TLS: which certificate is shown, which are taken, and how both change while connections live.
//!
//! - [`Credentials`]: what is shown and trusted now; read again when the files change
//! - [`Expected`]: whom the far end's certificate must name
//! - [`TlsFault`]: why one side did not take the other, in words that say what to do
//!
//! Nodes know each other by the URI in their certificates ([`CertificateName`]), wherever they are reached;
//! clients know a server by its host name, as everywhere. rustls with ring, and no process-wide provider: each
//! configuration is made with its own.

mod credentials;
mod fault;
mod fingerprint;
mod stream;
mod validity;
mod verify;

pub use self::credentials::{
    ClientCertificates, Credentials, Material, Protocols, TlsError, TlsFiles, TlsPem,
};
pub use self::fault::{TlsFault, TlsFaultKind};
pub use self::fingerprint::fingerprint;
pub(crate) use self::stream::Ended;
pub use self::stream::TlsStream;
pub use self::validity::not_after;
pub use self::verify::{Expected, name_of};
pub use atoll_api::certificate::{CertificateName, StoreId};
