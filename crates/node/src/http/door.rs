//! Who comes in by a listener, and how: the handshake of TLS, and who the certificate says it is.
//!
//! | listener | without TLS | with TLS |
//! |---|---|---|
//! | `listen` | everybody, for everything; nodes only without `node.listen` | clients, who know the server by its host name |
//! | `node.listen` | everybody, for everything | nodes and administrators of the store, by certificate |
//!
//! A CA's certificate that names somebody else is let in and refused by the first answer, in words: an alert of
//! TLS says too little. Whoever speaks plain HTTP to TLS is told so in plain HTTP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use atoll_api::certificate::Holder;
use atoll_client::Stream;
use atoll_client::tls::{ClientCertificates, TlsFault, TlsFaultKind, name_of, not_after};

use super::access::Caller;
use crate::tls::{NodeTls, Side, seconds_left};

/// The first byte of TLS: a record that holds a handshake.
const HANDSHAKE: u8 = 0x16;
/// What the other side sends after its refusal is read for so long, or the system would take the refusal back.
const LINGER: Duration = Duration::from_secs(1);

/// What a listener demands.
#[derive(Clone)]
pub(crate) enum Door {
    /// Nothing: no node of the store has certificates.
    Open {
        /// Whether the region's nodes come this way, too.
        takes_neighbours: bool,
    },
    /// Clients by plain HTTP, in a store whose nodes have certificates.
    PlainClients,
    /// Clients by TLS.
    Clients(NodeTls),
    /// Nodes and administrators, by their certificates.
    Nodes(NodeTls),
}

/// Somebody who was let in.
pub(crate) struct Guest {
    pub(crate) stream: Stream,
    /// `None` where nothing is demanded.
    pub(crate) caller: Option<Caller>,
    /// What was shown, by nodes and administrators.
    pub(crate) pass: Option<Pass>,
}

/// What lets a connection stay.
pub(crate) struct Pass {
    tls: NodeTls,
    chain: Vec<CertificateDer<'static>>,
    /// In seconds since 1970.
    not_after: Option<i64>,
    who: String,
}

impl Pass {
    /// Whether its validity has ended.
    pub(crate) fn is_over(&self) -> bool {
        seconds_left(self.not_after).is_some_and(|left| left < 0.0)
    }

    /// Whether whoever showed it would be let in now.
    pub(crate) fn is_good(&self) -> bool {
        let taken = self.tls.current().still_takes(&self.chain);
        if let Err(fault) = &taken {
            self.tls.refused(Side::Accepting, &self.who, fault);
        }
        taken.is_ok()
    }

    pub(crate) fn tls(&self) -> &NodeTls {
        &self.tls
    }
}

impl Door {
    /// Whether nodes come this way.
    pub(crate) fn takes_neighbours(&self) -> bool {
        match self {
            Door::Open { takes_neighbours } => *takes_neighbours,
            Door::PlainClients | Door::Clients(_) => false,
            Door::Nodes(_) => true,
        }
    }

    /// Whether other regions come this way.
    pub(crate) fn takes_links(&self) -> bool {
        matches!(self, Door::Open { .. } | Door::Nodes(_))
    }

    /// The certificates, where callers have some to show.
    pub(crate) fn tls(&self) -> Option<&NodeTls> {
        match self {
            Door::Open { .. } | Door::PlainClients => None,
            Door::Clients(tls) | Door::Nodes(tls) => Some(tls),
        }
    }

    /// Whether callers are told apart.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Door::Open { .. })
    }

    /// Whether there is a handshake before the first request.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Door::Open { .. } | Door::PlainClients)
    }

    /// Somebody who came by a plain listener.
    pub(crate) fn guest(&self, stream: Stream) -> Guest {
        let caller = (!self.is_open()).then_some(Caller::Client { is_known: true });
        Guest {
            stream,
            caller,
            pass: None,
        }
    }

    /// Lets somebody in, or tells them why not. Takes as long as the other side likes.
    pub(crate) async fn admit(&self, stream: Stream) -> Option<Guest> {
        let (tls, demanded) = match self {
            Door::Open { .. } | Door::PlainClients => return Some(self.guest(stream)),
            Door::Clients(tls) => (tls, ClientCertificates::Optional),
            Door::Nodes(tls) => (tls, ClientCertificates::Required),
        };
        let stream = begun(stream, tls).await?;
        let config = tls.current().server_config(demanded)?;
        let accepting = TlsAcceptor::from(config).accept(stream).into_fallible();
        let stream = match accepting.await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                if let Some(fault) = TlsFault::in_chain(&error) {
                    tls.refused(Side::Accepting, "somebody who connects", &fault);
                    linger(stream).await;
                }
                return None;
            }
        };
        let chain = stream.get_ref().1.peer_certificates();
        let chain: Vec<_> = chain
            .unwrap_or_default()
            .iter()
            .map(|c| c.clone().into_owned())
            .collect();
        let caller = self.caller(tls, &chain);
        let pass = matches!(self, Door::Nodes(_)).then(|| Pass {
            tls: tls.clone(),
            not_after: chain.first().and_then(|leaf| not_after(leaf)),
            chain,
            who: caller.to_string(),
        });
        Some(Guest {
            stream: Stream::Other(Box::new(stream)),
            caller: Some(caller),
            pass,
        })
    }

    fn caller(&self, tls: &NodeTls, chain: &[CertificateDer<'_>]) -> Caller {
        if matches!(self, Door::Clients(_)) {
            let is_known = !chain.is_empty() || !tls.demands_clients();
            return Caller::Client { is_known };
        }
        let Some(name) = chain.first().and_then(name_of) else {
            return Caller::Nobody;
        };
        if name.store != tls.store() {
            return Caller::OtherStore(name);
        }
        match name.holder {
            Holder::Node { region, node } => Caller::Node { region, node },
            Holder::Administrator { name } => Caller::Administrator { name },
        }
    }
}

/// The stream of somebody who speaks TLS; others are told to.
async fn begun(mut stream: Stream, tls: &NodeTls) -> Option<Begun> {
    let first = stream.read_u8().await.ok()?;
    let first = Some(first);
    if first == Some(HANDSHAKE) {
        return Some(Begun { first, stream });
    }
    let fault = TlsFault {
        kind: TlsFaultKind::NoTls,
        detail:
            "the other side does not speak TLS, and this port does nothing else: write https://"
                .into(),
    };
    tls.refused(Side::Accepting, "somebody who connects", &fault);
    let told = async {
        stream.write_all(plain_refusal().as_bytes()).await?;
        stream.shutdown().await
    };
    if let Ok(Ok(())) = timeout(LINGER, told).await {
        linger(stream).await;
    }
    None
}

fn plain_refusal() -> String {
    const BODY: &str = r#"{"type":"urn:atoll:problem:InvalidValue","title":"The request's content cannot be used","status":400,"detail":"this port speaks TLS: write https:// instead of http://","reason":"InvalidValue"}"#;
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
}

/// Reads what still comes, for a moment.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let reading = async {
        let mut ignored = [0; 4096];
        while stream.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
    };
    let _ = timeout(LINGER, reading).await;
}

/// A stream whose first byte was read already.
struct Begun {
    first: Option<u8>,
    stream: Stream,
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
