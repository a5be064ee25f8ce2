//! The pulling end's connection: one task a link, which dials, reads frames, and dials again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use atoll_client::link::{self, LinkStream};
use atoll_replication::backoff::Backoff;
use atoll_replication::delivery::LinkId;
use atoll_replication::frame::Decoder;
use atoll_replication::message::Downstream;

use super::overview::{LinkBoard, Phase};

/// For the connection, and again for the answer: several round trips of the slowest link there may be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A source that says nothing for this long is taken for dead; it has heartbeats to send every second.
const SILENCE_MAX: Duration = Duration::from_secs(15);
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

static NEXT_LINK: AtomicU64 = AtomicU64::new(1);

/// What a link's connection tells the inbound task. `slot` is the link's place in the configuration.
pub(crate) enum Event {
    /// Connected: greet through `upstream`.
    Opened {
        slot: usize,
        link: LinkId,
        upstream: mpsc::Sender<Bytes>,
    },
    /// The source said something.
    Said {
        slot: usize,
        link: LinkId,
        message: Box<Downstream>,
    },
    /// Disconnected.
    Closed { slot: usize, link: LinkId },
}

/// Dials `endpoint` until `stop` is dropped. Paused or stopped by the board, it waits.
pub(crate) async fn keep_dialing(
    slot: usize,
    endpoint: String,
    board: Arc<LinkBoard>,
    events: mpsc::Sender<Event>,
    mut wanted: watch::Receiver<bool>,
    seed: u64,
) {
    let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MAX, seed);
    loop {
        if wanted.wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
        board.phase(slot, Phase::Connecting, None);
        let problem = match link::open(&endpoint, CONNECT_TIMEOUT).await {
            Ok(stream) => {
                let link = LinkId(NEXT_LINK.fetch_add(1, Ordering::Relaxed));
                let ended = read(slot, link, stream, &events, &mut wanted, &mut backoff).await;
                if events.send(Event::Closed { slot, link }).await.is_err() {
                    return;
                }
                ended
            }
            Err(error) => Some(error.to_string()),
        };
        if board.is_stopped(slot) || !*wanted.borrow() {
            continue;
        }
        let pause = backoff.failed();
        tracing::info!(link = %board.name(slot), problem, retry_ms = pause.as_millis(), "link down");
        board.phase(slot, Phase::BackingOff, problem);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// Reads frames until the connection ends; answers with why, `None` when it was wanted.
async fn read(
    slot: usize,
    link: LinkId,
    stream: LinkStream,
    events: &mpsc::Sender<Event>,
    wanted: &mut watch::Receiver<bool>,
    backoff: &mut Backoff,
) -> Option<String> {
    let LinkStream {
        upstream,
        mut downstream,
    } = stream;
    let mut decoder = Decoder::<Downstream>::new();
    if events
        .send(Event::Opened {
            slot,
            link,
            upstream,
        })
        .await
        .is_err()
    {
        return None;
    }
    loop {
        let chunk = tokio::select! {
            chunk = tokio::time::timeout(SILENCE_MAX, downstream.next()) => chunk,
            _ = wanted.wait_for(|wanted| !*wanted) => return None,
        };
        match chunk {
            Ok(Some(Ok(bytes))) => decoder.push(&bytes),
            Ok(Some(Err(error))) => return Some(error.to_string()),
            Ok(None) => return Some("the source ended the stream".into()),
            Err(_) => {
                return Some(format!(
                    "the source was silent for {} s",
                    SILENCE_MAX.as_secs()
                ));
            }
        }
        loop {
            match decoder.next() {
                Ok(Some(message)) => {
                    backoff.succeeded();
                    let message = Box::new(message);
                    if events
                        .send(Event::Said {
                            slot,
                            link,
                            message,
                        })
                        .await
                        .is_err()
                    {
                        return None;
                    }
                }
                Ok(None) => break,
                Err(error) => return Some(error.to_string()),
            }
        }
    }
}
