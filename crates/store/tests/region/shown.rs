//! All that regions share of their state: what they must agree on, and what pruning must not change.

use std::collections::BTreeMap;

use atoll_core::collection::Regions;
use atoll_core::counter::Counter;
use atoll_core::slot::Partner;
use atoll_core::state::{ConflictId, LedgerRow, SlotName};
use atoll_core::{CollectionSpec, Content, Dot, Policy, Timestamp, UpdateDelete};
use atoll_store::Catalog;
use atoll_store::engine::{Engine, Family};
use atoll_store::query::{self, Conflict};
use atoll_store::records::{ledger_row, slot, slot_key};

use crate::commands::all_types;
use crate::engines::everything;

/// A version as every region stores it; whom it has met is a note of arrival.
pub(crate) type Version = (Dot, Timestamp, Content, bool, Option<Partner>);

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shown {
    pub(crate) slots: BTreeMap<SlotName, (Vec<Version>, Counter)>,
    pub(crate) ledger: BTreeMap<ConflictId, LedgerRow>,
    /// As they are read where nothing decides: unresolved ones are open.
    pub(crate) conflicts: Vec<Conflict>,
}

pub(crate) fn shown(engine: &dyn Engine) -> Shown {
    let mut shown = Shown::default();
    for (family, key, value) in everything(engine) {
        match family {
            Family::State => {
                let slot = slot::decode(value).unwrap();
                let versions = slot.siblings.into_iter();
                let versions: Vec<Version> = versions
                    .map(|v| (v.dot, v.time, v.content, v.creates, v.conflict.partner))
                    .collect();
                if !versions.is_empty() || !slot.counter.is_empty() {
                    let name = slot_key::decode(&key).unwrap();
                    shown.slots.insert(name, (versions, slot.counter));
                }
            }
            Family::Ledger if key < ledger_row::time_end() => {
                let (_, id) = ledger_row::decode_key(&key).unwrap();
                let kept = ledger_row::decode(value).unwrap();
                shown.ledger.insert(id, kept.row);
            }
            _ => {}
        }
    }
    shown.conflicts = conflicts(
        engine,
        all_types(&Policy::KeepSiblings, UpdateDelete::KeepBoth),
    );
    shown
}

/// The ledger as it is listed under declared policies, without when it was noticed here.
pub(crate) fn conflicts(engine: &dyn Engine, collections: Vec<CollectionSpec>) -> Vec<Conflict> {
    let named = collections
        .into_iter()
        .map(|spec| (spec.name.clone(), spec));
    let catalog = Catalog {
        collections: named.collect(),
        regions: Regions::default(),
        layout: None,
    };
    let mut all = Vec::new();
    query::conflicts(
        engine,
        &catalog,
        Timestamp(0),
        None,
        None,
        &mut |conflict| {
            all.push(Conflict {
                seen_here_ms: 0,
                ..conflict
            });
            true
        },
    )
    .unwrap();
    all
}
