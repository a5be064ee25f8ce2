//! Only one of several operators acts: a Lease says which.
//!
//! The rule is a function of what the lease says and of what this operator has seen of it, on its own clock
//! alone: a holder is gone when the lease did not change for its whole duration *as watched from here*. So
//! clocks need not agree. A holder that cannot renew stops before anybody else may begin.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource as _};

/// The lease's name.
pub(crate) const NAME: &str = "atoll-operator";
/// Others may take over when nothing was heard for this long.
pub(crate) const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for this long stops.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
/// How often the lease is looked at and renewed.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) holder: Option<String>,
    /// Changes with every renewal.
    pub(crate) version: String,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is ours, or free: write it.
    Write,
    /// It is somebody else's.
    Wait,
}

/// What was seen of the lease.
#[derive(Debug)]
pub(crate) struct Watch {
    me: String,
    seen: Option<(Record, Instant)>,
    /// When the lease was last ours for sure.
    held_at: Option<Instant>,
}

impl Watch {
    pub(crate) fn new(me: &str) -> Self {
        Watch {
            me: me.to_owned(),
            seen: None,
            held_at: None,
        }
    }

    /// Takes what the lease says now; nothing when there is none.
    pub(crate) fn look(&mut self, record: Option<Record>, now: Instant) -> Step {
        let Some(record) = record else {
            return Step::Write;
        };
        let is_mine = record.holder.as_deref() == Some(self.me.as_str());
        let is_free = record.holder.as_deref().is_none_or(str::is_empty);
        let since = match &self.seen {
            Some((seen, since)) if *seen == record => *since,
            _ => now,
        };
        self.seen = Some((record, since));
        if is_mine || is_free || now.saturating_duration_since(since) >= DURATION {
            Step::Write
        } else {
            Step::Wait
        }
    }

    /// The lease was written by us, in a request that was sent at `sent`.
    pub(crate) fn wrote(&mut self, sent: Instant) {
        self.held_at = Some(sent);
    }

    /// Somebody else has it.
    pub(crate) fn lost(&mut self) {
        self.held_at = None;
    }

    /// Whether this operator may act.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        self.held_at
            .is_some_and(|at| now.saturating_duration_since(at) < GIVE_UP_AFTER)
    }
}

/// The lease on the API server.
pub(crate) struct Door {
    api: Api<Lease>,
    me: String,
    watch: Watch,
}

impl Door {
    pub(crate) fn new(client: Client, namespace: &str, me: &str) -> Self {
        Door {
            api: Api::namespaced(client, namespace),
            me: me.to_owned(),
            watch: Watch::new(me),
        }
    }

    /// Looks, and takes or renews the lease if it may. Answers whether this operator may act now.
    pub(crate) async fn knock(&mut self) -> bool {
        let round = tokio::time::timeout(LOOK_EVERY, self.round());
        match round.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease cannot be renewed"),
            Err(_) => tracing::warn!("the lease cannot be renewed: the API server does not answer"),
        }
        self.watch.holds(Instant::now())
    }

    async fn round(&mut self) -> Result<(), kube::Error> {
        let found = self.api.get_opt(NAME).await?;
        let record = found.as_ref().map(|lease| Record {
            holder: lease
                .spec
                .as_ref()
                .and_then(|spec| spec.holder_identity.clone()),
            version: lease.meta().resource_version.clone().unwrap_or_default(),
        });
        let sent = Instant::now();
        match self.watch.look(record, sent) {
            Step::Wait => {
                self.watch.lost();
                Ok(())
            }
            Step::Write => {
                let written = match &found {
                    None => {
                        let lease = self.lease(None, Some(self.me.clone()));
                        self.api.create(&PostParams::default(), &lease).await
                    }
                    Some(old) => {
                        let lease = self.lease(Some(old), Some(self.me.clone()));
                        // With the version that was read: of two that write at once, one is refused.
                        self.api.replace(NAME, &PostParams::default(), &lease).await
                    }
                };
                match written {
                    Ok(_) => {
                        self.watch.wrote(sent);
                        Ok(())
                    }
                    Err(kube::Error::Api(status)) if status.code == 409 => {
                        self.watch.lost();
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Gives the lease back, so that the next one need not wait.
    pub(crate) async fn release(&mut self) {
        self.watch.lost();
        let giving = async {
            let Some(old) = self.api.get_opt(NAME).await? else {
                return Ok(());
            };
            let holder = old
                .spec
                .as_ref()
                .and_then(|spec| spec.holder_identity.as_ref());
            if holder != Some(&self.me) {
                return Ok(());
            }
            let lease = self.lease(Some(&old), None);
            self.api
                .replace(NAME, &PostParams::default(), &lease)
                .await?;
            Ok::<(), kube::Error>(())
        };
        match tokio::time::timeout(LOOK_EVERY, giving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given back"),
            Err(_) => tracing::warn!("the lease was not given back in time"),
        }
    }

    fn lease(&self, old: Option<&Lease>, holder: Option<String>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = old.and_then(|lease| lease.spec.as_ref());
        let is_ours = before.and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.me);
        let changes = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let acquired = before
            .filter(|_| is_ours)
            .and_then(|spec| spec.acquire_time.clone());
        Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                resource_version: old.and_then(|lease| lease.meta().resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: holder,
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: acquired.or_else(|| Some(now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(if is_ours { changes } else { changes + 1 }),
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: &str, version: u32) -> Option<Record> {
        Some(Record {
            holder: Some(holder.to_owned()),
            version: version.to_string(),
        })
    }

    #[test]
    fn a_lease_that_is_not_there_or_free_is_taken() {
        let (now, mut watch) = (Instant::now(), Watch::new("a"));
        assert_eq!(watch.look(None, now), Step::Write);
        assert_eq!(watch.look(record("", 1), now), Step::Write);
        assert!(!watch.holds(now), "looking is not holding");
        watch.wrote(now);
        assert!(watch.holds(now));
    }

    #[test]
    fn a_holder_that_renews_is_left_alone_for_ever() {
        let (start, mut watch) = (Instant::now(), Watch::new("b"));
        for round in 0..100 {
            let now = start + LOOK_EVERY * round;
            assert_eq!(watch.look(record("a", round), now), Step::Wait);
        }
    }

    #[test]
    fn a_holder_that_is_silent_is_followed_after_the_leases_duration() {
        let (start, mut watch) = (Instant::now(), Watch::new("b"));
        let look = |watch: &mut Watch, after| watch.look(record("a", 7), start + after);
        assert_eq!(look(&mut watch, Duration::ZERO), Step::Wait);
        assert_eq!(look(&mut watch, DURATION - LOOK_EVERY), Step::Wait);
        assert_eq!(look(&mut watch, DURATION), Step::Write);
    }

    /// Caught: a holder that gives up later than others take over.
    #[test]
    fn a_holder_stops_before_another_one_begins() {
        let (start, mut holder) = (Instant::now(), Watch::new("a"));
        let mut other = Watch::new("b");
        holder.wrote(start);
        // The other one sees the renewal at once, at the earliest when it was sent.
        assert_eq!(other.look(record("a", 1), start), Step::Wait);
        let ticks = (0..200).map(|tick| start + Duration::from_millis(100) * tick);
        let mut acts = ticks.map(|now| {
            let takes = other.look(record("a", 1), now) == Step::Write;
            (holder.holds(now), takes)
        });
        assert!(acts.all(|(holds, takes)| !(holds && takes)));
    }

    #[test]
    fn what_was_lost_is_not_held() {
        let (now, mut watch) = (Instant::now(), Watch::new("a"));
        watch.wrote(now);
        assert_eq!(watch.look(record("b", 2), now), Step::Wait);
        watch.lost();
        assert!(!watch.holds(now));
    }
}
