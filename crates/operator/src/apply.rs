//! Apply: makes objects so, removes what is not needed any more, and does the one thing that is next.
//!
//! Server-side apply under a fixed name. What was applied and has not changed since is left alone, so a pass
//! over a store at rest writes nothing. An object that is there already and belongs to somebody else is never
//! taken over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atoll_api::manifest::RegionName;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use serde_json::json;

use crate::ask::{self, Ways};
use crate::build::Built;
use crate::caches::Children;
use crate::error::PassError;
use crate::kept::fingerprint;
use crate::kinds::Kind;
use crate::metrics::Metrics;
use crate::names;
use crate::observe::Observed;
use crate::plan::{Action, Chore, Plan};
use crate::validate::Declared;

/// Who we are to server-side apply.
const MANAGER: &str = "atoll-operator";

/// Fingerprints of what we sent, and of what came of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Applied {
    sent: u64,
    print: u64,
}

/// What was applied, by the store that it was for, kind and name.
type OfStores = HashMap<(String, String), BTreeMap<(Kind, Box<str>), Applied>>;

/// Makes things so.
pub(crate) struct Hands {
    pub(crate) client: Client,
    pub(crate) timeout: Duration,
    pub(crate) metrics: Metrics,
    /// What was applied last.
    applied: Mutex<OfStores>,
}

impl Hands {
    pub(crate) fn new(client: Client, timeout: Duration, metrics: Metrics) -> Self {
        Hands {
            client,
            timeout,
            metrics,
            applied: Mutex::default(),
        }
    }

    /// Bounds a call of the API server.
    pub(crate) async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, PassError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(PassError::kube(what, error)),
            Err(_) => Err(PassError::Late {
                what: what.to_owned(),
                within: self.timeout,
            }),
        }
    }

    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }

    /// Makes one object so, unless it is so. Answers whether it was written.
    pub(crate) async fn apply(
        &self,
        declared: &Declared,
        built: &Built,
        children: &Children,
    ) -> Result<bool, PassError> {
        let Built {
            kind,
            name,
            region: _,
            body,
        } = built;
        let sent = names::print(&body.to_string());
        let known = children.made.get(&(*kind, name.as_str().into()));
        let as_known = known.map(|kept| Applied {
            sent,
            print: kept.print,
        });
        if as_known.is_some() && as_known == self.applied(declared, *kind, name) {
            return Ok(false);
        }
        let api = self.api(*kind, &declared.namespace);
        let what = format!("{} {name}", kind.name());
        if !known.is_some_and(|known| declared.made(known)) {
            // Not among those that carry our labels: perhaps it is somebody else's.
            let found = self.call(&what, api.get_metadata_opt(name)).await?;
            if found.is_some_and(|found| !declared.owns(&found.metadata)) {
                let (kind, name) = (kind.name(), name.clone());
                return Err(PassError::NameTaken { kind, name });
            }
        }
        let parameters = PatchParams::apply(MANAGER).force();
        let applied = self
            .call(&what, api.patch(name, &parameters, &Patch::Apply(body)))
            .await?;
        self.metrics.wrote(kind.name());
        let print = fingerprint(&applied.metadata);
        let of_store = (declared.namespace.clone(), declared.name.clone());
        self.known()
            .entry(of_store)
            .or_default()
            .insert((*kind, name.as_str().into()), Applied { sent, print });
        Ok(true)
    }

    fn applied(&self, declared: &Declared, kind: Kind, name: &str) -> Option<Applied> {
        let of_store = (declared.namespace.clone(), declared.name.clone());
        let known = self.known();
        known.get(&of_store)?.get(&(kind, name.into())).copied()
    }

    /// Gives StatefulSets that lost their labels these back, before a plan is made that does not know of their nodes and
    /// volumes. Answers whether there were any.
    pub(crate) async fn label_strays(
        &self,
        declared: &Declared,
        children: &Children,
    ) -> Result<bool, PassError> {
        let api = self.api(Kind::StatefulSet, &declared.namespace);
        let mut found_any = false;
        for region in declared.here() {
            let names = declared.names(&region.name);
            let name = names.object();
            if !children.leave_traces(&region.name, &name) {
                continue;
            }
            let what = format!("StatefulSet {name}");
            let found = self.call(&what, api.get_metadata_opt(&name)).await?;
            if !found.is_some_and(|found| declared.owns(&found.metadata)) {
                continue;
            }
            let patch = Patch::Merge(json!({ "metadata": { "labels": names.labels() } }));
            let parameters = PatchParams::default();
            let patching = api.patch_metadata(&name, &parameters, &patch);
            self.call(&what, patching).await?;
            self.metrics.wrote(Kind::StatefulSet.name());
            found_any = true;
        }
        Ok(found_any)
    }

    fn known(&self) -> MutexGuard<'_, OfStores> {
        // A panic while it was held left whole entries.
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a store that is gone.
    pub(crate) fn forget(&self, namespace: &str, store: &str) {
        self.known()
            .remove(&(namespace.to_owned(), store.to_owned()));
    }

    /// Removes what this store made and does not need any more. Of a region, only when the plan says what is to
    /// be there, or that it has left: what is not planned now may be waiting for something.
    pub(crate) async fn remove_orphans(
        &self,
        declared: &Declared,
        plan: &Plan,
        wanted: &[Built],
        children: &Children,
    ) -> Result<(), PassError> {
        let names: BTreeSet<(Kind, &str)> = wanted
            .iter()
            .map(|built| (built.kind, built.name.as_str()))
            .collect();
        for ((kind, name), kept) in &children.made {
            let is_decided = kept.region.as_ref().is_none_or(|region| {
                let made = plan.regions.iter().map(|made| &made.name);
                let mut decided = made.chain(&plan.dropped);
                decided.any(|decided| *decided.as_str() == **region)
            });
            let is_wanted = names.contains(&(*kind, &**name));
            if !declared.made(kept) || !is_decided || is_wanted || kept.is_leaving {
                continue;
            }
            let what = format!("deleting {} {name}", kind.name());
            let api = self.api(*kind, &declared.namespace);
            let parameters = exactly(&kept.uid);
            gone(
                self.call(&what, api.delete(name, &parameters))
                    .await
                    .map(drop),
            )?;
            self.metrics.wrote(kind.name());
        }
        for region in &plan.dropped {
            self.remove_claims(declared, region, children).await?;
        }
        Ok(())
    }

    /// The volumes of a region that has left: all that it wrote is elsewhere.
    async fn remove_claims(
        &self,
        declared: &Declared,
        region: &RegionName,
        children: &Children,
    ) -> Result<(), PassError> {
        let api: Api<PersistentVolumeClaim> =
            Api::namespaced(self.client.clone(), &declared.namespace);
        let claims = children.claims.iter();
        let of_region =
            claims.filter(|(_, claim)| claim.region.as_ref() == Some(region) && !claim.is_leaving);
        for (name, claim) in of_region {
            let what = format!("deleting PersistentVolumeClaim {name}");
            let parameters = exactly(&claim.uid);
            gone(
                self.call(&what, api.delete(name, &parameters))
                    .await
                    .map(drop),
            )?;
            self.metrics.wrote("PersistentVolumeClaim");
        }
        Ok(())
    }

    /// Does what may be done at any time.
    pub(crate) async fn chore(
        &self,
        declared: &Declared,
        observed: &Observed,
        ways: &Ways,
        chore: &Chore,
    ) -> Result<(), PassError> {
        match chore {
            Chore::PutCollections {
                region,
                collections,
            } => {
                let what = format!("declaring collections to region {region}");
                let client = self.region(declared, observed, ways, region, &what)?;
                let put = client.put_collections(collections).await;
                put.map(drop).map_err(|error| PassError::node(what, error))
            }
            Chore::GrowClaim { claim, size } => {
                let api: Api<PersistentVolumeClaim> =
                    Api::namespaced(self.client.clone(), &declared.namespace);
                let patch = json!({ "spec": { "resources": { "requests": { "storage": size } } } });
                let what = format!("growing PersistentVolumeClaim {claim}");
                let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
                let patching = api.patch(claim, &parameters, &patch);
                self.call(&what, patching).await?;
                self.metrics.wrote("PersistentVolumeClaim");
                Ok(())
            }
        }
    }

    /// Does the one thing that is next.
    pub(crate) async fn act(
        &self,
        declared: &Declared,
        observed: &Observed,
        ways: &Ways,
        action: &Action,
        what: &str,
    ) -> Result<(), PassError> {
        let ask = |region: &RegionName| self.region(declared, observed, ways, region, what);
        let done = match action {
            Action::DeclareTopology { by, declaration } => {
                ask(by)?.put_topology(declaration).await.map(drop)
            }
            Action::DrainRegion { by, region } => {
                ask(by)?.drain_region(region.as_str()).await.map(drop)
            }
            Action::CancelDrain { by, region } => {
                ask(by)?.cancel_drain(region.as_str()).await.map(drop)
            }
            Action::RemoveNode { region, node } => ask(region)?.remove_node(node).await.map(drop),
            Action::RestartPod { pod, uid } => {
                let api: Api<Pod> = Api::namespaced(self.client.clone(), &declared.namespace);
                let parameters = exactly(uid);
                let deleting = self.call(what, api.delete(pod, &parameters)).await;
                self.metrics.wrote("Pod");
                return gone(deleting.map(drop));
            }
        };
        done.map_err(|error| PassError::node(what, error))
    }

    fn region(
        &self,
        declared: &Declared,
        observed: &Observed,
        ways: &Ways,
        region: &RegionName,
        what: &str,
    ) -> Result<atoll_client::Client, PassError> {
        let addresses = ask::addresses(declared, observed, region);
        let addresses: Vec<String> = addresses.into_iter().map(|(_, address)| address).collect();
        ask::client(&addresses, ways.dialer(region), self.timeout)
            .map_err(|error| PassError::node(what, error))
    }
}

/// Deletes this object and no other of its name.
fn exactly(uid: &str) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::background()
    }
}

/// What is gone, or was replaced meanwhile, needs no deleting.
fn gone(result: Result<(), PassError>) -> Result<(), PassError> {
    match result {
        Err(PassError::Kube { source, .. }) if matches!(&*source, kube::Error::Api(status) if matches!(status.code, 404 | 409)) => {
            Ok(())
        }
        other => other,
    }
}
