//! All objects of a store, as they are sent.

use crate::build::{Kind, build, secret};
use crate::observe::Observed;
use crate::plan::plan;
use crate::plan::scenarios::{declared, declared_in, settings};
use crate::settings::Settings;

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

/// What differs in a store that talks plainly.
#[test]
fn without_certificates() {
    let plain = ONE.replace(
        "  deletionPolicy",
        "  tls: { mode: Plain }\n  deletionPolicy",
    );
    let kinds = ["ConfigMap", "NetworkPolicy", "StatefulSet"];
    insta::assert_snapshot!(text(&plain, &kinds));
}

#[test]
fn certificates() {
    let declared = declared(ONE);
    let files = [
        ("ca.crt", "the CA"),
        ("shop-eu-0.crt", "of eu-0"),
        ("shop-eu-0.key", "its key"),
    ];
    let files = files
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    let region = "eu".parse().unwrap();
    let built = [
        secret::of_store(&declared, "shop-ca".to_owned(), &files),
        secret::of_region(&declared, &region, &files),
        secret::bundle(&declared, "the CA"),
    ];
    let texts = built.map(|built| serde_yaml_ng::to_string(&built.body).unwrap());
    insta::assert_snapshot!(texts.join("---\n"));
}

/// Regions of other clusters come from addresses that nobody knows here.
#[test]
fn other_clusters_may_come_where_nodes_are_answered() {
    let text = THREE.replace(
        "{ name: ap }",
        "{ name: ap, location: { cluster: west, endpoint: 'https://ap.example:7401' } }",
    );
    let settings = Settings {
        cluster: Some("east".to_owned()),
        ..settings()
    };
    let elsewhere = declared_in(
        &text.replace("{ name: eu }", "{ name: eu, location: { cluster: east } }"),
        &settings,
    );
    let plan = plan(&elsewhere, &Observed::default());
    let policy = build(&elsewhere, &plan)
        .into_iter()
        .find(|built| built.kind == Kind::NetworkPolicy);
    let rules = &policy.unwrap().body["spec"]["ingress"];
    assert!(rules[1]["ports"][0]["port"] == 7401 && rules[1].get("from").is_none());
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
    // Certificates change while nodes run; how clients come does not.
    let tls = |tls: &str| THREE.replace("  regions", &format!("  tls: {{ {tls} }}\n  regions"));
    assert_eq!(
        print(THREE),
        print(&tls("caRevision: 3, trustedCaSecretRefs: [{ name: west }]"))
    );
    assert_ne!(print(THREE), print(&tls("clients: Plain")));
    assert_ne!(
        print(THREE),
        print(&tls("clientCaSecretRef: { name: people }"))
    );
}

/// The CA is mounted, headers come by a variable, and nothing of either Secret is in what everybody may read.
#[test]
fn a_collector_is_named_trusted_and_shown_what_its_secrets_say() {
    let with = |telemetry: &str| {
        THREE.replace(
            "  regions",
            &format!("  telemetry: {{ {telemetry} }}\n  regions"),
        )
    };
    let full = with(
        "otlp: { endpoint: 'https://collector:4318', caSecretRef: { name: trusted }, headersSecretRef: { name: token }, \
         logs: true }, traceRatio: 0.5",
    );
    let declared = declared(&full);
    let built = build(&declared, &plan(&declared, &Observed::default()));
    let body = |kind: Kind| &built.iter().find(|built| built.kind == kind).unwrap().body;
    let files = body(Kind::ConfigMap)["data"].as_object().unwrap();
    let file = files.values().next().unwrap().as_str().unwrap();
    let node: serde_json::Value = serde_yaml_ng::from_str(file).unwrap();
    assert_eq!(
        node["telemetry"],
        serde_json::json!({
            "otlp": { "endpoint": "https://collector:4318", "ca": "/etc/atoll-collector/ca.crt", "logs": true },
            "traceRatio": 0.5,
        })
    );
    let pod = &body(Kind::StatefulSet)["spec"]["template"]["spec"];
    let named = |list: &serde_json::Value, name: &str| {
        let all = list.as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap().clone()
    };
    assert_eq!(
        named(&pod["volumes"], "collector")["secret"]["secretName"],
        "trusted"
    );
    let container = &pod["containers"][0];
    let mount = named(&container["volumeMounts"], "collector");
    assert_eq!(mount["mountPath"], "/etc/atoll-collector");
    let headers = named(&container["env"], "OTEL_EXPORTER_OTLP_HEADERS");
    assert_eq!(
        headers["valueFrom"]["secretKeyRef"],
        serde_json::json!({ "name": "token", "key": "headers" })
    );
    let print = |store: &str| {
        let text = text(store, &["StatefulSet"]);
        let line = text
            .lines()
            .find(|line| line.contains("atoll.dev/configuration"));
        line.unwrap().to_owned()
    };
    assert_ne!(
        print(&full),
        print(&full.replace("name: token", "name: other"))
    );
    assert_ne!(print(&full), print(&full.replace("0.5", "0.1")));
}

#[test]
fn what_others_need_comes_first() {
    let declared = declared(THREE);
    let built = build(&declared, &plan(&declared, &Observed::default()));
    let kinds: Vec<_> = built.iter().map(|built| built.kind).collect();
    assert!(kinds.is_sorted());
}
