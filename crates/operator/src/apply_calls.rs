//! Single calls of the API server: what is asked, how often, and what is made of the answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::apply::Hands;
use crate::build::{Built, Kind, build};
use crate::caches::Children;
use crate::error::{Class, PassError};
use crate::kept::{Kept, KeptClaim};
use crate::lease::Door;
use crate::metrics::Metrics;
use crate::mock::{Exchange, refusal, server};
use crate::observe::Observed;
use crate::plan::scenarios::declared;
use crate::plan::{Declared, plan};

const STORE: &str = "
apiVersion: atoll.dev/v1alpha1
kind: GeoStore
metadata: { name: shop, namespace: team, uid: 7c9e }
spec:
  topology: { type: AllToAll }
  regions: [{ name: eu }]
";
const GET: &str = "GET /api/v1/namespaces/team/serviceaccounts/shop-nodes";
const PATCH: &str = "PATCH /api/v1/namespaces/team/serviceaccounts/shop-nodes";

fn account() -> (Declared, Built) {
    let declared = declared(STORE);
    let plan = plan(&declared, &Observed::default());
    let built = build(&declared, &plan).into_iter();
    let account = built.into_iter().find(|b| b.kind == Kind::ServiceAccount);
    (declared, account.unwrap())
}

fn answer(request: &'static str, answer: Value) -> Exchange {
    let status = 200;
    Exchange {
        request,
        status,
        answer,
    }
}

fn live(built: &Built) -> Value {
    let mut body = built.body.clone();
    body["metadata"]["resourceVersion"] = "7".into();
    body["metadata"]["uid"] = "a1".into();
    body
}

fn hands(script: Vec<Exchange>) -> (Hands, crate::mock::Played) {
    let (client, played) = server(script);
    let hands = Hands::new(client, Duration::from_secs(20), Metrics::new().unwrap());
    (hands, played)
}

fn kept(meta: Value) -> Kept {
    Kept::of(&serde_json::from_value(meta).unwrap())
}

fn children(built: &Built) -> Children {
    let mut children = Children::default();
    let key = (built.kind, built.name.as_str().into());
    children
        .made
        .insert(key, kept(live(built)["metadata"].clone()));
    children
}

#[tokio::test]
async fn what_is_so_already_is_not_written_again() {
    let (declared, built) = account();
    let (hands, played) = hands(vec![
        refusal(GET, 404, "NotFound"),
        answer(PATCH, live(&built)),
    ]);
    let applied = hands.apply(&declared, &built, &Children::default()).await;
    assert!(applied.unwrap(), "it is written");
    let there = children(&built);
    for _ in 0..3 {
        assert!(!hands.apply(&declared, &built, &there).await.unwrap());
    }
    let asked = played.await.unwrap();
    let (uri, body) = &asked[1];
    assert!(uri.contains("fieldManager=atoll-operator") && uri.contains("force=true"));
    assert_eq!(body["apiVersion"], "v1");
    assert_eq!(body["automountServiceAccountToken"], false);
}

/// Caught: a comparison of what was sent alone, which leaves an edited object as somebody made it.
#[tokio::test]
async fn what_somebody_changed_is_written_again() {
    let (declared, built) = account();
    let (hands, played) = hands(vec![
        answer(PATCH, live(&built)),
        answer(PATCH, live(&built)),
    ]);
    let mut there = children(&built);
    hands.apply(&declared, &built, &there).await.unwrap();
    let mut edited = live(&built)["metadata"].clone();
    edited["resourceVersion"] = "8".into();
    *there.made.values_mut().next().unwrap() = kept(edited);
    hands.apply(&declared, &built, &there).await.unwrap();
    assert_eq!(played.await.unwrap().len(), 2);
}

/// Caught: a StatefulSet that lost its labels was written as if there were none, with the nodes and the volumes of a new
/// one.
#[tokio::test]
async fn nodes_that_lost_their_labels_get_these_before_a_plan_is_made() {
    let declared = declared(STORE);
    let plan = plan(&declared, &Observed::default());
    let mut built = build(&declared, &plan).into_iter();
    let set = built.find(|b| b.kind == Kind::StatefulSet).unwrap();
    let get = "GET /apis/apps/v1/namespaces/team/statefulsets/shop-eu";
    let patch = "PATCH /apis/apps/v1/namespaces/team/statefulsets/shop-eu";
    let (hands, played) = hands(vec![answer(get, live(&set)), answer(patch, live(&set))]);
    let claim =
        json!({ "metadata": { "name": "data-shop-eu-0", "labels": { "atoll.dev/region": "eu" } } });
    let mut there = Children::default();
    let found = hands.label_strays(&declared, &there).await;
    assert!(!found.unwrap(), "a region that is new is not asked for");
    let claim = KeptClaim::of(&serde_json::from_value(claim).unwrap());
    there.claims = vec![("data-shop-eu-0".into(), Arc::new(claim))];
    assert!(hands.label_strays(&declared, &there).await.unwrap());
    let asked = played.await.unwrap();
    let labels = &asked[1].1["metadata"]["labels"];
    assert_eq!(labels["atoll.dev/store"], "shop");
    assert_eq!(labels["app.kubernetes.io/managed-by"], "atoll-operator");
    // Whether the region joined a store that was there is known by this label alone.
    assert!(labels.get("atoll.dev/joined").is_none());
    there.made = children(&set).made;
    let found = hands.label_strays(&declared, &there).await;
    assert!(!found.unwrap(), "what is known is not asked for");
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_taken() {
    let (declared, built) = account();
    let theirs = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "shop-nodes", "namespace": "team", "uid": "b2", "resourceVersion": "1" },
    });
    let (hands, played) = hands(vec![answer(GET, theirs)]);
    let taken = hands.apply(&declared, &built, &Children::default()).await;
    assert!(matches!(&taken, Err(PassError::NameTaken { name, .. }) if name == "shop-nodes"));
    assert_eq!(taken.unwrap_err().class(), Class::User);
    played.await.unwrap();
}

/// Caught: objects of a declared region that waits to be made, deleted as if nobody needed them.
#[tokio::test]
async fn only_what_is_decided_is_removed() {
    let store = STORE.replace("[{ name: eu }]", "[{ name: eu }, { name: us }]");
    let declared = declared(&store);
    let world = "regions: {eu: {wasMade: true, hasVolumes: true}, us: {}}";
    let plan = plan(&declared, &serde_yaml_ng::from_str(world).unwrap());
    let wanted = build(&declared, &plan);
    let meta = |region: &str| {
        kept(json!({
            "uid": "c3", "labels": { "atoll.dev/store": "shop", "atoll.dev/region": region },
            "ownerReferences": [{ "apiVersion": "v1", "kind": "GeoStore", "name": "shop", "uid": "7c9e" }],
        }))
    };
    let mut children = Children::default();
    for (name, region) in [("shop-eu", "eu"), ("shop-us", "us"), ("shop-eu-old", "eu")] {
        let key = (Kind::ConfigMap, name.into());
        children.made.insert(key, meta(region));
    }
    let delete = "DELETE /api/v1/namespaces/team/configmaps/shop-eu-old";
    let (hands, played) = hands(vec![answer(
        delete,
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }),
    )]);
    let removed = hands
        .remove_orphans(&declared, &plan, &wanted, &children)
        .await;
    removed.unwrap();
    let asked = played.await.unwrap();
    assert_eq!(asked[0].1["preconditions"]["uid"], "c3");
}

#[tokio::test]
async fn a_refusal_is_the_users_and_an_absence_passes() {
    let (declared, built) = account();
    let there = children(&built);
    for (status, reason, class) in [
        (422, "Invalid", Class::User),
        (403, "Forbidden", Class::User),
        (500, "InternalError", Class::Transient),
    ] {
        let (hands, played) = hands(vec![refusal(PATCH, status, reason)]);
        let failed = hands.apply(&declared, &built, &there).await.unwrap_err();
        assert_eq!(failed.class(), class, "{failed}");
        played.await.unwrap();
    }
}

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/ops/leases";

fn lease(holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "atoll-operator", "namespace": "ops", "resourceVersion": "5" },
        "spec": { "holderIdentity": holder, "leaseTransitions": 3 },
    })
}

#[tokio::test]
async fn a_free_lease_is_taken_renewed_and_given_back() {
    let get = "GET /apis/coordination.k8s.io/v1/namespaces/ops/leases/atoll-operator";
    let put = "PUT /apis/coordination.k8s.io/v1/namespaces/ops/leases/atoll-operator";
    let post = "POST /apis/coordination.k8s.io/v1/namespaces/ops/leases";
    assert!(get.ends_with(&format!("{LEASE}/atoll-operator")));
    let (client, played) = server(vec![
        refusal(get, 404, "NotFound"),
        answer(post, lease("a")),
        answer(get, lease("a")),
        answer(put, lease("a")),
        answer(get, lease("a")),
        answer(put, lease("")),
    ]);
    let mut door = Door::new(client, "ops", "a");
    assert!(door.knock().await);
    assert!(door.knock().await);
    door.release().await;
    let asked = played.await.unwrap();
    assert_eq!(asked[1].1["spec"]["holderIdentity"], "a");
    assert_eq!(asked[3].1["metadata"]["resourceVersion"], "5");
    assert_eq!(asked[3].1["spec"]["leaseTransitions"], 3);
    assert!(asked[5].1["spec"].get("holderIdentity").is_none());
}

#[tokio::test]
async fn of_two_that_write_at_once_one_is_refused() {
    let get = "GET /apis/coordination.k8s.io/v1/namespaces/ops/leases/atoll-operator";
    let put = "PUT /apis/coordination.k8s.io/v1/namespaces/ops/leases/atoll-operator";
    let (client, played) = server(vec![
        answer(get, lease("")),
        refusal(put, 409, "Conflict"),
        answer(get, lease("b")),
    ]);
    let mut door = Door::new(client, "ops", "a");
    assert!(!door.knock().await);
    assert!(!door.knock().await);
    played.await.unwrap();
}
