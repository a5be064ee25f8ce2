//! Idempotency keys: which entries carried them, what repeats another one, and forgetting the oldest.

use std::collections::HashMap;
use std::ops::ControlFlow;

use atoll_core::idempotency::Applications;
use atoll_core::{Dot, Entry, IdempotencyKey, Timestamp, VersionVector, apply};

use super::Transaction;
use crate::engine::{Batch, Direction, Family};
use crate::error::StoreError;
use crate::records::{damaged, idempotency};

/// Most keys that one call forgets.
pub(crate) const KEYS_A_CALL: usize = 4096;

/// The keys that a group looked at.
#[derive(Default)]
pub(super) struct Keys(HashMap<IdempotencyKey, CachedKey>);

struct CachedKey {
    stored: Applications,
    now: Applications,
}

/// A remembered entry: in order of age.
type Remembered = (Timestamp, Dot, IdempotencyKey);

impl Transaction<'_> {
    /// The entries that carried a key, as far as they are remembered.
    pub(crate) fn applications(
        &mut self,
        key: &IdempotencyKey,
    ) -> Result<&mut Applications, StoreError> {
        if !self.keys.0.contains_key(key) {
            let bytes = self.base.get(Family::Meta, &idempotency::key(key))?;
            let stored = bytes.map(idempotency::decode).transpose()?;
            let stored = stored.unwrap_or_default();
            let now = stored.clone();
            self.keys.0.insert(key.clone(), CachedKey { stored, now });
        }
        let cached = self.keys.0.get_mut(key);
        Ok(&mut cached.expect("it is there by now").now)
    }

    /// Remembers an applied entry under its key, and takes out of counters what a repeat added.
    pub(crate) fn remember_key(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let Some(idempotency) = &entry.idempotency else {
            return Ok(());
        };
        let applications = self.applications(&idempotency.key)?;
        for dot in applications.admit(entry, idempotency.request) {
            if dot == entry.dot {
                apply::discount(self, entry)?;
                continue;
            }
            let missing = || damaged("log", format!("{dot} is remembered and not in the log"));
            let twin = self.with_entry(dot, Entry::clone)?.ok_or_else(missing)?;
            apply::discount(self, &twin)?;
        }
        Ok(())
    }

    /// Forgets entries older than `before`, and the oldest beyond `keys_max`, as far as one call goes; `kept`
    /// is how many there were before this group. One that counts stays while a twin of it may still arrive.
    pub(crate) fn forget_keys(
        &mut self,
        before: Timestamp,
        keys_max: u64,
        kept: u64,
        stable: &VersionVector,
    ) -> Result<(), StoreError> {
        let kept = kept.saturating_add_signed(self.key_growth());
        let surplus = usize::try_from(kept.saturating_sub(keys_max)).unwrap_or(usize::MAX);
        let stays = |n: usize, time: Timestamp| n >= surplus && time >= before;
        for (n, (time, dot, key)) in self.oldest_keys(&stays)?.into_iter().enumerate() {
            if stays(n, time) {
                break;
            }
            let may_go = |counts: bool| !counts || stable.covers(dot);
            let applications = self.applications(&key)?;
            applications.0.retain(|a| a.dot != dot || !may_go(a.counts));
        }
        Ok(())
    }

    /// Remembered entries in order of age up to one that stays, at most [`KEYS_A_CALL`].
    fn oldest_keys(
        &self,
        stays: &dyn Fn(usize, Timestamp) -> bool,
    ) -> Result<Vec<Remembered>, StoreError> {
        let mut oldest: Vec<Remembered> = Vec::new();
        for (key, cached) in &self.keys.0 {
            let fresh = cached
                .now
                .0
                .iter()
                .filter(|a| !holds(&cached.stored, a.dot));
            oldest.extend(fresh.map(|a| (a.time, a.dot, key.clone())));
        }
        let (mut stored, mut failed) = (0, None);
        let mut look = |place: &[u8], value: &[u8]| {
            let (time, dot) = idempotency::decode_time_key(place)?;
            if stays(stored, time) || stored == KEYS_A_CALL {
                return Ok(ControlFlow::Break(()));
            }
            let key = idempotency::decode_named(value)?;
            let cached = self.keys.0.get(&key);
            if cached.is_none_or(|cached| holds(&cached.now, dot)) {
                oldest.push((time, dot, key));
                stored += 1;
            }
            Ok::<_, StoreError>(ControlFlow::Continue(()))
        };
        self.base.scan_prefix(
            Family::Meta,
            idempotency::time_prefix(),
            Direction::Forward,
            &mut |place, value| {
                look(place, value).unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                })
            },
        )?;
        if let Some(error) = failed {
            return Err(error);
        }
        oldest.sort_unstable();
        oldest.truncate(KEYS_A_CALL);
        Ok(oldest)
    }

    /// By how much the number of remembered entries grew.
    pub(crate) fn key_growth(&self) -> i64 {
        let length = |all: &Applications| i64::try_from(all.0.len()).unwrap_or(i64::MAX);
        let keys = self.keys.0.values();
        keys.map(|cached| length(&cached.now) - length(&cached.stored))
            .sum()
    }
}

impl Keys {
    /// Writes what changed into `batch`.
    pub(super) fn into_batch(self, batch: &mut Batch) {
        let mut changed: Vec<_> = self.0.into_iter().collect();
        changed.retain(|(_, cached)| cached.now != cached.stored);
        for (key, CachedKey { stored, now }) in changed {
            let place = idempotency::key(&key);
            if now.0.is_empty() {
                batch.delete(Family::Meta, &place);
            } else {
                batch.put(Family::Meta, &place, &idempotency::encode(&now));
            }
            for gone in stored.0.iter().filter(|a| !holds(&now, a.dot)) {
                batch.delete(Family::Meta, &idempotency::time_key(gone.time, gone.dot));
            }
            for new in now.0.iter().filter(|a| !holds(&stored, a.dot)) {
                let by_time = idempotency::time_key(new.time, new.dot);
                batch.put(Family::Meta, &by_time, &idempotency::encode_named(&key));
            }
        }
    }
}

fn holds(applications: &Applications, dot: Dot) -> bool {
    applications.0.iter().any(|a| a.dot == dot)
}
