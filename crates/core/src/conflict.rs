//! Which versions are in conflict, and the ledger rows that follow.
//!
//! A version *v* of a slot has a row when some version *w* of the same slot is concurrent with it
//! (neither's context covers the other's dot) and disagrees; the row names the smallest such *w* by
//! (time, replica id). Both grow monotonically with the set of entries, so regions that hold the same
//! entries hold the same rows, whatever the order of arrival. A row's id derives from the slot and the
//! two dots: two versions that name each other share one row.
//!
//! Cost. History is kept by class and origin in sequence order. An arriving version looks at one
//! smallest candidate per origin, and marks those that it is the first of its origin to meet: every
//! version is marked at most once per origin, so a hot key stays linear. The early stop is sound because
//! an origin's dependencies only grow: if *w* has met an earlier entry of this origin that it had not
//! seen, then so has every earlier version of *w*'s origin that the arriving entry has not seen.
//!
//! A narrowed context is concurrent, beyond that, with what its writer's region still showed when it
//! wrote ([`standing`]): versions replaced before are nobody's conflict with it. This makes it safe to
//! forget history below the stable vector: what is forgotten can never be a partner again.

use crate::content::Class;
use crate::hash::Hash;
use crate::ids::{Dot, ReplicaId};
use crate::slot::{ConflictMark, HistoryEnd, Partner, Slot, Superseded, Version};
use crate::state::{ConflictId, LedgerRow, ReadState, SlotName, WriteState};
use crate::version_vector::VersionVector;

/// What an arriving version had seen.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// All that its origin had applied.
    pub dependencies: &'a VersionVector,
    /// What its writer had seen; equal to or less than the dependencies.
    pub context: &'a VersionVector,
}

impl Seen<'_> {
    /// Whether the writer saw less than its region.
    fn is_narrowed(&self) -> bool {
        !self.context.covers_all(self.dependencies)
    }
}

/// Enters `version`, which is about to join `slot`, into the ledger against all that is concurrent with
/// it: the siblings left in `slot` and the slot's history. Answers with how many rows are new.
///
/// # Errors
/// When the state cannot be read.
pub fn record<S: WriteState>(
    state: &mut S,
    at: &SlotName,
    slot: &mut Slot,
    version: &mut Version,
    seen: Seen<'_>,
) -> Result<usize, S::Error> {
    let class = version.content.class();
    let mut fresh = 0;
    let mut smallest: Option<(Partner, Class, bool)> = None;
    let mut offer = |partner: Partner, class: Class, creates: bool| {
        if smallest.is_none_or(|(known, ..)| partner.rank() < known.rank()) {
            smallest = Some((partner, class, creates));
        }
    };

    for sibling in &mut slot.siblings {
        if sibling.content.class().disagrees_with(class) {
            offer(
                sibling.as_partner(),
                sibling.content.class(),
                sibling.creates,
            );
            let one = Side::of(sibling);
            fresh += meet(state, at, one, &mut sibling.conflict, version)?;
        }
    }
    for end in slot.history.clone() {
        if !end.class.disagrees_with(class) {
            continue;
        }
        for mut past in concurrent_history(state, at, slot, end, version, seen)? {
            offer(past.as_partner(), past.class, past.creates);
            let before = past.conflict.clone();
            let one = Side::of_superseded(&past);
            fresh += meet(state, at, one, &mut past.conflict, version)?;
            if past.conflict != before {
                state.put_history(at, &past);
            }
        }
    }

    if let Some((partner, partner_class, partner_creates)) = smallest {
        version.conflict.partner = Some(partner);
        let other = Side {
            partner,
            class: partner_class,
            creates: partner_creates,
        };
        fresh += name(state, at, Side::of(version), other)?;
    }
    Ok(fresh)
}

/// The superseded versions of one class and origin that matter to an arriving version: the smallest
/// concurrent one, and all that it is the first of its origin to meet.
fn concurrent_history<S: WriteState>(
    state: &S,
    at: &SlotName,
    slot: &Slot,
    end: HistoryEnd,
    version: &Version,
    seen: Seen<'_>,
) -> Result<Vec<Superseded>, S::Error> {
    let HistoryEnd { class, first, last } = end;
    let origin = last.replica;
    let mut found: Vec<Superseded> = Vec::new();
    let unseen_from = seen.dependencies.get(origin) + 1;
    if last.seq >= unseen_from {
        let mine = version.dot.replica;
        state.history(
            at,
            class,
            origin,
            (unseen_from, u64::MAX),
            true,
            &mut |past| {
                let met = past.conflict.met.contains(&mine);
                if !met {
                    found.push(past);
                }
                !met
            },
        )?;
        state.history(
            at,
            class,
            origin,
            (unseen_from, u64::MAX),
            false,
            &mut |past| {
                if found.iter().all(|f| f.dot != past.dot) {
                    found.push(past);
                }
                false
            },
        )?;
    }
    if seen.is_narrowed() && seen.context.get(origin) < seen.dependencies.get(origin) {
        let from = first.max(seen.context.get(origin) + 1);
        let between = (from, seen.dependencies.get(origin));
        let mut candidates = Vec::new();
        if between.0 <= between.1 {
            state.history(at, class, origin, between, false, &mut |past| {
                // Replaced by something that the writer's region had: it no longer stood there.
                if !seen.dependencies.covers(past.by) {
                    candidates.push(past);
                }
                true
            })?;
        }
        for past in candidates {
            if standing(state, at, slot, past.dot, seen.dependencies)? {
                found.push(past);
            }
        }
    }
    Ok(found)
}

/// Whether the version `dot` still stood in the state that holds exactly the entries of `vector`: nothing
/// within `vector` that wrote to the slot, or cleared it from above, has it in its context.
fn standing<S: ReadState>(
    state: &S,
    at: &SlotName,
    slot: &Slot,
    dot: Dot,
    vector: &VersionVector,
) -> Result<bool, S::Error> {
    let mut later = dots_within(state, at, slot, vector)?;
    for path in at.path.above() {
        let above = SlotName { path, ..at.clone() };
        let slot = state.slot(&above)?;
        later.extend(dots_within(state, &above, &slot, vector)?);
    }
    for candidate in later {
        if candidate != dot
            && state
                .context_of(at, candidate)?
                .is_some_and(|context| context.covers(dot))
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The dots of all versions of a slot that `vector` covers, superseded ones included.
fn dots_within<S: ReadState>(
    state: &S,
    at: &SlotName,
    slot: &Slot,
    vector: &VersionVector,
) -> Result<Vec<Dot>, S::Error> {
    let siblings = slot.siblings.iter().map(|v| v.dot);
    let mut dots: Vec<Dot> = siblings.filter(|dot| vector.covers(*dot)).collect();
    for end in &slot.history {
        let last = vector.get(end.last.replica);
        if last < end.first {
            continue;
        }
        let all = (end.first, last);
        state.history(at, end.class, end.last.replica, all, true, &mut |past| {
            dots.push(past.dot);
            true
        })?;
    }
    Ok(dots)
}

/// One side of a row.
#[derive(Debug, Clone, Copy)]
struct Side {
    partner: Partner,
    class: Class,
    creates: bool,
}

impl Side {
    fn of(version: &Version) -> Side {
        Side {
            partner: version.as_partner(),
            class: version.content.class(),
            creates: version.creates,
        }
    }

    fn of_superseded(version: &Superseded) -> Side {
        Side {
            partner: version.as_partner(),
            class: version.class,
            creates: version.creates,
        }
    }
}

/// Lets a stored version meet the arriving one: it takes it as its partner when it is the smallest yet.
fn meet<S: WriteState>(
    state: &mut S,
    at: &SlotName,
    one: Side,
    mark: &mut ConflictMark,
    arriving: &Version,
) -> Result<usize, S::Error> {
    let other = Side::of(arriving);
    if let Err(place) = mark.met.binary_search(&arriving.dot.replica) {
        mark.met.insert(place, arriving.dot.replica);
    }
    match mark.partner {
        Some(known) if known.rank() <= other.partner.rank() => return Ok(0),
        Some(known) => unname(state, at, one, known)?,
        None => {}
    }
    mark.partner = Some(other.partner);
    name(state, at, one, other)
}

/// Writes down that `one` names `other`; answers 1 when the row is new.
fn name<S: WriteState>(
    state: &mut S,
    at: &SlotName,
    one: Side,
    other: Side,
) -> Result<usize, S::Error> {
    let id = conflict_id(at, one.partner.dot, other.partner.dot);
    let known = state.ledger_row(id)?;
    let fresh = known.is_none();
    let one_is_first = one.partner.rank() < other.partner.rank();
    let mut row = known.unwrap_or_else(|| {
        let (first, second) = if one_is_first {
            (one, other)
        } else {
            (other, one)
        };
        LedgerRow {
            at: at.clone(),
            first: first.partner,
            second: second.partner,
            classes: (first.class, second.class),
            creates: first.creates && second.creates,
            named_by_first: false,
            named_by_second: false,
        }
    });
    row.named_by_first |= one_is_first;
    row.named_by_second |= !one_is_first;
    state.put_ledger_row(id, &row, fresh);
    Ok(usize::from(fresh))
}

/// Takes back that `one` names `known`; a row that nobody names goes.
fn unname<S: WriteState>(
    state: &mut S,
    at: &SlotName,
    one: Side,
    known: Partner,
) -> Result<(), S::Error> {
    let id = conflict_id(at, one.partner.dot, known.dot);
    let Some(mut row) = state.ledger_row(id)? else {
        return Ok(()); // trimmed
    };
    if one.partner.rank() < known.rank() {
        row.named_by_first = false;
    } else {
        row.named_by_second = false;
    }
    if row.named_by_first || row.named_by_second {
        state.put_ledger_row(id, &row, false);
    } else {
        state.remove_ledger_row(id, &row);
    }
    Ok(())
}

/// The name of the conflict between two versions of a slot: a hash of the slot and the two dots in order
/// (see [`struct@Hash`]).
#[must_use]
pub fn conflict_id(at: &SlotName, a: Dot, b: Dot) -> ConflictId {
    let mut hash = Hash::new();
    let mut feed = |bytes: &[u8]| hash.feed(bytes);
    feed(at.collection.as_str().as_bytes());
    feed(&[0]);
    feed(
        &u32::try_from(at.key.as_bytes().len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    feed(at.key.as_bytes());
    feed(at.path.as_bytes());
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    for Dot {
        replica: ReplicaId(replica),
        seq,
    } in [low, high]
    {
        feed(&replica.to_be_bytes());
        feed(&seq.to_be_bytes());
    }
    ConflictId(hash.value())
}

impl std::fmt::Display for ConflictId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for ConflictId {
    type Err = crate::ids::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = "must be 32 hexadecimal digits, as listed by /v1/conflicts";
        let bad = || crate::ids::InvalidName {
            what: "conflict id",
            given: text.chars().take(64).collect(),
            rule,
        };
        if text.len() != 32 {
            return Err(bad());
        }
        u128::from_str_radix(text, 16)
            .map(ConflictId)
            .map_err(|_| bad())
    }
}
