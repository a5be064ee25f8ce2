//! The simulated network as nodes use it: turmoil's TCP, behind the power switch of the machine at hand.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use atoll_client::{Dial, Dialing, Duplex};
use atoll_node::surroundings::{Accept, Answer, Listen};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use super::power::Power;

/// A machine's network card.
#[derive(Clone)]
pub(super) struct Card(pub(super) Power);

impl Dial for Card {
    fn dial(&self, authority: &str) -> Dialing {
        let (authority, power) = (authority.to_owned(), self.0.clone());
        Box::pin(async move {
            let stream = TcpStream::connect(authority).await?;
            Ok(Box::new(Wire { stream, power }) as Box<dyn Duplex>)
        })
    }
}

impl Listen for Card {
    fn listen(&self, address: SocketAddr) -> Answer<'_, io::Result<Box<dyn Accept>>> {
        let power = self.0.clone();
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(Socket { listener, power }) as Box<dyn Accept>)
        })
    }
}

struct Socket {
    listener: TcpListener,
    power: Power,
}

impl Accept for Socket {
    fn accept(&self) -> Answer<'_, io::Result<Box<dyn Duplex>>> {
        Box::pin(async move {
            let (stream, _) = self.listener.accept().await?;
            let power = self.power.clone();
            Ok(Box::new(Wire { stream, power }) as Box<dyn Duplex>)
        })
    }
}

/// A connection that says nothing more once its machine is without power.
struct Wire {
    stream: TcpStream,
    power: Power,
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.power.is_off() {
            return Poll::Pending;
        }
        Pin::new(&mut wire.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if wire.power.is_off() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut wire.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.power.is_off() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut wire.stream).poll_shutdown(context)
    }
}
