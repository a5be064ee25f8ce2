//! A TCP proxy that passes everything on a while later, in order and without limiting throughput.
//!
//! Each direction of a connection is a queue of chunks with the time at which they are due. The queue is
//! bounded: a reader that is slower than the writer slows the writer down, as the network would.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

const CHUNK_BYTES: usize = 64 << 10;
/// Chunks on their way in one direction: 64 MiB when they are full.
const CHUNKS_MAX: usize = 1024;

/// A running proxy; it ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens at `listen` and passes connections on to `to`, `delay` later each way.
    pub(crate) async fn start(
        listen: SocketAddr,
        to: SocketAddr,
        delay: Duration,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, to, delay));
        Ok(Proxy { address, accepting })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Owns the connections: they end with this task.
async fn accept(listener: TcpListener, to: SocketAddr, delay: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => {
                    connections.spawn(connect(near, to, delay));
                }
                // Out of file descriptors, most likely: others may end meanwhile.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(near: TcpStream, to: SocketAddr, delay: Duration) -> io::Result<()> {
    let far = TcpStream::connect(to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(
        pass(near_read, far_write, delay),
        pass(far_read, near_write, delay)
    )?;
    Ok(())
}

async fn pass(from: OwnedReadHalf, to: OwnedWriteHalf, delay: Duration) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::try_join!(take(from, sender, delay), give(to, receiver))?;
    Ok(())
}

async fn take(
    mut from: OwnedReadHalf,
    chunks: mpsc::Sender<(Instant, Bytes)>,
    delay: Duration,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK_BYTES);
        if from.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let chunk = (Instant::now() + delay, buffer.split().freeze());
        if chunks.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}

/// Ends the direction when the last chunk is through: a half-closed connection stays half-closed.
async fn give(
    mut to: OwnedWriteHalf,
    mut chunks: mpsc::Receiver<(Instant, Bytes)>,
) -> io::Result<()> {
    while let Some((due, chunk)) = chunks.recv().await {
        sleep_until(due).await;
        to.write_all(&chunk).await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::net::Ipv4Addr;

    use super::*;

    const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

    /// A server that sends back all it gets, once the sender has finished.
    async fn echo_at_the_end() -> SocketAddr {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn bytes_arrive_in_order_and_late_but_not_slowly() {
        let delay = Duration::from_millis(100);
        let to = echo_at_the_end().await;
        let proxy = Proxy::start(ANY.into(), to, delay).await.unwrap();
        let sent: Vec<u8> = (0..8_u32 << 20).map(|i| (i / 7 % 251) as u8).collect();
        let started = Instant::now();
        let (mut read, mut write) = TcpStream::connect(proxy.address())
            .await
            .unwrap()
            .into_split();
        let writing = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let reading = read.read_to_end(&mut received);
        let ((), read) = tokio::join!(writing, reading);
        read.unwrap();
        assert!(received == sent);
        let taken = started.elapsed();
        assert!(taken >= 2 * delay, "{taken:?}");
        assert!(taken < Duration::from_secs(20), "{taken:?}");
    }

    #[tokio::test]
    async fn connections_end_with_the_proxy() {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let to = listener.local_addr().unwrap();
        let proxy = Proxy::start(ANY.into(), to, Duration::ZERO).await.unwrap();
        let mut near = TcpStream::connect(proxy.address()).await.unwrap();
        let (_far, _) = listener.accept().await.unwrap();
        drop(proxy);
        let mut byte = [0];
        let ended = near.read(&mut byte).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
}
