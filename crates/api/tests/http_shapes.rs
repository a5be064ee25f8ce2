//! The shapes of HTTP v1 as they are on the wire, and the OpenAPI document that describes them.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};

use atoll_api::http::*;
use atoll_api::manifest::{
    CollectionSettings, ConflictsSpec, DataType, LinkSpec, Policy, Role, TopologyKind,
    TopologySpec, UpdateDelete,
};
use atoll_api::openapi::{ROUTES, document};
use atoll_api::topology::Carries;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn text(word: &str) -> Option<String> {
    Some(word.to_owned())
}

fn raw(text: &str) -> RawJson {
    RawJson::from_text(text).unwrap()
}

fn vector() -> Vector {
    Vector::from([("eu".to_owned(), 7), ("us~2".to_owned(), 3)])
}

fn sibling() -> Sibling {
    Sibling {
        value: Some(raw("null")),
        value_base64: text("AA=="),
        media_type: text("image/png"),
        dot: "000000000000002a:7".into(),
        region: "eu".into(),
        time: "2026-01-02T03:04:05.678Z".into(),
        deleted: true,
        field: text("/title"),
    }
}

fn conflict() -> Conflict {
    Conflict {
        id: "c0ffee".into(),
        kind: "write-write".into(),
        collection: "pages".into(),
        key: "a".into(),
        field: text("/title"),
        versions: vec![ConflictVersion {
            dot: "000000000000002a:7".into(),
            region: "eu".into(),
            time: "2026-01-02T03:04:05.678Z".into(),
            value: Some(raw("1")),
            value_base64: text("AA=="),
            media_type: text("image/png"),
            deleted: true,
            wins: Some(false),
        }],
        policy: "LastWriterWins".into(),
        outcome: "latest-kept".into(),
        detected: "2026-01-02T03:04:05.678Z".into(),
        resolved: text("2026-01-02T03:04:06.000Z"),
        seen_here: text("2026-01-02T03:04:07.000Z"),
    }
}

fn link() -> LinkStatus {
    LinkStatus {
        name: "eu:us".into(),
        from: "eu".into(),
        to: "us".into(),
        state: LinkState::Streaming,
        lag_seconds: 0.25,
        lag_entries: 3,
        queue: 1,
        rtt_seconds: Some(0.08),
        carries: Some(Carries::OwnEntries),
        role: Some(LinkRole::StandsIn),
        role_seconds: Some(12.5),
        stands_in_for: vec!["ap:us".into()],
        silent_seconds: Some(3.5),
        detail: text("all is well"),
    }
}

fn joining() -> JoinProgress {
    JoinProgress {
        applied: 70,
        known: 100,
        seconds_left: Some(1.5),
        waiting_for: vec!["us".into()],
    }
}

fn draining() -> DrainProgress {
    DrainProgress {
        entries: 7,
        waiting_for: vec![DrainWait {
            region: "us".into(),
            missing: 2,
        }],
    }
}

fn member() -> MemberStatus {
    MemberStatus {
        name: "eu~2".into(),
        region: "eu".into(),
        replica: "000000000000002a".into(),
        state: MemberState::Draining,
        vector: vector(),
        lag_entries: 3,
        held: 7,
        announced: 9,
        heard_seconds_ago: Some(0.5),
        endpoints: vec!["http://eu-0:4400".into()],
        join: Some(joining()),
        drain: Some(draining()),
        last: Some(7),
    }
}

fn topology() -> TopologyDeclaration {
    let name = |name: &str| name.parse().unwrap();
    TopologyDeclaration {
        revision: Some(1),
        topology: TopologySpec {
            kind: TopologyKind::Star,
            order: Some(vec![name("eu")]),
            hub: Some(name("eu")),
            links: Some(vec![LinkSpec {
                from: name("eu"),
                to: name("us"),
            }]),
            failover_after: Some("5s".parse().unwrap()),
        },
        regions: vec![TopologyRegion {
            name: name("eu"),
            role: Role::ReadOnly,
            endpoints: vec!["http://eu-0:4400".into()],
        }],
    }
}

fn status() -> Status {
    let conflicts = ConflictsSpec {
        policy: Some(Policy::OriginPriority),
        origins: Some(vec!["eu".parse().unwrap()]),
        update_delete: Some(UpdateDelete::KeepBoth),
    };
    Status {
        node: "eu-0".into(),
        store: "shop".into(),
        region: "eu".into(),
        replica: "000000000000002a".into(),
        state: Some(MemberState::Joining),
        join: Some(joining()),
        role: Role::Leader,
        leader: text("eu-0"),
        vector: vector(),
        stable: Some(vector()),
        peers: vec![PeerStatus {
            region: "us".into(),
            vector: vector(),
            heard_seconds_ago: Some(0.5),
        }],
        clock: ClockStatus {
            state: ClockState::Good,
            offset_seconds: BTreeMap::from([("us".to_owned(), -0.001)]),
            max_skew_seconds: 0.5,
        },
        collections: vec![CollectionStatus {
            name: "pages".into(),
            data_type: DataType::Register,
            conflicts: Some(conflicts),
        }],
        convergence: Convergence {
            converged: false,
            lag_seconds: 0.25,
            lag_entries: 3,
            open_conflicts: 1,
        },
        topology: Some(Connectivity {
            state: ConnectivityState::Partitioned,
            sides: vec![vec!["eu".into()], vec!["us".into()]],
        }),
        tls: Some(TlsStatus {
            name: "atoll://5bd1e995cafe0001/eu/eu-0".into(),
            certificate_expires: text("2026-01-02T03:04:05.000Z"),
            ca_expires: text("2027-01-02T03:04:05.000Z"),
            certificate_fingerprint: "5bd1".into(),
            ca_fingerprints: vec!["cafe".into()],
            refused: 2,
            last_refusal: text("somebody who connects: the other side shows no certificate"),
            problem: text("tls.key: does not fit tls.crt"),
        }),
        version: "0.1.0".into(),
    }
}

fn problem() -> Problem {
    Problem {
        instance: text("/v1/batch"),
        missing: Some(vector()),
        retry_after: Some(1),
        seen_by: Some(vec!["eu".into()]),
        dot: text("000000000000002a:7"),
        operation: Some(2),
        limit: Some(1024),
        lost: Some(3),
        offset_seconds: Some(3600.5),
        leader: Some("http://10.0.1.6:7401".into()),
        ..Problem::new(Reason::SessionNotReached, "wait")
    }
}

fn batch_operation() -> BatchOperation {
    BatchOperation {
        collection: "pages".into(),
        key: "a".into(),
        put: Some(raw("null")),
        put_base64: text("AA=="),
        media_type: text("image/png"),
        patch: Some(raw("{}")),
        delete: true,
        ops: Some(raw("{}")),
        if_match: text("x"),
        if_none_match: text("*"),
        context: text("x"),
    }
}

/// Reads and writes a full sample, compares it to the schema of its name, and shows it.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    name: &str,
    sample: &T,
) -> Value {
    let written = serde_json::to_string(sample).unwrap();
    assert_eq!(
        serde_json::from_str::<T>(&written).unwrap(),
        *sample,
        "{name} is not read as it was written"
    );
    let shown: Value = serde_json::from_str(&written).unwrap();
    let schema = &document()["components"]["schemas"][name];
    let fields = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        fields(&schema["properties"]),
        fields(&shown),
        "the schema of {name} has other fields"
    );
    shown
}

#[test]
fn every_shape_is_on_the_wire_as_promised() {
    let value = || (Some(raw("1.50")), text("AA=="), text("image/png"));
    let (json, base64, media) = value();
    let item = KeyItem {
        key: "a".into(),
        value: json,
        value_base64: base64,
        media_type: media,
        siblings: Some(vec![sibling()]),
    };
    let (json, base64, media) = value();
    let read_item = ReadItem {
        collection: "pages".into(),
        key: "a".into(),
        found: true,
        value: json,
        value_base64: base64,
        media_type: media,
        siblings: Some(vec![]),
        etag: text("x"),
    };
    let settings = CollectionSettings {
        name: "pages".parse().unwrap(),
        data_type: DataType::Map,
        conflicts: None,
    };
    let line = ChangeLine {
        cursor: "x".into(),
        collection: "pages".into(),
        key: "a".into(),
        dot: "000000000000002a:7".into(),
        region: "eu".into(),
        time: "2026-01-02T03:04:05.678Z".into(),
        deleted: false,
    };
    let key = KeyRef {
        collection: "pages".into(),
        key: "a".into(),
    };
    let seen_by = Some(vec!["eu".to_owned()]);
    let shown = json!({
        "Problem": check("Problem", &problem()),
        "Receipt": check("Receipt", &Receipt { dot: "a:1".into(), session: "x".into(), seen_by: seen_by.clone() }),
        "BatchRequest": check("BatchRequest", &BatchRequest { operations: vec![batch_operation()] }),
        "BatchOperation": check("BatchOperation", &batch_operation()),
        "BatchAnswer": check("BatchAnswer", &BatchAnswer { dot: "a:1".into(), session: "x".into(), operations: 1, seen_by }),
        "Siblings": check("Siblings", &Siblings { siblings: vec![sibling()] }),
        "Sibling": check("Sibling", &sibling()),
        "KeyPage": check("KeyPage", &KeyPage { items: vec![item.clone()], next: text("b") }),
        "KeyItem": check("KeyItem", &item),
        "KeyRef": check("KeyRef", &key),
        "ReadRequest": check("ReadRequest", &ReadRequest { keys: vec![key.clone()] }),
        "ReadAnswer": check("ReadAnswer", &ReadAnswer { items: vec![read_item.clone()] }),
        "ReadItem": check("ReadItem", &read_item),
        "ChangeLine": check("ChangeLine", &line),
        "ConflictList": check("ConflictList", &ConflictList { conflicts: vec![conflict()], next: text("x") }),
        "Conflict": check("Conflict", &conflict()),
        "ConflictVersion": check("ConflictVersion", &conflict().versions[0]),
        "Status": check("Status", &status()),
        "PeerStatus": check("PeerStatus", &status().peers[0]),
        "ClockStatus": check("ClockStatus", &status().clock),
        "CollectionStatus": check("CollectionStatus", &status().collections[0]),
        "Conflicts": check("Conflicts", &status().collections[0].conflicts.clone().unwrap()),
        "Convergence": check("Convergence", &status().convergence),
        "CollectionList": check("CollectionList", &CollectionList { collections: vec![settings] }),
        "LinkList": check("LinkList", &LinkList { links: vec![link()] }),
        "LinkStatus": check("LinkStatus", &link()),
        "Connectivity": check("Connectivity", &status().topology.unwrap()),
        "TlsStatus": check("TlsStatus", &status().tls.unwrap()),
        "Health": check("Health", &Health { alive: true }),
        "NodeStatus": check("NodeStatus", &node()),
        "NodeList": check("NodeList", &NodeList { nodes: vec![node()] }),
        "NodeAddress": check("NodeAddress", &NodeAddress { address: "http://eu-1:7400".into() }),
        "Readiness": check("Readiness", &Readiness { ready: false, progress: Progress::Joining, join: Some(joining()) }),
        "MemberList": check("MemberList", &MemberList { store: "000000000000002a".into(), region: "eu".into(), replica: "000000000000002a".into(), revision: 1, members: vec![member()] }),
        "MemberStatus": check("MemberStatus", &member()),
        "JoinProgress": check("JoinProgress", &joining()),
        "DrainProgress": check("DrainProgress", &draining()),
        "DrainWait": check("DrainWait", &draining().waiting_for[0]),
        "Removed": check("Removed", &Removed { region: "eu".into(), replica: "000000000000002a".into(), last: 7, lost: 2, unheard: vec!["us".into()] }),
        "TopologyDeclaration": check("TopologyDeclaration", &topology()),
        "TopologyRegion": check("TopologyRegion", &topology().regions[0]),
        "TopologyPlan": check("TopologyPlan", &TopologyPlan { revision: 2, steps: vec!["drop eu:us".into()] }),
        "TopologyStatus": check("TopologyStatus", &TopologyStatus { revision: 1, topology: Some(topology().topology), regions: topology().regions, unheard: vec!["us".into()] }),
    });
    let described: BTreeSet<String> = document()["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let sampled: BTreeSet<String> = shown.as_object().unwrap().keys().cloned().collect();
    let unsampled: Vec<_> = described.difference(&sampled).collect();
    assert_eq!(
        unsampled,
        ["Operations", "Vector"],
        "schemas without a sample"
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap());
}

#[test]
fn reasons_have_fixed_words_statuses_and_titles() {
    let table: Vec<_> = Reason::ALL
        .iter()
        .map(|r| format!("{} {r}: {}", r.status(), r.title()))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
    for reason in Reason::ALL {
        assert_eq!(reason.as_str().parse(), Ok(*reason));
        assert_eq!(Problem::new(*reason, "").reason(), Some(*reason));
    }
}

#[test]
fn a_problem_of_a_later_version_is_read_all_the_same() {
    let problem: Problem = serde_json::from_str(
        r#"{"type":"urn:x","title":"t","status":503,"detail":"d","reason":"New","more":1}"#,
    )
    .unwrap();
    assert_eq!((problem.reason(), problem.status), (None, 503));
    assert!(serde_json::from_str::<Problem>("{}").is_ok());
}

#[test]
fn routes_are_unique_and_their_references_resolve() {
    let mut seen = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for route in ROUTES {
        assert!(
            seen.insert((route.path, route.method)),
            "{} {} twice",
            route.method.as_str(),
            route.path
        );
        assert!(ids.insert(route.id), "{} twice", route.id);
        assert!(!route.answers.is_empty(), "{} has no answer", route.id);
    }
    let document = document();
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.trim_start_matches('#');
                    assert!(
                        document.pointer(pointer).is_some(),
                        "{reference} leads nowhere"
                    );
                    references += 1;
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(references > 100, "{references}");
}

#[test]
fn the_document_covers_every_promised_route() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "parameters")
        {
            let statuses: Vec<_> = operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            routes.push(format!(
                "{:6} {path} → {}",
                method.to_uppercase(),
                statuses.join(" ")
            ));
        }
    }
    insta::assert_snapshot!(routes.join("\n"));
}

fn node() -> NodeStatus {
    NodeStatus {
        name: "eu-0".into(),
        address: "http://eu-0:7400".into(),
        id: "4242".into(),
        role: NodeRole::Follower,
        commands_behind: Some(3),
    }
}
