//! Since when regions are known to be equal: each had, and has now, all that the other had at that time.
//!
//! What a region has is a vector, and state and ledger are functions of the entries, so this is proof, not a guess.
//! While both write, no two vectors are ever equal; hence times. Marks get coarser with age, never wrong.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use atoll_core::{ReplicaId, VersionVector};

/// Enough for months.
const MARKS: usize = 256;
/// How much older than it is a proof may be shown to be: a sixteenth.
const COARSENESS: u32 = 16;
const MARK_EVERY: Duration = Duration::from_millis(250);

/// What one region knows of its equality with others.
#[derive(Debug, Clone, Default)]
pub struct Proofs {
    /// What this region had, oldest first.
    marks: Marks,
    peers: BTreeMap<ReplicaId, Peer>,
}

#[derive(Debug, Clone, Default)]
struct Peer {
    /// It has all that this region had then.
    has_ours: Option<Duration>,
    /// This region has all that it had then.
    has_theirs: Option<Duration>,
    /// What it had, as far as this region lacks some of it.
    marks: Marks,
}

/// Vectors and when they were had, oldest first.
#[derive(Debug, Clone, Default)]
struct Marks(VecDeque<(Duration, VersionVector)>);

impl Marks {
    fn push(&mut self, now: Duration, vector: &VersionVector) {
        if let Some((last, _)) = self.0.back()
            && now < *last + MARK_EVERY
        {
            return;
        }
        if self.0.len() >= MARKS {
            self.thin(now);
        }
        self.0.push_back((now, vector.clone()));
    }

    /// Leaves out marks whose neighbours are near each other for their age.
    fn thin(&mut self, now: Duration) {
        let mut last: Option<Duration> = None;
        let all = std::mem::take(&mut self.0);
        let nexts: Vec<Duration> = all.iter().skip(1).map(|(at, _)| *at).collect();
        for (i, mark) in all.into_iter().enumerate() {
            let coarse = now.saturating_sub(mark.0) / COARSENESS;
            let is_dense = match (last, nexts.get(i)) {
                (Some(last), Some(next)) => next.saturating_sub(last) <= coarse,
                (None, _) | (_, None) => false,
            };
            if !is_dense {
                last = Some(mark.0);
                self.0.push_back(mark);
            }
        }
        if self.0.len() >= MARKS {
            self.0.pop_front();
        }
    }

    /// The latest time at which no more was had than `vector` covers; what is older is dropped.
    fn reached(&mut self, vector: &VersionVector) -> Option<Duration> {
        let covered = |(_, had): &(Duration, VersionVector)| vector.covers_all(had);
        let count = self.0.iter().take_while(|mark| covered(mark)).count();
        self.0.drain(..count).next_back().map(|(at, _)| at)
    }
}

impl Proofs {
    /// This region has `mine` now, and `durable` says what others were heard to have, at any time.
    pub fn look<'a>(
        &mut self,
        mine: &VersionVector,
        durable: impl Fn(ReplicaId) -> Option<&'a VersionVector>,
        now: Duration,
    ) {
        self.marks.push(now, mine);
        for (replica, peer) in &mut self.peers {
            if let Some(vector) = durable(*replica) {
                let all = self.marks.0.iter().rev();
                let mut reached = all.filter(|(_, had)| vector.covers_all(had));
                let reached = reached.next().map(|(at, _)| *at);
                peer.has_ours = peer.has_ours.max(reached);
            }
            peer.has_theirs = peer.has_theirs.max(peer.marks.reached(mine));
        }
    }

    /// A peer says that it has `vector` now.
    pub fn heard(&mut self, peer: ReplicaId, vector: &VersionVector, now: Duration) {
        self.peers.entry(peer).or_default().marks.push(now, vector);
    }

    /// Since when each peer that was heard is known to be equal; `None` when it never was.
    pub fn proved(&self) -> impl Iterator<Item = (ReplicaId, Option<Duration>)> + '_ {
        let since = |peer: &Peer| Some(peer.has_ours?.min(peer.has_theirs?));
        self.peers
            .iter()
            .map(move |(replica, peer)| (*replica, since(peer)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    const A: ReplicaId = ReplicaId(1);
    const B: ReplicaId = ReplicaId(2);

    fn vector(a: u64, b: u64) -> VersionVector {
        [(A, a), (B, b)]
            .into_iter()
            .filter(|(_, seq)| *seq > 0)
            .collect()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A's proofs of B.
    fn since(proofs: &Proofs) -> Option<u128> {
        let (_, since) = proofs.proved().find(|(replica, _)| *replica == B)?;
        since.map(|since| since.as_millis())
    }

    #[test]
    fn regions_at_rest_are_equal_as_of_the_last_look() {
        let (mut proofs, both) = (Proofs::default(), vector(3, 4));
        assert_eq!(since(&proofs), None);
        for at in [0, 1000, 2000] {
            proofs.heard(B, &both, ms(at));
            proofs.look(&both, |_| Some(&both), ms(at));
        }
        assert_eq!(since(&proofs), Some(2000));
    }

    #[test]
    fn while_either_lacks_something_the_proof_grows_old() {
        let mut proofs = Proofs::default();
        let both = vector(1, 1);
        proofs.heard(B, &both, ms(0));
        proofs.look(&both, |_| Some(&both), ms(0));
        for at in [1000, 2000, 3000] {
            // B goes on and nothing of it arrives.
            proofs.heard(B, &vector(1, 1 + at), ms(at));
            proofs.look(&both, |_| Some(&both), ms(at));
        }
        assert_eq!(since(&proofs), Some(0));
        proofs.look(&vector(1, 2001), |_| Some(&both), ms(4000));
        assert_eq!(
            since(&proofs),
            Some(2000),
            "B has had nothing more of ours to get"
        );
        // A goes on and B hears nothing of it.
        let mine = vector(9, 3001);
        for at in [5000, 6000] {
            proofs.heard(B, &vector(1, 3001), ms(at));
            proofs.look(&mine, |_| Some(&both), ms(at));
        }
        assert_eq!(
            since(&proofs),
            Some(3000),
            "the last time at which A had no more than B has"
        );
    }

    /// Against what is true: a region is proved equal as of no later time than it was.
    #[test]
    fn no_proof_is_younger_than_the_truth_however_long_a_peer_is_behind() {
        let mut proofs = Proofs::default();
        let (behind_ms, step_ms) = (90_000_u64, 250);
        for at in (0..400_000_u64).step_by(step_ms) {
            let arrived = at.saturating_sub(behind_ms);
            let theirs = vector(arrived, at + 1);
            let mine = vector(at + 1, arrived);
            proofs.heard(B, &theirs, ms(at));
            proofs.look(&mine, |_| Some(&theirs), ms(at));
            if let Some(since) = since(&proofs) {
                assert!(since <= u128::from(arrived), "{since} at {at}");
            }
        }
        let age = 400_000 - since(&proofs).unwrap();
        assert!(age < 100_000, "marks are coarse, and still there: {age}");
    }
}
