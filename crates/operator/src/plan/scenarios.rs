//! Plans for worlds written down: what is to be there, and what is next.

use atoll_api::manifest::{Collection, GeoStore};
use serde::Deserialize as _;

use super::{Declared, Next, plan};
use crate::observe::Observed;
use crate::settings::{Scope, Settings};
use crate::validate::validate;

pub(super) const STORE: &str = "
apiVersion: atoll.dev/v1alpha1
kind: GeoStore
metadata: { name: shop, namespace: team, uid: 7c9e, generation: 1 }
spec:
  topology: { type: AllToAll }
  regions:
    - { name: eu, replicas: 3 }
    - { name: us }
  template: { storage: { size: 10Gi } }
";

pub(crate) fn settings() -> Settings {
    Settings {
        scope: Scope::All,
        cluster: None,
        image: "registry.example/atoll".to_owned(),
        version: "1.2.3".to_owned(),
        concurrency: 4,
        look_every: std::time::Duration::from_secs(10),
        timeout: std::time::Duration::from_secs(2),
        listen: ([127, 0, 0, 1], 0).into(),
        identity: "operator-0".to_owned(),
        lease_namespace: "atoll-system".to_owned(),
    }
}

pub(crate) fn declared_in(text: &str, settings: &Settings) -> Declared {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let (mut stores, mut collections) = (Vec::new(), Vec::new());
    for document in documents {
        let value = serde_yaml_ng::Value::deserialize(document).unwrap();
        match value["kind"].as_str() {
            Some("GeoStore") => stores.push(serde_yaml_ng::from_value::<GeoStore>(value).unwrap()),
            _ => collections.push(std::sync::Arc::new(
                serde_yaml_ng::from_value::<Collection>(value).unwrap(),
            )),
        }
    }
    let (declared, _) = validate(&stores[0], &collections, settings).unwrap();
    declared
}

pub(crate) fn declared(text: &str) -> Declared {
    declared_in(text, &settings())
}

pub(super) fn world(text: &str) -> Observed {
    serde_yaml_ng::from_str(text).unwrap()
}

/// A region whose nodes all run and agree.
pub(super) fn region(name: &str, nodes: u8, revisions: &[&str], more: &str) -> String {
    let pods: String = (0..nodes)
        .map(|n| {
            let revision = revisions.get(usize::from(n)).unwrap_or(&"new");
            format!("{{ordinal: {n}, uid: {name}{n}, ip: 10.0.0.{n}, isReady: true, revision: {revision}}}, ")
        })
        .collect();
    let known: String = (0..nodes)
        .map(|n| {
            let role = if n == 0 { "Leader" } else { "Follower" };
            format!(
                "{{name: {name}-{n}, address: 'https://{}', id: '{n}', role: {role}}}, ",
                host(name, n)
            )
        })
        .collect();
    format!(
        "  {name}:
    objects: {{replicas: {nodes}, claimSize: 10Gi, updateRevision: new, pods: [{pods}]}}
    answer: !Said
      state: Active
      leader: https://{}
      version: 1.2.3
      isConverged: true
      nodes: [{known}]
{more}",
        host(name, 0)
    )
}

fn host(region: &str, node: u8) -> String {
    format!("shop-{region}-{node}.shop-{region}-nodes.team.svc:7401")
}

fn member(region: &str, state: &str) -> String {
    format!(
        "{{name: {region}, region: {region}, replica: r-{region}, state: {state}, vector: {{}}, lagEntries: 0, \
         held: 0, announced: 0}}"
    )
}

pub(super) fn links(regions: &[(&str, u8)], members: &[(&str, &str)]) -> String {
    let members: Vec<String> = members.iter().map(|(r, s)| member(r, s)).collect();
    let regions: Vec<String> = regions
        .iter()
        .map(|(name, nodes)| {
            let endpoints: Vec<String> = (0..*nodes)
                .map(|n| format!("'https://{}'", host(name, n)))
                .collect();
            format!(
                "{{name: {name}, role: Leader, endpoints: [{}]}}",
                endpoints.join(", ")
            )
        })
        .collect();
    format!(
        "      members: [{}]\n      topology: {{revision: 3, topology: {{type: AllToAll}}, regions: [{}], unheard: []}}\n",
        members.join(", "),
        regions.join(", ")
    )
}

/// Two regions at rest, linked as declared.
fn at_rest() -> String {
    let links = links(
        &[("eu", 3), ("us", 1)],
        &[("eu", "Active"), ("us", "Active")],
    );
    format!(
        "regions:\n{}{}",
        region("eu", 3, &[], &links),
        region("us", 1, &[], &links)
    )
}

pub(super) fn told(next: &Next) -> String {
    match next {
        Next::Nothing => "nothing".to_owned(),
        Next::Wait(told) => format!("wait {}: {}", told.reason, told.message),
        Next::Blocked(told) => format!("blocked {}: {}", told.reason, told.message),
        Next::Act { action, told } => {
            let action = serde_json::to_value(action).unwrap();
            let name = action.as_object().unwrap().keys().next().unwrap().clone();
            format!("{name} {}: {}", told.reason, told.message)
        }
    }
}

fn next(store: &str, world_text: &str) -> String {
    told(&plan(&declared(store), &world(world_text)).next)
}

#[test]
fn a_new_store_is_made_whole_and_forms() {
    let plan = plan(&declared(STORE), &world("regions: {eu: {}, us: {}}"));
    insta::assert_yaml_snapshot!(plan);
}

#[test]
fn a_store_at_rest_is_left_alone() {
    let plan = plan(&declared(STORE), &world(&at_rest()));
    assert_eq!(told(&plan.next), "nothing");
    assert!(plan.chores.is_empty() && plan.kept.is_empty() && plan.dropped.is_empty());
}

#[test]
fn a_region_that_is_silent_is_not_taken_for_dead() {
    let world = at_rest();
    let us = world.find("  us:").unwrap();
    let silent = format!(
        "{}  us:\n    objects: {{replicas: 1, claimSize: 10Gi, updateRevision: new, pods: [{{ordinal: 0, uid: u, isReady: false, revision: new}}]}}\n    answer: !Silent no answer\n",
        &world[..us]
    );
    assert_eq!(
        next(STORE, &silent),
        "wait NodesNotReady: region us: 0 of 1 nodes are ready (no answer)"
    );
    // Neither is it forced out when it is not declared any more.
    let without = STORE.replace("    - { name: us }\n", "");
    assert!(
        next(&without, &silent)
            .starts_with("blocked RegionHoldsData: region us is to leave and does not answer")
    );
}

#[test]
fn a_region_is_linked_before_its_nodes_are_made() {
    let with = STORE.replace(
        "    - { name: us }\n",
        "    - { name: us }\n    - { name: ap }\n",
    );
    let before = format!("{}  ap: {{}}\n", at_rest());
    let first = plan(&declared(&with), &world(&before));
    assert_eq!(
        told(&first.next),
        "DeclareTopology ChangingTopology: declaring the topology AllToAll with ap"
    );
    let made: Vec<_> = first.regions.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(made, ["eu", "us"]);

    let all = links(
        &[("eu", 3), ("us", 1), ("ap", 1)],
        &[("eu", "Active"), ("us", "Active")],
    );
    let linked = format!(
        "regions:\n{}{}  ap: {{}}\n",
        region("eu", 3, &[], &all),
        region("us", 1, &[], &all)
    );
    let second = plan(&declared(&with), &world(&linked));
    assert_eq!(told(&second.next), "wait RegionJoining: region ap joins");
    let ap = second
        .regions
        .iter()
        .find(|r| r.name.as_str() == "ap")
        .unwrap();
    assert!(ap.joined, "it takes in what the others have");
}

/// Caught: a store whose objects were all deleted, formed anew beside its own volumes.
#[test]
fn a_store_whose_volumes_are_there_is_taken_up_again() {
    let with = STORE.replace(
        "    - { name: us }\n",
        "    - { name: us }\n    - { name: ap }\n",
    );
    let volumes = "regions: {eu: {wasMade: true, hasVolumes: true}, us: {wasMade: true, hasVolumes: true}, ap: {}}";
    let again = plan(&declared(&with), &world(volumes));
    let made: Vec<_> = again
        .regions
        .iter()
        .map(|r| (r.name.as_str(), r.joined))
        .collect();
    // What was not there before joins, once the others run and link it.
    assert_eq!(made, [("eu", true), ("us", true)]);
}

/// Caught: a store of which some objects could be made and some not, because their names were taken: the regions made
/// later had to join those made first.
#[test]
fn a_store_that_is_half_made_is_still_new() {
    let half = "regions: {eu: {}, us: {wasMade: true, joined: false}}";
    let again = plan(&declared(STORE), &world(half));
    let made = again.regions.iter().map(|r| (r.name.as_str(), r.joined));
    assert_eq!(made.collect::<Vec<_>>(), [("eu", false), ("us", false)]);
}

/// A StatefulSet whose pods are refused says why, and only there.
#[test]
fn pods_that_nobody_makes_are_said() {
    let none = "regions: {eu: {}, us: {objects: {replicas: 1, updateRevision: new, pods: [], claims: []}}}";
    let said = next(STORE, none);
    assert!(
        said.contains("us (0 of 1 pods are made; `kubectl describe statefulset shop-us` says why)"),
        "{said}"
    );
}

/// Caught: Ready, about the new manifest, before the first node of a rolling update was restarted.
#[test]
fn a_change_that_is_not_taken_in_yet_is_not_done() {
    let unseen = at_rest().replacen("updateRevision: new", "updateRevision: null", 1);
    assert_ne!(unseen, at_rest());
    assert!(next(STORE, &unseen).starts_with("wait Applying: region eu"));
    let settled = plan(&declared(STORE), &world(&at_rest())).next;
    assert_eq!(settled.clone().after_making(true), Next::Nothing);
    assert!(told(&settled.after_making(false)).starts_with("wait Applying"));
}

#[test]
fn a_region_leaves_by_proof() {
    let without = STORE.replace("    - { name: us }\n", "");
    assert_eq!(
        next(&without, &at_rest()),
        "DrainRegion RegionDraining: region us takes no writes any more, and hands over what it wrote"
    );
    let world_with = |state: &str, linked: &[(&str, u8)]| {
        let links = links(linked, &[("eu", "Active"), ("us", state)]);
        format!(
            "regions:\n{}{}",
            region("eu", 3, &[], &links),
            region("us", 1, &[], &links)
        )
    };
    let both = [("eu", 3), ("us", 1)];
    assert!(next(&without, &world_with("Draining", &both)).starts_with("wait RegionDraining"));
    let retired = plan(&declared(&without), &world(&world_with("Retired", &both)));
    assert_eq!(
        told(&retired.next),
        "DeclareTopology ChangingTopology: declaring the topology AllToAll without us"
    );
    assert!(
        retired.dropped.is_empty(),
        "its objects stay until nobody links it"
    );
    let left = plan(
        &declared(&without),
        &world(&world_with("Retired", &both[..1])),
    );
    assert_eq!(told(&left.next), "nothing");
    assert_eq!(
        left.dropped
            .iter()
            .map(atoll_api::manifest::RegionName::as_str)
            .collect::<Vec<_>>(),
        ["us"]
    );
    // Declared again before it is retired, it stays.
    assert!(next(STORE, &world_with("Draining", &both)).starts_with("CancelDrain"));
}

#[test]
fn a_region_that_never_ran_just_goes() {
    let without = STORE.replace("    - { name: us }\n", "");
    let links = links(&[("eu", 3)], &[("eu", "Active")]);
    let eu = region("eu", 3, &[], &links);
    let with = |volumes: bool| {
        let us = format!("  us: {{hasVolumes: {volumes}, objects: {{replicas: 1}}}}\n");
        plan(&declared(&without), &world(&format!("regions:\n{eu}{us}")))
    };
    assert_eq!(
        (told(&with(false).next).as_str(), with(false).dropped.len()),
        ("nothing", 1)
    );
    assert!(told(&with(true).next).starts_with("wait RegionDraining"));
    assert!(with(true).dropped.is_empty());
}

#[test]
fn nodes_leave_their_region_before_their_pods_go() {
    let one = STORE.replace(", replicas: 3", "");
    let first = plan(&declared(&one), &world(&at_rest()));
    assert_eq!(
        told(&first.next),
        "RemoveNode ScalingRegion: region eu: node eu-2 leaves, 1 are declared"
    );
    assert_eq!(first.regions[0].nodes, 3);
    let removed = at_rest().replacen("{name: eu-2", "{name: eu-x", 1);
    let second = plan(&declared(&one), &world(&removed));
    assert_eq!(second.regions[0].nodes, 2);
    // Nobody says who is counted on: nobody goes.
    let silent = "regions: {eu: {objects: {replicas: 3, pods: []}, answer: !Silent why}, us: {}}";
    assert_eq!(plan(&declared(&one), &world(silent)).regions[0].nodes, 3);
}

#[test]
fn a_node_that_is_to_join_is_waited_for() {
    let more = STORE.replace("{ name: us }", "{ name: us, replicas: 3 }");
    assert_eq!(
        next(&more, &at_rest()),
        "wait ScalingRegion: region us: node us-1 is to join and to catch up"
    );
}

#[test]
fn restarts_go_one_by_one_the_leader_last_the_canary_first() {
    let links = links(
        &[("eu", 3), ("us", 1)],
        &[("eu", "Active"), ("us", "Active")],
    );
    let with = |eu: [&str; 3], us: &str| {
        format!(
            "regions:\n{}{}",
            region("eu", 3, &eu, &links),
            region("us", 1, &[us], &links)
        )
    };
    let next = |eu, us| next(STORE, &with(eu, us));
    let old = ["old"; 3];
    assert!(
        next(old, "old").starts_with("RestartPod RollingUpdate: region us: restarting shop-us-0")
    );
    assert!(next(old, "new").contains("restarting shop-eu-2, 0 of 3"));
    assert!(next(["old", "old", "new"], "new").contains("restarting shop-eu-1, 1 of 3"));
    assert!(next(["old", "new", "new"], "new").contains("restarting shop-eu-0, 2 of 3"));
    assert_eq!(next(["new"; 3], "new"), "nothing");
    // One that is down holds the others.
    let down = with(["old", "old", "new"], "new").replacen(
        "ip: 10.0.0.2, isReady: true",
        "isReady: false",
        1,
    );
    assert_eq!(
        super::scenarios::next(STORE, &down),
        "wait RollingUpdate: region eu: shop-eu-2 is to take requests again"
    );
    // Unless it is the change that it needs.
    let down = with(old, "new").replacen("ip: 10.0.0.1, isReady: true", "isReady: false", 1);
    assert!(super::scenarios::next(STORE, &down).contains("restarting shop-eu-1"));
    // The next region waits for lag.
    let lags = with(old, "new").replacen(
        "isConverged: true",
        "isConverged: false\n      lagSeconds: 60",
        1,
    );
    assert!(super::scenarios::next(STORE, &lags).starts_with("wait WaitingForConvergence"));
    let paused = STORE.replace(
        "  template:",
        "  updateStrategy: { paused: true }\n  template:",
    );
    assert!(super::scenarios::next(&paused, &with(old, "old")).starts_with("wait UpdatesPaused"));
}

#[test]
fn collections_are_told_to_regions_that_lack_them_and_never_dropped() {
    let with = format!(
        "{STORE}---\napiVersion: atoll.dev/v1alpha1\nkind: Collection\nmetadata: {{ name: pages, namespace: team }}\n\
         spec: {{ storeRef: {{ name: shop }}, type: Register }}\n"
    );
    let first = plan(&declared(&with), &world(&at_rest()));
    insta::assert_yaml_snapshot!(first.chores);
    let had = at_rest().replace(
        "isConverged: true",
        "isConverged: true\n      collections: [{name: pages, type: Register, conflicts: {policy: LastWriterWins, updateDelete: UpdateWins}}, {name: old, type: Set}]",
    );
    assert!(plan(&declared(&with), &world(&had)).chores.is_empty());
}

#[test]
fn volumes_grow_and_their_template_stays() {
    let larger = STORE.replace("10Gi", "20Gi");
    let world_text = at_rest().replacen(
        "pods: [",
        "claims: [{name: data-shop-eu-0, wanted: 10Gi, has: 10Gi, isBound: true}], pods: [",
        1,
    );
    let plan = plan(&declared(&larger), &world(&world_text));
    assert_eq!(
        serde_json::to_string(&plan.chores).unwrap(),
        r#"[{"GrowClaim":{"claim":"data-shop-eu-0","size":"20Gi"}}]"#
    );
    assert_eq!(plan.regions[0].claim_size.unwrap().to_string(), "10Gi");
}

/// Caught: each cluster linking its own regions by names that only it resolves, and finding the other's manifest different.
#[test]
fn clusters_with_the_same_manifest_declare_the_same() {
    let text = STORE
        .replace(
            "{ name: us }",
            "{ name: us, location: { cluster: west, endpoints: ['https://us:7401'] } }",
        )
        .replace(
            "replicas: 3",
            "replicas: 3, location: { cluster: east, endpoint: 'https://eu:7401' }",
        );
    let endpoints = |cluster: Option<&str>| -> Vec<Vec<String>> {
        let settings = Settings {
            cluster: cluster.map(ToOwned::to_owned),
            ..settings()
        };
        let declared = declared_in(&text, &settings);
        let regions = declared.manifest.regions.iter();
        regions.map(|region| declared.endpoints(region)).collect()
    };
    assert_eq!(
        endpoints(Some("east")),
        [["https://eu:7401"], ["https://us:7401"]]
    );
    assert_eq!(endpoints(Some("east")), endpoints(Some("west")));
    // Whoever names no clusters has one, with names of its own.
    assert!(endpoints(None)[1][0].ends_with(".svc:7401"));
}

/// Caught: two clusters that both declare, for ever.
#[test]
fn one_cluster_of_several_declares() {
    let text = STORE
        .replace(
            "{ name: us }",
            "{ name: us, location: { cluster: west, endpoint: 'https://us:7401' } }",
        )
        .replace(
            "replicas: 3",
            "replicas: 3, location: { cluster: east, endpoint: 'https://eu:7401' }",
        );
    let ring = at_rest().replace("type: AllToAll", "type: Ring");
    let at = |cluster: &str| {
        let settings = Settings {
            cluster: Some(cluster.to_owned()),
            ..settings()
        };
        told(&plan(&declared_in(&text, &settings), &world(&ring)).next)
    };
    assert!(at("east").starts_with("DeclareTopology"));
    assert!(!at("west").starts_with("DeclareTopology"), "{}", at("west"));
}
