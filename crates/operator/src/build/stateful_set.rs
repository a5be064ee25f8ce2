//! A region's nodes.
//!
//! Pods are changed one by one by the operator (`OnDelete`), never by the StatefulSet. They meet the
//! *restricted* Pod Security Standard: no user of the system, no capability, nothing written but the volume.

use atoll_api::manifest::{DeletionPolicy, NodeTemplate};
use serde_json::{Value, json};

use super::{Built, Kind, Parts, node_config, service_account};
use crate::certificates::files;
use crate::names::{CONFIGURATION, JOINED, NODE_PORT, PORT};

/// Nobody's user id, also where the image has no such user.
const USER: u32 = 65_532;
/// To its user's group, and to nobody else: octal 440.
const READABLE: u32 = 0o440;
/// How long a node may take to hand over leadership and flush.
const GRACE_SECONDS: u32 = 60;
/// How long a start may take: state is rebuilt from the log.
const START_SECONDS_MAX: u32 = 3600;

pub(super) fn build(parts: &Parts<'_>, fingerprint: &str) -> Built {
    let retention = match parts.declared.deletion_policy {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Delete => "Delete",
    };
    let rest = json!({
        "spec": {
            "serviceName": parts.names.nodes_service(),
            "replicas": parts.plan.nodes,
            // Nodes of a region form it together.
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "OnDelete" },
            "persistentVolumeClaimRetentionPolicy": { "whenDeleted": retention, "whenScaled": "Delete" },
            "selector": { "matchLabels": parts.names.selector() },
            "template": pod(parts, fingerprint),
            "volumeClaimTemplates": [claim(parts)],
        },
    });
    let joined = if parts.plan.joined { "true" } else { "false" };
    parts.object(
        Kind::StatefulSet,
        parts.names.object(),
        &[(JOINED, joined)],
        rest,
    )
}

fn claim(parts: &Parts<'_>) -> Value {
    let storage = parts.region.template.storage.as_ref();
    let class = storage.and_then(|storage| storage.storage_class_name.as_ref());
    let mut claim = json!({
        // With kind and version, as the API server fills them in.
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data", "labels": parts.names.selector() },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": parts.plan.claim_size } },
        },
    });
    if let Some(class) = class {
        claim["spec"]["storageClassName"] = class.as_str().into();
    }
    claim
}

fn pod(parts: &Parts<'_>, fingerprint: &str) -> Value {
    let template = &parts.region.template;
    let mut labels = template.pod_labels.clone().unwrap_or_default();
    labels.extend(parts.names.labels());
    let mut annotations = template.pod_annotations.clone().unwrap_or_default();
    annotations.insert(CONFIGURATION.to_owned(), fingerprint.to_owned());
    let mut spec = json!({
        "serviceAccountName": service_account::name(parts.declared),
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "topologySpreadConstraints": spread(parts),
        "containers": [container(parts, template)],
        "volumes": [{ "name": "config", "configMap": { "name": parts.names.object() } }],
    });
    if let (true, Some(volumes)) = (parts.declared.tls.is_some(), spec["volumes"].as_array_mut()) {
        let secret = json!({ "secretName": parts.names.certificates(), "defaultMode": READABLE });
        volumes.push(json!({ "name": "tls", "secret": secret }));
    }
    if let (Some(name), Some(volumes)) = (parts.collector_ca(), spec["volumes"].as_array_mut()) {
        let items = json!([{ "key": files::CA, "path": files::CA }]);
        let secret = json!({ "secretName": name, "defaultMode": READABLE, "items": items });
        volumes.push(json!({ "name": "collector", "secret": secret }));
    }
    let scheduling = [
        ("affinity", template.affinity.clone()),
        ("tolerations", template.tolerations.clone()),
        ("imagePullSecrets", template.image_pull_secrets.clone()),
        (
            "nodeSelector",
            template.node_selector.as_ref().map(|labels| json!(labels)),
        ),
        (
            "priorityClassName",
            template
                .priority_class_name
                .as_ref()
                .map(|name| json!(name)),
        ),
    ];
    for (field, value) in scheduling {
        if let Some(value) = value {
            spec[field] = value;
        }
    }
    json!({ "metadata": { "labels": labels, "annotations": annotations }, "spec": spec })
}

/// Over zones, then over machines, as well as it goes.
fn spread(parts: &Parts<'_>) -> Value {
    if let Some(declared) = &parts.region.template.topology_spread {
        return declared.clone();
    }
    let over = |key: &str| {
        json!({
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": parts.names.selector() },
        })
    };
    json!([
        over("topology.kubernetes.io/zone"),
        over("kubernetes.io/hostname")
    ])
}

/// What a node says of itself to those who watch it, and shows to its collector.
fn environment(parts: &Parts<'_>) -> Value {
    let from = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let attributes = [
        ("k8s.pod.name", "POD_NAME"),
        ("k8s.namespace.name", "POD_NAMESPACE"),
        ("k8s.node.name", "MACHINE"),
    ];
    let attributes = attributes.map(|(attribute, variable)| format!("{attribute}=$({variable})"));
    let mut variables = vec![
        from("POD_NAME", "metadata.name"),
        from("POD_NAMESPACE", "metadata.namespace"),
        from("MACHINE", "spec.nodeName"),
        json!({ "name": "OTEL_RESOURCE_ATTRIBUTES", "value": attributes.join(",") }),
    ];
    if let Some(secret) = parts.collector_headers() {
        let key = json!({ "name": secret, "key": "headers" });
        let variable =
            json!({ "name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": { "secretKeyRef": key } });
        variables.push(variable);
    }
    variables.into()
}

fn container(parts: &Parts<'_>, template: &NodeTemplate) -> Value {
    let image = template.image.as_ref().unwrap_or(&parts.declared.image);
    let has_tls = parts.declared.tls.is_some();
    let get = |path: &str, port: &str| {
        let mut get = json!({ "path": path, "port": port });
        if parts.serves_https() {
            get["scheme"] = "HTTPS".into();
        }
        json!({ "httpGet": get })
    };
    // Where nodes come, the kubelet has no certificate to show.
    let alive = if has_tls { "http" } else { "node" };
    let probe = |path: &str, port: &str, period: u32, failures: u32| {
        let mut probe = get(path, port);
        probe["periodSeconds"] = period.into();
        probe["timeoutSeconds"] = 3.into();
        probe["failureThreshold"] = failures.into();
        probe
    };
    let mut container = json!({
        "name": "atoll",
        "image": image,
        "args": ["node", "--config", "/etc/atoll/$(POD_NAME).yaml"],
        "env": environment(parts),
        "ports": [
            { "name": "http", "containerPort": PORT, "protocol": "TCP" },
            { "name": "node", "containerPort": NODE_PORT, "protocol": "TCP" },
        ],
        "startupProbe": probe("/healthz", alive, 2, START_SECONDS_MAX / 2),
        "livenessProbe": probe("/healthz", alive, 10, 6),
        "readinessProbe": probe("/readyz", "http", 2, 2),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": [
            { "name": "data", "mountPath": node_config::DATA },
            { "name": "config", "mountPath": "/etc/atoll", "readOnly": true },
        ],
    });
    if has_tls && let Some(mounts) = container["volumeMounts"].as_array_mut() {
        mounts.push(json!({ "name": "tls", "mountPath": node_config::TLS, "readOnly": true }));
    }
    if parts.collector_ca().is_some()
        && let Some(mounts) = container["volumeMounts"].as_array_mut()
    {
        let mount =
            json!({ "name": "collector", "mountPath": node_config::COLLECTOR, "readOnly": true });
        mounts.push(mount);
    }
    if parts.serves_https()
        && let Some(variables) = container["env"].as_array_mut()
    {
        // For whoever runs `atoll` there: `kubectl exec POD -- atoll get …`.
        variables.push(
            json!({ "name": "ATOLL_CA", "value": format!("{}/{}", node_config::TLS, files::CA) }),
        );
    }
    if let Some(policy) = &template.image_pull_policy {
        container["imagePullPolicy"] = policy.as_str().into();
    }
    if let Some(resources) = &template.resources {
        container["resources"] = resources.clone();
    }
    container
}
