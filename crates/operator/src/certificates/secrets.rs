//! The Secrets of a store: as they are, and as they were arranged last.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_api::manifest::RegionName;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::Api;

use super::arrange::Arranged;
use super::authority::Pair;
use super::files::{self, Files};
use crate::apply::Hands;
use crate::caches::Children;
use crate::error::PassError;
use crate::kinds::Kind;
use crate::names;
use crate::validate::Declared;

/// What is known of a store's Secrets, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    all: BTreeMap<String, Kept>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    /// The version that was read.
    version: Option<String>,
    /// As it is; `None`: it is not there.
    live: Option<Arc<Files>>,
    /// As it was arranged last: most often the same, which is held once.
    last: Option<Arc<Files>>,
}

impl Kept {
    fn hold(&mut self, live: Option<Files>) {
        self.live = live.map(|live| shared(live, self.last.as_ref()));
    }

    fn arranged(&mut self, last: Files) {
        self.last = Some(shared(last, self.live.as_ref()));
    }
}

fn shared(files: Files, other: Option<&Arc<Files>>) -> Arc<Files> {
    let same = other.filter(|other| ***other == files);
    same.map_or_else(|| Arc::new(files), Arc::clone)
}

impl Secrets {
    /// Reads those that changed.
    ///
    /// # Errors
    /// What the API server says; that a name is taken.
    pub(crate) async fn look(
        &mut self,
        hands: &Hands,
        declared: &Declared,
        children: &Children,
    ) -> Result<(), PassError> {
        let there = children.made.keys();
        let there = there.filter(|(kind, _)| *kind == Kind::Secret);
        let names = there.map(|(_, name)| name.to_string());
        let always = [names::ca(&declared.name), names::operator(&declared.name)];
        for name in names.chain(always) {
            self.all.entry(name).or_default();
        }
        for (name, kept) in &mut self.all {
            let there = children.made.get(&(Kind::Secret, name.as_str().into()));
            let version = there.map(|there| &*there.version);
            if version.is_some() && version == kept.version.as_deref() {
                continue;
            }
            let found = get(hands, &declared.namespace, name).await?;
            if found
                .as_ref()
                .is_some_and(|found| !declared.owns(&found.metadata))
            {
                let (kind, name) = (Kind::Secret.name(), name.clone());
                return Err(PassError::NameTaken { kind, name });
            }
            kept.version = found.as_ref().and_then(Secret::resource_version);
            kept.hold(found.as_ref().map(files::of));
        }
        self.all
            .retain(|_, kept| kept.live.is_some() || kept.last.is_some());
        Ok(())
    }

    /// As it is.
    pub(super) fn live(&self, name: &str) -> Option<&Files> {
        self.all.get(name)?.live.as_deref()
    }

    /// As it is, then as it was arranged last.
    fn both(&self, name: &str) -> [Option<&Files>; 2] {
        let kept = self.all.get(name);
        [
            kept.and_then(|kept| kept.live.as_deref()),
            kept.and_then(|kept| kept.last.as_deref()),
        ]
    }

    pub(super) fn of_pod(
        &self,
        declared: &Declared,
        region: &RegionName,
        pod: &str,
    ) -> [Option<Pair>; 2] {
        let name = declared.names(region).certificates();
        self.both(&name).map(|files| files::of_pod(files?, pod))
    }

    pub(super) fn of_operator(&self, declared: &Declared) -> [Option<Pair>; 2] {
        self.both(&names::operator(&declared.name))
            .map(|files| files::pair(files?))
    }

    /// The CAs in the Secrets that nodes have mounted.
    pub(super) fn trusted_by_nodes(&self) -> String {
        let live = self.all.values().filter_map(|kept| kept.live.as_ref());
        live.filter_map(|files| files.get(files::CA).map(String::as_str))
            .collect()
    }

    pub(super) fn remember(&mut self, declared: &Declared, arranged: &Arranged) {
        for kept in self.all.values_mut() {
            kept.last = None;
        }
        for (name, files) in arranged.files(declared) {
            self.all.entry(name).or_default().arranged(files);
        }
    }
}

impl Arranged {
    /// The files of every Secret, by name.
    pub(crate) fn files(&self, declared: &Declared) -> BTreeMap<String, Files> {
        let regions = self.regions.iter();
        let regions =
            regions.map(|(region, files)| (declared.names(region).certificates(), files.clone()));
        let ca = (names::ca(&declared.name), files::of_cas(&self.cas));
        let operator = files::with_bundle(&self.operator, &self.bundle);
        let operator = (names::operator(&declared.name), operator);
        [ca, operator].into_iter().chain(regions).collect()
    }
}

/// A Secret of the namespace, if it is there.
pub(super) async fn get(
    hands: &Hands,
    namespace: &str,
    name: &str,
) -> Result<Option<Secret>, PassError> {
    let api: Api<Secret> = Api::namespaced(hands.client.clone(), namespace);
    hands
        .call(&format!("Secret {name}"), api.get_opt(name))
        .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    /// Caught: two copies of every Secret of thousands of stores.
    #[test]
    fn what_is_as_it_was_arranged_is_held_once() {
        let files = |text: &str| Files::from([(files::CA.to_owned(), text.to_owned())]);
        let is_one =
            |kept: &Kept| Arc::ptr_eq(kept.live.as_ref().unwrap(), kept.last.as_ref().unwrap());
        let mut kept = Kept::default();
        kept.arranged(files("a"));
        kept.hold(Some(files("a")));
        assert!(is_one(&kept));
        kept.arranged(files("a"));
        assert!(is_one(&kept));
        kept.hold(Some(files("edited")));
        assert!(!is_one(&kept));
        assert_eq!(kept.last.as_deref(), Some(&files("a")));
        kept.hold(None);
        assert!(kept.live.is_none() && kept.last.is_some());
    }
}
