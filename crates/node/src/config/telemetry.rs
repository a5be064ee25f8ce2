//! Where telemetry goes, and what alerts compare with.

use serde::{Deserialize, Serialize};

use atoll_api::manifest::ByteSize;
use atoll_client::otlp::{BadOtlp, Otlp};

use super::NodeConfig;
use crate::surroundings::Surroundings;
use crate::telemetry::Whose;

/// Where telemetry goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// A collector. Absent: as the standard `OTEL_…` variables say; without those only `/metrics` is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpConfig>,
    /// Which share of the traces that begin here is kept, from 0 to 1. Absent: as `OTEL_TRACES_SAMPLER` says, or one in
    /// a hundred. A trace that began elsewhere is kept when it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_ratio: Option<f64>,
}

/// A collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Its address for OTLP over HTTP, `http://host:4318`.
    pub endpoint: String,
}

/// How much log is kept for a silent region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogRetentionConfig {
    /// How much.
    pub max_size: ByteSize,
}

impl Default for LogRetentionConfig {
    fn default() -> Self {
        LogRetentionConfig {
            max_size: ByteSize::from_gibibytes(8),
        }
    }
}

impl NodeConfig {
    pub(crate) fn otlp(&self, surroundings: &Surroundings) -> Result<Option<Otlp>, BadOtlp> {
        let TelemetryConfig { otlp, trace_ratio } = &self.telemetry;
        Otlp::find(
            otlp.as_ref().map(|otlp| otlp.endpoint.as_str()),
            *trace_ratio,
            &surroundings.network,
            |name| std::env::var(name).ok(),
        )
    }

    pub(crate) fn whose_telemetry(&self) -> Whose {
        let node = self.node.as_ref();
        Whose {
            store: self.store.name.clone(),
            region: self.region.clone(),
            node: node.map_or_else(|| self.region.clone(), |node| node.name.clone()),
        }
    }
}
