//! All objects of a store, as they are sent.

use crate::build::build;
use crate::observe::Observed;
use crate::plan::plan;
use crate::plan::scenarios::declared;

fn text(store: &str, kinds: &[&str]) -> String {
    let declared = declared(store);
    let plan = plan(&declared, &Observed::default());
    let built = build(&declared, &plan);
    let chosen = built
        .iter()
        .filter(|built| kinds.contains(&built.kind.name()));
    let texts: Vec<String> = chosen
        .map(|built| serde_yaml_ng::to_string(&built.body).unwrap())
        .collect();
    texts.join("---\n")
}

const ONE: &str = "
apiVersion: atoll.dev/v1alpha1
kind: GeoStore
metadata: { name: shop, namespace: team, uid: 7c9e }
spec:
  topology: { type: AllToAll }
  regions:
    - name: eu
      replicas: 3
      template:
        storage: { size: 20Gi, storageClassName: fast }
        nodeSelector: { topology.kubernetes.io/region: eu }
        podLabels: { team: a }
        resources: { requests: { cpu: 500m } }
        imagePullPolicy: Never
  deletionPolicy: Delete
";

const THREE: &str = "
apiVersion: atoll.dev/v1alpha1
kind: GeoStore
metadata: { name: shop, namespace: team, uid: 7c9e }
spec:
  topology: { type: Ring, order: [ap, us, eu], failoverAfter: 7s }
  regions: [{ name: eu }, { name: us }, { name: ap }]
";

#[test]
fn nodes() {
    insta::assert_snapshot!(text(ONE, &["StatefulSet"]));
}

#[test]
fn configurations() {
    insta::assert_snapshot!(text(THREE, &["ConfigMap"]));
}

#[test]
fn ways_to_nodes_and_what_guards_them() {
    let kinds = [
        "Service",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
    ];
    insta::assert_snapshot!(text(ONE, &kinds));
}

#[test]
fn links() {
    insta::assert_snapshot!(text(THREE, &["ReplicationLink"]));
}

/// A restart is due when settings change, and not when regions come and go: nodes are told of those.
#[test]
fn a_restart_is_due_only_for_settings() {
    let print = |store: &str| {
        let text = text(store, &["StatefulSet"]);
        let line = text
            .lines()
            .find(|line| line.contains("atoll.dev/configuration"));
        line.unwrap().to_owned()
    };
    let four = THREE
        .replace("[ap, us, eu]", "[ap, us, eu, sa]")
        .replace("{ name: ap }]", "{ name: ap }, { name: sa }]");
    assert_eq!(print(THREE), print(&four));
    assert_ne!(print(THREE), print(&THREE.replace("7s", "8s")));
}

#[test]
fn what_others_need_comes_first() {
    let declared = declared(THREE);
    let built = build(&declared, &plan(&declared, &Observed::default()));
    let kinds: Vec<_> = built.iter().map(|built| built.kind).collect();
    assert!(kinds.is_sorted());
}
