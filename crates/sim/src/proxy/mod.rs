//! A TCP proxy between two real processes that can be told, while it runs, to misbehave as networks do.
//!
//! Each way of a connection is a bounded queue of chunks with the time at which they are due ([`way`]): it
//! delays, jitters, slows down, holds back or swallows what passes ([`Conditions`]). Besides, connections can
//! be refused, and open ones reset. Bytes are never reordered or changed, and a connection that has lost
//! some never delivers more of them: no real network shows a gap in a TCP stream.

mod conditions;
#[cfg(test)]
mod tests;
mod way;

pub use conditions::{Conditions, Passage, WayConditions};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use way::{Lost, Way};

/// A running proxy; it ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What has passed through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes from those who dialled, delivered.
    pub there_bytes: u64,
    /// Bytes to those who dialled, delivered.
    pub back_bytes: u64,
    /// Connections made all the way.
    pub connections: u64,
}

#[derive(Debug)]
struct Shared {
    to: Vec<SocketAddr>,
    /// Where the next connection goes first.
    turn: AtomicUsize,
    conditions: watch::Sender<Conditions>,
    /// Counts orders to reset what is open.
    resets: watch::Sender<u64>,
    there: Way,
    back: Way,
    connections: AtomicU64,
}

impl Proxy {
    /// Listens at `listen` (port 0: any) and passes connections on to `to`, which need not be there yet. Of
    /// several addresses each is the first in its turn, and the next ones are tried when nobody is there.
    ///
    /// # Errors
    /// When `listen` cannot be had.
    pub async fn start(listen: SocketAddr, to: &[SocketAddr]) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            to: to.to_vec(),
            turn: AtomicUsize::new(0),
            conditions: watch::Sender::new(Conditions::default()),
            resets: watch::Sender::new(0),
            there: Way::new(Conditions::there),
            back: Way::new(Conditions::back),
            connections: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Proxy {
            address,
            shared,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does at present.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        *self.shared.conditions.borrow()
    }

    /// Changes what it does, to open connections, too.
    pub fn set(&self, conditions: Conditions) {
        self.shared.conditions.send_replace(conditions);
    }

    /// Passes everything on at once again. What was held back passes; connections that lost bytes are reset.
    pub fn heal(&self) {
        self.set(Conditions::default());
    }

    /// Resets all open connections, at both ends. New ones are welcome.
    pub fn reset(&self) {
        self.shared.resets.send_modify(|count| *count += 1);
    }

    /// What has passed so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            there_bytes: self.shared.there.delivered_bytes(),
            back_bytes: self.shared.back.delivered_bytes(),
            connections: self.shared.connections.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Owns the connections: they end with this task.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => {
                    connections.spawn(serve(near, Arc::clone(&shared)));
                }
                // Out of file descriptors, most likely: others may end meanwhile.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, to its end.
async fn serve(mut near: TcpStream, shared: Arc<Shared>) {
    let mut resets = shared.resets.subscribe();
    if shared.conditions.borrow().refuses {
        return drop_hard(&near);
    }
    let dialled = tokio::select! {
        dialled = dial(&shared) => dialled,
        _ = resets.changed() => return drop_hard(&near),
    };
    let Ok(mut far) = dialled else {
        return drop_hard(&near);
    };
    shared.connections.fetch_add(1, Ordering::Relaxed);
    let passed = tokio::select! {
        passed = pass(&mut near, &mut far, &shared) => passed,
        _ = resets.changed() => Err(Lost),
    };
    if passed.is_err() {
        drop_hard(&near);
        drop_hard(&far);
    }
}

/// A handshake needs both ways: it takes until neither is cut.
async fn dial(shared: &Shared) -> io::Result<TcpStream> {
    let mut conditions = shared.conditions.subscribe();
    let is_open = |now: &Conditions| now.is_open();
    // The sender lives as long as `shared`.
    let _ = conditions.wait_for(is_open).await;
    let turn = shared.turn.fetch_add(1, Ordering::Relaxed);
    let mut found = Err(io::ErrorKind::AddrNotAvailable.into());
    for at in 0..shared.to.len() {
        let to = shared.to[(turn + at) % shared.to.len()];
        found = TcpStream::connect(to).await;
        if found.is_ok() {
            break;
        }
    }
    found
}

async fn pass(near: &mut TcpStream, far: &mut TcpStream, shared: &Shared) -> Result<(), Lost> {
    near.set_nodelay(true).map_err(|_| Lost)?;
    far.set_nodelay(true).map_err(|_| Lost)?;
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let conditions = || shared.conditions.subscribe();
    tokio::try_join!(
        shared.there.pass(near_read, far_write, conditions()),
        shared.back.pass(far_read, near_write, conditions()),
    )?;
    Ok(())
}

/// The connection ends with a reset and not with an orderly end.
fn drop_hard(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
