//! SIGHUP: what the manifests say now, applied to the running store as far as that is possible.

use std::path::PathBuf;

use atoll_api::http::CollectionList;
use atoll_api::manifest::{
    CollectionSettings, ConflictsSpec, DeclaredCollection, DeclaredPolicy, Policy, StoreManifest,
};
use atoll_client::Client;

use super::control::DevStore;
use super::files;
use crate::failure::Failure;
use crate::output;
use crate::wording;

/// Rereads the manifests. What cannot be applied is told, and changes nothing.
pub(crate) async fn reload(files: &[PathBuf], manifest: &mut StoreManifest, store: &DevStore) {
    match apply(files, manifest, store).await {
        Ok(told) => output::line(&told),
        Err(failure) => {
            failure
                .during("the manifests were reread, and nothing changed")
                .report();
        }
    }
}

async fn apply(
    files: &[PathBuf],
    manifest: &mut StoreManifest,
    store: &DevStore,
) -> Result<String, Failure> {
    let new = files::read(files)?;
    let refused = not_possible_online(manifest, &new);
    if !refused.is_empty() {
        return Err(Failure::usage(refused.join("; "))
            .help("end the store and start it again, or take these changes back"));
    }
    if settings_of(manifest) == settings_of(&new) {
        return Ok("The manifests were reread: the collections are as before.".to_owned());
    }
    let collections = CollectionList {
        collections: settings_of(&new),
    };
    for region in &store.regions {
        let client = Client::new(&region.server)?;
        client.put_collections(&collections).await?;
    }
    let count = wording::counted(new.collections.len() as u64, "collection", "collections");
    *manifest = new;
    Ok(format!(
        "The manifests were reread: {count} in every region."
    ))
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
    if old.regions != new.regions {
        refused.push("spec.regions changed, which is not yet possible online".to_owned());
    }
    if old.topology != new.topology || old.failover_after != new.failover_after {
        refused.push("spec.topology changed, which is not yet possible online".to_owned());
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
        let three =
            "{topology: {type: Star, hub: eu}, regions: [{name: eu}, {name: us}, {name: ap}]}";
        let new = manifest(three, &[("pages", "type: Document")]);
        let refused = not_possible_online(&old, &new).join("\n");
        for word in ["spec.regions", "spec.topology", "pages", "votes"] {
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
