//! What a seed stands for: everything about a schedule that is decided before it begins.
//!
//! Each schedule has its own subset of faults ("swarm testing", Groce et al. 2012): with all of them all the
//! time, some bugs hide behind others. A *steady* schedule has none, and its copies are counted.

use std::fmt;
use std::time::Duration;

use atoll_core::{CollectionName, CollectionSpec, DataType, Policy, RegionName, UpdateDelete};
use atoll_replication::delivery::InboxLimits;
use atoll_replication::source::SourceLimits;
use atoll_replication::topology::{Shape, Topology};

use crate::clock::WallClock;
use crate::dice::Dice;
use crate::topology;

/// A way in which things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// A connection breaks, with all that is under way on it.
    DropStream,
    /// Two regions do not reach each other for a while.
    PartitionPair,
    /// A region reaches nobody for a while.
    PartitionRegion,
    /// A region cannot open connections to another for a while; the other can.
    CutOneWay,
    /// A region stands still for a while.
    Pause,
    /// A region loses power, and the end of what it had not synced.
    Crash,
    /// A region is stopped and started in good order.
    Restart,
    /// A wall clock jumps by up to an hour.
    ClockJump,
    /// A link is a hundred times slower for a while.
    SlowLink,
    /// Batches arrive twice.
    Duplicate,
    /// Proposals to the Raft group fail.
    FailProposals,
    /// The collections get other policies.
    Redeclare,
    /// The regions get another topology.
    Relink,
    /// Old ledger rows are dropped.
    Trim,
    /// Old idempotency keys are forgotten.
    Forget,
    /// A region joins, empty.
    Join,
    /// A region leaves.
    Leave,
    /// A region dies for good, and is removed by force.
    Die,
}

impl FaultKind {
    const ALL: [FaultKind; 18] = [
        FaultKind::DropStream,
        FaultKind::PartitionPair,
        FaultKind::PartitionRegion,
        FaultKind::CutOneWay,
        FaultKind::Pause,
        FaultKind::Crash,
        FaultKind::Restart,
        FaultKind::ClockJump,
        FaultKind::SlowLink,
        FaultKind::Duplicate,
        FaultKind::FailProposals,
        FaultKind::Redeclare,
        FaultKind::Relink,
        FaultKind::Trim,
        FaultKind::Forget,
        FaultKind::Join,
        FaultKind::Leave,
        FaultKind::Die,
    ];
}

/// A schedule, not yet played.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// The topology that regions are configured with.
    pub(crate) topology: Topology,
    pub(crate) regions: Vec<RegionName>,
    pub(crate) clocks: Vec<WallClock>,
    /// Longest time until a region is there.
    pub(crate) late_ms: u64,
    /// Milliseconds from one region to another: least and most.
    pub(crate) latency_ms: Vec<Vec<(u64, u64)>>,
    pub(crate) collections: Vec<CollectionSpec>,
    pub(crate) keys: u64,
    pub(crate) clients: usize,
    /// How often clients work, everything heals and all is checked.
    pub(crate) rounds: u32,
    /// Operations of one client in one round.
    pub(crate) operations: u64,
    /// Longest pause of a client between two operations.
    pub(crate) think_ms: u64,
    pub(crate) faults: Vec<FaultKind>,
    pub(crate) fault_every_ms: u64,
    /// Nothing goes wrong, and copies are counted.
    pub(crate) is_steady: bool,
    pub(crate) inbox: InboxLimits,
    pub(crate) source: SourceLimits,
    pub(crate) credit_bytes: u64,
    /// How often a region looks after its links.
    pub(crate) tend_ms: u64,
    /// How long a link is silent before another one stands in.
    pub(crate) failover_after: Duration,
    /// How long a connection is silent before it is given up.
    pub(crate) silence_max: Duration,
    /// In each round some regions stay dead or cut off while clients go on.
    pub(crate) holds: bool,
    /// In the end the links are looked at, too.
    pub(crate) awaits_return: bool,
    /// Longest time that each step of a commit takes.
    pub(crate) commit_ms: u64,
    /// Commits between two flushes, on average.
    pub(crate) flush_every: u64,
    /// Tends between two `Stable` commands, on average.
    pub(crate) stable_every: u64,
}

impl FaultKind {
    /// Whether it changes who the regions are.
    pub(crate) fn is_of_members(self) -> bool {
        matches!(self, FaultKind::Join | FaultKind::Leave | FaultKind::Die)
    }
}

impl Schedule {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let count = *dice.pick(&[2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7]);
        let regions: Vec<RegionName> = (0..count).map(region_name).collect();
        let is_steady = dice.one_in(6);
        let clients = 1 + dice.index(5);
        let most_operations = if count > 4 { 70 } else { 150 };
        let rounds = if dice.one_in(4) { 2 } else { 1 };
        let operations = dice.between(30, most_operations) / (clients as u64 * u64::from(rounds));
        let topology = topology::draw(&regions, dice);
        let latency_ms = latencies(count, is_steady, dice);
        let mut source = source_limits(is_steady, dice);
        let tend_ms = *dice.pick(&[20, 40, 80]);
        let failover_after = failover_after(&latency_ms, &source, tend_ms, dice);
        // What is slow need not be looked at often.
        source.heartbeat_min = source.heartbeat_min.max(failover_after / 16);
        let tend_ms = tend_ms.max(millis(failover_after / 24));
        Schedule {
            topology,
            clocks: (0..count).map(|_| WallClock::draw(dice)).collect(),
            late_ms: if is_steady {
                0
            } else {
                *dice.pick(&[0, 0, 0, 400])
            },
            latency_ms,
            collections: declare(&types(dice), &regions, dice),
            keys: dice.between(1, 3),
            clients,
            rounds,
            operations: operations.max(2),
            think_ms: *dice.pick(&[2, 10, 40, 100]),
            faults: if is_steady { vec![] } else { faults(dice) },
            fault_every_ms: *dice.pick(&[30, 120, 500]),
            is_steady,
            inbox: inbox_limits(is_steady, dice),
            source,
            credit_bytes: *dice.pick(&[600, 4_000, 64 << 10, 4 << 20, 4 << 20]),
            tend_ms,
            failover_after,
            silence_max: failover_after * *dice.pick(&[1, 2]),
            holds: !is_steady && count > 2 && dice.one_in(3),
            awaits_return: dice.one_in(4),
            commit_ms: *dice.pick(&[0, 1, 5, 20]),
            flush_every: *dice.pick(&[2, 8, 40]),
            stable_every: *dice.pick(&[2, 8, 40]),
            regions,
        }
    }

    /// There is one more region, as far away as some other one.
    pub(crate) fn grow(&mut self, dice: &mut Dice) {
        for row in &mut self.latency_ms {
            let like = *dice.pick(row);
            row.push(like);
        }
        let like = dice.pick(&self.latency_ms).clone();
        self.latency_ms.push(like);
    }

    /// Whether copies per entry are promised to be few: what links carry leaves no choice, and nothing fails.
    pub(crate) fn counts_copies(&self) -> bool {
        self.is_steady && matches!(self.topology.shape(), Shape::AllToAll | Shape::Ring { .. })
    }

    /// Within this time after the last change there is a way; see [`crate::invariants::always_a_way`].
    pub(crate) fn way_within(&self) -> Duration {
        let hop = slowest(&self.latency_ms)
            + self.source.heartbeat_min
            + Duration::from_millis(2 * self.tend_ms)
            + self.failover_after / 8;
        let hops = u32::try_from(self.latency_ms.len()).unwrap_or(u32::MAX);
        9 * self.failover_after + 2 * hops * hop + Duration::from_secs(1)
    }
}

/// The name of the region at a place.
pub(crate) fn region_name(place: usize) -> RegionName {
    format!("r{place}").parse().expect("a letter and a digit")
}

/// Some data types: with all of them, few writes meet.
fn types(dice: &mut Dice) -> Vec<DataType> {
    let mut all = DataType::ALL.to_vec();
    dice.shuffle(&mut all);
    all.truncate(1 + dice.index(all.len()));
    all
}

/// A collection of each type under policies at random.
pub(crate) fn declare(
    types: &[DataType],
    regions: &[RegionName],
    dice: &mut Dice,
) -> Vec<CollectionSpec> {
    let name = |data_type: DataType| -> CollectionName {
        let name = data_type.name().to_lowercase();
        name.parse().expect("letters")
    };
    let mut spec = |data_type| CollectionSpec {
        name: name(data_type),
        data_type,
        policy: policy(regions, dice),
        update_delete: *dice.pick(&UpdateDelete::ALL),
    };
    types.iter().map(|data_type| spec(*data_type)).collect()
}

fn policy(regions: &[RegionName], dice: &mut Dice) -> Policy {
    match dice.below(3) {
        0 => Policy::LastWriterWins,
        1 => Policy::KeepSiblings,
        _ => {
            let mut order = regions.to_vec();
            dice.shuffle(&mut order);
            order.truncate(1 + dice.index(order.len()));
            Policy::OriginPriority(order)
        }
    }
}

fn faults(dice: &mut Dice) -> Vec<FaultKind> {
    let mut all = FaultKind::ALL.to_vec();
    dice.shuffle(&mut all);
    all.truncate(1 + dice.index(all.len()));
    // Schedules in which members change take longer.
    if !dice.one_in(3) {
        all.retain(|kind| !kind.is_of_members());
    }
    all
}

fn latencies(count: usize, is_steady: bool, dice: &mut Dice) -> Vec<Vec<(u64, u64)>> {
    let base = *dice.pick(&[1, 10, 80]);
    let (far, jitter) = *dice.pick(&[(2, 2), (3, 2), (3, 3), (4, 3), (5, 3)]);
    let mut latency = || {
        if is_steady {
            return (base, base + 5);
        }
        let least = *dice.pick(&[1, 5, 20, 80, 250][..far]);
        (least, least + *dice.pick(&[0, 3, 50][..jitter]))
    };
    let mut from_one = || (0..count).map(|_| latency()).collect();
    (0..count).map(|_| from_one()).collect()
}

/// Round trips within its half and heartbeats within its third: a link that is only slow is not silent.
fn failover_after(
    latency_ms: &[Vec<(u64, u64)>],
    source: &SourceLimits,
    tend_ms: u64,
    dice: &mut Dice,
) -> Duration {
    let least = 5 * slowest(latency_ms)
        + 4 * source.heartbeat_min
        + Duration::from_millis(6 * tend_ms + 100);
    least * *dice.pick(&[1, 2])
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The longest that a message takes.
fn slowest(latency_ms: &[Vec<(u64, u64)>]) -> Duration {
    let all = latency_ms.iter().flatten().map(|(_, most)| *most);
    Duration::from_millis(all.max().unwrap_or_default())
}

fn inbox_limits(is_steady: bool, dice: &mut Dice) -> InboxLimits {
    let ms = Duration::from_millis;
    if is_steady {
        return InboxLimits::default();
    }
    InboxLimits {
        waiting_bytes: *dice.pick(&[800, 8_000, 64 << 20]),
        ask_after: *dice.pick(&[None, Some(ms(10)), Some(ms(50)), Some(ms(200))]),
        ask_interval: ms(*dice.pick(&[50, 500])),
        prune_after: *dice.pick(&[1, 4, 16]),
        graft_after: ms(*dice.pick(&[50, 500])),
    }
}

fn source_limits(is_steady: bool, dice: &mut Dice) -> SourceLimits {
    let ms = Duration::from_millis;
    let usual = SourceLimits {
        heartbeat_every: ms(1000),
        heartbeat_min: ms(*dice.pick(&[50, 200])),
        ..SourceLimits::default()
    };
    if is_steady {
        return usual;
    }
    SourceLimits {
        batch_bytes: *dice.pick(&[1, 1_000, 256 << 10]),
        batch_entries: *dice.pick(&[1, 3, 2000]),
        scan_bytes: *dice.pick(&[500, 4 << 20]),
        wants: *dice.pick(&[1, 64]),
        ..usual
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} regions, {} clients with {} operations in each of {} rounds, {} keys",
            self.regions.len(),
            self.clients,
            self.operations,
            self.rounds,
            self.keys
        )?;
        writeln!(f, "{:?}", self.topology.shape())?;
        writeln!(f, "failover after {:?}", self.failover_after)?;
        writeln!(
            f,
            "faults {:?} every {} ms",
            self.faults, self.fault_every_ms
        )?;
        for spec in &self.collections {
            writeln!(
                f,
                "{}: {:?}, {:?}",
                spec.name, spec.policy, spec.update_delete
            )?;
        }
        write!(f, "{:?}\n{:?}", self.inbox, self.source)
    }
}
