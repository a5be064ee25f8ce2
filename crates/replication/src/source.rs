//! The sending end of one link: decides what goes out next.
//!
//! Order: the welcome, clock answers, what the target asked for, an overdue heartbeat, entries in order of
//! arrival, a heartbeat when something changed. Order of arrival respects causality (SEMANTICS 13) and is
//! kept. Nothing is remembered about a target but its vector, its credit and a position in the log, so a
//! link resumes from a vector alone.

use std::collections::VecDeque;
use std::time::Duration;

use atoll_core::{Dot, RegionName, ReplicaId, StoreId, VersionVector};

use crate::Now;
use crate::draft::Draft;
use crate::knowledge::Knowledge;
use crate::log::{Arrived, Log};
use crate::message::{
    Ack, Batch, Carries, Downstream, Heartbeat, Hello, LINK_VERSION, Pong, Upstream, Want, Welcome,
};

/// Bounds of a [`Source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLimits {
    /// Bytes of entries in a batch; a larger entry goes alone.
    pub batch_bytes: usize,
    /// Entries in a batch.
    pub batch_entries: usize,
    /// Bytes of the log looked through in one call of [`Source::next`].
    pub scan_bytes: usize,
    /// Bytes beyond the credit that may go out as answers to questions.
    pub want_bytes: u64,
    /// Questions kept; more are forgotten, and the target asks again.
    pub wants: usize,
    /// A heartbeat at least this often.
    pub heartbeat_every: Duration,
    /// And at most this often.
    pub heartbeat_min: Duration,
}

impl Default for SourceLimits {
    fn default() -> Self {
        SourceLimits {
            batch_bytes: 256 << 10,
            batch_entries: 2000,
            scan_bytes: 4 << 20,
            want_bytes: 1 << 20,
            wants: 64,
            heartbeat_every: Duration::from_secs(1),
            heartbeat_min: Duration::from_millis(50),
        }
    }
}

/// Why a target is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another conversation.
    #[error("link version {0} is asked for; this node speaks {LINK_VERSION}")]
    Version(u32),
    /// Another store.
    #[error("this is store {mine}, not {theirs}")]
    OtherStore {
        /// The source's.
        mine: StoreId,
        /// The target's.
        theirs: StoreId,
    },
    /// The target is this region itself.
    #[error("a region does not replicate from itself")]
    Itself,
    /// A second greeting.
    #[error("a second Hello on one link")]
    SecondHello,
}

/// The sending end of one link.
pub struct Source {
    me: Welcome,
    target: ReplicaId,
    target_region: RegionName,
    limits: SourceLimits,
    carries: Carries,
    pruned: Vec<ReplicaId>,
    /// What the target is known to have.
    known: VersionVector,
    /// `None`: to be found from `known`.
    position: Option<u64>,
    /// The log's end when the link was opened.
    opened_at: Option<u64>,
    credit: u64,
    sent: u64,
    /// Entries sent that other regions wrote.
    relayed: u64,
    consumed: u64,
    /// At most so many of the bytes not consumed were sent before the target started over. They may wait there
    /// for what comes now, so they take none of its credit.
    before_resume: u64,
    wants: VecDeque<Want>,
    pongs: VecDeque<Pong>,
    welcomed: bool,
    more: bool,
    /// It is sent no entries for now.
    is_held: bool,
    beat: Beat,
}

/// What the last heartbeat said.
#[derive(Default)]
struct Beat {
    at: Option<Duration>,
    vector: VersionVector,
    revision: u64,
    outdated: bool,
}

impl Source {
    /// The sending end for the target that said `hello`; `me` is this region.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn new(hello: Hello, me: Welcome, limits: SourceLimits) -> Result<Source, Refused> {
        let Hello {
            version,
            store,
            region,
            replica,
            vector,
            carries,
            credit_bytes,
            pruned,
        } = hello;
        if version != u32::from(LINK_VERSION) {
            return Err(Refused::Version(version));
        }
        if store != me.store {
            return Err(Refused::OtherStore {
                mine: me.store,
                theirs: store,
            });
        }
        if replica == me.replica {
            return Err(Refused::Itself);
        }
        Ok(Source {
            me,
            target: replica,
            target_region: region,
            limits,
            carries,
            pruned,
            known: vector,
            position: None,
            opened_at: None,
            credit: credit_bytes,
            sent: 0,
            relayed: 0,
            consumed: 0,
            before_resume: 0,
            wants: VecDeque::new(),
            pongs: VecDeque::new(),
            welcomed: false,
            more: false,
            is_held: false,
            beat: Beat::default(),
        })
    }

    /// Holds entries back, or no longer; says whether that is a change. Heartbeats go on.
    pub fn hold(&mut self, is_held: bool) -> bool {
        std::mem::replace(&mut self.is_held, is_held) != is_held
    }

    /// The target's replica id.
    #[must_use]
    pub fn target(&self) -> ReplicaId {
        self.target
    }

    /// The target region.
    #[must_use]
    pub fn target_region(&self) -> &RegionName {
        &self.target_region
    }

    /// Takes in what the target said. An acknowledgement is handed back: its vectors are for [`Knowledge`].
    ///
    /// # Errors
    /// [`Refused::SecondHello`].
    pub fn on_frame(&mut self, frame: Upstream, now: Now) -> Result<Option<Ack>, Refused> {
        match frame {
            Upstream::Hello(_) => return Err(Refused::SecondHello),
            Upstream::Ack(ack) => {
                self.known.merge(&ack.vector);
                self.consumed = self.consumed.max(ack.consumed_bytes);
                self.before_resume = self.before_resume.min(self.unconsumed_bytes());
                return Ok(Some(ack));
            }
            Upstream::Want(want) => {
                if self.wants.len() < self.limits.wants {
                    self.wants.push_back(want);
                }
            }
            Upstream::Resume(resume) => {
                self.known = resume.vector;
                self.carries = resume.carries;
                self.pruned = resume.pruned;
                self.position = None;
                self.before_resume = self.unconsumed_bytes();
            }
            Upstream::Prune(origins) => self.pruned = origins,
            Upstream::Ping(ping) => {
                let pong = Pong {
                    id: ping.id,
                    sent_ms: ping.sent_ms,
                    source_ms: now.wall_ms,
                };
                self.pongs.truncate(self.limits.wants);
                self.pongs.push_back(pong);
            }
        }
        Ok(None)
    }

    /// What to send next; `None` until the log grows, the target speaks or [`Source::wakeup`] comes.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn next<L: Log + ?Sized>(
        &mut self,
        log: &L,
        knowledge: &Knowledge,
        now: Now,
    ) -> Result<Option<Downstream>, L::Error> {
        if !self.welcomed {
            self.welcomed = true;
            self.opened_at = Some(log.end());
            return Ok(Some(Downstream::Welcome(self.me.clone())));
        }
        if let Some(pong) = self.pongs.pop_front() {
            return Ok(Some(Downstream::Pong(pong)));
        }
        if !self.is_held
            && let Some(batch) = self.answer(log)?
        {
            return Ok(Some(Downstream::Batch(batch)));
        }
        if self
            .beat
            .at
            .is_none_or(|at| now.elapsed >= at + self.limits.heartbeat_every)
        {
            return Ok(Some(self.heartbeat(log.vector(), knowledge, now)));
        }
        if !self.is_held
            && let Some(batch) = self.batch(log)?
        {
            return Ok(Some(Downstream::Batch(batch)));
        }
        let vector = log.vector();
        self.beat.outdated =
            vector != self.beat.vector || knowledge.revision() != self.beat.revision;
        if self.beat.outdated && now.elapsed >= self.beat_earliest() {
            return Ok(Some(self.heartbeat(vector, knowledge, now)));
        }
        Ok(None)
    }

    /// When to call [`Source::next`] again if nothing happens before; may be in the past.
    #[must_use]
    pub fn wakeup(&self) -> Duration {
        let answers = !self.wants.is_empty() && self.may_send(self.limits.want_bytes);
        let entries = !self.is_held && (self.more || answers);
        if !self.welcomed || entries || !self.pongs.is_empty() {
            return Duration::ZERO;
        }
        match self.beat.at {
            None => Duration::ZERO,
            Some(_) if self.beat.outdated => self.beat_earliest(),
            Some(at) => at + self.limits.heartbeat_every,
        }
    }

    /// Entries of the log not looked at yet for this link: the most that may be queued.
    pub fn backlog<L: Log + ?Sized>(&self, log: &L) -> u64 {
        self.position
            .map_or(0, |position| log.end().saturating_sub(position))
    }

    /// Entries sent so far that other regions wrote.
    #[must_use]
    pub fn relayed(&self) -> u64 {
        self.relayed
    }

    /// Bytes of entries sent and not yet consumed.
    #[must_use]
    pub fn unconsumed_bytes(&self) -> u64 {
        self.sent.saturating_sub(self.consumed)
    }

    fn beat_earliest(&self) -> Duration {
        self.beat
            .at
            .map_or(Duration::ZERO, |at| at + self.limits.heartbeat_min)
    }

    fn heartbeat(&mut self, vector: VersionVector, knowledge: &Knowledge, now: Now) -> Downstream {
        self.beat = Beat {
            at: Some(now.elapsed),
            vector: vector.clone(),
            revision: knowledge.revision(),
            outdated: false,
        };
        Downstream::Heartbeat(Heartbeat {
            source_ms: now.wall_ms,
            vector,
            known: knowledge.matrix(),
            regions: knowledge.regions(),
            hearing: knowledge.hearing(),
        })
    }

    fn may_send(&self, beyond: u64) -> bool {
        self.charged_bytes() < self.credit.saturating_add(beyond)
    }

    /// What takes credit: bytes not consumed, but for those that were sent before the target started over.
    fn charged_bytes(&self) -> u64 {
        self.unconsumed_bytes().saturating_sub(self.before_resume)
    }

    /// The next entries in order of arrival that the target lacks.
    fn batch<L: Log + ?Sized>(&mut self, log: &L) -> Result<Option<Batch>, L::Error> {
        self.more = false;
        if !self.may_send(0) {
            return Ok(None);
        }
        let from = match self.position {
            Some(position) => position,
            None => log.start_for(&self.known)?,
        };
        self.position = Some(from);
        if from >= log.end() {
            return Ok(None);
        }
        let left = usize::try_from(self.credit - self.charged_bytes()).unwrap_or(usize::MAX);
        let mut draft = Draft::new(self.limits.batch_bytes.min(left), self.limits.batch_entries);
        let mut relayed = 0;
        let next = log.read(from, self.limits.scan_bytes, &mut |arrived| {
            if !self.passes(&arrived) {
                return true;
            }
            let is_taken = draft.add(&arrived.frame);
            relayed += u64::from(is_taken && arrived.dot.replica != self.me.replica);
            is_taken
        })?;
        self.relayed += relayed;
        self.position = Some(next);
        self.more = next < log.end();
        Ok(draft.finish(&mut self.sent))
    }

    fn passes(&self, arrived: &Arrived) -> bool {
        let origin = arrived.dot.replica;
        let carried = match self.carries {
            Carries::OwnEntries => origin == self.me.replica,
            Carries::Everything => true,
        };
        // What the target wrote or sent before this link was opened it may have lost since: there the vector
        // decides. What it wrote since then comes back to the end of a ring, and it has that.
        let from_target = (origin == self.target || arrived.sender == Some(self.target))
            && self
                .opened_at
                .is_some_and(|opened| arrived.arrival >= opened);
        carried && !from_target && !self.pruned.contains(&origin) && !self.known.covers(arrived.dot)
    }

    /// What the target asked for, as far as this region has it.
    fn answer<L: Log + ?Sized>(&mut self, log: &L) -> Result<Option<Batch>, L::Error> {
        while self.may_send(self.limits.want_bytes) {
            let Some(want) = self.wants.front_mut() else {
                break;
            };
            let mut draft = Draft::new(self.limits.batch_bytes, self.limits.batch_entries);
            let mut answered = false;
            while !answered {
                match log.entry(Dot::new(want.origin, want.from))? {
                    Some(frame) if draft.add(&frame) => {
                        self.relayed += u64::from(want.origin != self.me.replica);
                        answered = want.from >= want.to;
                        want.from += 1;
                    }
                    Some(_) => break,
                    None => answered = true,
                }
            }
            if answered {
                self.wants.pop_front();
            }
            if let Some(batch) = draft.finish(&mut self.sent) {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
