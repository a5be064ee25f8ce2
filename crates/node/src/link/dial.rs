//! The pulling end's connection: one task a link, which dials, reads frames, and dials again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use atoll_client::link::{self, LinkError, LinkStream};
use atoll_core::RegionName;
use atoll_replication::backoff::Backoff;
use atoll_replication::delivery::LinkId;
use atoll_replication::frame::Decoder;
use atoll_replication::message::Downstream;

use super::overview::Phase;
use crate::node::Inner;
use crate::tls::{self, NodeTls, Side};

/// For the connection, and again for the answer: several round trips of the slowest link there may be.
const CONNECT_WITHIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A source that says nothing for this long is taken for dead; it has heartbeats to send every second.
const SILENCE_MAX: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(15));
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

static NEXT_LINK: AtomicU64 = AtomicU64::new(1);

/// What a link's connection tells the inbound task. `from` is the region that it is dialled to.
pub(crate) enum Event {
    /// Connected: greet through `upstream`.
    Opened {
        from: RegionName,
        link: LinkId,
        upstream: mpsc::Sender<Bytes>,
    },
    /// The source said something.
    Said {
        from: RegionName,
        link: LinkId,
        message: Box<Downstream>,
    },
    /// Disconnected.
    Closed { from: RegionName, link: LinkId },
}

/// Why a link's connection ended.
enum Ended {
    /// It is not wanted any more.
    Unwanted,
    /// There are other certificates than those that it was made with.
    Outlived,
    /// It broke.
    Broken(String),
}

/// One link's task.
pub(crate) struct Dial {
    pub(crate) node: Arc<Inner>,
    pub(crate) from: RegionName,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) wanted: watch::Receiver<bool>,
    pub(crate) seed: u64,
    /// The node that leads the region, as one that does not has just said. Caught by whole nodes in the simulator
    /// (seeds 6 and 7) while it was not asked for: a leader that was added later was never found.
    pub(crate) leader: Option<String>,
}

impl Dial {
    /// Dials the nodes of the region in turn, and again, until dropped. Paused or stopped by the board, it
    /// waits.
    pub(crate) async fn keep_dialing(mut self) {
        let failover_after = self.node.config.failover_after.as_duration();
        let connect_within = failover_after.clamp(CONNECT_WITHIN.0, CONNECT_WITHIN.1);
        let board = Arc::clone(&self.node.board);
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MAX, self.seed);
        let mut attempt = 0;
        loop {
            if self.wanted.wait_for(|wanted| *wanted).await.is_err() {
                return;
            }
            let endpoints = self.node.addresses_of(&self.from);
            board.phase(&self.from, Phase::Connecting, None);
            let leader = self.leader.take();
            let is_sent_on = leader.is_some();
            let endpoint = leader.or_else(|| {
                let next = endpoints.get(attempt % endpoints.len().max(1));
                attempt += 1;
                next.cloned()
            });
            let problem = match &endpoint {
                None => Some(format!("no endpoint of {} is known", self.from)),
                Some(endpoint) => {
                    let dialer = self.node.dialer_to(&self.from);
                    let changes = self.node.tls.as_ref().map(NodeTls::changes);
                    match link::open(dialer, endpoint, connect_within).await {
                        Ok(stream) => {
                            let link = LinkId(NEXT_LINK.fetch_add(1, Ordering::Relaxed));
                            let outlived = tls::outlived(changes, stream.not_after);
                            let ended = self.read(link, stream, outlived, &mut backoff).await;
                            let from = self.from.clone();
                            if self
                                .events
                                .send(Event::Closed { from, link })
                                .await
                                .is_err()
                            {
                                return;
                            }
                            match ended {
                                Ended::Unwanted => None,
                                Ended::Broken(problem) => Some(problem),
                                Ended::Outlived => {
                                    // The same node again, with the certificates of now.
                                    self.leader = Some(endpoint.clone());
                                    continue;
                                }
                            }
                        }
                        Err(error) => Some(self.told(&error)),
                    }
                }
            };
            if board.is_stopped(&self.from) || !*self.wanted.borrow() {
                continue;
            }
            // Who is sent on by one that was named as the leader goes back to asking in turn.
            if is_sent_on {
                self.leader = None;
            }
            // All nodes of a region, and the one that they name, are tried before the next pause.
            if self.leader.is_some() || attempt % endpoints.len().max(1) != 0 {
                continue;
            }
            let refused = board.take_refused(&self.from);
            // What answers is well and is not the region: that does not change within moments.
            let pause = refused.as_ref().map(|_| BACKOFF_MAX);
            let pause = pause.unwrap_or_else(|| backoff.failed());
            let problem = refused.or(problem);
            let link = board.name(&self.from);
            tracing::info!(link, problem, retry_ms = pause.as_millis(), "link down");
            board.phase(&self.from, Phase::BackingOff, problem);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = self.wanted.changed() => if changed.is_err() { return },
            }
        }
    }

    /// An error in words; what is wrong with certificates is counted, and who leads the region is noted.
    fn told(&mut self, error: &LinkError) -> String {
        if let LinkError::Refused { leader, .. } = error {
            self.leader.clone_from(leader);
        }
        if let (LinkError::Untrusted { endpoint, fault }, Some(tls)) = (error, &self.node.tls) {
            tls.refused(Side::Dialing, endpoint, fault);
        }
        error.to_string()
    }

    /// Reads frames until the connection ends; answers with why.
    async fn read(
        &mut self,
        link: LinkId,
        stream: LinkStream,
        outlived: impl Future<Output = ()>,
        backoff: &mut Backoff,
    ) -> Ended {
        let LinkStream {
            upstream,
            mut downstream,
            not_after: _,
        } = stream;
        tokio::pin!(outlived);
        let from = || self.from.clone();
        let failover_after = self.node.config.failover_after.as_duration();
        let silence_max = failover_after.clamp(SILENCE_MAX.0, SILENCE_MAX.1);
        let mut decoder = Decoder::<Downstream>::new();
        let opened = Event::Opened {
            from: from(),
            link,
            upstream,
        };
        if self.events.send(opened).await.is_err() {
            return Ended::Unwanted;
        }
        loop {
            let chunk = tokio::select! {
                chunk = tokio::time::timeout(silence_max, downstream.next()) => chunk,
                () = &mut outlived => return Ended::Outlived,
                _ = self.wanted.wait_for(|wanted| !*wanted) => return Ended::Unwanted,
            };
            match chunk {
                Ok(Some(Ok(bytes))) => decoder.push(&bytes),
                Ok(Some(Err(error))) => return Ended::Broken(self.told(&error)),
                Ok(None) => return Ended::Broken("the source ended the stream".into()),
                Err(_) => {
                    let seconds = silence_max.as_secs_f64();
                    return Ended::Broken(format!("the source was silent for {seconds} s"));
                }
            }
            loop {
                match decoder.next() {
                    Ok(Some(message)) => {
                        backoff.succeeded();
                        let said = Event::Said {
                            from: self.from.clone(),
                            link,
                            message: Box::new(message),
                        };
                        if self.events.send(said).await.is_err() {
                            return Ended::Unwanted;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return Ended::Broken(error.to_string()),
                }
            }
        }
    }
}
