//! Every rule of the custom resource definitions refuses what it is for, and nothing that is right.
//!
//! Caught: a rule taken out of the table, and `>=` turned into `<=` in the one about volumes.
#![cfg(feature = "k8s")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kube::core::cel::{CompiledSchema, ValidationErrors, Validator, compile_schema};
use serde_json::{Value, json};

use atoll_api::manifest::{GeoStoreSpec, crds, declare_store};

fn schema(kind: &str) -> Value {
    let crd = crds()
        .into_iter()
        .find(|crd| crd.spec.names.kind == kind)
        .unwrap();
    let version = crd.spec.versions.into_iter().next().unwrap();
    serde_json::to_value(version.schema.unwrap().open_api_v3_schema.unwrap()).unwrap()
}

fn compiled(kind: &str) -> &'static CompiledSchema {
    static ALL: LazyLock<BTreeMap<String, CompiledSchema>> = LazyLock::new(|| {
        let kinds = crds().into_iter().map(|crd| crd.spec.names.kind);
        kinds
            .map(|kind| (kind.clone(), compile_schema(&schema(&kind))))
            .collect()
    });
    &ALL[kind]
}

/// What the rules say to an object that replaces `old`.
fn said(kind: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    let told = Validator::new().validate_compiled(compiled(kind), object, old);
    let errors = told.err().map(ValidationErrors::into_vec);
    let messages = errors.into_iter().flatten().map(|error| error.message);
    messages.collect()
}

fn store() -> Value {
    json!({
        "apiVersion": "atoll.dev/v1alpha1", "kind": "GeoStore", "metadata": { "name": "shop" },
        "spec": {
            "topology": { "type": "AllToAll" },
            "regions": [{ "name": "eu" }, { "name": "us" }, { "name": "ap" }],
        },
    })
}

fn collection() -> Value {
    json!({
        "apiVersion": "atoll.dev/v1alpha1", "kind": "Collection", "metadata": { "name": "pages" },
        "spec": { "storeRef": { "name": "shop" }, "type": "Register" },
    })
}

/// An object with a value put at a place, such as `/spec/topology`.
fn with(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[name] = value.clone();
    }
    object
}

/// One rule: what it says, to what, and after what.
struct Case {
    says: &'static str,
    object: Value,
    old: Option<Value>,
}

fn case(says: &'static str, object: Value) -> Case {
    let old = None;
    Case { says, object, old }
}

fn after(says: &'static str, old: Value, object: Value) -> Case {
    let old = Some(old);
    Case { says, object, old }
}

fn store_cases() -> Vec<Case> {
    let topology = |value: Value| with(store(), &[("/spec/topology", value)]);
    let storage = |value: Value| with(store(), &[("/spec/template", json!({ "storage": value }))]);
    let storage_there = |value: Value| {
        let regions = json!([{ "name": "eu", "template": { "storage": value } }]);
        with(store(), &[("/spec/regions", regions)])
    };
    let labels = json!({ "podLabels": { "atoll.dev/store": "mine" } });
    let tls = |value: Value| with(store(), &[("/spec/tls", value)]);
    let small = "a volume cannot shrink";
    let class = "the storage class of a volume never changes";
    let ours = "labels below atoll.dev/";
    vec![
        case(
            "name the store by",
            with(store(), &[("/metadata/name", json!("9shop"))]),
        ),
        case(
            "the names of the store and of a region have",
            with(
                store(),
                &[
                    ("/metadata/name", json!("s".repeat(40))),
                    ("/spec/regions/0/name", json!("europe")),
                ],
            ),
        ),
        case(
            "every region is ReadOnly",
            with(
                store(),
                &[(
                    "/spec/regions",
                    json!([{ "name": "eu", "role": "ReadOnly" }]),
                )],
            ),
        ),
        case(
            "topology.order names a region",
            topology(json!({ "type": "Ring", "order": ["eu", "us", "ap", "sa"] })),
        ),
        case(
            "topology.order leaves a region out",
            topology(json!({ "type": "Ring", "order": ["eu", "us"] })),
        ),
        case(
            "topology.hub is not in regions",
            topology(json!({ "type": "Star", "hub": "sa" })),
        ),
        case(
            "topology.links names a region",
            topology(json!({ "type": "Custom", "links": [
                { "from": "eu", "to": "us" }, { "from": "us", "to": "ap" }, { "from": "ap", "to": "eu" }, { "from": "ap", "to": "sa" },
            ] })),
        ),
        case(
            "a Ring needs at least 3",
            with(
                store(),
                &[
                    ("/spec/topology/type", json!("Ring")),
                    ("/spec/regions/2/role", json!("ReadOnly")),
                ],
            ),
        ),
        case(
            "a Custom topology needs its links",
            topology(json!({ "type": "Custom" })),
        ),
        case(
            "topology.links leaves a region alone",
            topology(
                json!({ "type": "Custom", "links": [{ "from": "eu", "to": "us" }, { "from": "us", "to": "eu" }] }),
            ),
        ),
        case(
            "updateStrategy.canary is not in regions",
            with(
                store(),
                &[("/spec/updateStrategy", json!({ "canary": "sa" }))],
            ),
        ),
        after(
            "storeId never changes",
            store(),
            with(store(), &[("/spec/storeId", json!("00000000000000ff"))]),
        ),
        after(
            "tls.mode never changes",
            store(),
            with(store(), &[("/spec/tls", json!({ "mode": "Plain" }))]),
        ),
        case(
            "location.endpoint and endpoints begin with",
            with(
                store(),
                &[(
                    "/spec/regions/0/location",
                    json!({ "cluster": "west", "endpoint": "http://eu:7400" }),
                )],
            ),
        ),
        case(
            "location.endpoint and endpoints begin with",
            with(
                store(),
                &[
                    ("/spec/tls", json!({ "mode": "Plain" })),
                    (
                        "/spec/regions/0/location",
                        json!({ "cluster": "west", "endpoints": ["http://eu:7400", "https://eu:7401"] }),
                    ),
                ],
            ),
        ),
        case(
            "tls.mode Plain goes without certificates",
            tls(json!({ "mode": "Plain", "caRevision": 1 })),
        ),
        case(
            "clients that come by plain HTTP show no certificate",
            tls(json!({ "clients": "Plain", "clientCaSecretRef": { "name": "people" } })),
        ),
        case(
            "caRevision asks the operator for a CA of its own making",
            tls(json!({ "caRevision": 1, "caSecretRef": { "name": "mine" } })),
        ),
        case(
            "certificateLifetime leaves too little time",
            tls(json!({ "certificateLifetime": "59m" })),
        ),
        case(
            "order belongs to type Ring",
            topology(json!({ "type": "AllToAll", "order": ["eu", "us", "ap"] })),
        ),
        case(
            "hub belongs to type Star",
            topology(json!({ "type": "AllToAll", "hub": "eu" })),
        ),
        case("a Star needs its hub", topology(json!({ "type": "Star" }))),
        case(
            "links belong to type Custom",
            topology(json!({ "type": "AllToAll", "links": [
                { "from": "eu", "to": "us" }, { "from": "us", "to": "ap" }, { "from": "ap", "to": "eu" },
            ] })),
        ),
        case(
            "a collector by https needs a CA",
            with(
                store(),
                &[(
                    "/spec/telemetry",
                    json!({ "otlp": { "endpoint": "https://collector:4318" } }),
                )],
            ),
        ),
        case(
            "failoverAfter below 1s",
            topology(json!({ "type": "AllToAll", "failoverAfter": "999ms" })),
        ),
        case(
            "a region is linked to itself",
            topology(json!({ "type": "Custom", "links": [
                { "from": "eu", "to": "eu" }, { "from": "eu", "to": "us" }, { "from": "us", "to": "ap" }, { "from": "ap", "to": "eu" },
            ] })),
        ),
        after(
            "a region does not move to another cluster",
            with(
                store(),
                &[("/spec/regions/0/location", json!({ "cluster": "west" }))],
            ),
            with(
                store(),
                &[("/spec/regions/0/location", json!({ "cluster": "east" }))],
            ),
        ),
        after(
            small,
            storage(json!({ "size": "2Gi" })),
            storage(json!({ "size": "2000Mi" })),
        ),
        after(
            small,
            storage_there(json!({ "size": "2Gi" })),
            storage_there(json!({})),
        ),
        after(
            class,
            storage(json!({ "storageClassName": "fast" })),
            storage(json!({})),
        ),
        after(
            class,
            storage_there(json!({ "storageClassName": "fast" })),
            storage_there(json!({ "storageClassName": "slow" })),
        ),
        case(ours, with(store(), &[("/spec/template", labels.clone())])),
        case(ours, with(store(), &[("/spec/regions/0/template", labels)])),
        case(
            "maxLag of zero",
            with(store(), &[("/spec/objectives", json!({ "maxLag": "0s" }))]),
        ),
        case(
            "maxClockSkew of zero",
            with(
                store(),
                &[("/spec/objectives", json!({ "maxClockSkew": "0ms" }))],
            ),
        ),
        case(
            "maxAge of zero keeps nothing",
            with(store(), &[("/spec/retention", json!({ "maxAge": "0h0s" }))]),
        ),
        case(
            "maxSize of zero keeps nothing",
            with(store(), &[("/spec/retention", json!({ "maxSize": "0Gi" }))]),
        ),
        case(
            "maxAge of zero keeps nothing",
            with(
                store(),
                &[(
                    "/spec/retention",
                    json!({ "conflicts": { "maxAge": "0s" } }),
                )],
            ),
        ),
    ]
}

fn collection_cases() -> Vec<Case> {
    let conflicts = |value: Value| with(collection(), &[("/spec/conflicts", value)]);
    vec![
        case(
            "the name of a collection",
            with(collection(), &[("/metadata/name", json!("p".repeat(64)))]),
        ),
        after(
            "the type of a collection never changes",
            collection(),
            with(collection(), &[("/spec/type", json!("Map"))]),
        ),
        after(
            "a collection stays in its store",
            collection(),
            with(collection(), &[("/spec/storeRef/name", json!("other"))]),
        ),
        case(
            "a Counter or a Set merges by itself",
            with(
                conflicts(json!({ "updateDelete": "KeepBoth" })),
                &[("/spec/type", json!("Set"))],
            ),
        ),
        case(
            "OriginPriority needs the regions",
            conflicts(json!({ "policy": "OriginPriority" })),
        ),
        case(
            "origins belong to policy OriginPriority",
            conflicts(json!({ "origins": ["eu"] })),
        ),
    ]
}

fn link_cases() -> Vec<Case> {
    let link = |to: &str| {
        json!({
            "apiVersion": "atoll.dev/v1alpha1", "kind": "ReplicationLink", "metadata": { "name": "shop.eu.us" },
            "spec": { "storeRef": { "name": "shop" }, "from": "eu", "to": to },
        })
    };
    vec![after(
        "links are made by the operator",
        link("us"),
        link("ap"),
    )]
}

fn check(kind: &str, cases: &[Case]) {
    for Case { says, object, old } in cases {
        let said = said(kind, object, old.as_ref());
        assert!(
            said.len() == 1 && said[0].starts_with(says),
            "{says}: {said:?}\n{object:#}"
        );
    }
    let rules = count(&schema(kind));
    assert_eq!(rules, cases.len(), "{kind}: every rule has its case");
}

/// Rules below a schema.
fn count(schema: &Value) -> usize {
    match schema {
        Value::Object(fields) => {
            let here = fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array);
            here.map_or(0, Vec::len) + fields.values().map(count).sum::<usize>()
        }
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[test]
fn what_a_store_may_not_be_is_refused_with_what_to_do() {
    check("GeoStore", &store_cases());
}

#[test]
fn what_a_collection_may_not_be_is_refused_with_what_to_do() {
    check("Collection", &collection_cases());
}

#[test]
fn what_a_link_may_not_be_is_refused_with_what_to_do() {
    check("ReplicationLink", &link_cases());
}

#[test]
fn every_rule_can_be_read() {
    for crd in crds() {
        let kind = crd.spec.names.kind;
        let compiled = compiled(&kind);
        assert!(
            !compiled.has_errors(),
            "{kind}: {:?}",
            compiled.compilation_errors()
        );
    }
}

#[test]
fn what_is_right_is_not_refused() {
    let right = [
        with(
            store(),
            &[(
                "/spec/topology",
                json!({ "type": "Ring", "order": ["ap", "us", "eu"], "failoverAfter": "10s" }),
            )],
        ),
        with(
            store(),
            &[("/spec/topology", json!({ "type": "Star", "hub": "us" }))],
        ),
        with(
            store(),
            &[(
                "/spec/topology",
                json!({ "type": "Custom", "links": [
            { "from": "eu", "to": "us" }, { "from": "us", "to": "ap" }, { "from": "ap", "to": "eu" },
        ] }),
            )],
        ),
        with(
            store(),
            &[
                ("/spec/topology", json!({ "type": "Custom" })),
                ("/spec/regions", json!([{ "name": "eu" }])),
            ],
        ),
        with(
            store(),
            &[
                (
                    "/spec/tls",
                    json!({
                        "mode": "Mutual", "clients": "Tls", "clientCaSecretRef": { "name": "people" },
                        "trustedCaSecretRefs": [{ "name": "west" }], "caRevision": 2, "certificateLifetime": "1h",
                    }),
                ),
                (
                    "/spec/regions/0/location",
                    json!({ "cluster": "west", "endpoint": "https://eu:7401" }),
                ),
            ],
        ),
        with(
            store(),
            &[
                ("/spec/tls", json!({ "mode": "Plain" })),
                (
                    "/spec/regions/0/location",
                    json!({ "cluster": "west", "endpoints": ["http://eu:7400"] }),
                ),
            ],
        ),
        with(
            store(),
            &[
                ("/spec/regions/0/role", json!("ReadOnly")),
                ("/spec/template", json!({ "podLabels": { "team": "a" } })),
            ],
        ),
    ];
    for object in right {
        assert_eq!(said("GeoStore", &object, None), [""; 0], "{object:#}");
        assert_eq!(
            said("GeoStore", &object, Some(&object)),
            [""; 0],
            "{object:#}"
        );
    }
    let grown = |size: &str| {
        with(
            store(),
            &[("/spec/template", json!({ "storage": { "size": size } }))],
        )
    };
    assert_eq!(
        said("GeoStore", &grown("10G"), Some(&grown("1Gi"))),
        [""; 0]
    );
    let ordered = json!({ "policy": "OriginPriority", "origins": ["eu", "us"] });
    let ordered = with(collection(), &[("/spec/conflicts", ordered)]);
    assert_eq!(said("Collection", &ordered, Some(&collection())), [""; 0]);
}

/// The same manifest is right for `kubectl apply` and for `atoll dev`, or for neither.
///
/// Caught: a parser that counted regions that take no writes.
#[test]
fn a_ring_has_as_many_leaders_for_everybody() {
    for (leaders, readers) in (1..5).flat_map(|leaders| [0, 1, 2].map(|more| (leaders, more))) {
        let region = |at: usize| {
            let role = if at < leaders { "Leader" } else { "ReadOnly" };
            json!({ "name": format!("r{at}"), "role": role })
        };
        let regions: Vec<Value> = (0..leaders + readers).map(region).collect();
        let changes = [
            ("/spec/regions", json!(regions)),
            ("/spec/topology/type", json!("Ring")),
        ];
        let store = with(store(), &changes);
        let spec: GeoStoreSpec = serde_json::from_value(store["spec"].clone()).unwrap();
        let declared = declare_store("shop".parse().unwrap(), None, &spec);
        assert_eq!(
            said("GeoStore", &store, None).is_empty(),
            declared.is_ok(),
            "{leaders} leaders and {readers} others: {declared:?}"
        );
    }
}

#[test]
fn every_list_text_and_map_has_a_limit() {
    for kind in ["GeoStore", "Collection", "ReplicationLink"] {
        for part in ["spec", "status"] {
            check_limits(&format!("{kind}.{part}"), &schema(kind)["properties"][part]);
        }
    }
}

fn check_limits(path: &str, schema: &Value) {
    let has = |name: &str| schema.get(name).is_some();
    let is_limited = match schema["type"].as_str() {
        Some("array") => has("maxItems"),
        Some("string") => has("maxLength") || has("enum") || has("format"),
        Some("object") => has("maxProperties") || !has("additionalProperties"),
        _ => true,
    };
    assert!(is_limited, "{path} has no limit");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        check_limits(&format!("{path}.{name}"), property);
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            check_limits(&format!("{path}[]"), &schema[below]);
        }
    }
}

#[test]
fn the_definitions_fit_where_kubectl_apply_keeps_them() {
    const ANNOTATIONS_MAX: usize = 262_144;
    for crd in crds() {
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(
            size < ANNOTATIONS_MAX / 2,
            "{}: {size} bytes",
            crd.spec.names.kind
        );
    }
}
