//! Does what the [schedule](super::faults) says, when it says so, and takes it down.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use atoll_api::http::{TopologyDeclaration, TopologyRegion};
use atoll_api::manifest::{RegionName, Role, TopologyKind, TopologySpec};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cluster::{Cluster, Node};
use super::faults::{Fault, Kind, Planned, Towards, Ways};
use super::progress::Progress;
use super::shape::{NodeId, Shape, region_name};
use crate::proxy::{Conditions, WayConditions};

/// How often a link's open connections are reset while that fault lasts.
const RESET_EVERY: Duration = Duration::from_millis(400);
/// A rolling restart goes on when the node has been ready for so long.
const BETWEEN_RESTARTS: Duration = Duration::from_millis(500);

/// What the faults of a run share.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) log: Arc<FaultLog>,
    pub(crate) started: Instant,
}

/// The faults that happened, by kind, and a file that tells when and to whom.
#[derive(Debug)]
pub(crate) struct FaultLog {
    taken: Mutex<(File, BTreeMap<Kind, u64>)>,
}

impl FaultLog {
    pub(crate) fn new(file: &Path) -> std::io::Result<FaultLog> {
        let taken = (File::create(file)?, BTreeMap::new());
        Ok(FaultLog {
            taken: Mutex::new(taken),
        })
    }

    fn begins(&self, at_ms: u128, planned: &Planned) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, counts) = &mut *taken;
        let kind = planned.fault.kind();
        // It may be refused.
        if kind != Kind::Topology {
            *counts.entry(kind).or_default() += 1;
        }
        let line = json!({
            "atMs": at_ms,
            "plannedMs": planned.at.as_millis(),
            "lastsMs": planned.lasts.as_millis(),
            "fault": format!("{:?}", planned.fault),
        });
        // A log for people: the run does not depend on it.
        let _ = writeln!(file, "{line}");
    }

    /// What a declared topology came to.
    fn declared(&self, topology: &str, answer: &Result<u64, String>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, counts) = &mut *taken;
        if answer.is_ok() {
            *counts.entry(Kind::Topology).or_default() += 1;
        }
        let line = json!({"declared": topology, "answer": format!("{answer:?}")});
        let _ = writeln!(file, "{line}");
    }

    pub(crate) fn counts(&self) -> BTreeMap<Kind, u64> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.1.clone()
    }
}

/// Plays a schedule to its end.
pub(crate) async fn play(stage: Stage, schedule: Vec<Planned>) -> anyhow::Result<()> {
    let mut going = JoinSet::new();
    for planned in schedule {
        let due = stage.started + planned.at;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => break,
                Some(ended) = going.join_next() => ended??,
            }
        }
        let stage = stage.clone();
        going.spawn(async move {
            let at_ms = stage.started.elapsed().as_millis();
            stage.log.begins(at_ms, &planned);
            stage.progress.fault();
            let what = format!("doing {:?}", planned.fault);
            stage.act(planned).await.context(what)
        });
    }
    while let Some(ended) = going.join_next().await {
        ended??;
    }
    Ok(())
}

impl Stage {
    async fn act(&self, planned: Planned) -> anyhow::Result<()> {
        let Planned { lasts, fault, .. } = planned;
        match fault {
            Fault::Kill(id) => self.kill(id, lasts).await,
            Fault::KillLeader(region) => match self.cluster.leader_of(region).await {
                Some(leader) => self.kill(leader, lasts).await,
                None => Ok(()), // nobody leads: an election is under way
            },
            Fault::Freeze(id) => {
                let process = self.cluster.node(id).process.lock().await;
                process.freeze()?;
                tokio::time::sleep(lasts).await;
                process.thaw()?;
                Ok(())
            }
            Fault::Restart(id) => restart(self.cluster.node(id), lasts).await,
            Fault::RollingRestart => {
                for node in &self.cluster.nodes {
                    restart(node, Duration::ZERO).await?;
                    tokio::time::sleep(BETWEEN_RESTARTS).await;
                }
                Ok(())
            }
            Fault::Cut(link, passage) => {
                self.disturb(&[link], Conditions::cut(passage), lasts).await;
                Ok(())
            }
            Fault::Isolate(region, passage) => {
                let links = self.cluster.shape.links_of_region(region);
                self.disturb(&links, Conditions::cut(passage), lasts).await;
                Ok(())
            }
            Fault::CutOneWay(link, towards, passage) => {
                let mut conditions = Conditions::default();
                match towards {
                    Towards::Dialled => conditions.there.passage = passage,
                    Towards::Dialler => conditions.back.passage = passage,
                }
                self.disturb(&[link], conditions, lasts).await;
                Ok(())
            }
            Fault::Refuse(link) => {
                let refuses = Conditions {
                    refuses: true,
                    ..Conditions::default()
                };
                self.cluster.links[link].1.reset();
                self.disturb(&[link], refuses, lasts).await;
                Ok(())
            }
            Fault::Reset(link) => {
                let until = Instant::now() + lasts;
                while Instant::now() < until {
                    self.cluster.links[link].1.reset();
                    tokio::time::sleep(RESET_EVERY).await;
                }
                Ok(())
            }
            Fault::Delay(link, delay) => {
                self.disturb(&[link], Conditions::delayed(delay, delay), lasts)
                    .await;
                Ok(())
            }
            Fault::Topology(by, ways) => {
                self.declare(by, ways).await;
                Ok(())
            }
            Fault::Narrow(link, bytes_per_second) => {
                let way = WayConditions {
                    bytes_per_second: Some(bytes_per_second),
                    ..WayConditions::default()
                };
                let conditions = Conditions {
                    there: way,
                    back: way,
                    refuses: false,
                };
                self.disturb(&[link], conditions, lasts).await;
                Ok(())
            }
        }
    }

    /// Refusals are no failure: another change may be under way, a region unheard of.
    async fn declare(&self, by: usize, ways: Ways) {
        let declaration = declaration(self.cluster.shape, ways);
        let mut answer = Err("nobody was asked".to_owned());
        for node in self.cluster.nodes_of(by) {
            let asked = node.client.put_topology(&declaration).await;
            answer = asked
                .map(|status| status.revision)
                .map_err(|error| error.to_string());
            if answer.is_ok() {
                break;
            }
        }
        self.log.declared(&format!("{ways:?}"), &answer);
    }

    async fn kill(&self, id: NodeId, lasts: Duration) -> anyhow::Result<()> {
        let node = self.cluster.node(id);
        let mut process = node.process.lock().await;
        process.kill()?;
        tokio::time::sleep(lasts).await;
        process.start()?;
        drop(process);
        node.ready().await
    }

    async fn disturb(&self, links: &[usize], conditions: Conditions, lasts: Duration) {
        for link in links {
            self.cluster.links[*link].1.set(conditions);
        }
        tokio::time::sleep(lasts).await;
        for link in links {
            self.cluster.links[*link].1.heal();
        }
    }
}

fn declaration(shape: Shape, ways: Ways) -> TopologyDeclaration {
    let name = |region: usize| -> RegionName {
        let parsed = region_name(region).parse();
        parsed.expect("a name that is written here")
    };
    let spec = |kind| TopologySpec {
        kind,
        hub: None,
        order: None,
        links: None,
        failover_after: None,
    };
    TopologyDeclaration {
        revision: None,
        topology: match ways {
            Ways::AllToAll => spec(TopologyKind::AllToAll),
            Ways::Ring => spec(TopologyKind::Ring),
            Ways::Star(hub) => TopologySpec {
                hub: Some(name(hub)),
                ..spec(TopologyKind::Star)
            },
        },
        // Where they are is known: every node has proxies of its own to them.
        regions: (0..shape.regions)
            .map(|region| TopologyRegion {
                name: name(region),
                role: Role::Leader,
                endpoints: Vec::new(),
            })
            .collect(),
    }
}

async fn restart(node: &Node, down: Duration) -> anyhow::Result<()> {
    let mut process = node.process.lock().await;
    process.stop().await?;
    tokio::time::sleep(down).await;
    process.start()?;
    drop(process);
    node.ready().await
}
