//! The store without its collections: from a GeoStore document to its declaration.

use std::collections::BTreeSet;

use super::REGIONS_MAX;
use super::byte_size::ByteSize;
use super::declared::{
    ConflictRetention, DeclaredRegion, FAILOVER_AFTER_DEFAULT, FAILOVER_AFTER_MIN, LogRetention,
    Objectives, STORAGE_SIZE_DEFAULT, StoreManifest,
};
use super::error::{Fault, Report};
use super::geostore::{GeoStoreSpec, ObjectivesSpec, RegionSpec, Replicas, RetentionSpec, Role};
use super::names::{RegionName, StoreName};
use super::object::Document;
use super::shape;
use super::template::{NodeTemplate, StorageTemplate};
use super::time_span::TimeSpan;

/// A document of kind GeoStore.
pub(crate) type StoreDocument = Document<StoreName, GeoStoreSpec>;

/// Checks a store and fills in its defaults; collections come later. What is answered is whole only when
/// nothing was reported.
pub(crate) fn declare(document: &StoreDocument, report: &mut Report) -> Option<StoreManifest> {
    let GeoStoreSpec {
        topology,
        regions,
        // Of Kubernetes alone.
        version: _,
        store_id: _,
        deletion_policy: _,
        update_strategy: _,
        tls: _,
        template,
        objectives,
        retention,
        telemetry,
    } = &document.object.spec;
    check_regions(document, report);
    check_limits(document, report);
    check_failover(document, report);
    check_collector(document, report);
    let names: Vec<RegionName> = regions.iter().map(|region| region.name.clone()).collect();
    let shape_fields = [
        "spec.topology.order",
        "spec.topology.hub",
        "spec.topology.links",
    ];
    let is_readable = document.is_counted("spec.regions")
        && shape_fields
            .into_iter()
            .all(|field| document.is_intact(field));
    let shape = if is_readable && !names.is_empty() {
        declare_topology(document, &names, report)
    } else {
        None
    };
    Some(StoreManifest {
        name: document.object.metadata.name.clone(),
        namespace: document.object.metadata.namespace.clone(),
        topology: shape?,
        failover_after: topology.failover_after.unwrap_or(FAILOVER_AFTER_DEFAULT),
        regions: regions
            .iter()
            .map(|region| declare_region(region, template.as_ref()))
            .collect(),
        objectives: declare_objectives(objectives.as_ref()),
        log_retention: declare_log_retention(retention.as_ref()),
        conflict_retention: declare_conflict_retention(retention.as_ref()),
        telemetry: telemetry.clone().unwrap_or_default(),
        collections: Vec::new(),
    })
}

fn check_regions(document: &StoreDocument, report: &mut Report) {
    if !document.is_counted("spec.regions") {
        return;
    }
    let regions = &document.object.spec.regions;
    let mut names = BTreeSet::new();
    for (index, region) in regions.iter().enumerate() {
        if !names.insert(&region.name) {
            let fault = Fault::RegionTwice {
                name: region.name.clone(),
            };
            report.add(
                &document.place,
                format!("spec.regions[{index}].name"),
                fault,
            );
        }
    }
    let fault = match regions.len() {
        0 => Fault::NoRegions,
        count if count > REGIONS_MAX => Fault::TooManyRegions { count },
        _ if regions
            .iter()
            .all(|region| region.role == Some(Role::ReadOnly)) =>
        {
            Fault::NoLeader
        }
        _ => return,
    };
    report.add(&document.place, "spec.regions", fault);
}

fn check_limits(document: &StoreDocument, report: &mut Report) {
    let GeoStoreSpec {
        objectives,
        retention,
        ..
    } = &document.object.spec;
    let conflicts = retention.as_ref().and_then(|r| r.conflicts.as_ref());
    let spans = [
        (
            "spec.objectives.maxLag",
            objectives.as_ref().and_then(|o| o.max_lag),
        ),
        (
            "spec.objectives.maxClockSkew",
            objectives.as_ref().and_then(|o| o.max_clock_skew),
        ),
        (
            "spec.retention.maxAge",
            retention.as_ref().and_then(|r| r.max_age),
        ),
        (
            "spec.retention.conflicts.maxAge",
            conflicts.and_then(|c| c.max_age),
        ),
    ];
    let sizes = [
        (
            "spec.retention.maxSize",
            retention
                .as_ref()
                .and_then(|r| r.max_size)
                .map(ByteSize::as_bytes),
        ),
        (
            "spec.retention.conflicts.maxRows",
            conflicts.and_then(|c| c.max_rows),
        ),
    ];
    let numbers = spans
        .into_iter()
        .map(|(field, span)| (field, span.map(TimeSpan::as_millis)));
    for (field, number) in numbers.chain(sizes) {
        if number == Some(0) {
            report.add(&document.place, field, Fault::Zero);
        }
    }
}

fn check_failover(document: &StoreDocument, report: &mut Report) {
    let failover_after = document.object.spec.topology.failover_after;
    if failover_after.is_some_and(|after| after < FAILOVER_AFTER_MIN) {
        let field = "spec.topology.failoverAfter";
        report.add(&document.place, field, Fault::FailoverTooSoon);
    }
}

fn check_collector(document: &StoreDocument, report: &mut Report) {
    let telemetry = document.object.spec.telemetry.as_ref();
    let Some(otlp) = telemetry.and_then(|telemetry| telemetry.otlp.as_ref()) else {
        return;
    };
    let by_tls = otlp.endpoint.as_str().starts_with("https:");
    if by_tls && otlp.ca_secret_ref.is_none() {
        let field = "spec.telemetry.otlp.caSecretRef";
        report.add(&document.place, field, Fault::CollectorUntrusted);
    }
}

fn declare_topology(
    document: &StoreDocument,
    names: &[RegionName],
    report: &mut Report,
) -> Option<super::Topology> {
    let GeoStoreSpec {
        topology, regions, ..
    } = &document.object.spec;
    let leads = |region: &&RegionSpec| region.role.unwrap_or_default() == Role::Leader;
    match shape::declare(topology, names, regions.iter().filter(leads).count()) {
        Ok(topology) => Some(topology),
        Err(faults) => {
            for (field, fault) in faults {
                let path = format!("spec.topology.{field}");
                report.add(&document.place, path.trim_end_matches('.'), fault);
            }
            None
        }
    }
}

fn declare_region(spec: &RegionSpec, template: Option<&NodeTemplate>) -> DeclaredRegion {
    let RegionSpec {
        name,
        replicas,
        role,
        location,
        template: overrides,
    } = spec;
    let storage = StorageTemplate {
        size: Some(STORAGE_SIZE_DEFAULT),
        storage_class_name: None,
    };
    let defaults = NodeTemplate {
        storage: Some(storage),
        ..NodeTemplate::default()
    };
    let template = [template, overrides.as_ref()]
        .into_iter()
        .flatten()
        .fold(defaults, |template, over| template.overridden_by(over));
    DeclaredRegion {
        name: name.clone(),
        replicas: replicas.unwrap_or(Replicas::ONE),
        role: role.unwrap_or_default(),
        location: location.clone(),
        template,
    }
}

fn declare_objectives(spec: Option<&ObjectivesSpec>) -> Objectives {
    Objectives {
        max_lag: spec
            .and_then(|s| s.max_lag)
            .unwrap_or(Objectives::DEFAULT.max_lag),
        max_clock_skew: spec
            .and_then(|s| s.max_clock_skew)
            .unwrap_or(Objectives::DEFAULT.max_clock_skew),
    }
}

fn declare_log_retention(spec: Option<&RetentionSpec>) -> LogRetention {
    LogRetention {
        max_age: spec
            .and_then(|s| s.max_age)
            .unwrap_or(LogRetention::DEFAULT.max_age),
        max_size: spec
            .and_then(|s| s.max_size)
            .unwrap_or(LogRetention::DEFAULT.max_size),
    }
}

fn declare_conflict_retention(spec: Option<&RetentionSpec>) -> ConflictRetention {
    let spec = spec.and_then(|s| s.conflicts.as_ref());
    ConflictRetention {
        max_age: spec
            .and_then(|s| s.max_age)
            .unwrap_or(ConflictRetention::DEFAULT.max_age),
        max_rows: spec
            .and_then(|s| s.max_rows)
            .unwrap_or(ConflictRetention::DEFAULT.max_rows),
    }
}
