//! Connects to addresses: plainly where they say `http`, by TLS where they say `https`.
//!
//! Whoever has credentials connects by TLS alone, and whoever has none plainly alone: an address of the other
//! kind is a mistake in a configuration, and refused before anything is sent.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::network::{Network, Stream};
use crate::tls::{Credentials, Expected, Material, Protocols, TlsStream};

/// How connections are made, and with which credentials.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    network: Network,
    tls: Option<(Credentials, Expected)>,
}

/// A connection, and until when the other side's certificate is valid.
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    /// In seconds since 1970; absent without TLS.
    pub(crate) not_after: Option<i64>,
}

/// An address of the wrong kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongScheme {
    /// Plain, where there are certificates.
    #[error("the address says http://, and this side has certificates: write https://")]
    Plain,
    /// TLS, where there is no CA.
    #[error("the address says https://, and this side has no CA: give it one, or write http://")]
    Tls,
    /// Something else.
    #[error("the address is neither http:// nor https://")]
    Unknown,
}

impl From<Network> for Dialer {
    fn from(network: Network) -> Self {
        Dialer { network, tls: None }
    }
}

impl From<&Network> for Dialer {
    fn from(network: &Network) -> Self {
        network.clone().into()
    }
}

impl From<&Dialer> for Dialer {
    fn from(dialer: &Dialer) -> Self {
        dialer.clone()
    }
}

impl Dialer {
    /// Connections by TLS to those who are `expected`.
    #[must_use]
    pub fn with_tls(network: Network, credentials: Credentials, expected: Expected) -> Self {
        Dialer {
            network,
            tls: Some((credentials, expected)),
        }
    }

    /// What is shown and trusted now; `None` without TLS.
    pub(crate) fn material(&self) -> Option<Arc<Material>> {
        self.tls
            .as_ref()
            .map(|(credentials, _)| credentials.current())
    }

    /// Whether an address is of the kind that this side connects to.
    pub(crate) fn check(&self, scheme: Option<&str>) -> Result<(), WrongScheme> {
        match (scheme, &self.tls) {
            (Some("http"), None) | (Some("https"), Some(_)) => Ok(()),
            (Some("http"), Some(_)) => Err(WrongScheme::Plain),
            (Some("https"), None) => Err(WrongScheme::Tls),
            _ => Err(WrongScheme::Unknown),
        }
    }

    /// Connects to the host and port of an address. There is no timeout here: whoever asks has one.
    pub(crate) async fn dial(&self, address: &Uri, protocols: Protocols) -> io::Result<Dialed> {
        let scheme = address.scheme_str();
        self.check(scheme)
            .map_err(|wrong| io::Error::new(io::ErrorKind::InvalidInput, wrong))?;
        let host = address.host().unwrap_or_default();
        let port = address
            .port_u16()
            .unwrap_or(if scheme == Some("https") { 443 } else { 80 });
        let stream = self.network.connect(&format!("{host}:{port}")).await?;
        let Some((credentials, expected)) = &self.tls else {
            return Ok(Dialed {
                stream,
                not_after: None,
            });
        };
        let named = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let named = ServerName::try_from(named)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let config = credentials
            .current()
            .client_config(expected.clone(), protocols);
        let stream = TlsConnector::from(config).connect(named, stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let not_after = shown
            .and_then(<[_]>::first)
            .and_then(|leaf| crate::tls::not_after(leaf));
        Ok(Dialed {
            stream: Stream::Tls(Box::new(TlsStream::new(stream))),
            not_after,
        })
    }
}

/// The same for the pools of hyper.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) dialer: Dialer,
    pub(crate) protocols: Protocols,
    pub(crate) connect_timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let Connector {
            dialer,
            protocols,
            connect_timeout,
        } = self.clone();
        Box::pin(async move {
            let dialing = dialer.dial(&address, protocols);
            match tokio::time::timeout(connect_timeout, dialing).await {
                Ok(dialed) => dialed.map(|dialed| TokioIo::new(dialed.stream)),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Stream::Tls(tls) => Connected::new().extra(tls.ended()),
            Stream::Tcp(_) | Stream::Other(_) => Connected::new(),
        }
    }
}
