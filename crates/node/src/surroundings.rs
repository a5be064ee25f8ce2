//! What a node stands on: network, disk, wall clock, threads, log. A simulator puts its own in the place of each.
//!
//! Chosen when a node starts and carried from there. The machine's are the default, and cost a match.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;

use atoll_client::otlp::Outlet;
use atoll_client::{Duplex, Network, Stream};
use atoll_store::engine::Engine;

/// What a node stands on.
#[derive(Clone)]
pub struct Surroundings {
    /// How it connects to others.
    pub network: Network,
    /// How it is connected to; absent: by TCP.
    pub listen: Option<Arc<dyn Listen>>,
    /// Its disk; absent: RocksDB in the directory of its configuration.
    pub engine: Option<Arc<dyn Engine>>,
    /// Milliseconds since 1970.
    pub wall_ms: fn() -> u64,
    /// Where work that blocks is done.
    pub work: Work,
    /// Where the process says its log to, so that a collector may get it.
    pub logs: Outlet,
}

/// Where work that blocks is done, such as long reads, flushes and syncs.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// On threads of its own.
    Threads,
    /// Where it is asked for: with an engine in memory, and where the order of things must not depend on the
    /// machine's scheduler. The log is synced so long after it was appended to.
    InLine {
        /// How long the sync of a log takes.
        sync_after: fn() -> Duration,
    },
}

/// Makes listeners.
pub trait Listen: Send + Sync {
    /// Listens on `address`.
    ///
    /// # Errors
    /// As the network has them.
    fn listen(&self, address: SocketAddr) -> Answer<'_, io::Result<Box<dyn Accept>>>;
}

/// Takes connections.
pub trait Accept: Send + Sync {
    /// The next connection.
    fn accept(&self) -> Answer<'_, io::Result<Box<dyn Duplex>>>;
}

/// What [`Listen`] and [`Accept`] answer with, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where connections come in.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Other(Box<dyn Accept>),
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings {
            network: Network::Tcp,
            listen: None,
            engine: None,
            wall_ms: system_ms,
            work: Work::Threads,
            logs: Outlet::default(),
        }
    }
}

impl Surroundings {
    pub(crate) async fn bind(&self, address: SocketAddr) -> io::Result<Listener> {
        match &self.listen {
            None => TcpListener::bind(address).await.map(Listener::Tcp),
            Some(listen) => listen.listen(address).await.map(Listener::Other),
        }
    }
}

fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

impl Listener {
    /// The next connection, without Nagle's delay.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection stays with Nagle's delay");
                }
                Ok(Stream::Tcp(stream))
            }
            Listener::Other(listener) => listener.accept().await.map(Stream::Other),
        }
    }

    /// Where it listens; another network than the system's listens where it was told to.
    pub(crate) fn address(&self, asked: SocketAddr) -> io::Result<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr(),
            Listener::Other(_) => Ok(asked),
        }
    }
}

impl Work {
    /// Does `work`, away from the threads that serve requests where there are others.
    ///
    /// # Errors
    /// When it panicked.
    pub(crate) async fn run<T, F>(self, work: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        match self {
            Work::Threads => {
                let done = tokio::task::spawn_blocking(work).await;
                done.map_err(io::Error::other)
            }
            Work::InLine { .. } => Ok(work()),
        }
    }
}
