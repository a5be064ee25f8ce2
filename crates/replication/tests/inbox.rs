//! What one inbox does with entries that come early, twice, too many or unreadable.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use atoll_core::wire::{BadFrame, decode_entry, encode_entry};
use atoll_core::{Dot, Entry, ReplicaId, Timestamp, VersionVector};
use atoll_replication::delivery::{InboxLimits, LinkId, Received};
use atoll_replication::inbox::Inbox;
use atoll_replication::message::{Batch, Carries, Heartbeat, Upstream, Want};

const A: ReplicaId = ReplicaId(1);
const B: ReplicaId = ReplicaId(2);
const FROM_A: LinkId = LinkId(10);
const FROM_B: LinkId = LinkId(20);

fn vector(components: &[(ReplicaId, u64)]) -> VersionVector {
    components.iter().copied().collect()
}

/// An entry that depends on its predecessor and on `dependencies`.
fn entry(replica: ReplicaId, seq: u64, dependencies: &[(ReplicaId, u64)]) -> Bytes {
    let mut known = vector(dependencies);
    known.raise(Dot::new(replica, seq - 1));
    encode_entry(&Entry {
        dot: Dot::new(replica, seq),
        time: Timestamp::from_millis(1),
        dependencies: known,
        operations: Vec::new(),
        trace: Bytes::new(),
        announces: None,
        member: None,
        layout: None,
        idempotency: None,
    })
}

fn batch(entries: &[Bytes]) -> Batch {
    let mut all = BytesMut::new();
    entries.iter().for_each(|e| all.extend_from_slice(e));
    let count = u32::try_from(entries.len()).unwrap();
    Batch {
        min_reader: 1,
        count,
        entries: all.freeze(),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn inbox(limits: InboxLimits) -> Inbox {
    let mut inbox = Inbox::new(VersionVector::new(), limits);
    inbox.open(FROM_A, A, Carries::Everything, &[]);
    inbox.open(FROM_B, B, Carries::Everything, &[]);
    // Nothing was there when they were opened.
    for link in [FROM_A, FROM_B] {
        inbox.on_heartbeat(link, &Heartbeat::default());
    }
    inbox
}

fn give(inbox: &mut Inbox, link: LinkId, entries: &[Bytes], at: u64) -> Received {
    inbox.on_batch(link, &batch(entries), ms(at)).unwrap()
}

fn taken(inbox: &mut Inbox) -> Vec<(u64, u64)> {
    inbox
        .take_ready(usize::MAX)
        .iter()
        .map(|r| (r.dot.replica.0, r.dot.seq))
        .collect()
}

#[test]
fn an_entry_waits_for_its_dependencies_and_says_how_long() {
    let mut inbox = inbox(InboxLimits::default());
    let early = [entry(B, 1, &[(A, 2)]), entry(B, 2, &[])];
    assert_eq!(give(&mut inbox, FROM_B, &early, 0).waiting, 2);
    assert_eq!(give(&mut inbox, FROM_A, &[entry(A, 1, &[])], 10).ready, 1);
    assert_eq!(taken(&mut inbox), [(1, 1)]);
    give(&mut inbox, FROM_A, &[entry(A, 2, &[])], 30);
    let ready = inbox.take_ready(usize::MAX);
    let waited: Vec<_> = ready
        .iter()
        .map(|r| (r.dot.replica, r.dot.seq, r.waited))
        .collect();
    assert_eq!(waited, [(A, 2, ms(0)), (B, 1, ms(30)), (B, 2, ms(30))]);
}

#[test]
fn the_second_copy_is_counted_and_its_credit_given_back_at_once() {
    let mut inbox = inbox(InboxLimits::default());
    let first = entry(A, 1, &[]);
    give(&mut inbox, FROM_A, std::slice::from_ref(&first), 0);
    assert_eq!(
        give(&mut inbox, FROM_B, std::slice::from_ref(&first), 0).duplicates,
        1
    );
    assert_eq!(inbox.consumed(FROM_B), first.len() as u64);
    assert_eq!(inbox.consumed(FROM_A), 0, "not applied yet");
    assert_eq!(taken(&mut inbox), [(1, 1)]);
    inbox.applied(&vector(&[(A, 1)]), ms(5));
    assert_eq!(inbox.consumed(FROM_A), first.len() as u64);
}

#[test]
fn what_a_failed_proposal_held_is_handed_out_again_in_order() {
    let mut inbox = inbox(InboxLimits::default());
    give(
        &mut inbox,
        FROM_A,
        &[entry(A, 1, &[]), entry(A, 2, &[]), entry(A, 3, &[])],
        0,
    );
    assert_eq!(inbox.take_ready(1).len(), 1, "at least one");
    assert_eq!(inbox.take_ready(entry(A, 2, &[]).len()).len(), 1);
    inbox.proposal_failed();
    inbox.applied(&vector(&[(A, 1)]), ms(1));
    assert_eq!(taken(&mut inbox), [(1, 2), (1, 3)]);
}

/// Caught: copies of others dropped while one waits that is let go; what was handed out still counted as there; the
/// credit of what was let go not given back.
#[test]
fn what_is_let_go_comes_again_by_all_links() {
    let mut inbox = inbox(InboxLimits::default());
    let (first, late) = (entry(A, 1, &[]), entry(A, 3, &[]));
    let bytes = (first.len() + late.len()) as u64;
    give(&mut inbox, FROM_A, &[first.clone(), late.clone()], 0);
    assert_eq!(
        give(&mut inbox, FROM_B, std::slice::from_ref(&late), 0).duplicates,
        1
    );
    assert_eq!(taken(&mut inbox), [(1, 1)]);
    assert!(!inbox.turn_away(|_| false, ms(1)));
    assert!(inbox.turn_away(|sender| sender == A, ms(1)));
    assert_eq!((inbox.ready(), inbox.waiting()), ((0, 0), (0, 0)));
    let said = inbox.say(ms(2));
    let resumes = |link| {
        said.iter().any(|(to, frame)| {
            *to == link && matches!(frame, Upstream::Resume(r) if r.vector == VersionVector::new())
        })
    };
    assert!(resumes(FROM_A) && resumes(FROM_B), "{said:?}");
    assert_eq!(inbox.consumed(FROM_A), bytes);
    let again = [first, entry(A, 2, &[]), late];
    assert_eq!(give(&mut inbox, FROM_B, &again, 3).ready, 3);
    assert_eq!(taken(&mut inbox), [(1, 1), (1, 2), (1, 3)]);
}

#[test]
fn what_came_another_way_is_dropped_and_wakes_others() {
    let mut inbox = inbox(InboxLimits::default());
    give(
        &mut inbox,
        FROM_B,
        &[entry(B, 2, &[]), entry(B, 3, &[(A, 4)])],
        0,
    );
    inbox.applied(&vector(&[(A, 4), (B, 2)]), ms(7));
    assert_eq!(inbox.waiting(), (0, 0));
    assert_eq!(taken(&mut inbox), [(2, 3)]);
}

#[test]
fn a_poison_entry_stops_its_link_and_keeps_what_came_before() {
    let good = entry(A, 1, &[]);
    let mut newer = entry(A, 2, &[]).to_vec();
    newer[2] = 9;
    let mut damaged = entry(A, 2, &[]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let cut = entry(A, 2, &[]).slice(..20);
    let mut hostile = decode_entry(&entry(A, 2, &[])).unwrap();
    hostile.time = Timestamp(u64::MAX);
    let check = |bad: Bytes| {
        let mut inbox = inbox(InboxLimits::default());
        let poison = inbox
            .on_batch(FROM_A, &batch(&[good.clone(), bad]), ms(0))
            .unwrap_err();
        assert_eq!(poison.link, FROM_A);
        inbox.close(FROM_A);
        assert_eq!(
            give(&mut inbox, FROM_B, &[entry(B, 1, &[(A, 1)])], 1).ready,
            1
        );
        assert_eq!(taken(&mut inbox), [(1, 1), (2, 1)]);
        poison.error
    };
    assert_eq!(check(newer.into()), BadFrame::UnknownVersion(9));
    assert_eq!(check(damaged.into()), BadFrame::Checksum);
    assert!(matches!(check(cut), BadFrame::Cut { .. }));
    let beyond = BadFrame::BeyondClocks(hostile.time);
    assert_eq!(check(encode_entry(&hostile)), beyond);
}

#[test]
fn a_batch_whose_count_is_wrong_is_poison() {
    let mut inbox = inbox(InboxLimits::default());
    let mut short = batch(&[entry(A, 1, &[]), entry(A, 2, &[])]);
    short.count = 1;
    assert!(matches!(
        inbox.on_batch(FROM_A, &short, ms(0)).unwrap_err().error,
        BadFrame::Malformed(_)
    ));
}

/// Nobody is a source of region 3 any more, and B has an entry of it.
///
/// Caught: a link that carries own entries left as it is; a region that joined a mesh never got what those had
/// written that had left it.
#[test]
fn what_no_link_brings_is_brought_by_one_that_announces_it() {
    let mut inbox = Inbox::new(VersionVector::new(), InboxLimits::default());
    inbox.open(FROM_A, A, Carries::OwnEntries, &[]);
    inbox.open(FROM_B, B, Carries::OwnEntries, &[]);
    let gone = ReplicaId(3);
    let heartbeat = |components: &[(ReplicaId, u64)]| Heartbeat {
        vector: vector(components),
        ..Heartbeat::default()
    };
    inbox.on_heartbeat(FROM_A, &heartbeat(&[(A, 2)]));
    inbox.on_heartbeat(FROM_B, &heartbeat(&[(B, 1), (gone, 1)]));
    for at in [0, 2000, 3900] {
        assert_eq!(inbox.say(ms(at)), []);
    }
    let said = inbox.say(ms(4000));
    let [(FROM_B, Upstream::Resume(resume))] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(
        (resume.carries, &resume.pruned[..]),
        (Carries::Everything, &[A][..])
    );
    assert_eq!(
        give(&mut inbox, FROM_B, &[entry(gone, 1, &[])], 4100).ready,
        1
    );
    assert_eq!(inbox.say(ms(9000)), []);
}

fn wants(inbox: &mut Inbox, at: u64) -> Vec<(LinkId, u64, u64)> {
    let want = |(link, said)| match said {
        Upstream::Want(Want { from, to, .. }) => (link, from, to),
        other => panic!("{other:?}"),
    };
    inbox.say(ms(at)).into_iter().map(want).collect()
}

#[test]
fn missing_entries_are_asked_for_once_per_interval_of_one_link_after_the_other() {
    let mut inbox = inbox(InboxLimits {
        ask_after: Some(ms(50)),
        ask_interval: ms(500),
        ..InboxLimits::default()
    });
    inbox.on_heartbeat(
        FROM_A,
        &Heartbeat {
            vector: vector(&[(A, 9)]),
            ..Heartbeat::default()
        },
    );
    give(&mut inbox, FROM_B, &[entry(B, 1, &[(A, 3)])], 0);
    assert_eq!(wants(&mut inbox, 49), []);
    assert!(inbox.wakeup(ms(49)).unwrap() < ms(100));
    assert_eq!(
        wants(&mut inbox, 50),
        [(FROM_B, 1, 3)],
        "who delivered it has what it depends on"
    );
    assert_eq!(wants(&mut inbox, 400), []);
    give(&mut inbox, FROM_B, &[entry(B, 2, &[(A, 5)])], 400);
    assert_eq!(
        wants(&mut inbox, 460),
        [],
        "the first in line is asked for first"
    );
    assert_eq!(wants(&mut inbox, 550), [(FROM_A, 1, 3)]);
    give(
        &mut inbox,
        FROM_A,
        &[entry(A, 1, &[]), entry(A, 2, &[]), entry(A, 3, &[])],
        560,
    );
    assert_eq!(wants(&mut inbox, 570), [(FROM_B, 4, 5)]);
    give(
        &mut inbox,
        FROM_A,
        &[entry(A, 4, &[]), entry(A, 5, &[])],
        580,
    );
    assert_eq!(wants(&mut inbox, 5000), []);
    assert_eq!(inbox.wakeup(ms(5000)), None);
}

#[test]
fn what_waits_itself_is_not_asked_for() {
    let mut inbox = inbox(InboxLimits::default());
    let waiting = [entry(A, 3, &[]), entry(B, 1, &[(A, 3)])];
    give(&mut inbox, FROM_B, &waiting, 0);
    assert_eq!(wants(&mut inbox, 100), [(FROM_B, 1, 2)]);
}

#[test]
fn a_full_room_drops_the_youngest_of_the_fullest_link_which_starts_over() {
    let size = entry(A, 100, &[]).len();
    let mut inbox = inbox(InboxLimits {
        waiting_bytes: 4 * size,
        ask_after: None,
        ..InboxLimits::default()
    });
    give(&mut inbox, FROM_B, &[entry(B, 100, &[])], 0);
    let early: Vec<_> = (100..105).map(|seq| entry(A, seq, &[])).collect();
    assert_eq!(give(&mut inbox, FROM_A, &early, 0).dropped, 2);
    assert_eq!(inbox.waiting().0, 4);
    assert_eq!(
        give(&mut inbox, FROM_A, &[entry(A, 105, &[])], 1).dropped,
        1
    );
    assert_eq!(
        inbox.consumed(FROM_A),
        0,
        "a link that lost something has no credit to go on"
    );
    assert_eq!(inbox.say(ms(2)), []);
    inbox.applied(&vector(&[(A, 101)]), ms(3));
    let said = inbox.say(ms(3));
    let [(FROM_A, Upstream::Resume(resume))] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(resume.vector, vector(&[(A, 102)]));
    assert_eq!(inbox.consumed(FROM_A), 5 * size as u64);
}

#[test]
fn a_link_that_always_comes_second_is_told_to_leave_that_origin_out_until_the_other_fails() {
    let mut inbox = inbox(InboxLimits::default());
    let entries: Vec<_> = (1..=9).map(|seq| entry(A, seq, &[])).collect();
    give(&mut inbox, FROM_A, &entries, 0);
    give(&mut inbox, FROM_B, &entries, 1);
    assert_eq!(inbox.say(ms(1)), [(FROM_B, Upstream::Prune(vec![A]))]);
    give(&mut inbox, FROM_A, &entries, 2);
    assert_eq!(
        inbox.say(ms(2)),
        [],
        "the last link that brings an origin is never pruned"
    );
    inbox.close(FROM_A);
    let said = inbox.say(ms(3));
    let [(FROM_B, Upstream::Resume(resume))] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(
        (&resume.vector, &resume.pruned[..]),
        (&vector(&[(A, 9)]), &[][..])
    );
}

#[test]
fn a_pruned_link_is_grafted_when_what_it_announces_stays_away() {
    let mut inbox = inbox(InboxLimits::default());
    let entries: Vec<_> = (1..=9).map(|seq| entry(A, seq, &[])).collect();
    give(&mut inbox, FROM_A, &entries, 0);
    give(&mut inbox, FROM_B, &entries, 1);
    inbox.say(ms(1));
    let more = Heartbeat {
        vector: vector(&[(A, 12)]),
        ..Heartbeat::default()
    };
    inbox.on_heartbeat(FROM_B, &more);
    assert_eq!(inbox.say(ms(10)), []);
    assert!(inbox.wakeup(ms(10)).is_some());
    assert_eq!(inbox.say(ms(509)), []);
    assert!(matches!(
        inbox.say(ms(510))[..],
        [(FROM_B, Upstream::Resume(_))]
    ));
}

#[test]
fn ten_thousand_waiting_entries_are_woken_in_one_go() {
    let mut inbox = inbox(InboxLimits::default());
    let entries: Vec<_> = (1..=10_000).map(|seq| entry(B, seq, &[(A, seq)])).collect();
    assert_eq!(give(&mut inbox, FROM_B, &entries, 0).waiting, 10_000);
    let entries: Vec<_> = (1..=10_000).rev().map(|seq| entry(A, seq, &[])).collect();
    give(&mut inbox, FROM_A, &entries, 0);
    assert_eq!(inbox.ready().0, 20_000);
    assert_eq!(
        inbox.ready().1,
        inbox
            .take_ready(usize::MAX)
            .iter()
            .map(|r| r.frame.size())
            .sum::<usize>()
    );
}

/// Caught: every entry of a joining region's backlog asked for again and again while it was on its way.
#[test]
fn what_an_opened_link_is_about_to_bring_is_asked_of_nobody_else_while_it_comes() {
    let has = vector(&[(A, 100), (B, 100)]);
    let opened = |applied| {
        let mut inbox = Inbox::new(applied, InboxLimits::default());
        inbox.open(FROM_A, A, Carries::OwnEntries, &[]);
        inbox.open(FROM_B, B, Carries::OwnEntries, &[]);
        let heartbeat = Heartbeat {
            vector: has.clone(),
            ..Heartbeat::default()
        };
        inbox.on_heartbeat(FROM_A, &heartbeat);
        inbox.on_heartbeat(FROM_B, &heartbeat);
        inbox
    };
    let mut inbox = opened(VersionVector::new());
    let asked = |inbox: &mut Inbox, at| {
        let said = inbox.say(ms(at)).into_iter();
        said.filter(|(_, message)| matches!(message, Upstream::Want(_)))
            .count()
    };
    give(&mut inbox, FROM_A, &[entry(A, 1, &[])], 0);
    give(&mut inbox, FROM_B, &[entry(B, 1, &[(A, 100)])], 0);
    // B runs ahead; A comes slowly, and comes.
    for seq in 2..=20 {
        assert_eq!(asked(&mut inbox, seq * 100), 0, "while {seq} comes");
        give(&mut inbox, FROM_A, &[entry(A, seq, &[])], seq * 100);
    }
    assert_eq!(asked(&mut inbox, 2_400), 0);
    assert_eq!(asked(&mut inbox, 2_600), 1, "nothing has come for a while");
    // What was written since is no backlog.
    let mut inbox = opened(has.clone());
    give(&mut inbox, FROM_A, &[entry(A, 101, &[])], 0);
    give(&mut inbox, FROM_B, &[entry(B, 101, &[(A, 102)])], 0);
    assert_eq!(asked(&mut inbox, 100), 1, "as soon as it is waited for");
}
