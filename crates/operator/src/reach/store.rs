//! Where a store keeps what people need to reach it.

use atoll_api::certificate::StoreId;
use atoll_api::manifest::{ClientTls, GeoStore, TlsMode, TlsSpec};

use crate::names;

/// Where the things of one store are, in its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// The store's name.
    pub(super) store: String,
    /// What the certificates of its nodes name.
    pub(super) store_id: StoreId,
    has_tls: bool,
    has_tls_for_clients: bool,
}

/// As whom a node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody with an administrator's certificate.
    Administrator,
    /// A client like any other.
    Client,
}

impl Reach {
    /// Of a store in a namespace; `None` when its id is none, which the API server lets nobody write.
    pub(super) fn of(geostore: &GeoStore, namespace: &str) -> Option<Self> {
        let store = geostore.metadata.name.clone()?;
        let written = geostore.spec.store_id.clone();
        let tls = geostore.spec.tls.as_ref();
        let has_tls = TlsSpec::mode_of(tls) == TlsMode::Mutual;
        let for_clients = tls.and_then(|tls| tls.clients).unwrap_or_default();
        let store_id = written.unwrap_or_else(|| names::store_id(namespace, &store));
        Some(Reach {
            store_id: store_id.parse().ok()?,
            has_tls,
            has_tls_for_clients: has_tls && for_clients == ClientTls::Tls,
            store,
        })
    }

    /// The label selector of its pods.
    pub(super) fn pods(&self) -> String {
        format!("{}={},{}", names::STORE, self.store, names::REGION)
    }

    /// The label of a pod that has its region.
    pub(super) const REGION: &'static str = names::REGION;

    /// The ConfigMap with what clients are to trust, in its file `ca.crt`.
    pub(super) fn bundle(&self) -> String {
        names::bundle(&self.store)
    }

    /// The Secret with an administrator's certificate, as Kubernetes keeps a certificate and its key.
    pub(super) fn administrator(&self) -> String {
        names::operator(&self.store)
    }

    /// Whether nodes show a certificate to this caller.
    pub(super) fn is_tls(&self, caller: Caller) -> bool {
        match caller {
            Caller::Administrator => self.has_tls,
            Caller::Client => self.has_tls_for_clients,
        }
    }

    /// The address of one pod.
    pub(super) fn address(&self, pod: &str, caller: Caller) -> String {
        let scheme = if self.is_tls(caller) { "https" } else { "http" };
        let port = match caller {
            Caller::Administrator => names::entrance(self.has_tls).1,
            Caller::Client => names::PORT,
        };
        format!("{scheme}://{pod}:{port}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn geostore(spec: &serde_json::Value) -> GeoStore {
        let mut whole = serde_json::json!({
            "apiVersion": "atoll.dev/v1alpha1", "kind": "GeoStore", "metadata": { "name": "shop" },
            "spec": { "topology": { "type": "AllToAll" }, "regions": [{ "name": "eu" }] },
        });
        for (key, value) in spec.as_object().unwrap() {
            whole["spec"][key] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn administrators_and_clients_have_their_ports() {
        let reach = Reach::of(&geostore(&serde_json::json!({})), "default").unwrap();
        assert_eq!(reach.store_id.to_string(), "712816b30067410f");
        let address = |reach: &Reach, caller| reach.address("shop-eu-0", caller);
        let of_administrators = address(&reach, Caller::Administrator);
        assert_eq!(of_administrators, "https://shop-eu-0:7401");
        assert_eq!(address(&reach, Caller::Client), "https://shop-eu-0:7400");
        let clients_plain = serde_json::json!({ "tls": { "clients": "Plain" } });
        let reach = Reach::of(&geostore(&clients_plain), "default").unwrap();
        assert_eq!(address(&reach, Caller::Administrator), of_administrators);
        assert_eq!(address(&reach, Caller::Client), "http://shop-eu-0:7400");
        let plain =
            serde_json::json!({ "tls": { "mode": "Plain" }, "storeId": "00000000000be7c4" });
        let reach = Reach::of(&geostore(&plain), "default").unwrap();
        assert_eq!(reach.store_id.to_string(), "00000000000be7c4");
        assert_eq!(
            address(&reach, Caller::Administrator),
            "http://shop-eu-0:7400"
        );
        assert_eq!(reach.pods(), "atoll.dev/store=shop,atoll.dev/region");
    }
}
