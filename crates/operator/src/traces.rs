//! Passes as traces: one span a pass, one below it a step. None without a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`).

use atoll_client::Network;
use atoll_client::otlp::{BadOtlp, Counts, Declared, Otlp, Outlet};
use opentelemetry::trace::{
    Span as _, SpanBuilder, Status, TraceContextExt as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

/// Makes spans of passes.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<SdkTracer>);

/// A pass under way; ends when it is dropped, or with an outcome.
pub(crate) struct PassSpan(Option<Under>);

struct Under {
    tracer: SdkTracer,
    pass: Span,
    /// What steps hang below.
    context: Context,
    step: Option<Span>,
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
        let provider = otlp.tracers(&resource, &counts)?;
        Ok(provider.as_ref().map(Traces::new).unwrap_or_default())
    }

    fn new(provider: &SdkTracerProvider) -> Traces {
        Traces(Some(provider.tracer("atoll-operator")))
    }

    /// A pass begins.
    pub(crate) fn pass(&self, namespace: &str, store: &str) -> PassSpan {
        let under = self.0.as_ref().map(|tracer| {
            let attributes = [
                KeyValue::new("k8s.namespace.name", namespace.to_owned()),
                KeyValue::new("atoll.store", store.to_owned()),
            ];
            let builder = SpanBuilder::from_name("pass").with_attributes(attributes);
            let pass = builder.start_with_context(tracer, &Context::new());
            let context = Context::new().with_remote_span_context(pass.span_context().clone());
            Under {
                tracer: tracer.clone(),
                pass,
                context,
                step: None,
            }
        });
        PassSpan(under)
    }
}

impl PassSpan {
    /// The step before is over, and this one begins.
    pub(crate) fn step(&mut self, name: &'static str) {
        if let Some(under) = &mut self.0 {
            let step = SpanBuilder::from_name(name);
            // The old one ends as it is dropped.
            under.step = Some(step.start_with_context(&under.tracer, &under.context));
        }
    }

    /// The pass is over.
    pub(crate) fn ended(self, outcome: &'static str) {
        if let Some(Under { mut pass, step, .. }) = self.0 {
            drop(step);
            pass.set_attribute(KeyValue::new("outcome", outcome));
            if outcome != "ok" {
                pass.set_status(Status::error(outcome));
            }
            pass.end();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SpanData, SpanProcessor};

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Shelf(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Shelf {
        fn on_start(&self, _: &mut Span, _: &Context) {}
        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn a_pass_is_a_trace_of_its_steps_one_after_the_other() {
        let shelf = Shelf::default();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(shelf.clone())
            .build();
        let mut pass = Traces::new(&provider).pass("default", "shop");
        pass.step("observe");
        pass.step("make");
        pass.ended("remote");
        let spans = shelf.0.lock().unwrap();
        let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["observe", "make", "pass"]);
        let whole = &spans[2];
        assert!(
            spans[..2]
                .iter()
                .all(|s| s.parent_span_id == whole.span_context.span_id())
        );
        assert!(spans[0].end_time <= spans[1].end_time);
        assert_eq!(whole.status, Status::error("remote"));
    }
}
