//! A TCP proxy in the test's process: passes bytes on in order, later, or not at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS_UNDER_WAY: usize = 1024;

/// Stands between a link's target, which dials it, and its source.
pub(crate) struct Proxy {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Passes everything on to `to`, each way `delay` later.
    pub(crate) async fn start(to: SocketAddr, delay: Duration) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_cut, wanted) = watch::channel(false);
        let task = tokio::spawn(accept(listener, to, delay, wanted));
        Proxy {
            address,
            is_cut,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections, and all new ones, until healed.
    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub(crate) fn heal(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    to: SocketAddr,
    delay: Duration,
    is_cut: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((near, _)) = listener.accept().await else {
            return;
        };
        let mut is_cut = is_cut.clone();
        if *is_cut.borrow() {
            continue;
        }
        connections.spawn(async move {
            tokio::select! {
                () = pass(near, to, delay) => {}
                _ = is_cut.wait_for(|is_cut| *is_cut) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(near: TcpStream, to: SocketAddr, delay: Duration) {
    let Ok(far) = TcpStream::connect(to).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::join!(
        pass_one_way(near_in, far_out, delay),
        pass_one_way(far_in, near_out, delay)
    );
}

async fn pass_one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (later, mut due) = mpsc::channel::<(Instant, Bytes)>(CHUNKS_UNDER_WAY);
    let read = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let chunk = Bytes::copy_from_slice(&buffer[..length]);
            if later.send((Instant::now() + delay, chunk)).await.is_err() {
                return;
            }
        }
        // The end takes as long as everything before it.
        let _ = later.send((Instant::now() + delay, Bytes::new())).await;
    };
    let write = async move {
        while let Some((at, chunk)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            if chunk.is_empty() || to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
