//! Where telemetry goes, and what alerts compare with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use atoll_api::manifest::ByteSize;
use atoll_client::otlp::{self, BadOtlp, Declared, Otlp};

use super::NodeConfig;
use crate::surroundings::Surroundings;
use crate::telemetry::{Metrics, Whose};

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
    /// Its address for OTLP over HTTP, `http://host:4318` or `https://host:4318`.
    pub endpoint: String,
    /// With `https`: the CAs that its certificate is checked against, a PEM file, read when the node starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// It gets the node's log, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub logs: bool,
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
    /// What counts and follows, as declared here and by the standard variables; called in a runtime.
    pub(crate) fn metrics(
        &self,
        surroundings: &Surroundings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Metrics, BadOtlp> {
        if otlp::is_disabled(&variable) {
            return Ok(Metrics::off());
        }
        let otlp = Otlp::find(self.collector(), &surroundings.network, variable)?;
        Metrics::start(&self.whose_telemetry(), otlp.as_ref(), &surroundings.logs)
    }

    fn collector(&self) -> Declared {
        let TelemetryConfig { otlp, trace_ratio } = self.telemetry.clone();
        let declared = otlp.map(|OtlpConfig { endpoint, ca, logs }| Declared {
            endpoint: Some(endpoint),
            ca,
            logs,
            trace_ratio: None,
        });
        Declared {
            trace_ratio,
            ..declared.unwrap_or_default()
        }
    }

    fn whose_telemetry(&self) -> Whose {
        let node = self.node.as_ref();
        Whose {
            store: self.store.name.clone(),
            region: self.region.clone(),
            node: node.map_or_else(|| self.region.clone(), |node| node.name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    const NODE: &str = "{ store: { name: shop, id: '00000000000a701f' }, region: eu, listen: '127.0.0.1:0', data: eu, \
                        telemetry: { otlp: { endpoint: 'http://c:4318' } } }";

    #[tokio::test]
    async fn a_node_counts_unless_telemetry_is_switched_off() {
        let config: NodeConfig = serde_yaml_ng::from_str(NODE).unwrap();
        let shown = |disabled: &'static str| {
            let variable = |name: &str| (name == "OTEL_SDK_DISABLED").then(|| disabled.to_owned());
            let metrics = config.metrics(&Surroundings::default(), variable).unwrap();
            metrics.render()
        };
        assert_eq!(shown("True"), None);
        assert!(shown("false").unwrap().contains("region=\"eu\""));
    }
}
