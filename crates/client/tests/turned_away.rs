//! A server that turns a certificate away is quoted, whenever the client learns of it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/authority.rs"]
mod authority;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use atoll_client::tls::{
    CertificateName, ClientCertificates, Credentials, Expected, TlsFaultKind, TlsPem,
};
use atoll_client::{Client, ClientError, Dial, Dialer, Dialing, Duplex, Network, Settings};
use authority::{Authority, Leaf, STORE, node};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// When the client hears that the server, which judged its certificate at once, is gone.
#[derive(Clone, Copy, Debug)]
enum Heard {
    /// When a write fails.
    OnWriting,
    /// So many times a task was given the chance to run after its handshake.
    After(u32),
}

/// A server that asks for certificates.
struct Strict {
    server: TlsAcceptor,
    heard: Heard,
}

/// The client's end of a connection whose handshake ends when the server is gone.
struct Late {
    stream: DuplexStream,
    server: JoinHandle<()>,
    heard: Heard,
    is_hello_answered: bool,
    is_certificate_sent: bool,
}

impl Dial for Strict {
    fn dial(&self, _: &str) -> Dialing {
        let (stream, other) = tokio::io::duplex(1 << 16);
        let accepting = self.server.accept(other);
        let server = tokio::spawn(async move {
            assert!(accepting.await.is_err(), "nobody is let in");
        });
        let late = Late {
            stream,
            server,
            heard: self.heard,
            is_hello_answered: false,
            is_certificate_sent: false,
        };
        Box::pin(async move { Ok(Box::new(late) as Box<dyn Duplex>) })
    }
}

impl AsyncRead for Late {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_certificate_sent {
            match &mut self.heard {
                Heard::After(0) => {}
                Heard::After(polls) => {
                    *polls -= 1;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Heard::OnWriting => return Poll::Pending,
            }
        }
        let had = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.is_hello_answered |= buffer.filled().len() > had;
        read
    }
}

impl AsyncWrite for Late {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_certificate_sent |= self.is_hello_answered;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let (Poll::Ready(Err(_)), Heard::OnWriting) = (&written, self.heard) {
            self.heard = Heard::After(0);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_certificate_sent && !self.server.is_finished() {
            ready!(Pin::new(&mut self.server).poll(context)).unwrap();
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Caught: a client that said "broken pipe", as a write had failed first.
#[tokio::test]
async fn an_alert_is_quoted_also_when_nothing_could_be_sent() {
    let (ours, theirs) = (Authority::new("shop"), Authority::new("other"));
    let serving = ours.pem_of(&Leaf::of(&node("eu", "eu-0")));
    let serving = Credentials::of_pem(serving, Some(node("eu", "eu-0"))).unwrap();
    let config = serving
        .current()
        .server_config(ClientCertificates::Required);
    let server = TlsAcceptor::from(config.unwrap());

    let foreign = theirs.issue(&Leaf::of(&CertificateName::administrator(STORE, "ada")));
    let nothing = TlsPem {
        identity: None,
        ..ours.pem_of(&Leaf::of(&node("eu", "eu-1")))
    };
    let cases = [
        (nothing, TlsFaultKind::NoCertificate),
        (
            authority::pem(&ours.pem(), &foreign),
            TlsFaultKind::UnknownCa,
        ),
    ];
    let moments = (0..20).map(Heard::After).chain([Heard::OnWriting]);
    let mut wrong = Vec::new();
    for (heard, (pem, kind)) in moments.flat_map(|heard| cases.iter().map(move |of| (heard, of))) {
        let network = Network::Other(Arc::new(Strict {
            server: server.clone(),
            heard,
        }));
        let credentials = Credentials::of_pem(pem.clone(), None).unwrap();
        let settings = Settings {
            attempts: 1,
            dialer: Dialer::with_tls(network, credentials, Expected::Host),
            ..Settings::default()
        };
        let client = Client::with_settings("https://127.0.0.1:7401", settings).unwrap();
        let error = client.status().await.unwrap_err();
        match &error {
            ClientError::Untrusted { fault, .. } if fault.kind == *kind => {
                assert!(error.is_unsent(), "nobody looked at it");
            }
            _ => wrong.push(format!("{heard:?}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
