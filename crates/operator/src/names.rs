//! Names and labels of all that the operator makes: from a store's and a region's name, and back.

use std::collections::BTreeMap;

use atoll_api::manifest::RegionName;

/// The label with the store's name.
pub(crate) const STORE: &str = "atoll.dev/store";
/// The label with the region's name.
pub(crate) const REGION: &str = "atoll.dev/region";
/// The label of regions that were added to a store that was there.
pub(crate) const JOINED: &str = "atoll.dev/joined";
/// The label that says who makes an object.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// What it says.
pub(crate) const OPERATOR: &str = "atoll-operator";
/// The annotation of pods that changes when their configuration calls for a restart.
pub(crate) const CONFIGURATION: &str = "atoll.dev/configuration";

/// Where clients are answered; without certificates, everybody.
pub(crate) const PORT: u16 = 7400;
/// Where the region's other nodes are answered; with certificates, all nodes of the store, and administrators.
pub(crate) const NODE_PORT: u16 = 7401;

/// One region of one store in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegionNames<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) store: &'a str,
    pub(crate) region: &'a RegionName,
    /// Whether nodes have certificates.
    pub(crate) has_tls: bool,
}

impl RegionNames<'_> {
    /// Of its StatefulSet, ConfigMap, Service for clients, budget and policy.
    pub(crate) fn object(&self) -> String {
        format!("{}-{}", self.store, self.region)
    }

    /// Of the Service without an address of its own, by which nodes are found.
    pub(crate) fn nodes_service(&self) -> String {
        format!("{}-nodes", self.object())
    }

    /// Of a pod.
    pub(crate) fn pod(&self, ordinal: u8) -> String {
        format!("{}-{ordinal}", self.object())
    }

    /// How a node is called in its region.
    pub(crate) fn node(&self, ordinal: u8) -> String {
        format!("{}-{ordinal}", self.region)
    }

    /// Of the Secret with its nodes' certificates.
    pub(crate) fn certificates(&self) -> String {
        format!("{}-tls", self.object())
    }

    /// Where one node is reached by its neighbours.
    pub(crate) fn node_address(&self, ordinal: u8) -> String {
        self.address(ordinal, NODE_PORT)
    }

    /// Where one node is reached by other regions.
    pub(crate) fn endpoint(&self, ordinal: u8) -> String {
        self.address(ordinal, entrance(self.has_tls).1)
    }

    fn address(&self, ordinal: u8, port: u16) -> String {
        let (pod, service) = (self.pod(ordinal), self.nodes_service());
        let (scheme, _) = entrance(self.has_tls);
        format!("{scheme}://{pod}.{service}.{}.svc:{port}", self.namespace)
    }

    /// By which clients know one node: its Service, itself, and a port-forward.
    pub(crate) fn hosts(&self, ordinal: u8) -> Vec<String> {
        let service = self.object();
        let node = format!("{}.{}", self.pod(ordinal), self.nodes_service());
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        for name in [service, node] {
            let whole = format!("{name}.{}", self.namespace);
            hosts.extend([
                format!("{whole}.svc.cluster.local"),
                format!("{whole}.svc"),
                whole,
                name,
            ]);
        }
        hosts
    }

    /// Labels by which its pods are found; they never change.
    pub(crate) fn selector(&self) -> BTreeMap<String, String> {
        let labels = [
            (STORE, self.store),
            (REGION, self.region.as_str()),
            ("app.kubernetes.io/name", "atoll"),
        ];
        labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    /// Labels of its objects.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector();
        labels.extend(store_labels(self.store));
        labels
    }
}

/// How nodes and administrators reach a node: the scheme, and the port.
pub(crate) const fn entrance(has_tls: bool) -> (&'static str, u16) {
    if has_tls {
        ("https", NODE_PORT)
    } else {
        ("http", PORT)
    }
}

/// Of the Secret with a store's CA.
pub(crate) fn ca(store: &str) -> String {
    format!("{store}-ca")
}

/// Of the Secret with the operator's own certificate.
pub(crate) fn operator(store: &str) -> String {
    format!("{store}-operator")
}

/// Of the ConfigMap with what clients are to trust. No region's object has a dot in its name.
pub(crate) fn bundle(store: &str) -> String {
    format!("{store}-ca.crt")
}

/// The host of an address.
pub(crate) fn host(address: &str) -> Option<String> {
    let uri: http::Uri = address.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some(host.to_owned())
}

/// Labels of what belongs to a store as a whole.
pub(crate) fn store_labels(store: &str) -> BTreeMap<String, String> {
    let labels = [
        (STORE, store),
        (MANAGED_BY, OPERATOR),
        ("app.kubernetes.io/name", "atoll"),
        ("app.kubernetes.io/instance", store),
    ];
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Of a link's object. Neither name holds a dot, so no two links share one.
pub(crate) fn link(store: &str, from: &str, to: &str) -> String {
    format!("{store}.{from}.{to}")
}

/// The node's ordinal, from a name such as `eu-0` or `shop-eu-0`.
pub(crate) fn ordinal(name: &str) -> Option<u8> {
    name.rsplit_once('-')?.1.parse().ok()
}

/// The id of a store that none is written for: the same in every cluster that the manifest is applied in.
/// FNV-1a over namespace and name; ids only keep stores apart that meet by mistake.
pub(crate) fn store_id(namespace: &str, store: &str) -> String {
    fingerprint(&format!("{namespace}/{store}"))
}

/// A short name for a text: the same for the same text, in every version of the operator.
pub(crate) fn fingerprint(text: &str) -> String {
    format!("{:016x}", print(text).max(1))
}

/// The same as a number.
pub(crate) fn print(text: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    text.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn names_stay_what_they_were() {
        let region = "eu".parse().unwrap();
        let names = RegionNames {
            namespace: "team",
            store: "shop",
            region: &region,
            has_tls: true,
        };
        assert_eq!(names.pod(0), "shop-eu-0");
        let node = "https://shop-eu-1.shop-eu-nodes.team.svc:7401";
        assert_eq!(
            (names.node_address(1).as_str(), names.endpoint(1).as_str()),
            (node, node)
        );
        let plain = RegionNames {
            has_tls: false,
            ..names.clone()
        };
        let node = "http://shop-eu-1.shop-eu-nodes.team.svc:740";
        assert_eq!(plain.node_address(1), format!("{node}1"));
        assert_eq!(plain.endpoint(1), format!("{node}0"));
        assert_eq!(ordinal(&names.node(4)), Some(4));
        assert_eq!(link("shop", "eu-west", "us"), "shop.eu-west.us");
    }

    #[test]
    fn a_stores_id_is_the_same_everywhere_and_for_ever() {
        assert_eq!(store_id("team", "shop"), store_id("team", "shop"));
        assert_eq!(store_id("default", "shop"), "712816b30067410f");
        assert_ne!(store_id("a", "bc"), store_id("ab", "c"));
    }

    #[test]
    fn the_longest_names_fit_a_label() {
        let region = "r".repeat(5).parse().unwrap();
        let store = "s".repeat(40);
        let names = RegionNames {
            namespace: "team",
            store: &store,
            region: &region,
            has_tls: true,
        };
        // Kubernetes appends 11 characters to a StatefulSet's name for the revision, in a label of 63.
        assert!(names.object().len() + 11 <= 63);
        assert!(names.nodes_service().len() <= 63 && names.certificates().len() <= 253);
        assert!(names.pod(4).len() <= 63);
    }
}
