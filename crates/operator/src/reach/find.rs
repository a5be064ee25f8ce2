//! Finds a store by a kubeconfig: its GeoStore, its pods, and the certificates to show and to trust.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_api::manifest::GeoStore;
use atoll_client::tls::{Credentials, Expected, TlsPem};
use atoll_client::{Dialer, Network};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Config, ResourceExt};

use super::forward::{Forward, said};
use super::store::{Caller, Reach};
use super::{Found, ReachError, Which};
use crate::certificates::files;

/// The regions of the store that run in the cluster, each by its pods.
///
/// # Errors
/// What is wrong with the kubeconfig, what the API server refuses, or what is not there.
pub async fn find(which: &Which) -> Result<Found, ReachError> {
    let config = config(which).await?;
    let namespace = which.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
    let client =
        kube::Client::try_from(config).map_err(|error| failed("the kubeconfig", &error))?;
    let geostores = Api::<GeoStore>::namespaced(client.clone(), &namespace);
    let geostores = geostores.list(&ListParams::default()).await;
    let geostores = geostores.map_err(|error| {
        failed("finding the GeoStore", &error)
            .help("is this the cluster, and is Atoll installed there? see `kubectl atoll install`")
    })?;
    let geostore = choose(geostores.items, which.geostore.as_deref(), &namespace)?;
    let reach = Reach::of(&geostore, &namespace)
        .ok_or_else(|| ReachError::new("spec.storeId of the GeoStore is no id"))?;

    let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
    let labelled = ListParams::default().labels(&reach.pods());
    let there = pods.list(&labelled).await;
    let there = there.map_err(|error| failed("finding the store's pods", &error))?;
    let regions = by_region(there.items);
    if regions.is_empty() {
        return Err(ReachError::new(format!(
            "no pod of GeoStore {} runs in namespace {namespace} of this cluster",
            reach.store
        ))
        .help(format!(
            "`kubectl describe geostore {} -n {namespace}` says why",
            reach.store
        )));
    }

    let (caller, dialer) = way(&client, &namespace, &reach, pods).await?;
    let address = |pod: String| reach.address(&pod, caller);
    let addressed =
        |(region, pods): (String, Vec<String>)| (region, pods.into_iter().map(address).collect());
    Ok(Found {
        regions: regions.into_iter().map(addressed).collect(),
        dialer,
    })
}

async fn config(which: &Which) -> Result<Config, ReachError> {
    let read = match &which.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let unusable = |error: kube::config::KubeconfigError| {
        ReachError::usage(format!("the kubeconfig cannot be used: {error}")).help(
            "`kubectl config current-context` must work first; --kubeconfig and --context choose",
        )
    };
    let options = KubeConfigOptions {
        context: which.context.clone(),
        ..KubeConfigOptions::default()
    };
    let kubeconfig = read.map_err(unusable)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(unusable)
}

/// The one that is named, or the only one.
fn choose(
    mut found: Vec<GeoStore>,
    wanted: Option<&str>,
    namespace: &str,
) -> Result<GeoStore, ReachError> {
    found.retain(|geostore| wanted.is_none_or(|wanted| geostore.name_any() == wanted));
    match (found.pop(), found.as_slice()) {
        (Some(geostore), []) => Ok(geostore),
        (None, _) => {
            let which = wanted.map_or(String::new(), |name| format!(" {name}"));
            Err(ReachError::usage(format!(
                "there is no GeoStore{which} in namespace {namespace}"
            ))
            .help("`kubectl get geostores -A` shows them all; -n names the namespace"))
        }
        (Some(last), others) => {
            let mut names: Vec<_> = others.iter().map(ResourceExt::name_any).collect();
            names.push(last.name_any());
            names.sort();
            Err(ReachError::usage(format!(
                "there are several GeoStores in namespace {namespace}"
            ))
            .help(format!("name one with --geostore: {}", names.join(", "))))
        }
    }
}

/// The names of pods that run, by region; those that are ready come first.
fn by_region(pods: Vec<Pod>) -> BTreeMap<String, Vec<String>> {
    let mut regions: BTreeMap<String, Vec<(bool, String)>> = BTreeMap::new();
    for pod in pods {
        let status = pod.status.clone().unwrap_or_default();
        let region = pod.labels().get(Reach::REGION).cloned();
        let (Some(region), Some("Running")) = (region, status.phase.as_deref()) else {
            continue;
        };
        let mut conditions = status.conditions.iter().flatten();
        let is_ready = conditions.any(|of| of.type_ == "Ready" && of.status == "True");
        let here = regions.entry(region).or_default();
        here.push((!is_ready, pod.name_any()));
    }
    let sorted = |(region, mut pods): (String, Vec<(bool, String)>)| {
        pods.sort();
        (region, pods.into_iter().map(|(_, name)| name).collect())
    };
    regions.into_iter().map(sorted).collect()
}

/// As an administrator, by whoever may read the Secret with that certificate; by others as a client.
async fn way(
    client: &kube::Client,
    namespace: &str,
    reach: &Reach,
    pods: Api<Pod>,
) -> Result<(Caller, Dialer), ReachError> {
    let network = Network::Other(Arc::new(Forward(pods)));
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let identity = match secrets.get_opt(&reach.administrator()).await {
        Ok(secret) => secret.as_ref().and_then(identity),
        Err(kube::Error::Api(status)) if status.code == 403 => None,
        Err(error) => return Err(failed("reading the administrators' certificate", &error)),
    };
    let caller = match identity {
        Some(_) => Caller::Administrator,
        None if reach.is_tls(Caller::Administrator) => Caller::Client,
        None => Caller::Administrator,
    };
    if !reach.is_tls(caller) {
        return Ok((caller, Dialer::from(network)));
    }
    let bundles = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let bundle = bundles.get(&reach.bundle()).await;
    let bundle = bundle.map_err(|error| failed("reading the store's CA", &error))?;
    let ca = bundle.data.unwrap_or_default().remove(files::CA);
    let pem = TlsPem {
        ca: ca.unwrap_or_default().into_bytes(),
        identity,
        client_ca: None,
    };
    let credentials = Credentials::of_pem(pem, None);
    let credentials = credentials.map_err(|error| ReachError::new(error.to_string()))?;
    let expected = Expected::Store(reach.store_id);
    Ok((caller, Dialer::with_tls(network, credentials, expected)))
}

/// The certificate and its key.
fn identity(secret: &Secret) -> Option<(Vec<u8>, Vec<u8>)> {
    let file = |name: &str| Some(secret.data.as_ref()?.get(name)?.0.clone());
    file(files::CERTIFICATE).zip(file(files::KEY))
}

fn failed(what: &str, error: &kube::Error) -> ReachError {
    ReachError::new(format!("{what}: {}", said(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use serde_json::json;

    use super::*;

    fn geostore(name: &str) -> GeoStore {
        let manifest = json!({
            "apiVersion": "atoll.dev/v1alpha1", "kind": "GeoStore", "metadata": { "name": name },
            "spec": { "topology": { "type": "AllToAll" }, "regions": [{ "name": "eu" }] },
        });
        serde_json::from_value(manifest).unwrap()
    }

    fn pod(name: &str, region: Option<&str>, phase: &str, ready: &str) -> Pod {
        let labels = region.map(|region| json!({ "atoll.dev/region": region }));
        let manifest = json!({
            "metadata": { "name": name, "labels": labels },
            "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": ready }] },
        });
        serde_json::from_value(manifest).unwrap()
    }

    #[test]
    fn the_only_store_needs_no_name() {
        let chosen = |found: &[&str], wanted| {
            let found = found.iter().map(|name| geostore(name)).collect();
            choose(found, wanted, "team").map(|geostore| geostore.name_any())
        };
        assert_eq!(chosen(&["shop"], None).unwrap(), "shop");
        assert_eq!(chosen(&["shop", "bank"], Some("bank")).unwrap(), "bank");
        let told = chosen(&["shop", "bank"], None).unwrap_err();
        assert!(told.to_string().contains("several GeoStores"), "{told}");
        let told = chosen(&["shop"], Some("bank")).unwrap_err();
        assert!(told.to_string().contains("no GeoStore bank"), "{told}");
        assert!(chosen(&[], None).is_err());
    }

    #[test]
    fn pods_that_are_ready_are_asked_first() {
        let found = by_region(vec![
            pod("shop-eu-0", Some("eu"), "Running", "False"),
            pod("shop-eu-1", Some("eu"), "Running", "True"),
            pod("shop-us-0", Some("us"), "Pending", "False"),
            pod("other", None, "Running", "True"),
        ]);
        let expected = (
            "eu".to_owned(),
            vec!["shop-eu-1".to_owned(), "shop-eu-0".to_owned()],
        );
        assert_eq!(found, BTreeMap::from([expected]));
    }
}
