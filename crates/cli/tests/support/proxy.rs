//! A TCP proxy in the test's process: passes bytes on in order, later, or not for now, or not at all.

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

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    Open,
    /// Nothing passes for now; what was held passes once it is open again.
    Held,
    /// As held, but only what the dialing side says.
    HeldToSource,
    /// All connections break, and all new ones.
    Cut,
}

/// Stands between a link's target, which dials it, and its source.
pub(crate) struct Proxy {
    address: SocketAddr,
    passage: watch::Sender<Passage>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Passes everything on to `to`, each way `delay` later.
    pub(crate) async fn start(to: SocketAddr, delay: Duration) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (passage, wanted) = watch::channel(Passage::Open);
        let task = tokio::spawn(accept(listener, to, delay, wanted));
        Proxy {
            address,
            passage,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections, and all new ones, until healed.
    pub(crate) fn cut(&self) {
        self.let_pass(Passage::Cut);
    }

    pub(crate) fn heal(&self) {
        self.let_pass(Passage::Open);
    }

    pub(crate) fn let_pass(&self, passage: Passage) {
        self.passage.send_replace(passage);
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
    passage: watch::Receiver<Passage>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((near, _)) = listener.accept().await else {
            return;
        };
        let mut wanted = passage.clone();
        if *wanted.borrow() == Passage::Cut {
            continue;
        }
        let passage = passage.clone();
        connections.spawn(async move {
            tokio::select! {
                () = pass(near, to, delay, passage) => {}
                _ = wanted.wait_for(|passage| *passage == Passage::Cut) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(near: TcpStream, to: SocketAddr, delay: Duration, passage: watch::Receiver<Passage>) {
    let Ok(far) = TcpStream::connect(to).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::join!(
        pass_one_way(near_in, far_out, delay, passage.clone(), |passage| {
            passage == Passage::Open
        }),
        pass_one_way(far_in, near_out, delay, passage, |passage| {
            matches!(passage, Passage::Open | Passage::HeldToSource)
        })
    );
}

async fn pass_one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    mut passage: watch::Receiver<Passage>,
    is_open: fn(Passage) -> bool,
) {
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
            let opened = passage.wait_for(|passage| is_open(*passage));
            if opened.await.is_err() {
                break;
            }
            if chunk.is_empty() || to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
