//! Telemetry on its way to an OpenTelemetry collector: OTLP over HTTP, protobuf.
//!
//! Nothing here may hold up what is measured. Spans wait in a bounded queue, and one task sends them; metrics are
//! collected by a thread of their own. What does not fit, and what the collector does not take in time, is dropped
//! and counted ([`Counts`]). The standard `OTEL_*` variables hold, where nothing else is said here:
//! `OTEL_SDK_DISABLED`, `OTEL_{TRACES,METRICS}_EXPORTER=none`, `OTEL_EXPORTER_OTLP_…`, `OTEL_TRACES_SAMPLER…`,
//! `OTEL_BSP_…`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_RESOURCE_ATTRIBUTES`.

mod carrier;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{
    MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;

use self::carrier::Carrier;
pub use self::queue::Counts;
use crate::network::Network;

/// How many of the traces that begin here are kept, when nobody says.
pub const TRACE_RATIO: f64 = 0.01;
/// How long a collector may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A collector, and what it is to get.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// As declared; absent: as the variables say.
    endpoint: Option<String>,
    traces: bool,
    metrics: bool,
    /// Of the traces that begin here; absent: as the variables say.
    ratio: Option<f64>,
    network: Network,
}

/// Telemetry that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOtlp {
    /// Not an address that is spoken to.
    #[error(
        "the collector's address {0:?} is not http://host:port: name a collector near by that takes OTLP over HTTP, \
         and let it speak TLS to others"
    )]
    Endpoint(String),
    /// Not a share.
    #[error("the share of traces is {0}: give a number from 0 to 1")]
    Ratio(String),
    /// The variables say something that cannot be done.
    #[error("telemetry cannot be sent as the OTEL_… variables say: {0}")]
    Variables(String),
}

impl Otlp {
    /// The collector that is declared, or that the variables name; none when neither does.
    ///
    /// # Errors
    /// [`BadOtlp`].
    pub fn find(
        declared: Option<&str>,
        ratio: Option<f64>,
        network: &Network,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Otlp>, BadOtlp> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(ratio) = ratio.filter(|ratio| !(0.0..=1.0).contains(ratio)) {
            return Err(BadOtlp::Ratio(ratio.to_string()));
        }
        if is_disabled(variable) {
            return Ok(None);
        }
        let sends = |signal: &str| {
            let is_off = variable(&format!("OTEL_{signal}_EXPORTER"));
            let named = variable("OTEL_EXPORTER_OTLP_ENDPOINT")
                .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")));
            is_off.is_none_or(|value| value != "none") && (declared.is_some() || named.is_some())
        };
        let (traces, metrics) = (sends("TRACES"), sends("METRICS"));
        let named = [
            declared.map(str::to_owned),
            variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
            variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
        ];
        if let Some(bad) = named.into_iter().flatten().find(|named| !is_plain(named)) {
            return Err(BadOtlp::Endpoint(bad));
        }
        let says_sampler = variable("OTEL_TRACES_SAMPLER").is_some();
        let ratio = ratio.or((!says_sampler).then_some(TRACE_RATIO));
        Ok((traces || metrics).then(|| Otlp {
            endpoint: declared.map(|declared| declared.trim_end_matches('/').to_owned()),
            traces,
            metrics,
            ratio,
            network: network.clone(),
        }))
    }

    /// What makes spans, and has them sent by a task of the runtime that this is called in. `None` when no traces
    /// are sent.
    ///
    /// # Errors
    /// [`BadOtlp::Variables`].
    pub fn tracers(
        &self,
        resource: &Resource,
        counts: &Counts,
    ) -> Result<Option<SdkTracerProvider>, BadOtlp> {
        if !self.traces {
            return Ok(None);
        }
        let exporter = self.over_http(SpanExporter::builder().with_http(), "traces");
        let exporter = exporter.build().map_err(|error| variables(&error))?;
        let queue = queue::Queue::start(exporter, resource, counts.clone(), timeout());
        let mut provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_resource(resource.clone());
        if let Some(ratio) = self.ratio {
            let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
            provider = provider.with_sampler(sampler);
        }
        Ok(Some(provider.build()))
    }

    /// What collects metrics and sends them, now and then. `None` when none are sent. Whoever shuts its provider
    /// down must not do so on a thread of the runtime: the last ones are sent by it.
    ///
    /// # Errors
    /// [`BadOtlp::Variables`].
    pub fn reader(
        &self,
        counts: &Counts,
    ) -> Result<Option<PeriodicReader<queue::CountedMetrics>>, BadOtlp> {
        if !self.metrics {
            return Ok(None);
        }
        let exporter = self.over_http(MetricExporter::builder().with_http(), "metrics");
        let exporter = exporter.build().map_err(|error| variables(&error))?;
        let counted = queue::CountedMetrics::new(exporter, counts.clone());
        Ok(Some(PeriodicReader::builder(counted).build()))
    }

    /// Has an exporter send what it is for to the collector, each thing once.
    fn over_http<E: WithExportConfig + WithHttpConfig>(&self, exporter: E, signal: &str) -> E {
        let carrier = Carrier::new(&self.network, Handle::current(), timeout());
        let exporter = exporter
            .with_protocol(Protocol::HttpBinary)
            .with_retry_policy(RetryPolicy::disabled())
            .with_shared_http_client(Arc::new(carrier));
        match self.endpoint_of(signal) {
            Some(endpoint) => exporter.with_endpoint(endpoint),
            None => exporter,
        }
    }

    fn endpoint_of(&self, signal: &str) -> Option<String> {
        let endpoint = self.endpoint.as_ref()?;
        Some(format!("{endpoint}/v1/{signal}"))
    }
}

/// Whether all telemetry is switched off: `OTEL_SDK_DISABLED=true`.
#[must_use]
pub fn is_disabled(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("OTEL_SDK_DISABLED").is_some_and(|is| is.eq_ignore_ascii_case("true"))
}

fn variables(error: &impl ToString) -> BadOtlp {
    BadOtlp::Variables(error.to_string())
}

fn timeout() -> Duration {
    let said = std::env::var("OTEL_EXPORTER_OTLP_TIMEOUT").ok();
    let said = said.and_then(|text| text.parse().ok());
    said.map_or(TIMEOUT, Duration::from_millis)
}

fn is_plain(address: &str) -> bool {
    let address = address.parse::<http::Uri>().ok();
    address.is_some_and(|address| {
        address.scheme_str() == Some("http") && address.authority().is_some()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn find(declared: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Otlp>, BadOtlp> {
        let variable = |name: &str| {
            let mut all = variables.iter();
            all.find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Otlp::find(declared, None, &Network::Tcp, variable)
    }

    #[test]
    fn nothing_is_sent_unless_a_collector_is_named() {
        assert!(find(None, &[]).unwrap().is_none());
        assert!(
            find(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")])
                .unwrap()
                .is_none()
        );
        let named = find(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]);
        let named = named.unwrap().unwrap();
        assert!(named.traces && named.metrics);
        assert_eq!(named.endpoint_of("traces"), None, "the variables say where");
        let only = find(
            None,
            &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/m")],
        );
        let only = only.unwrap().unwrap();
        assert!(only.metrics && !only.traces);
    }

    #[test]
    fn what_is_declared_is_where_it_goes_and_variables_may_leave_signals_out() {
        let declared = find(Some("http://c:4318/"), &[("OTEL_TRACES_EXPORTER", "none")]);
        let declared = declared.unwrap().unwrap();
        assert!(declared.metrics && !declared.traces);
        assert_eq!(
            declared.endpoint_of("metrics").unwrap(),
            "http://c:4318/v1/metrics"
        );
        let disabled = find(Some("http://c:4318"), &[("OTEL_SDK_DISABLED", "TRUE")]);
        assert!(disabled.unwrap().is_none());
    }

    #[test]
    fn one_trace_in_a_hundred_is_kept_unless_somebody_says_otherwise() {
        let ratio = |variables: &[(&str, &str)]| {
            find(Some("http://c:4318"), variables)
                .unwrap()
                .unwrap()
                .ratio
        };
        assert_eq!(ratio(&[]), Some(TRACE_RATIO));
        assert_eq!(ratio(&[("OTEL_TRACES_SAMPLER", "always_on")]), None);
        let said = |ratio| Otlp::find(Some("http://c:1"), Some(ratio), &Network::Tcp, |_| None);
        assert_eq!(said(0.5).unwrap().unwrap().ratio, Some(0.5));
        assert_eq!(said(1.5).unwrap_err(), BadOtlp::Ratio("1.5".into()));
        assert!(said(f64::NAN).is_err());
    }

    #[test]
    fn addresses_that_are_not_spoken_to_are_refused() {
        for bad in ["https://c:4318", "c:4318", "grpc://c:4317", "http://"] {
            let error = find(Some(bad), &[]).unwrap_err();
            assert_eq!(error, BadOtlp::Endpoint(bad.to_owned()));
            assert!(find(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", bad)]).is_err());
        }
    }
}
