//! Removing a dead region: who heard of it last, what is known to be lost, and its retirement in its absence.
//!
//! Every member that answers is asked, so that the number is as exact as it can be and a region that anyone
//! hears of is not removed by somebody who does not.

use std::pin::pin;
use std::time::Duration;

use atoll_api::http::{MemberList, Removed};
use atoll_client::{Client, Dialer, Settings};
use atoll_core::member::Member;
use atoll_core::{MemberState, ReplicaId};
use atoll_replication::membership::Remains;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, future};

use super::{ALIVE_WITHIN, MembersRefused};
use crate::node::Inner;

/// For one member's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What is known of a region that is to be removed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    remains: Remains,
    /// Who heard of it last, and when.
    heard: Option<(Duration, String)>,
    /// Who did not answer.
    unheard: Vec<String>,
}

impl Found {
    fn hear(&mut self, by: &str, ago: Duration) {
        if self.heard.as_ref().is_none_or(|(last, _)| ago < *last) {
            self.heard = Some((ago, by.to_owned()));
        }
    }

    /// What `by` knows of the replica id.
    fn take(&mut self, by: &str, list: &MemberList, replica: ReplicaId) {
        let replica = replica.to_string();
        for member in list.members.iter().filter(|m| m.replica == replica) {
            self.remains.take(member.announced, member.held);
            if let Some(seconds) = member.heard_seconds_ago {
                self.hear(by, Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
            }
        }
    }

    fn check(&self, region: &str, lost: Option<u64>) -> Result<(), MembersRefused> {
        if let Some((ago, by)) = &self.heard
            && *ago < ALIVE_WITHIN
        {
            return Err(MembersRefused::Alive {
                region: region.to_owned(),
                by: by.clone(),
                ago_ms: u64::try_from(ago.as_millis()).unwrap_or(u64::MAX),
            });
        }
        if lost != Some(self.remains.lost()) {
            return Err(MembersRefused::LostNotConfirmed {
                region: region.to_owned(),
                lost: self.remains.lost(),
                announced: self.remains.announced,
                held: self.remains.held,
            });
        }
        Ok(())
    }
}

impl Inner {
    /// Retires a dead region when `lost` is how many of its entries are known to be lost.
    pub(crate) async fn remove(
        &self,
        name: &str,
        force: bool,
        lost: Option<u64>,
    ) -> Result<Removed, MembersRefused> {
        let member = self.member_named(name)?;
        let replica = member.replica;
        let region = self.published.catalog().regions.shown(replica);
        if replica == self.identity.replica {
            return Err(MembersRefused::Own(region));
        }
        if !force {
            return Err(MembersRefused::NeedsForce(region));
        }
        let regions = &self.published.catalog().regions;
        regions.change(replica, MemberState::Retired, 0)?;
        let found = self.find_out(&member).await;
        found.check(&region, lost)?;
        self.change_member(replica, MemberState::Retired, found.remains.held)
            .await?;
        Ok(Removed {
            region,
            replica: replica.to_string(),
            last: found.remains.held,
            lost: found.remains.lost(),
            unheard: found.unheard,
        })
    }

    async fn find_out(&self, dead: &Member) -> Found {
        let catalog = self.published.catalog();
        let replica = dead.replica;
        let mut found = Found::default();
        found.take(self.identity.region.as_str(), &self.member_list(), replica);
        let others = catalog.regions.present();
        let others = others.filter(|m| m.replica != self.identity.replica);
        let asked = others.map(|member| {
            let endpoints = self.endpoints(&catalog, &member.region);
            let dialer = self.dialer_to(&member.region);
            async move { (member, ask_any(&endpoints, &dialer, ANSWER_WITHIN).await) }
        });
        for (member, answer) in future::join_all(asked).await {
            let by = catalog.regions.shown(member.replica);
            let its_own = |list: &MemberList| list.replica == member.replica.to_string();
            match answer.filter(its_own) {
                Some(_) if member.replica == replica => found.hear(&by, Duration::ZERO),
                Some(list) => found.take(&by, &list, replica),
                None if member.replica == replica => {}
                None => {
                    let last_heard = self.peers.durable(member.replica).unwrap_or_default();
                    found.remains.take(0, last_heard.get(replica));
                    found.unheard.push(by);
                }
            }
        }
        found
    }
}

/// The first answer of a region's nodes to who the members are. All are asked at once: a region of which no node
/// answers takes no longer than one node.
pub(super) async fn ask_any(
    endpoints: &[String],
    dialer: &Dialer,
    within: Duration,
) -> Option<MemberList> {
    let ask = |endpoint: &String| {
        let settings = Settings {
            dialer: dialer.clone(),
            connect_timeout: within,
            request_timeout: within,
            attempts: 1,
            ..Settings::default()
        };
        let client = Client::with_settings(endpoint, settings);
        async move { client.ok()?.members().await.ok() }
    };
    let asked: FuturesUnordered<_> = endpoints.iter().map(ask).collect();
    let mut answers = pin!(asked.filter_map(future::ready));
    let first = tokio::time::timeout(within, answers.next()).await;
    first.ok().flatten()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn found() -> Found {
        Found {
            remains: Remains {
                announced: 10,
                held: 7,
            },
            ..Found::default()
        }
    }

    /// Caught: any number is right when some number is given.
    #[test]
    fn the_right_number_is_demanded() {
        let wrong = |lost| found().check("ap", lost).unwrap_err();
        for lost in [None, Some(0), Some(4)] {
            let MembersRefused::LostNotConfirmed { lost: named, .. } = wrong(lost) else {
                panic!("{lost:?}");
            };
            assert_eq!(named, 3);
        }
        assert_eq!(found().check("ap", Some(3)), Ok(()));
    }

    /// Caught: the last to be asked decides.
    #[test]
    fn a_region_that_anyone_hears_of_is_alive() {
        let mut heard = found();
        heard.hear("us", Duration::from_millis(900));
        heard.hear("eu", Duration::from_secs(60));
        let alive = heard.check("ap", Some(3));
        let Err(MembersRefused::Alive { by, ago_ms, .. }) = alive else {
            panic!("{alive:?}");
        };
        assert_eq!((by.as_str(), ago_ms), ("us", 900));
        let mut silent = found();
        silent.hear("us", ALIVE_WITHIN);
        assert_eq!(silent.check("ap", Some(3)), Ok(()));
    }
    /// Caught: one node asked after the other, for 3 s each: a topology with a region of three nodes that had not
    /// started yet took 9 s to declare, longer than those who declare it wait.
    #[tokio::test]
    async fn all_nodes_of_a_region_are_asked_at_once() {
        let mut silent = Vec::new();
        for _ in 0..3 {
            silent.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let endpoint = |node: &TcpListener| format!("http://{}", node.local_addr().unwrap());
        let endpoints: Vec<String> = silent.iter().map(endpoint).collect();
        let (dialer, minute) = (Dialer::default(), Duration::from_secs(60));
        let called = future::join_all(silent.iter().map(TcpListener::accept));
        tokio::select! {
            answer = ask_any(&endpoints, &dialer, 60 * minute) => panic!("{answer:?}"),
            called = tokio::time::timeout(minute, called) => assert_eq!(called.unwrap().len(), 3),
        }
    }
}
