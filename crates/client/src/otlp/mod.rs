//! Telemetry on its way to an OpenTelemetry collector: OTLP over HTTP, protobuf.
//!
//! Nothing here may hold up what is measured. Spans and logs wait in bounded queues, and one task each sends them; metrics
//! are collected by a thread of their own. What does not fit, and what the collector does not take in time, is dropped
//! and counted ([`Counts`]). Metrics and logs are made by OpenTelemetry's SDK; spans, of which there are many, by
//! [`Spans`]. The standard `OTEL_*` variables hold, where nothing else is said here: `OTEL_SDK_DISABLED`,
//! `OTEL_{TRACES,METRICS,LOGS}_EXPORTER`, `OTEL_EXPORTER_OTLP_…`, `OTEL_TRACES_SAMPLER…`, `OTEL_{BSP,BLRP}_…`,
//! `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_RESOURCE_ATTRIBUTES`. Logs are sent when asked for.

mod carrier;
mod context;
mod counts;
mod logs;
mod queue;
mod sampler;
mod span;
mod spans;
mod variables;

use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, RetryPolicy, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogExporter as _, SdkLoggerProvider};
use opentelemetry_sdk::metrics::PeriodicReader;
use tokio::runtime::Handle;

use self::carrier::{Carrier, Post};
pub use self::context::TraceContext;
pub use self::counts::{Counted, Counts};
pub use self::logs::{Field, Line, Outlet, of_trace, trace_of_now};
pub use self::sampler::Sampler;
pub use self::span::{Kind, Name, Span, Value};
pub use self::spans::{Bounds, Letter, Spans, Taken};
use self::variables::Said;
pub use self::variables::TRACE_RATIO;
use crate::dialer::Dialer;
use crate::network::Network;
use crate::tls::{Credentials, Expected, TlsFiles};

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
    traces: Option<Signal>,
    metrics: Option<Signal>,
    logs: Option<Signal>,
    said: Said,
    network: Network,
    /// Whom a collector is known by, where one is spoken to by TLS.
    credentials: Option<Credentials>,
}

/// Where a kind of telemetry goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signal {
    address: Uri,
    by_tls: bool,
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
        let signal = |name: &str, is_wanted: bool| {
            let own = variable(&format!("OTEL_EXPORTER_OTLP_{name}_ENDPOINT"));
            let said = variable(&format!("OTEL_{name}_EXPORTER"));
            let is_wanted = match said.as_deref() {
                None => is_wanted || own.is_some(),
                Some(said) => said != "none",
            };
            if !is_wanted {
                return Ok(None);
            }
            let of_all = || variable("OTEL_EXPORTER_OTLP_ENDPOINT");
            match (&endpoint, own) {
                (None, Some(own)) => Signal::at(&own, "").map(Some),
                (endpoint, _) => {
                    let address = endpoint.clone().or_else(of_all);
                    let path = format!("/v1/{}", name.to_lowercase());
                    address
                        .map(|address| Signal::at(&address, &path))
                        .transpose()
                }
            }
        };
        let traces = signal("TRACES", true)?;
        let metrics = signal("METRICS", true)?;
        let logs = signal("LOGS", logs_too)?;
        let ca = ca.or_else(|| variable("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from));
        let signals: Vec<_> = [&traces, &metrics, &logs].into_iter().flatten().collect();
        if signals.is_empty() {
            return Ok(None);
        }
        let by_tls = signals.iter().find(|signal| signal.by_tls);
        let credentials = match (by_tls, ca) {
            (None, _) => None,
            (Some(signal), None) => return Err(BadOtlp::NoCa(signal.address.to_string())),
            (Some(_), Some(ca)) => Some(trust(ca)?),
        };
        let mut said = Said::read(variable);
        if let Some(ratio) = ratio {
            said.sampler = Sampler::ratio(ratio);
        }
        Ok(Some(Otlp {
            traces,
            metrics,
            logs,
            said,
            network: network.clone(),
            credentials,
        }))
    }

    /// What spans are said to; a task of the runtime that this is called in sends them. `None` when no traces are sent.
    #[must_use]
    pub fn spans(&self, resource: &Resource, counts: &Counts) -> Option<Spans> {
        let signal = self.traces.as_ref()?;
        let post = Post {
            carrier: self.carrier(signal),
            address: signal.address.clone(),
            headers: self.said.headers.clone(),
        };
        let Said {
            sampler,
            spans: bounds,
            spans_every,
            ..
        } = self.said;
        let (spans, taken) = Spans::new(resource, sampler, bounds, counts.clone());
        tokio::spawn(taken.send(post, counts.clone(), spans_every));
        Some(spans)
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
        let Some(signal) = &self.metrics else {
            return Ok(None);
        };
        let exporter = self.over_http(MetricExporter::builder().with_http(), signal);
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
        let Some(signal) = &self.logs else {
            return Ok(());
        };
        let exporter = self.over_http(LogExporter::builder().with_http(), signal);
        let mut exporter = exporter.build().map_err(|error| variables(&error))?;
        exporter.set_resource(resource);
        let Said {
            lines,
            lines_every,
            timeout,
            ..
        } = self.said;
        let queue = queue::Queue::start(exporter, lines, lines_every, timeout, counts.clone());
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(queue)
            .with_resource(resource.clone());
        outlet.open(provider.build());
        Ok(())
    }

    /// Has an exporter send what it is for to the collector, each thing once.
    fn over_http<E: WithExportConfig + WithHttpConfig>(&self, exporter: E, signal: &Signal) -> E {
        exporter
            .with_protocol(Protocol::HttpBinary)
            .with_retry_policy(RetryPolicy::disabled())
            .with_shared_http_client(Arc::new(self.carrier(signal)))
            .with_endpoint(signal.address.to_string())
    }

    fn carrier(&self, signal: &Signal) -> Carrier {
        let credentials = self.credentials.clone().filter(|_| signal.by_tls);
        let dialer = match credentials {
            None => Dialer::from(&self.network),
            Some(credentials) => {
                Dialer::with_tls(self.network.clone(), credentials, Expected::Host)
            }
        };
        Carrier::new(dialer, Handle::current(), self.said.timeout)
    }
}

impl Signal {
    /// At that path below an address.
    fn at(address: &str, path: &str) -> Result<Signal, BadOtlp> {
        let bad = || BadOtlp::Endpoint(address.to_owned());
        let whole = match path {
            "" => address.to_owned(),
            path => format!("{}{path}", address.trim_end_matches('/')),
        };
        let read = whole.parse::<Uri>().map_err(|_| bad())?;
        let by_tls = match (read.scheme_str(), read.authority()) {
            (Some("http"), Some(_)) => false,
            (Some("https"), Some(_)) => true,
            _ => return Err(bad()),
        };
        Ok(Signal {
            address: read,
            by_tls,
        })
    }
}

/// Whether all telemetry is switched off: `OTEL_SDK_DISABLED=true`.
#[must_use]
pub fn is_disabled(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("OTEL_SDK_DISABLED").is_some_and(|is| is.eq_ignore_ascii_case("true"))
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
        [&otlp.traces, &otlp.metrics, &otlp.logs].map(Option::is_some)
    }

    fn address(signal: Option<Signal>) -> String {
        signal.unwrap().address.to_string()
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
        assert_eq!(address(named.traces), "http://c:4318/v1/traces");
        let only = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/m")];
        let only = find(nothing(), &only).unwrap().unwrap();
        assert_eq!(sent(&only), [false, true, false]);
        assert_eq!(address(only.metrics), "http://c:4318/m", "as it is");
    }

    #[test]
    fn what_is_declared_is_where_it_goes_and_variables_may_leave_signals_out() {
        let without = [("OTEL_TRACES_EXPORTER", "none")];
        let declared = find(at("http://c:4318/"), &without).unwrap().unwrap();
        assert_eq!(sent(&declared), [false, true, false]);
        assert_eq!(address(declared.metrics), "http://c:4318/v1/metrics");
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
    fn a_share_of_traces_that_is_declared_holds_before_a_sampler_that_is_named() {
        let said = |ratio| {
            let declared = Declared {
                trace_ratio: Some(ratio),
                ..at("http://c:1")
            };
            find(declared, &[("OTEL_TRACES_SAMPLER", "always_off")])
        };
        let sampler = said(0.5).unwrap().unwrap().said.sampler;
        assert_eq!(sampler, Sampler::ratio(0.5));
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
        assert_eq!(error, BadOtlp::NoCa("https://c:4318/v1/traces".into()));
        let nowhere = [("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt")];
        let error = find(at("https://c:4318"), &nowhere).unwrap_err();
        assert!(
            matches!(&error, BadOtlp::BadCa(why) if why.contains("/nowhere/ca.crt")),
            "{error}"
        );
        // Plainly, no CA is looked at.
        let plainly = find(at("http://c:4318"), &nowhere).unwrap().unwrap();
        assert!(plainly.traces.is_some_and(|traces| !traces.by_tls));
    }
}
