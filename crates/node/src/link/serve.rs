//! The serving end of a link: one task a puller, from its Hello to the end of its stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use atoll_core::{Dot, RegionName, VersionVector, wire};
use atoll_replication::frame::{Decoder, Encoder};
use atoll_replication::log::{Arrived, Log};
use atoll_replication::message::{Batch, Downstream, Upstream, Welcome};
use atoll_replication::source::{Source, SourceLimits};
use atoll_store::{Arrival, StoreError};

use crate::node::Inner;
use crate::telemetry::EntryResult;

/// Frames under way to the connection.
const FRAMES_UNDER_WAY: usize = 8;

/// Serves a puller whose upstream frames come in `upstream`; the answer carries the downstream frames.
pub(crate) fn serve(node: Arc<Inner>, upstream: Body) -> Body {
    let (frames, mut outgoing) = mpsc::channel::<Bytes>(FRAMES_UNDER_WAY);
    let stopping = node.closing.clone();
    node.tasks.clone().spawn(async move {
        tokio::select! {
            ended = converse(&node, upstream.into_data_stream(), &frames) => if let Err(why) = ended {
                tracing::info!(%why, "a link served here ended");
            },
            () = stopping.cancelled() => {}
        }
    });
    let stream = futures_util::stream::poll_fn(move |cx| outgoing.poll_recv(cx));
    Body::from_stream(stream.map(Ok::<_, Infallible>))
}

async fn converse(
    node: &Inner,
    mut upstream: BodyDataStream,
    frames: &mpsc::Sender<Bytes>,
) -> Result<(), String> {
    let mut decoder = Decoder::<Upstream>::new();
    let mut encoder = Encoder::new();
    let mut source = loop {
        if let Some(message) = decoder.next().map_err(|e| e.to_string())? {
            let Upstream::Hello(hello) = message else {
                return Err("the first frame is no Hello".into());
            };
            let me = Welcome {
                store: node.identity.store,
                region: node.identity.region.clone(),
                replica: node.identity.replica,
            };
            let regions = &node.published.catalog().regions;
            if regions.is_retired(hello.replica) {
                let who = regions.shown(hello.replica);
                return Err(format!("{who} is retired and pulls nothing any more"));
            }
            break Source::new(hello, me, SourceLimits::default()).map_err(|e| e.to_string())?;
        }
        push(&mut decoder, upstream.next().await)?;
    };
    tracing::info!(target_region = %source.target_region(), "a link is served");

    let mut shipped = Shipped::to(node, source.target_region());
    let log = RegionLog { node };
    let mut arrivals = node.published.arrivals();
    let mut revision = node.peers.revision();
    loop {
        if node.published.is_replacing() {
            return Err(
                "this node's state is being replaced; ask another node of the region".into(),
            );
        }
        arrivals.mark_unchanged();
        revision.mark_unchanged();
        hold(node, &mut source);
        loop {
            let (now, began) = (node.clock.now(), node.metrics.traces().begin());
            let next = source.next(&log, &node.peers.knowledge(), now);
            let Some(message) = next.map_err(|e| e.to_string())? else {
                break;
            };
            if frames.send(encoder.encode(&message)).await.is_err() {
                return Ok(());
            }
            if let Downstream::Batch(batch) = &message {
                shipped.tell(node, &source, batch, began);
            }
        }
        let wake = source.wakeup().saturating_sub(node.clock.elapsed());
        tokio::select! {
            chunk = upstream.next() => {
                push(&mut decoder, chunk)?;
                while let Some(message) = decoder.next().map_err(|e| e.to_string())? {
                    hear(node, &mut source, message)?;
                }
            }
            _ = arrivals.changed() => {}
            _ = revision.changed() => {}
            () = tokio::time::sleep(wake) => {}
        }
    }
}

/// A region that joins is sent nothing before all members know that it is to come.
fn hold(node: &Inner, source: &mut Source) {
    let (target, name) = (source.target(), source.target_region());
    let feeds = node.standing(|standing| standing.feeds(target, name));
    if source.hold(!feeds) {
        let target_region = source.target_region();
        if feeds {
            tracing::info!(%target_region, "a region that joins is sent entries now");
        } else {
            let why = "not all members know of the topology that names it";
            tracing::info!(%target_region, why, "a region that joins is sent no entries yet");
        }
    }
}

fn push(
    decoder: &mut Decoder<Upstream>,
    chunk: Option<Result<Bytes, axum::Error>>,
) -> Result<(), String> {
    match chunk {
        Some(Ok(bytes)) => decoder.push(&bytes),
        Some(Err(error)) => return Err(error.to_string()),
        None => return Err("the target ended the stream".into()),
    }
    Ok(())
}

fn hear(node: &Inner, source: &mut Source, message: Upstream) -> Result<(), String> {
    let (now, target) = (node.clock.now(), source.target());
    node.peers.heard(target, now.elapsed);
    if let Upstream::Ping(ping) = &message {
        let offset = i64::try_from(ping.sent_ms).unwrap_or(i64::MAX)
            - i64::try_from(now.wall_ms).unwrap_or(i64::MAX);
        node.peers.read_clock(target, offset, false, now.elapsed);
    }
    if let Some(ack) = source.on_frame(message, now).map_err(|e| e.to_string())? {
        node.peers.learn(|knowledge| {
            knowledge.learn(target, &ack.vector);
            knowledge.learn_matrix(&ack.known);
            knowledge.learn_hearing(&ack.hearing);
        });
    }
    Ok(())
}

/// What is told of entries that were handed to a link's connection.
struct Shipped {
    /// `from:to`.
    link: String,
    to: String,
    /// Entries of other regions that were counted.
    relayed: u64,
}

impl Shipped {
    fn to(node: &Inner, target: &RegionName) -> Shipped {
        Shipped {
            link: format!("{}:{target}", node.identity.region),
            to: target.to_string(),
            relayed: 0,
        }
    }

    fn tell(&mut self, node: &Inner, source: &Source, batch: &Batch, began: Option<SystemTime>) {
        let relayed = source.relayed() - self.relayed;
        if relayed > 0 {
            self.relayed += relayed;
            node.metrics
                .entries(&self.link, EntryResult::Relayed, relayed);
        }
        // Entries are looked into for traces alone.
        let Some(began) = began else { return };
        let mut rest = batch.entries.clone();
        let (traces, from) = (node.metrics.traces(), node.identity.region.as_str());
        while let Some(frame) = wire::next_frame(&mut rest) {
            if let Ok(origin) = wire::decode_origin(&frame) {
                traces.shipped(&origin.trace, began, from, &self.to);
            }
        }
    }
}

/// The region's log as a link reads it: recent entries from memory, older ones from the disk.
struct RegionLog<'a> {
    node: &'a Inner,
}

impl Log for RegionLog<'_> {
    type Error = StoreError;

    fn end(&self) -> u64 {
        self.node.published.arrival() + 1
    }

    fn start_for(&self, vector: &VersionVector) -> Result<u64, StoreError> {
        self.node.log.start_for(vector)
    }

    fn read(
        &self,
        from: u64,
        max_bytes: usize,
        visit: &mut dyn FnMut(Arrived) -> bool,
    ) -> Result<u64, StoreError> {
        let end = self.end();
        let (mut next, mut bytes) = (from, 0);
        let mut show = |arrival: Arrival| {
            // Entries of a group being committed are on the disk before they are published: not yet.
            if arrival.index >= end || bytes > max_bytes {
                return false;
            }
            let Arrival {
                index,
                dot,
                sender,
                frame,
            } = arrival;
            bytes += frame.len();
            let goes_on = visit(Arrived {
                arrival: index,
                dot,
                sender,
                frame,
            });
            if goes_on {
                next = index + 1;
            }
            goes_on
        };
        match self.node.published.tail(from, max_bytes) {
            Some(recent) => {
                for arrival in recent {
                    if !show(arrival) {
                        break;
                    }
                }
            }
            None => self.node.log.read(from, &mut show)?,
        }
        Ok(next)
    }

    fn entry(&self, dot: Dot) -> Result<Option<Bytes>, StoreError> {
        Ok(self.node.log.entry(dot)?.map(|arrival| arrival.frame))
    }

    fn vector(&self) -> VersionVector {
        (*self.node.published.vector()).clone()
    }
}
