//! The manifests that come with Atoll, and what is made of them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::Path;

use atoll_api::manifest::{
    DataType, DeclaredPolicy, GeoStoreSpec, Role, StoreManifest, TimeSpan, Topology, UpdateDelete,
    parse,
};
use atoll_api::topology::links;

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../manifests/samples")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(name: &str) -> StoreManifest {
    parse(&[(name, sample(name))]).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn names(manifest: &StoreManifest) -> Vec<&str> {
    manifest
        .regions
        .iter()
        .map(|region| region.name.as_str())
        .collect()
}

#[test]
fn three_regions_are_linked_all_to_all() {
    let manifest = read("three-regions.yaml");
    assert_eq!(names(&manifest), ["eu", "us", "ap"]);
    assert_eq!(manifest.topology, Topology::AllToAll);
    assert_eq!(links(&manifest).len(), 6);
    assert_eq!(manifest.failover_after, TimeSpan::from_secs(5));
    assert_eq!(
        manifest.objectives.max_clock_skew,
        TimeSpan::from_millis(500)
    );
}

#[test]
fn the_ring_has_six_regions_and_as_many_links() {
    let manifest = read("ring.yaml");
    assert_eq!(manifest.regions.len(), 6);
    assert!(matches!(&manifest.topology, Topology::Ring { order } if order.len() == 6));
    assert_eq!(links(&manifest).len(), 6);
}

#[test]
fn the_star_has_two_links_for_each_spoke() {
    let manifest = read("star.yaml");
    assert!(matches!(&manifest.topology, Topology::Star { hub } if hub.as_str() == "eu"));
    assert_eq!(links(&manifest).len(), 2 * (manifest.regions.len() - 1));
}

#[test]
fn all_samples_declare_the_same_collections() {
    let collections = read("three-regions.yaml").collections;
    let shown: Vec<_> = collections
        .iter()
        .map(|c| format!("{} {}", c.name, c.data_type.name()))
        .collect();
    assert_eq!(
        shown,
        [
            "pages Register",
            "articles Document",
            "carts Set",
            "votes Counter",
            "profiles Map",
            "notes Register",
            "countries Document",
        ]
    );
    for other in ["ring.yaml", "star.yaml"] {
        assert_eq!(read(other).collections, collections, "{other}");
    }
    let notes = &collections[5];
    assert_eq!(
        (notes.data_type, &notes.conflicts.policy),
        (DataType::Register, &DeclaredPolicy::KeepSiblings)
    );
}

/// As PRODUCT shows it, with every field that is optional there.
const FULL: &str = r#"
apiVersion: atoll.dev/v1alpha1
kind: GeoStore
metadata: { name: shop, namespace: prod, labels: { team: web }, uid: 1234, generation: 2 }
spec:
  topology: { type: Custom, links: [{from: eu, to: us}, {from: us, to: ap}, {from: ap, to: eu}], failoverAfter: 10s }
  regions:
    - name: eu
      replicas: 3
      role: Leader
      location: { cluster: eu-west }
    - name: us
      role: ReadOnly
    - name: ap
      template: { storage: { size: 20Gi }, podLabels: { zone: far } }
  template:
    storage: { size: 12Gi, storageClassName: fast }
    resources: { limits: { memory: 2Gi } }
    tolerations: [{ key: dedicated, operator: Exists }]
  objectives: { maxLag: 3s, maxClockSkew: 250ms }
  retention: { maxAge: 48h, maxSize: 500Mi, conflicts: { maxAge: 24h, maxRows: 1000 } }
  telemetry: { otlp: { endpoint: "http://collector:4318", logs: true }, traceRatio: 0.5 }
status: { conditions: [] }
---
# nothing here
---
apiVersion: v1
kind: ConfigMap
metadata: { name: other }
---
apiVersion: atoll.dev/v1alpha1
kind: Collection
metadata: { name: pages, namespace: prod }
spec:
  storeRef: { name: shop }
  type: Register
  conflicts: { policy: OriginPriority, origins: [us, eu], updateDelete: DeleteWins }
"#;

#[test]
fn every_field_is_read() {
    let manifest = parse(&[("full.yaml", FULL)]).unwrap();
    assert_eq!(manifest.namespace.as_deref(), Some("prod"));
    let (eu, us, ap) = (
        &manifest.regions[0],
        &manifest.regions[1],
        &manifest.regions[2],
    );
    assert_eq!((eu.replicas.get(), us.replicas.get()), (3, 1));
    assert_eq!((eu.role, us.role), (Role::Leader, Role::ReadOnly));
    assert_eq!(eu.location.as_ref().unwrap().cluster, "eu-west");
    let (eu_disk, ap_disk) = (
        eu.template.storage.as_ref().unwrap(),
        ap.template.storage.as_ref().unwrap(),
    );
    assert_eq!(
        (
            eu_disk.size.unwrap().to_string(),
            ap_disk.size.unwrap().to_string()
        ),
        ("12Gi".into(), "20Gi".into())
    );
    assert_eq!(ap_disk.storage_class_name.as_deref(), Some("fast"));
    assert!(ap.template.resources.is_some() && ap.template.tolerations.is_some());
    assert_eq!(manifest.failover_after, TimeSpan::from_secs(10));
    assert_eq!(manifest.objectives.max_lag, TimeSpan::from_secs(3));
    assert_eq!(manifest.log_retention.max_size.to_string(), "500Mi");
    assert_eq!(manifest.conflict_retention.max_rows, 1000);
    assert_eq!(
        manifest.telemetry.otlp.as_ref().unwrap().endpoint.as_str(),
        "http://collector:4318"
    );
    assert_eq!(manifest.telemetry.trace_ratio.map(f64::from), Some(0.5));
    let conflicts = &manifest.collection("pages").unwrap().conflicts;
    assert!(
        matches!(&conflicts.policy, DeclaredPolicy::OriginPriority { origins } if origins.len() == 2)
    );
    assert_eq!(conflicts.update_delete, UpdateDelete::DeleteWins);
}

#[test]
fn defaults_are_filled_in() {
    let text = "apiVersion: atoll.dev/v1alpha1\nkind: GeoStore\nmetadata: {name: shop}\n\
                spec: {topology: {type: AllToAll}, regions: [{name: eu}]}";
    let manifest = parse(&[("shop.yaml", text)]).unwrap();
    let region = manifest.region("eu").unwrap();
    assert_eq!((region.replicas.get(), region.role), (1, Role::Leader));
    assert_eq!(
        region
            .template
            .storage
            .as_ref()
            .unwrap()
            .size
            .unwrap()
            .to_string(),
        "10Gi"
    );
    assert_eq!(manifest.failover_after, TimeSpan::from_secs(5));
    assert_eq!(manifest.log_retention.max_age, TimeSpan::from_hours(72));
    assert_eq!(
        manifest.conflict_retention.max_age,
        TimeSpan::from_hours(720)
    );
    assert_eq!(manifest.conflict_retention.max_rows, 1_000_000);
}

#[test]
fn a_spec_is_written_as_it_was_read() {
    let documents = serde_yaml_ng::Deserializer::from_str(FULL);
    let whole = documents
        .map(|d| <serde_yaml_ng::Value as serde::Deserialize>::deserialize(d).unwrap())
        .next()
        .unwrap();
    let spec: GeoStoreSpec = serde_yaml_ng::from_value(whole["spec"].clone()).unwrap();
    assert_eq!(serde_yaml_ng::to_value(&spec).unwrap(), whole["spec"]);
}
