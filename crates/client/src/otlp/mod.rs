//! Telemetry on its way to an OpenTelemetry collector: OTLP over HTTP, protobuf.
//!
//! Nothing here may hold up what is measured. Spans and logs wait in bounded queues, and one task each sends them; metrics
//! are collected by a thread of their own. What does not fit, and what the collector does not take in time, is dropped
//! and counted ([`Counts`]). The standard `OTEL_*` variables hold, where nothing else is said here:
//! `OTEL_SDK_DISABLED`, `OTEL_{TRACES,METRICS,LOGS}_EXPORTER`, `OTEL_EXPORTER_OTLP_…`, `OTEL_TRACES_SAMPLER…`,
//! `OTEL_{BSP,BLRP}_…`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_RESOURCE_ATTRIBUTES`. Logs are sent when asked for.

mod carrier;
mod logs;
mod queue;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogExporter as _, SdkLoggerProvider};
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanExporter as _};
use tokio::runtime::Handle;

use self::carrier::Carrier;
pub use self::logs::{Field, Line, Outlet};
pub use self::queue::Counts;
use crate::dialer::Dialer;
use crate::network::Network;
use crate::tls::{Credentials, Expected, TlsFiles};

/// How many of the traces that begin here are kept, when nobody says.
pub const TRACE_RATIO: f64 = 0.01;
/// How long a collector may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a configuration says of a collector; what it does not say, the variables may.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// Its address.
    pub endpoint: Option<String>,
    /// The CAs that its certificate is checked against, as a file; else `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    pub ca: Option<PathBuf>,
    /// It gets logs, too.
    pub logs: bool,
    /// Which share of the traces that begin here is kept.
    pub trace_ratio: Option<f64>,
}

/// A collector, and what it is to get.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// As declared; absent: as the variables say.
    endpoint: Option<String>,
    traces: Signal,
    metrics: Signal,
    logs: Signal,
    /// Of the traces that begin here; absent: as the variables say.
    ratio: Option<f64>,
    network: Network,
    /// Whom a collector is known by, where one is spoken to by TLS.
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Kept,
    Plain,
    Tls,
}

/// Telemetry that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOtlp {
    /// Not an address that is spoken to.
    #[error(
        "the collector's address {0:?} is neither http://host:port nor https://host:port: name a collector that takes \
         OTLP over HTTP"
    )]
    Endpoint(String),
    /// An address that cannot be trusted.
    #[error(
        "the collector's address {0:?} needs a CA: name its file, as telemetry.otlp.ca or OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    NoCa(String),
    /// A CA that cannot be used.
    #[error("the collector's CA cannot be used: {0}")]
    BadCa(String),
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
        declared: Declared,
        network: &Network,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Otlp>, BadOtlp> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Declared {
            endpoint,
            ca,
            logs: logs_too,
            trace_ratio: ratio,
        } = declared;
        if let Some(ratio) = ratio.filter(|ratio| !(0.0..=1.0).contains(ratio)) {
            return Err(BadOtlp::Ratio(ratio.to_string()));
        }
        if is_disabled(variable) {
            return Ok(None);
        }
        let mut by_tls = None;
        let mut signal = |signal: &str, is_wanted: bool| {
            let own = variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
            let said = variable(&format!("OTEL_{signal}_EXPORTER"));
            let is_wanted = match said.as_deref() {
                None => is_wanted || own.is_some(),
                Some(said) => said != "none",
            };
            let address = endpoint.clone().or(own);
            match address.or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT")) {
                Some(address) if is_wanted => {
                    let signal = spoken(&address)?;
                    if signal == Signal::Tls {
                        by_tls = Some(address);
                    }
                    Ok(signal)
                }
                _ => Ok(Signal::Kept),
            }
        };
        let traces = signal("TRACES", true)?;
        let metrics = signal("METRICS", true)?;
        let logs = signal("LOGS", logs_too)?;
        let ca = ca.or_else(|| variable("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from));
        let credentials = match (by_tls, ca) {
            (None, _) => None,
            (Some(address), None) => return Err(BadOtlp::NoCa(address)),
            (Some(_), Some(ca)) => Some(trust(ca)?),
        };
        let says_sampler = variable("OTEL_TRACES_SAMPLER").is_some();
        let ratio = ratio.or((!says_sampler).then_some(TRACE_RATIO));
        let is_any = [traces, metrics, logs]
            .iter()
            .any(|signal| signal.is_sent());
        Ok(is_any.then(|| Otlp {
            endpoint: endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
            traces,
            metrics,
            logs,
            ratio,
            network: network.clone(),
            credentials,
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
        if !self.traces.is_sent() {
            return Ok(None);
        }
        let exporter = self.over_http(SpanExporter::builder().with_http(), "traces", self.traces);
        let mut exporter = exporter.build().map_err(|error| variables(&error))?;
        exporter.set_resource(resource);
        let queue = queue::Queue::start(exporter, counts.clone(), timeout());
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
        if !self.metrics.is_sent() {
            return Ok(None);
        }
        let exporter = MetricExporter::builder().with_http();
        let exporter = self.over_http(exporter, "metrics", self.metrics);
        let exporter = exporter.build().map_err(|error| variables(&error))?;
        let counted = queue::CountedMetrics::new(exporter, counts.clone());
        Ok(Some(PeriodicReader::builder(counted).build()))
    }

    /// Has what is said to the outlet sent by a task of the runtime that this is called in, if logs are asked for.
    ///
    /// # Errors
    /// [`BadOtlp::Variables`].
    pub fn open(
        &self,
        outlet: &Outlet,
        resource: &Resource,
        counts: &Counts,
    ) -> Result<(), BadOtlp> {
        if !self.logs.is_sent() {
            return Ok(());
        }
        let exporter = self.over_http(LogExporter::builder().with_http(), "logs", self.logs);
        let mut exporter = exporter.build().map_err(|error| variables(&error))?;
        exporter.set_resource(resource);
        let queue = queue::Queue::start(exporter, counts.clone(), timeout());
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(queue)
            .with_resource(resource.clone());
        outlet.open(provider.build());
        Ok(())
    }

    /// Has an exporter send what it is for to the collector, each thing once.
    fn over_http<E: WithExportConfig + WithHttpConfig>(
        &self,
        exporter: E,
        name: &str,
        signal: Signal,
    ) -> E {
        let credentials = self.credentials.clone();
        let dialer = match credentials.filter(|_| signal == Signal::Tls) {
            None => Dialer::from(&self.network),
            Some(credentials) => {
                Dialer::with_tls(self.network.clone(), credentials, Expected::Host)
            }
        };
        let carrier = Carrier::new(dialer, Handle::current(), timeout());
        let exporter = exporter
            .with_protocol(Protocol::HttpBinary)
            .with_retry_policy(RetryPolicy::disabled())
            .with_shared_http_client(Arc::new(carrier));
        match self.endpoint_of(name) {
            Some(endpoint) => exporter.with_endpoint(endpoint),
            None => exporter,
        }
    }

    fn endpoint_of(&self, signal: &str) -> Option<String> {
        let endpoint = self.endpoint.as_ref()?;
        Some(format!("{endpoint}/v1/{signal}"))
    }
}

impl Signal {
    fn is_sent(self) -> bool {
        self != Signal::Kept
    }
}

/// Whether all telemetry is switched off: `OTEL_SDK_DISABLED=true`.
#[must_use]
pub fn is_disabled(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("OTEL_SDK_DISABLED").is_some_and(|is| is.eq_ignore_ascii_case("true"))
}

fn spoken(address: &str) -> Result<Signal, BadOtlp> {
    let parsed = address.parse::<http::Uri>().ok();
    let parsed = parsed.filter(|parsed| parsed.authority().is_some());
    match parsed.as_ref().and_then(http::Uri::scheme_str) {
        Some("http") => Ok(Signal::Plain),
        Some("https") => Ok(Signal::Tls),
        _ => Err(BadOtlp::Endpoint(address.to_owned())),
    }
}

fn trust(ca: PathBuf) -> Result<Credentials, BadOtlp> {
    let files = TlsFiles {
        ca,
        identity: None,
        client_ca: None,
    };
    Credentials::read(files, None).map_err(|error| BadOtlp::BadCa(error.to_string()))
}

fn variables(error: &impl ToString) -> BadOtlp {
    BadOtlp::Variables(error.to_string())
}

fn timeout() -> Duration {
    let said = std::env::var("OTEL_EXPORTER_OTLP_TIMEOUT").ok();
    let said = said.and_then(|text| text.parse().ok());
    said.map_or(TIMEOUT, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn at(endpoint: &str) -> Declared {
        Declared {
            endpoint: Some(endpoint.to_owned()),
            ..Declared::default()
        }
    }

    fn find(declared: Declared, variables: &[(&str, &str)]) -> Result<Option<Otlp>, BadOtlp> {
        let variable = |name: &str| {
            let mut all = variables.iter();
            all.find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Otlp::find(declared, &Network::Tcp, variable)
    }

    fn sent(otlp: &Otlp) -> [bool; 3] {
        [otlp.traces, otlp.metrics, otlp.logs].map(Signal::is_sent)
    }

    #[test]
    fn nothing_is_sent_unless_a_collector_is_named() {
        let nothing = Declared::default;
        assert!(find(nothing(), &[]).unwrap().is_none());
        let empty = [("OTEL_EXPORTER_OTLP_ENDPOINT", "")];
        assert!(find(nothing(), &empty).unwrap().is_none());
        let named = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")];
        let named = find(nothing(), &named).unwrap().unwrap();
        assert_eq!(sent(&named), [true, true, false]);
        assert_eq!(named.endpoint_of("traces"), None, "the variables say where");
        let only = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/m")];
        let only = find(nothing(), &only).unwrap().unwrap();
        assert_eq!(sent(&only), [false, true, false]);
    }

    #[test]
    fn what_is_declared_is_where_it_goes_and_variables_may_leave_signals_out() {
        let without = [("OTEL_TRACES_EXPORTER", "none")];
        let declared = find(at("http://c:4318/"), &without).unwrap().unwrap();
        assert_eq!(sent(&declared), [false, true, false]);
        assert_eq!(
            declared.endpoint_of("metrics").unwrap(),
            "http://c:4318/v1/metrics"
        );
        let disabled = find(at("http://c:4318"), &[("OTEL_SDK_DISABLED", "TRUE")]);
        assert!(disabled.unwrap().is_none());
    }

    #[test]
    fn logs_are_sent_when_they_are_asked_for() {
        let with_logs = Declared {
            logs: true,
            ..at("http://c:4318")
        };
        let logs =
            |declared, variables: &[_]| sent(&find(declared, variables).unwrap().unwrap())[2];
        assert!(logs(with_logs.clone(), &[]));
        assert!(!logs(with_logs.clone(), &[("OTEL_LOGS_EXPORTER", "none")]));
        assert!(!logs(at("http://c:4318"), &[]));
        assert!(logs(at("http://c:4318"), &[("OTEL_LOGS_EXPORTER", "otlp")]));
        let own = [("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://c:4318/logs")];
        assert!(logs(Declared::default(), &own));
        // Asked for, and nobody to send them to.
        let nowhere = Declared {
            logs: true,
            ..Declared::default()
        };
        assert!(find(nowhere, &[]).unwrap().is_none());
    }

    #[test]
    fn one_trace_in_a_hundred_is_kept_unless_somebody_says_otherwise() {
        let ratio = |variables: &[(&str, &str)]| {
            let found = find(at("http://c:4318"), variables);
            found.unwrap().unwrap().ratio
        };
        assert_eq!(ratio(&[]), Some(TRACE_RATIO));
        assert_eq!(ratio(&[("OTEL_TRACES_SAMPLER", "always_on")]), None);
        let said = |ratio| {
            let declared = Declared {
                trace_ratio: Some(ratio),
                ..at("http://c:1")
            };
            find(declared, &[])
        };
        assert_eq!(said(0.5).unwrap().unwrap().ratio, Some(0.5));
        assert_eq!(said(1.5).unwrap_err(), BadOtlp::Ratio("1.5".into()));
        assert!(said(f64::NAN).is_err());
    }

    #[test]
    fn addresses_that_are_not_spoken_to_are_refused() {
        for bad in ["c:4318", "grpc://c:4317", "http://"] {
            let error = find(at(bad), &[]).unwrap_err();
            assert_eq!(error, BadOtlp::Endpoint(bad.to_owned()));
            let named = [("OTEL_EXPORTER_OTLP_ENDPOINT", bad)];
            assert!(find(Declared::default(), &named).is_err());
        }
    }

    #[test]
    fn a_collector_by_tls_needs_a_ca_that_can_be_read() {
        let error = find(at("https://c:4318"), &[]).unwrap_err();
        assert_eq!(error, BadOtlp::NoCa("https://c:4318".into()));
        let nowhere = [("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt")];
        let error = find(at("https://c:4318"), &nowhere).unwrap_err();
        assert!(
            matches!(&error, BadOtlp::BadCa(why) if why.contains("/nowhere/ca.crt")),
            "{error}"
        );
        // Plainly, no CA is looked at.
        assert_eq!(
            find(at("http://c:4318"), &nowhere).unwrap().unwrap().traces,
            Signal::Plain
        );
    }
}
