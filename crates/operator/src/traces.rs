//! Passes as traces: one span a pass, one below it a step. None without a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`).

use std::time::SystemTime;

use atoll_client::Network;
use atoll_client::otlp::{
    BadOtlp, Counts, Declared, Kind, Name, Otlp, Outlet, Span, Spans, TraceContext, Value,
};
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

/// Makes spans of passes.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<Spans>);

/// A pass under way; ends when it is dropped, or with an outcome.
pub(crate) struct PassSpan(Option<Under>);

struct Under {
    spans: Spans,
    context: TraceContext,
    began: SystemTime,
    namespace: String,
    store: String,
    outcome: Option<&'static str>,
    /// The one under way, and when it began.
    step: Option<(&'static str, SystemTime)>,
}

impl Traces {
    /// As the standard variables say, logs included; called in a runtime.
    ///
    /// # Errors
    /// [`BadOtlp`].
    pub(crate) fn from_variables(identity: &str, logs: &Outlet) -> Result<Traces, BadOtlp> {
        let variable = |name: &str| std::env::var(name).ok();
        let Some(otlp) = Otlp::find(Declared::default(), &Network::Tcp, variable)? else {
            return Ok(Traces::default());
        };
        let resource = Resource::builder()
            .with_service_name("atoll-operator")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", identity.to_owned()),
            ])
            .build();
        let counts = Counts::default();
        otlp.open(logs, &resource, &counts)?;
        Ok(Traces(otlp.spans(&resource, &counts)))
    }

    /// A pass begins.
    pub(crate) fn pass(&self, namespace: &str, store: &str) -> PassSpan {
        let begun = self.0.as_ref().and_then(|spans| {
            let context = spans.begin(None)?;
            Some(Under {
                spans: spans.clone(),
                context,
                began: SystemTime::now(),
                namespace: namespace.to_owned(),
                store: store.to_owned(),
                outcome: None,
                step: None,
            })
        });
        PassSpan(begun)
    }
}

impl PassSpan {
    /// The step before is over, and this one begins.
    pub(crate) fn step(&mut self, name: &'static str) {
        if let Some(under) = &mut self.0 {
            let now = SystemTime::now();
            under.end_step(now);
            under.step = Some((name, now));
        }
    }

    /// The pass is over.
    pub(crate) fn ended(mut self, outcome: &'static str) {
        if let Some(under) = &mut self.0 {
            under.outcome = Some(outcome);
        }
    }
}

impl Under {
    fn end_step(&mut self, now: SystemTime) {
        if let Some((name, began)) = self.step.take() {
            self.spans.put(&Span {
                context: self.context.with_new_span(),
                parent: Some(self.context.span),
                name: Name::Of(name),
                kind: Kind::Internal,
                times: (began, now),
                attributes: &[],
                error: None,
            });
        }
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        let now = SystemTime::now();
        self.end_step(now);
        let attributes = [
            ("k8s.namespace.name", Value::Text(&self.namespace)),
            ("atoll.store", Value::Text(&self.store)),
            ("outcome", Value::Text(self.outcome.unwrap_or_default())),
        ];
        // Dropped on its way: there is no outcome.
        let known = if self.outcome.is_some() { 3 } else { 2 };
        self.spans.put(&Span {
            context: self.context,
            parent: None,
            name: Name::Of("pass"),
            kind: Kind::Internal,
            times: (self.began, now),
            attributes: &attributes[..known],
            error: self.outcome.filter(|outcome| *outcome != "ok"),
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use atoll_client::otlp::{Bounds, Sampler};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_pass_is_a_trace_of_its_steps_one_after_the_other() {
        let (whose, sampler) = (Resource::builder_empty().build(), Sampler::ratio(1.0));
        let (spans, mut taken) = Spans::new(&whose, sampler, Bounds::default(), Counts::default());
        let mut pass = Traces(Some(spans)).pass("default", "shop");
        pass.step("observe");
        pass.step("make");
        pass.ended("remote");
        let letter = taken.next(true).unwrap();
        let said = ExportTraceServiceRequest::decode(letter.bytes).unwrap();
        let spans = &said.resource_spans[0].scope_spans[0].spans;
        let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["observe", "make", "pass"]);
        let whole = &spans[2];
        let steps = &spans[..2];
        assert!(steps.iter().all(|s| s.parent_span_id == whole.span_id));
        assert!(steps[0].end_time_unix_nano <= steps[1].start_time_unix_nano);
        assert_eq!(whole.status.as_ref().unwrap().message, "remote");
        assert_eq!(whole.attributes.len(), 3);
    }
}
