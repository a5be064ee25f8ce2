//! The receiving end of all links of one region: what may be applied next, in causal order, once.
//!
//! An entry is ready when its sequence is next for its origin and its dependencies are covered by what is
//! applied or scheduled before it; until then it waits in a bounded room. Scheduled entries are kept until
//! they are applied, so a failed proposal is offered again. Entries of every link meet here; the vector drops
//! the second copy. A poison entry stops its own link and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use atoll_core::wire::{BadFrame, EntryFrame, decode_header};
use atoll_core::{Dot, Entry, ReplicaId, Timestamp, VersionVector};

use crate::asks::Asks;
use crate::backlog::Backlogs;
use crate::delivery::{InboxLimits, LinkId, Poison, Ready, Received};
use crate::message::{Batch, Carries, Heartbeat, Resume, Upstream, Want};
use crate::room::{Item, Room, first_missing};
use crate::routes::{Routes, Told};

#[derive(Debug)]
struct Link {
    sender: ReplicaId,
    consumed: u64,
    /// Since when it lost entries for want of room: what is early is not kept until it resumes.
    behind_since: Option<Duration>,
    /// Bytes of entries lost: given back as credit when it resumes, so that it does not go on in vain.
    lost: u64,
    /// Whether it has not said yet what it has: it brings that first.
    is_new: bool,
}

/// The receiving end of all links of one region.
#[derive(Debug)]
pub struct Inbox {
    limits: InboxLimits,
    applied: VersionVector,
    /// `applied`, what is in flight, and what is ready.
    scheduled: VersionVector,
    ready: VecDeque<Item>,
    ready_bytes: usize,
    in_flight: VecDeque<Item>,
    room: Room,
    links: BTreeMap<LinkId, Link>,
    routes: Routes,
    asks: Asks,
    backlogs: Backlogs,
    arrivals: u64,
}

impl Inbox {
    /// The inbox of a region that has applied `applied`.
    #[must_use]
    pub fn new(applied: VersionVector, limits: InboxLimits) -> Self {
        let routes = Routes::new(limits.prune_after, limits.graft_after);
        Inbox {
            limits,
            scheduled: applied.clone(),
            applied,
            ready: VecDeque::new(),
            ready_bytes: 0,
            in_flight: VecDeque::new(),
            room: Room::default(),
            links: BTreeMap::new(),
            routes,
            asks: Asks::default(),
            backlogs: Backlogs::default(),
            arrivals: 0,
        }
    }

    /// The vector to greet or resume a source with: all that is applied or scheduled.
    #[must_use]
    pub fn vector(&self) -> &VersionVector {
        &self.scheduled
    }

    /// The origins that open links bring: what a link that is to come quietly is to leave out.
    #[must_use]
    pub fn brought(&self) -> Vec<ReplicaId> {
        self.routes.brought(None).into_iter().collect()
    }

    /// A link was welcomed by `sender`, which was greeted with these origins to leave out.
    pub fn open(
        &mut self,
        link: LinkId,
        sender: ReplicaId,
        carries: Carries,
        pruned: &[ReplicaId],
    ) {
        self.links.insert(
            link,
            Link {
                sender,
                consumed: 0,
                behind_since: None,
                lost: 0,
                is_new: true,
            },
        );
        self.routes.open(link, sender, carries, pruned);
    }

    /// A link is gone. What it brought stays.
    pub fn close(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.routes.close(link);
    }

    /// From now on the link is to carry something else: [`Inbox::say`] tells it.
    pub fn carry(&mut self, link: LinkId, carries: Carries) {
        self.routes.carry(link, carries);
    }

    /// A heartbeat came by a link.
    pub fn on_heartbeat(&mut self, link: LinkId, heartbeat: &Heartbeat) {
        self.routes.announced(link, &heartbeat.vector);
        let Some(state) = self.links.get_mut(&link).filter(|state| state.is_new) else {
            return;
        };
        state.is_new = false;
        let sender = state.sender;
        let own_only = matches!(self.routes.terms(link), Some((Carries::OwnEntries, _)));
        for (origin, to) in heartbeat.vector.iter() {
            if !own_only || origin == sender {
                self.backlogs.announced(origin, to);
            }
        }
    }

    /// A batch came by a link.
    ///
    /// # Errors
    /// [`Poison`]; the entries before it are kept.
    pub fn on_batch(
        &mut self,
        link: LinkId,
        batch: &Batch,
        now: Duration,
    ) -> Result<Received, Poison> {
        let mut received = Received::default();
        let Some(sender) = self.links.get(&link).map(|l| l.sender) else {
            return Ok(received);
        };
        let mut rest = batch.entries.clone();
        for _ in 0..batch.count {
            let mut frame = EntryFrame::split(&mut rest).map_err(|error| Poison {
                link,
                dot: None,
                error,
            })?;
            let Header {
                dot,
                time,
                trace,
                dependencies,
            } = header(link, &mut frame)?;
            self.arrivals += 1;
            let item = Item {
                dot,
                time,
                trace,
                frame,
                link,
                sender,
                number: self.arrivals,
                since: now,
                waited: Duration::ZERO,
            };
            self.receive(item, dependencies, &mut received);
        }
        if !rest.is_empty() {
            let error = BadFrame::Malformed("bytes after the last entry of a batch".into());
            return Err(Poison {
                link,
                dot: None,
                error,
            });
        }
        self.make_room(now, &mut received);
        Ok(received)
    }

    fn receive(&mut self, item: Item, dependencies: VersionVector, received: &mut Received) {
        let (link, dot) = (item.link, item.dot);
        if self.scheduled.covers(dot) || self.room.contains(dot) {
            received.duplicates += 1;
            self.routes.second(link, dot.replica);
            self.consume(&item);
            return;
        }
        self.routes.first(link, dot.replica);
        if !self.is_behind(link) {
            self.backlogs.came(dot.replica, item.since);
        }
        match first_missing(dot, &dependencies, &self.scheduled) {
            None => {
                received.ready += 1;
                self.scheduled.raise(dot);
                let (now, before) = (item.since, self.ready.len());
                self.ready_bytes += item.frame.size();
                self.ready.push_back(item);
                self.wake(vec![dot.replica], now, before + 1);
            }
            Some(_) if self.is_behind(link) => {
                received.dropped += 1;
                self.lose(&item);
            }
            Some(missing) => {
                received.waiting += 1;
                self.room.hold(item, dependencies, missing);
            }
        }
    }

    fn wake(&mut self, origins: Vec<ReplicaId>, now: Duration, counted: usize) {
        self.room
            .wake(&mut self.scheduled, origins, now, &mut self.ready);
        let woken = self.ready.range(counted..);
        self.ready_bytes += woken.map(|item| item.frame.size()).sum::<usize>();
    }

    fn make_room(&mut self, now: Duration, received: &mut Received) {
        for item in self.room.evict(self.limits.waiting_bytes) {
            received.dropped += 1;
            self.lose(&item);
            // Whoever has sent it must send it again; when that link is gone, any of them may be the one.
            let known = self.links.contains_key(&item.link);
            for (&link, state) in &mut self.links {
                if link == item.link || state.sender == item.sender || !known {
                    state.behind_since.get_or_insert(now);
                }
            }
        }
    }

    fn is_behind(&self, link: LinkId) -> bool {
        self.links
            .get(&link)
            .is_some_and(|l| l.behind_since.is_some())
    }

    fn lose(&mut self, item: &Item) {
        if let Some(link) = self.links.get_mut(&item.link) {
            link.lost += item.frame.size() as u64;
        }
    }

    fn consume(&mut self, item: &Item) {
        if let Some(link) = self.links.get_mut(&item.link) {
            link.consumed += item.frame.size() as u64;
        }
    }

    /// Hands out what may be applied, in order, up to `bytes_max`; at least one entry if there is any.
    pub fn take_ready(&mut self, bytes_max: usize) -> Vec<Ready> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(item) = self.ready.front() {
            if bytes > 0 && bytes + item.frame.size() > bytes_max {
                break;
            }
            let Some(item) = self.ready.pop_front() else {
                break;
            };
            self.ready_bytes -= item.frame.size();
            if self.applied.covers(item.dot) {
                self.consume(&item);
                continue;
            }
            bytes += item.frame.size();
            taken.push(Ready {
                frame: item.frame.clone(),
                dot: item.dot,
                time: item.time,
                trace: item.trace.clone(),
                link: item.link,
                sender: item.sender,
                waited: item.waited,
            });
            self.in_flight.push_back(item);
        }
        taken
    }

    /// The region has committed and applied all of `vector`, by whatever way.
    pub fn applied(&mut self, vector: &VersionVector, now: Duration) {
        self.applied.merge(vector);
        let in_flight = std::mem::take(&mut self.in_flight);
        for item in in_flight {
            if self.applied.covers(item.dot) {
                self.consume(&item);
            } else {
                self.in_flight.push_back(item);
            }
        }
        let ahead = |&(r, seq): &(ReplicaId, u64)| seq > self.scheduled.get(r);
        let advanced: Vec<_> = vector.iter().filter(ahead).collect();
        for &(origin, seq) in &advanced {
            for item in self.room.take_covered(origin, seq) {
                self.consume(&item);
            }
            self.scheduled.raise(Dot::new(origin, seq));
        }
        let counted = self.ready.len();
        self.wake(
            advanced.into_iter().map(|(origin, _)| origin).collect(),
            now,
            counted,
        );
    }

    /// What was handed out and not applied may not have been committed: it is handed out again.
    pub fn proposal_failed(&mut self) {
        while let Some(item) = self.in_flight.pop_back() {
            self.ready_bytes += item.frame.size();
            self.ready.push_front(item);
        }
    }

    /// Takes nothing more of senders that were removed by force. When something is here that came from one, all that
    /// is not applied is let go, and all links begin anew from there: it may have taken the place of what others bring,
    /// or wait for what is lost. Says whether that was so.
    pub fn turn_away(&mut self, is_removed: impl Fn(ReplicaId) -> bool, now: Duration) -> bool {
        let held = self.ready.iter().chain(&self.in_flight);
        let mut held = held.chain(self.room.items());
        let is_any = held.any(|item| is_removed(item.sender));
        drop(held);
        if is_any {
            self.start_over(now);
        }
        is_any
    }

    fn start_over(&mut self, now: Duration) {
        let mut let_go = self.room.evict(0);
        let_go.extend(self.ready.drain(..).chain(self.in_flight.drain(..)));
        self.ready_bytes = 0;
        for item in &let_go {
            self.lose(item);
        }
        self.scheduled = self.applied.clone();
        for state in self.links.values_mut() {
            state.behind_since.get_or_insert(now);
        }
    }

    /// What to tell the sources now: questions for missing entries, origins to leave out, and where to start
    /// over. Each is returned once.
    pub fn say(&mut self, now: Duration) -> Vec<(LinkId, Upstream)> {
        self.routes.check(&self.scheduled, now);
        self.routes.serve_all(&self.scheduled, now);
        self.resume_links(now);
        let mut said = Vec::new();
        for (link, told) in self.routes.tell() {
            let Some((carries, pruned)) = self.routes.terms(link) else {
                continue;
            };
            let frame = match told {
                Told::UpToDate => continue,
                Told::Prune => Upstream::Prune(pruned),
                Told::Resume => Upstream::Resume(Resume {
                    vector: self.scheduled.clone(),
                    carries,
                    pruned,
                }),
            };
            said.push((link, frame));
        }
        let questions = self.questions(now).into_iter();
        said.extend(questions.map(|(link, want)| (link, Upstream::Want(want))));
        said
    }

    /// Links that lost entries start over when there is room, and after a while in any case: what the others
    /// wait for may be among the lost.
    fn resume_links(&mut self, now: Duration) {
        let is_room = self.room.bytes() <= self.limits.waiting_bytes / 2;
        for (&link, state) in &mut self.links {
            let Some(since) = state.behind_since else {
                continue;
            };
            if is_room || now.saturating_sub(since) >= self.limits.ask_interval {
                state.behind_since = None;
                state.consumed += std::mem::take(&mut state.lost);
                state.is_new = true;
                self.routes.resume(link);
            }
        }
    }

    fn questions(&mut self, now: Duration) -> Vec<(LinkId, Want)> {
        let Some(before) = self
            .limits
            .ask_after
            .and_then(|after| now.checked_sub(after))
        else {
            return Vec::new();
        };
        self.backlogs.forget(&self.scheduled);
        let mut gaps = self.room.gaps(&self.scheduled, before);
        let (backlogs, patience) = (&self.backlogs, self.limits.ask_interval);
        gaps.retain(|gap| !backlogs.is_coming(gap, patience, now));
        let (links, routes) = (&self.links, &self.routes);
        self.asks
            .questions(&gaps, self.limits.ask_interval, now, |gap| {
                let brought = links.contains_key(&gap.link).then_some(gap.link);
                let having = routes.having(Dot::new(gap.origin, gap.from));
                brought
                    .into_iter()
                    .chain(having.filter(|&l| Some(l) != brought))
                    .collect()
            })
    }

    /// When to call [`Inbox::say`] again if nothing arrives before; `None`: there is nothing to say.
    #[must_use]
    pub fn wakeup(&self, now: Duration) -> Option<Duration> {
        if self.routes.needs_telling() {
            return Some(now);
        }
        let asks = self.limits.ask_after.filter(|_| self.room.len() > 0);
        let grafts = self.routes.is_watching().then_some(self.limits.graft_after);
        let behind = self.links.values().any(|l| l.behind_since.is_some());
        let resumes = behind.then_some(self.limits.ask_interval);
        let shortest = asks.into_iter().chain(grafts).chain(resumes).min()? / 2;
        Some(now + shortest.max(Duration::from_millis(1)))
    }

    /// Bytes of a link's entries that were applied or dropped since it was opened: its source's credit.
    #[must_use]
    pub fn consumed(&self, link: LinkId) -> u64 {
        self.links.get(&link).map_or(0, |l| l.consumed)
    }

    /// Entries that wait for others, and their bytes.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        (self.room.len(), self.room.bytes())
    }

    /// Entries that are ready, and their bytes.
    #[must_use]
    pub fn ready(&self) -> (usize, usize) {
        (self.ready.len(), self.ready_bytes)
    }
}

/// What is looked at of an entry before it is applied.
struct Header {
    dot: Dot,
    time: Timestamp,
    trace: Bytes,
    dependencies: VersionVector,
}

/// Of an entry that can be read whole: nothing else may reach the region's log.
fn header(link: LinkId, frame: &mut EntryFrame) -> Result<Header, Poison> {
    let look = |entry: &Entry| Header {
        dot: entry.dot,
        time: entry.time,
        trace: entry.trace.clone(),
        dependencies: entry.dependencies.clone(),
    };
    frame.read(look).map_err(|error| {
        let dot = decode_header(frame.bytes()).ok().map(|(dot, ..)| dot);
        Poison { link, dot, error }
    })
}
