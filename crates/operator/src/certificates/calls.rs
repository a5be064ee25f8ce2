//! From Secrets as the API server has them to what is arranged, and back.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_api::manifest::RegionName;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::authority::tests::now;
use super::*;
use crate::build::Kind;
use crate::error::Class;
use crate::kept::Kept;
use crate::metrics::Metrics;
use crate::mock::{Exchange, refusal, server};
use crate::plan::scenarios::declared;

const STORE: &str = "
apiVersion: atoll.dev/v1alpha1
kind: GeoStore
metadata: { name: shop, namespace: team, uid: 7c9e }
spec:
  topology: { type: AllToAll }
  regions: [{ name: eu }, { name: us }]
";

/// The API server's Secrets, by name, each with the version that it has.
#[derive(Clone, Default)]
struct World(BTreeMap<String, (u32, files::Files)>);

impl World {
    fn put(&mut self, name: &str, files: files::Files) {
        let version = self.0.get(name).map_or(1, |(version, _)| version + 1);
        self.0.insert(name.to_owned(), (version, files));
    }

    fn children(&self) -> Children {
        let mut children = Children::default();
        let ours = self.0.iter().filter(|(name, _)| name.starts_with("shop-"));
        for (name, (version, _)) in ours {
            let meta = json!({ "name": name, "resourceVersion": version.to_string() });
            let kept = Kept::of(&serde_json::from_value(meta).unwrap());
            children
                .made
                .insert((Kind::Secret, name.as_str().into()), kept);
        }
        children
    }

    fn answer(&self, request: &'static str) -> Exchange {
        let name = request.rsplit('/').next().unwrap();
        let Some((version, files)) = self.0.get(name) else {
            return refusal(request, 404, "NotFound");
        };
        let data = files
            .iter()
            .map(|(name, text)| (name, json!(ByteString(text.as_bytes().to_vec()))));
        let owner =
            json!({ "apiVersion": "v1", "kind": "GeoStore", "name": "shop", "uid": "7c9e" });
        let answer = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": name, "resourceVersion": version.to_string(), "ownerReferences": [owner] },
            "data": data.collect::<BTreeMap<_, Value>>(),
        });
        Exchange {
            request,
            status: 200,
            answer,
        }
    }
}

const CA: &str = "GET /api/v1/namespaces/team/secrets/shop-ca";
const EU: &str = "GET /api/v1/namespaces/team/secrets/shop-eu-tls";
const OPERATOR: &str = "GET /api/v1/namespaces/team/secrets/shop-operator";
const US: &str = "GET /api/v1/namespaces/team/secrets/shop-us-tls";

/// One pass: what is asked, in order, and what is arranged, which is written.
async fn pass(certificates: &Certificates, world: &mut World, asked: &[&'static str]) -> Arranged {
    pass_over(STORE, certificates, world, asked).await
}

async fn pass_over(
    store: &str,
    certificates: &Certificates,
    world: &mut World,
    asked: &[&'static str],
) -> Arranged {
    let declared = declared(store);
    let tls = declared.tls.clone().unwrap();
    let script = asked.iter().map(|request| world.answer(request)).collect();
    let (client, played) = server(script);
    let hands = Hands::new(client, Duration::from_secs(20), Metrics::new().unwrap());
    let children = world.children();
    let opened = certificates
        .open(&hands, &declared, &tls, &children, now())
        .await
        .unwrap();
    played.await.unwrap();
    let nodes: BTreeMap<RegionName, u8> =
        [("eu".parse().unwrap(), 1), ("us".parse().unwrap(), 1)].into();
    let heard = Heard::default();
    let arranged = certificates
        .arrange(&opened, &declared, &tls, &heard, &nodes, now())
        .unwrap();
    for (name, files) in arranged.files(&declared) {
        if world.0.get(&name).map(|(_, there)| there) != Some(&files) {
            world.put(&name, files);
        }
    }
    arranged
}

/// Caught: a Secret that was deleted came back with other keys, which every node took up anew.
#[tokio::test]
async fn what_is_deleted_or_damaged_comes_back_as_it_was() {
    let (certificates, mut world) = (Certificates::default(), World::default());
    pass(&certificates, &mut world, &[CA, OPERATOR]).await;
    let whole = world.clone();
    assert_eq!(whole.0.len(), 4);
    pass(&certificates, &mut world, &[CA, EU, OPERATOR, US]).await;
    // Nothing changed, so nothing is read.
    pass(&certificates, &mut world, &[]).await;

    for name in ["shop-ca", "shop-operator", "shop-us-tls"] {
        world.0.remove(name);
    }
    pass(&certificates, &mut world, &[CA, OPERATOR, US]).await;
    for (name, (_, files)) in &whole.0 {
        assert_eq!(&world.0[name].1, files, "{name}");
        let mut damaged = files.clone();
        let key = damaged
            .keys()
            .find(|file| file.ends_with(".key"))
            .unwrap()
            .clone();
        damaged.insert(key, "damaged".to_owned());
        world.put(name, damaged);
    }
    pass(&certificates, &mut world, &[CA, EU, OPERATOR, US]).await;
    for (name, (_, files)) in &whole.0 {
        assert_eq!(&world.0[name].1, files, "{name}");
    }
}

#[tokio::test]
async fn another_operator_takes_up_what_is_there() {
    let mut world = World::default();
    pass(&Certificates::default(), &mut world, &[CA, OPERATOR]).await;
    let before = world.0.clone();
    pass(
        &Certificates::default(),
        &mut world,
        &[CA, EU, OPERATOR, US],
    )
    .await;
    assert_eq!(world.0, before);
}

/// The CA's key is lost with its Secret and with the operator that knew it: nodes go on with what they have, and
/// trust the new CA before anything is of it.
#[tokio::test]
async fn a_ca_that_is_lost_is_trusted_until_it_is_replaced() {
    let mut world = World::default();
    let first = pass(&Certificates::default(), &mut world, &[CA, OPERATOR]).await;
    world.0.remove("shop-ca");
    let second = pass(
        &Certificates::default(),
        &mut world,
        &[CA, EU, OPERATOR, US],
    )
    .await;
    assert_ne!(first.cas.signing, second.cas.signing);
    assert_eq!(second.cas.former, once(&first.cas.signing.certificate));
    let eu: RegionName = "eu".parse().unwrap();
    assert_eq!(
        reading::certificates(&second.regions[&eu][files::CA]).len(),
        2
    );
}

/// Two clusters wait for each other's CA: both have one of their own first.
///
/// Caught: no CA before all others are known, and a cluster cut off by a Secret that was away for a moment.
#[tokio::test]
async fn another_clusters_ca_may_come_later_and_is_not_forgotten() {
    const WEST: &str = "GET /api/v1/namespaces/team/secrets/west";
    let store = STORE.replace(
        "  regions",
        "  tls: { trustedCaSecretRefs: [{ name: west }] }\n  regions",
    );
    let (certificates, mut world) = (Certificates::default(), World::default());
    let eu: RegionName = "eu".parse().unwrap();
    let trusted =
        |arranged: &Arranged| reading::certificates(&arranged.regions[&eu][files::CA]).len();
    let first = pass_over(&store, &certificates, &mut world, &[CA, OPERATOR, WEST]).await;
    let told = "spec.tls.trustedCaSecretRefs: Secret west is not in the store's namespace";
    assert!(first.lacks.as_ref().unwrap().starts_with(told) && trusted(&first) == 1);

    let west = authority::make("shop", "ff", now()).unwrap();
    world.put("west", files::with_bundle(&west, &west.certificate));
    let asked = [CA, EU, OPERATOR, US, WEST];
    let second = pass_over(&store, &certificates, &mut world, &asked).await;
    assert!(second.lacks.is_none() && trusted(&second) == 2);
    assert_eq!(first.cas, second.cas);

    world.0.remove("west");
    let third = pass_over(&store, &certificates, &mut world, &[EU, OPERATOR, US, WEST]).await;
    assert!(third.lacks.is_some() && trusted(&third) == 2);
}

#[tokio::test]
async fn a_secret_of_somebody_elses_is_not_read() {
    let declared = declared(STORE);
    let theirs = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "shop-ca", "resourceVersion": "1" } });
    let (client, played) = server(vec![Exchange {
        request: CA,
        status: 200,
        answer: theirs,
    }]);
    let hands = Hands::new(client, Duration::from_secs(20), Metrics::new().unwrap());
    let tls = declared.tls.clone().unwrap();
    let certificates = Certificates::default();
    let children = Children::default();
    let opening = certificates.open(&hands, &declared, &tls, &children, now());
    let failed = opening.await.map(drop).unwrap_err();
    assert!(
        matches!(&failed, PassError::NameTaken { name, .. } if name == "shop-ca"),
        "{failed}"
    );
    assert_eq!(failed.class(), Class::User);
    played.await.unwrap();
}
