//! The log: on standard error, and to a collector once there is one that is to get it.

use std::fmt;

use atoll_client::otlp::{Field, Line, Outlet};
use tracing::field::Visit;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt as written};

/// `ATOLL_LOG` says what is logged (as `info` or `atoll_node=debug`), `ATOLL_LOG_FORMAT=json` makes it JSON.
/// A collector gets the same, by the outlet.
pub(crate) fn init(default: &str) -> Outlet {
    let outlet = Outlet::default();
    let filter = EnvFilter::try_from_env("ATOLL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = written::layer().with_writer(std::io::stderr);
    let is_json = std::env::var("ATOLL_LOG_FORMAT").is_ok_and(|format| format == "json");
    let lines = if is_json {
        lines.json().boxed()
    } else {
        lines.boxed()
    };
    let all = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(ToCollector(outlet.clone()));
    // Whoever set a logger before us keeps it.
    let _ = all.try_init();
    outlet
}

/// Says to an outlet what we log ourselves. What libraries log of connections would be of the connection to the
/// collector as well, and go round for ever.
struct ToCollector(Outlet);

const OURS: [&str; 3] = ["atoll", "openraft", "kube"];

/// On a span: the trace that all in it belong to.
struct OfTrace(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for ToCollector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !self.0.is_open() {
            return;
        }
        let mut said = Said::default();
        attributes.record(&mut said);
        if let (Some(trace), Some(span)) = (said.take("trace_id"), context.span(id)) {
            span.extensions_mut().insert(OfTrace(trace));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let is_ours = OURS.iter().any(|ours| metadata.target().starts_with(ours));
        if !is_ours || !self.0.is_open() {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let trace_id = context.event_scope(event).and_then(|mut scope| {
            scope.find_map(|span| span.extensions().get::<OfTrace>().map(|of| of.0.clone()))
        });
        let message = said.take("message").unwrap_or_default();
        self.0.say(Line {
            level: *metadata.level(),
            target: metadata.target(),
            message,
            fields: said.0,
            trace_id,
        });
    }
}

/// What an event or a span says, by name.
#[derive(Default)]
struct Said(Vec<(&'static str, Field)>);

impl Said {
    /// Takes a text out.
    fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        match self.0.remove(place).1 {
            Field::Text(text) => Some(text),
            Field::Int(_) | Field::Float(_) | Field::Bool(_) => None,
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0
            .push((field.name(), Field::Text(format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0.push((field.name(), Field::Text(value.to_owned())));
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.0.push((field.name(), Field::Int(value)));
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        let number = i64::try_from(value).unwrap_or(i64::MAX);
        self.0.push((field.name(), Field::Int(number)));
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.0.push((field.name(), Field::Float(value)));
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.0.push((field.name(), Field::Bool(value)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Shows what a line is made of, as [`ToCollector`] reads it.
    #[derive(Clone, Default)]
    struct Reads(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Reads {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut said = Said::default();
            event.record(&mut said);
            let message = said.take("message");
            self.0
                .lock()
                .unwrap()
                .push(format!("{message:?} {:?}", said.0));
        }
    }

    #[test]
    fn a_line_is_its_message_and_its_fields_each_as_what_it_is() {
        let reads = Reads::default();
        let log = tracing_subscriber::registry().with(reads.clone());
        tracing::subscriber::with_default(log, || {
            tracing::warn!(
                lag_ms = 7_u64,
                offset = -1_i64,
                share = 0.5,
                is_up = true,
                region = "eu",
                "late"
            );
        });
        let lines = reads.0.lock().unwrap();
        assert_eq!(
            lines[..],
            [
                r#"Some("late") [("lag_ms", Int(7)), ("offset", Int(-1)), ("share", Float(0.5)), ("is_up", Bool(true)), ("region", Text("eu"))]"#
            ]
        );
    }
}
