//! Declarations in core's words, and back into the words of manifests.

use atoll_core::CollectionSpec as CoreCollection;

use super::collection::{ConflictsSpec, DataType, Policy, UpdateDelete};
use super::collections::CollectionSettings;
use super::declared::{DeclaredCollection, DeclaredConflicts, DeclaredPolicy};

impl From<DataType> for atoll_core::DataType {
    fn from(data_type: DataType) -> Self {
        match data_type {
            DataType::Register => atoll_core::DataType::Register,
            DataType::Document => atoll_core::DataType::Document,
            DataType::Counter => atoll_core::DataType::Counter,
            DataType::Set => atoll_core::DataType::Set,
            DataType::Map => atoll_core::DataType::Map,
        }
    }
}

impl From<atoll_core::DataType> for DataType {
    fn from(data_type: atoll_core::DataType) -> Self {
        match data_type {
            atoll_core::DataType::Register => DataType::Register,
            atoll_core::DataType::Document => DataType::Document,
            atoll_core::DataType::Counter => DataType::Counter,
            atoll_core::DataType::Set => DataType::Set,
            atoll_core::DataType::Map => DataType::Map,
        }
    }
}

impl From<UpdateDelete> for atoll_core::UpdateDelete {
    fn from(update_delete: UpdateDelete) -> Self {
        match update_delete {
            UpdateDelete::UpdateWins => atoll_core::UpdateDelete::UpdateWins,
            UpdateDelete::DeleteWins => atoll_core::UpdateDelete::DeleteWins,
            UpdateDelete::KeepBoth => atoll_core::UpdateDelete::KeepBoth,
        }
    }
}

impl From<atoll_core::UpdateDelete> for UpdateDelete {
    fn from(update_delete: atoll_core::UpdateDelete) -> Self {
        match update_delete {
            atoll_core::UpdateDelete::UpdateWins => UpdateDelete::UpdateWins,
            atoll_core::UpdateDelete::DeleteWins => UpdateDelete::DeleteWins,
            atoll_core::UpdateDelete::KeepBoth => UpdateDelete::KeepBoth,
        }
    }
}

impl From<DeclaredPolicy> for atoll_core::Policy {
    fn from(policy: DeclaredPolicy) -> Self {
        match policy {
            DeclaredPolicy::LastWriterWins => atoll_core::Policy::LastWriterWins,
            DeclaredPolicy::OriginPriority { origins } => {
                atoll_core::Policy::OriginPriority(origins.into_iter().map(Into::into).collect())
            }
            DeclaredPolicy::KeepSiblings => atoll_core::Policy::KeepSiblings,
        }
    }
}

impl From<atoll_core::Policy> for DeclaredPolicy {
    fn from(policy: atoll_core::Policy) -> Self {
        match policy {
            atoll_core::Policy::LastWriterWins => DeclaredPolicy::LastWriterWins,
            atoll_core::Policy::OriginPriority(origins) => {
                let origins = origins.into_iter().map(Into::into).collect();
                DeclaredPolicy::OriginPriority { origins }
            }
            atoll_core::Policy::KeepSiblings => DeclaredPolicy::KeepSiblings,
        }
    }
}

impl From<DeclaredCollection> for CoreCollection {
    fn from(declared: DeclaredCollection) -> Self {
        let DeclaredCollection {
            name,
            data_type,
            conflicts,
        } = declared;
        let DeclaredConflicts {
            policy,
            update_delete,
        } = conflicts;
        CoreCollection {
            name: name.into(),
            data_type: data_type.into(),
            policy: policy.into(),
            update_delete: update_delete.into(),
        }
    }
}

impl From<CoreCollection> for DeclaredCollection {
    fn from(collection: CoreCollection) -> Self {
        let CoreCollection {
            name,
            data_type,
            policy,
            update_delete,
        } = collection;
        let conflicts = DeclaredConflicts {
            policy: policy.into(),
            update_delete: update_delete.into(),
        };
        DeclaredCollection {
            name: name.into(),
            data_type: data_type.into(),
            conflicts,
        }
    }
}

/// As people write it: a type that merges has no policy.
impl From<DeclaredCollection> for CollectionSettings {
    fn from(declared: DeclaredCollection) -> Self {
        let DeclaredCollection {
            name,
            data_type,
            conflicts,
        } = declared;
        let conflicts = (!data_type.merges()).then(|| conflicts.into());
        CollectionSettings {
            name,
            data_type,
            conflicts,
        }
    }
}

impl From<DeclaredConflicts> for ConflictsSpec {
    fn from(declared: DeclaredConflicts) -> Self {
        let DeclaredConflicts {
            policy,
            update_delete,
        } = declared;
        let (policy, origins) = match policy {
            DeclaredPolicy::LastWriterWins => (Policy::LastWriterWins, None),
            DeclaredPolicy::OriginPriority { origins } => (Policy::OriginPriority, Some(origins)),
            DeclaredPolicy::KeepSiblings => (Policy::KeepSiblings, None),
        };
        ConflictsSpec {
            policy: Some(policy),
            origins,
            update_delete: Some(update_delete),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use crate::manifest::{RegionName, declare_collections};

    #[test]
    fn a_collection_survives_the_way_into_core_and_back() {
        let regions: Vec<RegionName> = vec!["eu".parse().unwrap(), "us".parse().unwrap()];
        let policies = [
            DeclaredPolicy::LastWriterWins,
            DeclaredPolicy::OriginPriority {
                origins: regions.clone(),
            },
            DeclaredPolicy::KeepSiblings,
        ];
        let update_deletes = [
            UpdateDelete::UpdateWins,
            UpdateDelete::DeleteWins,
            UpdateDelete::KeepBoth,
        ];
        for data_type in DataType::ALL {
            for (policy, update_delete) in policies.iter().zip(update_deletes) {
                let conflicts = if data_type.merges() {
                    DeclaredConflicts::default()
                } else {
                    DeclaredConflicts {
                        policy: policy.clone(),
                        update_delete,
                    }
                };
                let name = "pages".parse().unwrap();
                let declared = DeclaredCollection {
                    name,
                    data_type,
                    conflicts,
                };
                let core = CoreCollection::from(declared.clone());
                assert_eq!(core.data_type.name(), data_type.name());
                assert_eq!(DeclaredCollection::from(core), declared);
                let settings = [CollectionSettings::from(declared.clone())];
                assert_eq!(
                    declare_collections(&settings, &regions).unwrap(),
                    [declared]
                );
            }
        }
    }
}
