//! SIGHUP: what the manifests say now, applied to the running store as far as that is possible.

use std::path::PathBuf;

use atoll_api::http::CollectionList;
use atoll_api::manifest::{
    CollectionSettings, ConflictsSpec, DeclaredCollection, DeclaredPolicy, Policy, StoreManifest,
};
use atoll_client::Client;

use super::control::DevStore;
use super::data::Data;
use super::files;
use super::regions::Change;
use super::store::LocalStore;
use crate::failure::Failure;
use crate::output;
use crate::wording;

/// A store that runs, and what it was declared as.
pub(crate) struct Running<'a> {
    pub(crate) manifest: &'a mut StoreManifest,
    pub(crate) entry: &'a mut DevStore,
    pub(crate) store: &'a mut LocalStore,
    pub(crate) data: &'a Data,
}

impl Running<'_> {
    /// Rereads the manifests. What is refused is told, and changes nothing.
    pub(crate) async fn reload(&mut self, files: &[PathBuf]) {
        match self.apply(files).await {
            Ok(told) => output::line(&told),
            Err(failure) => {
                failure.during("the manifests were reread").report();
            }
        }
    }

    async fn apply(&mut self, files: &[PathBuf]) -> Result<String, Failure> {
        let new = files::read(files)?;
        let refused = not_possible_online(self.manifest, &new);
        if !refused.is_empty() {
            return Err(Failure::usage(refused.join("; ")).help(
                "nothing changed; end the store and start it again, or take these changes back",
            ));
        }
        let mut told = Vec::new();
        if Change::between(self.manifest, &new).is_some() {
            told.push(self.change_regions(&new).await?);
        }
        if settings_of(self.manifest) != settings_of(&new) {
            let collections = CollectionList {
                collections: settings_of(&new),
            };
            for region in &self.entry.regions {
                let client = Client::new(&region.server)?;
                client.put_collections(&collections).await?;
            }
            let count = new.collections.len() as u64;
            let count = wording::counted(count, "collection", "collections");
            told.push(format!("{count} in every region"));
        }
        *self.manifest = new;
        if told.is_empty() {
            return Ok("The manifests were reread: the collections are as before.".to_owned());
        }
        Ok(format!("The manifests were reread: {}.", told.join("; ")))
    }
}

/// Changes that need more than a new list of collections, by name.
fn not_possible_online(old: &StoreManifest, new: &StoreManifest) -> Vec<String> {
    let mut refused = Vec::new();
    if old.name != new.name {
        refused.push(format!(
            "the store's name changed from {} to {}",
            old.name, new.name
        ));
    }
    for region in &old.regions {
        let name = &region.name;
        if new.region(name.as_str()).is_some_and(|now| now != region) {
            refused.push(format!(
                "region {name} changed, which is not yet possible online; a region can only come or go"
            ));
        }
    }
    if old
        .regions
        .iter()
        .all(|region| new.region(region.name.as_str()).is_none())
    {
        refused.push("no region stays, so nobody could hand the data on".to_owned());
    }
    if old.failover_after != new.failover_after {
        refused.push(
            "spec.topology.failoverAfter changed, which is not yet possible online".to_owned(),
        );
    }
    if old.objectives != new.objectives {
        refused.push("spec.objectives changed, which is not yet possible online".to_owned());
    }
    if old.log_retention != new.log_retention || old.conflict_retention != new.conflict_retention {
        refused.push("spec.retention changed, which is not yet possible online".to_owned());
    }
    for collection in &old.collections {
        let name = &collection.name;
        match new.collection(name.as_str()) {
            None => refused.push(format!(
                "collection {name} is gone, and cannot be dropped yet"
            )),
            Some(changed) if changed.data_type != collection.data_type => refused.push(format!(
                "collection {name} changed its type from {} to {}, which is never possible",
                collection.data_type.name(),
                changed.data_type.name()
            )),
            Some(_) => {}
        }
    }
    refused
}

/// The collections as the admin API takes them.
pub(crate) fn settings_of(manifest: &StoreManifest) -> Vec<CollectionSettings> {
    manifest.collections.iter().map(settings).collect()
}

fn settings(collection: &DeclaredCollection) -> CollectionSettings {
    let DeclaredCollection {
        name,
        data_type,
        conflicts,
    } = collection;
    let (policy, origins) = match &conflicts.policy {
        DeclaredPolicy::LastWriterWins => (Policy::LastWriterWins, None),
        DeclaredPolicy::OriginPriority { origins } => {
            (Policy::OriginPriority, Some(origins.clone()))
        }
        DeclaredPolicy::KeepSiblings => (Policy::KeepSiblings, None),
    };
    let conflicts = (!data_type.merges()).then_some(ConflictsSpec {
        policy: Some(policy),
        origins,
        update_delete: Some(conflicts.update_delete),
    });
    CollectionSettings {
        name: name.clone(),
        data_type: *data_type,
        conflicts,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use atoll_api::manifest::parse;

    use super::*;

    fn manifest(store: &str, collections: &[(&str, &str)]) -> StoreManifest {
        let mut text = format!(
            "apiVersion: atoll.dev/v1alpha1\nkind: GeoStore\nmetadata: {{name: shop}}\nspec: {store}\n"
        );
        for (name, spec) in collections {
            text.push_str(&format!(
                "---\napiVersion: atoll.dev/v1alpha1\nkind: Collection\nmetadata: {{name: {name}}}\n\
                 spec: {{storeRef: {{name: shop}}, {spec}}}\n"
            ));
        }
        parse(&[("shop.yaml", text)]).unwrap()
    }

    const TWO: &str = "{topology: {type: AllToAll}, regions: [{name: eu}, {name: us}]}";

    #[test]
    fn policies_and_new_collections_are_possible_online() {
        let old = manifest(TWO, &[("pages", "type: Register")]);
        let new = manifest(
            TWO,
            &[
                ("pages", "type: Register, conflicts: {policy: KeepSiblings}"),
                ("votes", "type: Counter"),
            ],
        );
        assert!(not_possible_online(&old, &new).is_empty());
        assert_ne!(settings_of(&old), settings_of(&new));
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let old = manifest(
            TWO,
            &[("pages", "type: Register"), ("votes", "type: Counter")],
        );
        let three = "{topology: {type: Star, hub: eu, failoverAfter: 9s}, regions: [{name: eu}, {name: us, role: ReadOnly}, {name: ap}]}";
        let new = manifest(three, &[("pages", "type: Document")]);
        let refused = not_possible_online(&old, &new).join("\n");
        for word in ["us", "failoverAfter", "pages", "votes"] {
            assert!(refused.contains(word), "{word}: {refused}");
        }
    }

    #[test]
    fn settings_declare_the_same_collections_again() {
        let conflicts = "type: Register, conflicts: {policy: OriginPriority, origins: [us, eu], updateDelete: KeepBoth}";
        let declared = manifest(TWO, &[("pages", conflicts), ("votes", "type: Counter")]);
        let regions: Vec<_> = declared
            .regions
            .iter()
            .map(|region| region.name.clone())
            .collect();
        let again =
            atoll_api::manifest::declare_collections(&settings_of(&declared), &regions).unwrap();
        assert_eq!(again, declared.collections);
    }
}
