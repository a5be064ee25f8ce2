//! One way through a proxy: from a socket into a queue, and from there, when it is due, into the other one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::conditions::{Conditions, Passage, WayConditions};
use crate::dice::Dice;

const CHUNK_BYTES: usize = 64 << 10;
/// Chunks on their way in one direction of a connection: 64 MiB when they are full.
const CHUNKS_MAX: usize = 1024;

/// The connection is of no more use: reset it.
#[derive(Debug)]
pub(super) struct Lost;

/// One way, for all connections of a proxy.
#[derive(Debug)]
pub(super) struct Way {
    /// Which of the conditions are its own.
    own: fn(&Conditions) -> &WayConditions,
    delivered_bytes: AtomicU64,
    line: Mutex<Line>,
}

/// What connections share: the line's capacity, and its chances.
#[derive(Debug)]
struct Line {
    free_at: Option<Instant>,
    dice: Dice,
}

/// A piece of the stream, or how it ended: that is news as well, which a cut keeps back.
struct Chunk {
    due: Instant,
    part: Part,
}

enum Part {
    Bytes(Bytes),
    End,
    Reset,
}

impl Part {
    fn length(&self) -> usize {
        match self {
            Part::Bytes(bytes) => bytes.len(),
            Part::End | Part::Reset => 0,
        }
    }
}

impl Way {
    pub(super) fn new(own: fn(&Conditions) -> &WayConditions) -> Self {
        let line = Line {
            free_at: None,
            dice: Dice::new(0),
        };
        Way {
            own,
            delivered_bytes: AtomicU64::new(0),
            line: Mutex::new(line),
        }
    }

    pub(super) fn delivered_bytes(&self) -> u64 {
        self.delivered_bytes.load(Ordering::Relaxed)
    }

    /// Passes a stream on until its end is through: a half-closed connection stays half-closed.
    pub(super) async fn pass(
        &self,
        from: ReadHalf<'_>,
        to: WriteHalf<'_>,
        conditions: watch::Receiver<Conditions>,
    ) -> Result<(), Lost> {
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        let taking = self.take(from, sender, conditions.clone());
        let giving = self.give(to, receiver, conditions);
        let taking = async {
            taking.await;
            Ok(())
        };
        tokio::try_join!(taking, giving)?;
        Ok(())
    }

    async fn take(
        &self,
        mut from: ReadHalf<'_>,
        chunks: mpsc::Sender<Chunk>,
        conditions: watch::Receiver<Conditions>,
    ) {
        let mut buffer = BytesMut::new();
        let mut last_due = Instant::now();
        loop {
            buffer.reserve(CHUNK_BYTES);
            let part = match from.read_buf(&mut buffer).await {
                Ok(0) => Part::End,
                Ok(_) => Part::Bytes(buffer.split().freeze()),
                Err(_) => Part::Reset,
            };
            let is_last = matches!(part, Part::End | Part::Reset);
            let now = *(self.own)(&conditions.borrow());
            // In order, whatever the jitter says.
            last_due = self.due(part.length(), &now).max(last_due);
            let due = last_due;
            let is_taken = chunks.send(Chunk { due, part }).await.is_ok();
            if is_last || !is_taken {
                return;
            }
        }
    }

    /// When so many bytes arrive that are sent now.
    fn due(&self, bytes: usize, way: &WayConditions) -> Instant {
        let now = Instant::now();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let through = match way.bytes_per_second {
            None => now,
            Some(rate) => {
                let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(rate.max(1));
                let takes = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
                line.free_at.map_or(now, |free_at| free_at.max(now)) + takes
            }
        };
        line.free_at = Some(through);
        let jitter = u64::try_from(way.jitter.as_micros()).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(line.dice.below(jitter.saturating_add(1)));
        through + way.delay + jitter
    }

    async fn give(
        &self,
        mut to: WriteHalf<'_>,
        mut chunks: mpsc::Receiver<Chunk>,
        mut conditions: watch::Receiver<Conditions>,
    ) -> Result<(), Lost> {
        while let Some(Chunk { due, part }) = chunks.recv().await {
            sleep_until(due).await;
            match self.passage(&mut conditions).await {
                Passage::Swallowed => return self.swallow(chunks, conditions).await,
                Passage::Open | Passage::Held => {}
            }
            let length = part.length() as u64;
            let given = match part {
                Part::Bytes(bytes) => to.write_all(&bytes).await,
                Part::End => to.shutdown().await,
                Part::Reset => return Err(Lost),
            };
            if given.is_err() {
                return Ok(()); // the other way tells of it, when and if it may
            }
            self.delivered_bytes.fetch_add(length, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What is to happen to bytes that are due, once it is decided.
    async fn passage(&self, conditions: &mut watch::Receiver<Conditions>) -> Passage {
        let is_decided = |now: &Conditions| (self.own)(now).passage != Passage::Held;
        let decided = conditions.wait_for(is_decided).await;
        decided.map_or(Passage::Open, |now| (self.own)(&now).passage)
    }

    /// Something was lost: nothing of this connection arrives any more, and when the way is open again, it
    /// is reset.
    async fn swallow(
        &self,
        mut chunks: mpsc::Receiver<Chunk>,
        mut conditions: watch::Receiver<Conditions>,
    ) -> Result<(), Lost> {
        let is_open = |now: &Conditions| (self.own)(now).passage == Passage::Open;
        let swallowing = async {
            while chunks.recv().await.is_some() {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = swallowing => {}
            _ = conditions.wait_for(is_open) => {}
        }
        Err(Lost)
    }
}
