//! The node's view of its region and of the others, for people and the operator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_api::http::{
    ClockState, ClockStatus, CollectionStatus, Convergence, PeerStatus, Progress, Readiness, Status,
};
use atoll_api::manifest::{ConflictsSpec, DataType, DeclaredCollection, Role};
use atoll_core::collection::Regions;
use atoll_core::{CollectionSpec, Policy, Timestamp, UpdateDelete, VersionVector};

use atoll_store::{StoreError, query};

use crate::node::Inner;
use crate::tls::NodeTls;

const COUNTED_EVERY: Duration = Duration::from_secs(2);

/// The status now.
pub(crate) fn of(inner: &Inner) -> Status {
    let catalog = inner.published.catalog();
    let regions = &catalog.regions;
    let mine = inner.published.vector();
    let now = inner.clock.elapsed();
    let me = inner.identity.replica;

    let peers: Vec<PeerStatus> = regions
        .iter()
        .filter(|(replica, _)| *replica != me)
        .map(|(replica, _)| PeerStatus {
            region: regions.shown(replica),
            vector: shown(regions, &inner.peers.durable(replica).unwrap_or_default()),
            heard_seconds_ago: inner
                .peers
                .heard_at(replica)
                .map(|at| now.saturating_sub(at).as_secs_f64()),
        })
        .collect();
    let links = inner.board.list(now);
    let behind = |replica| {
        !inner
            .peers
            .durable(replica)
            .is_some_and(|v| v.covers_all(&mine))
    };
    let missing: u64 = regions
        .iter()
        .filter_map(|(replica, _)| inner.peers.durable(replica))
        .map(|vector| vector.ahead_of(&mine))
        .max()
        .unwrap_or(0);
    let all_known = inner.config.peers.len() < regions.iter().count();
    let all_have_mine = !regions
        .iter()
        .any(|(replica, _)| replica != me && behind(replica));
    Status {
        store: inner.config.store.name.clone(),
        region: inner.config.region.clone(),
        replica: me.to_string(),
        state: regions.state(me).map(crate::members::shown_state),
        join: inner.join_progress(),
        role: Role::Leader,
        leader: leader(inner),
        node: inner.me.name.clone(),
        vector: shown(regions, &mine),
        stable: inner.stable().map(|stable| shown(regions, &stable)),
        peers,
        clock: clock(inner, regions),
        collections: catalog
            .collections
            .values()
            .map(|spec| {
                let declared = DeclaredCollection::from(spec.clone());
                CollectionStatus {
                    name: spec.name.to_string(),
                    data_type: declared.data_type,
                    conflicts: conflicts(declared),
                }
            })
            .collect(),
        convergence: Convergence {
            converged: all_known && missing == 0 && all_have_mine,
            lag_seconds: links
                .iter()
                .map(|link| link.lag_seconds)
                .fold(0.0, f64::max),
            lag_entries: missing,
            open_conflicts: inner.open_conflicts.load(Ordering::Relaxed),
        },
        topology: inner.board.topology(),
        tls: inner.tls.as_ref().map(NodeTls::status),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Whether the region's log has what every region's begins with: its name, and the collections as configured.
fn is_begun(inner: &Inner) -> bool {
    let catalog = inner.published.catalog();
    let is_announced = catalog.regions.name(inner.identity.replica).is_some();
    let declares = inner
        .config
        .collections
        .as_ref()
        .is_some_and(|c| !c.is_empty());
    is_announced && (!declares || !catalog.collections.is_empty())
}

/// The leader's address, while there is one.
fn leader(inner: &Inner) -> Option<String> {
    if inner.group.leads() {
        return Some(inner.me.address.clone());
    }
    inner.group.leader().map(|(_, member)| member.address)
}

/// Counts the ledger rows that nobody has resolved, now and then, after something arrived. Only policies that
/// keep several versions leave any.
pub(crate) async fn count_open_conflicts(inner: Arc<Inner>) {
    let mut arrivals = inner.published.arrivals();
    loop {
        let counting = Arc::clone(&inner);
        match inner
            .surroundings
            .work
            .run(move || open_conflicts(&counting))
            .await
        {
            Ok(Ok(open)) => inner.open_conflicts.store(open, Ordering::Relaxed),
            Ok(Err(error)) => tracing::warn!(%error, "open conflicts could not be counted"),
            Err(error) => tracing::warn!(%error, "open conflicts were not counted"),
        }
        tokio::time::sleep(COUNTED_EVERY).await;
        if arrivals.changed().await.is_err() {
            return;
        }
    }
}

fn open_conflicts(inner: &Inner) -> Result<u64, StoreError> {
    let catalog = inner.published.catalog();
    let keeps_several = |spec: &&CollectionSpec| {
        spec.policy == Policy::KeepSiblings || spec.update_delete == UpdateDelete::KeepBoth
    };
    let mut open = 0;
    for spec in catalog.collections.values().filter(keeps_several) {
        inner.engine.snapshot(|read| {
            let from = Timestamp::default();
            query::conflicts(
                read,
                &catalog,
                from,
                None,
                Some(&spec.name),
                &mut |conflict| {
                    open += u64::from(conflict.resolved.is_none());
                    true
                },
            )
        })?;
    }
    Ok(open)
}

/// Whether requests are welcome now.
pub(crate) fn readiness(inner: &Inner) -> Readiness {
    let join = inner.join_progress();
    let progress = if inner.published.failed().is_some() {
        Progress::Failed
    } else if inner.is_draining() {
        Progress::Draining
    } else if inner.published.is_replacing() || !is_begun(inner) {
        Progress::Starting
    } else if !inner.group.leads() && inner.group.leader().is_none() {
        Progress::Electing
    } else if join.is_some() {
        Progress::Joining
    } else {
        Progress::Serving
    };
    Readiness {
        ready: progress == Progress::Serving,
        progress,
        join,
    }
}

fn clock(inner: &Inner, regions: &Regions) -> ClockStatus {
    let now = inner.clock.elapsed();
    let max = inner.config.objectives.max_clock_skew.as_duration();
    let offsets = inner.peers.offsets(now);
    let state = match inner.peers.clock_off_by(max, now) {
        Some(_) => ClockState::Skewed,
        None if offsets.is_empty() => ClockState::Unknown,
        None => ClockState::Good,
    };
    // What is measured is the peer's clock minus this one's; shown is how far this one is ahead.
    let ahead = offsets
        .into_iter()
        .map(|(replica, ms)| (regions.shown(replica), seconds(-ms)));
    ClockStatus {
        state,
        offset_seconds: ahead.collect::<BTreeMap<_, _>>(),
        max_skew_seconds: max.as_secs_f64(),
    }
}

/// What is shown of concurrent writes; nothing for types that merge.
fn conflicts(declared: DeclaredCollection) -> Option<ConflictsSpec> {
    match declared.data_type {
        DataType::Counter | DataType::Set => None,
        DataType::Register | DataType::Document | DataType::Map => Some(declared.conflicts.into()),
    }
}

fn seconds(ms: i64) -> f64 {
    let whole = std::time::Duration::from_millis(ms.unsigned_abs()).as_secs_f64();
    if ms < 0 { -whole } else { whole }
}

fn shown(regions: &Regions, vector: &VersionVector) -> atoll_api::http::Vector {
    vector
        .iter()
        .map(|(replica, seq)| (regions.shown(replica), seq))
        .collect()
}
