//! The kinds of objects that the operator makes.

use kube::core::{ApiResource, GroupVersionKind};

/// A kind of object that the operator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nobody: pods run as it, without a token.
    ServiceAccount,
    /// Certificates and keys.
    Secret,
    /// The nodes' configurations.
    ConfigMap,
    /// How nodes are found.
    Service,
    /// Who may talk to nodes.
    NetworkPolicy,
    /// How many nodes may be away at once.
    PodDisruptionBudget,
    /// The nodes.
    StatefulSet,
    /// A link, to be watched.
    ReplicationLink,
}

impl Kind {
    /// All kinds, in the order to make them: what others need comes first.
    pub const ALL: [Kind; 8] = [
        Kind::ServiceAccount,
        Kind::Secret,
        Kind::ConfigMap,
        Kind::Service,
        Kind::NetworkPolicy,
        Kind::PodDisruptionBudget,
        Kind::StatefulSet,
        Kind::ReplicationLink,
    ];

    /// Group and version, as in `apiVersion`.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Kind::ServiceAccount | Kind::Secret | Kind::ConfigMap | Kind::Service => "v1",
            Kind::NetworkPolicy => "networking.k8s.io/v1",
            Kind::PodDisruptionBudget => "policy/v1",
            Kind::StatefulSet => "apps/v1",
            Kind::ReplicationLink => "atoll.dev/v1alpha1",
        }
    }

    /// As in `kind`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::ServiceAccount => "ServiceAccount",
            Kind::Secret => "Secret",
            Kind::ConfigMap => "ConfigMap",
            Kind::Service => "Service",
            Kind::NetworkPolicy => "NetworkPolicy",
            Kind::PodDisruptionBudget => "PodDisruptionBudget",
            Kind::StatefulSet => "StatefulSet",
            Kind::ReplicationLink => "ReplicationLink",
        }
    }

    const fn plural(self) -> &'static str {
        match self {
            Kind::ServiceAccount => "serviceaccounts",
            Kind::Secret => "secrets",
            Kind::ConfigMap => "configmaps",
            Kind::Service => "services",
            Kind::NetworkPolicy => "networkpolicies",
            Kind::PodDisruptionBudget => "poddisruptionbudgets",
            Kind::StatefulSet => "statefulsets",
            Kind::ReplicationLink => "replicationlinks",
        }
    }

    /// How the API server knows it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let (group, version) = self
            .api_version()
            .split_once('/')
            .unwrap_or(("", self.api_version()));
        let kind = GroupVersionKind::gvk(group, version, self.name());
        ApiResource::from_gvk_with_plural(&kind, self.plural())
    }
}
