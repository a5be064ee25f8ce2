//! The log: on standard error, and to a collector once there is one that is to get it.

use std::fmt;

use atoll_client::otlp::{self, Field, Line, Outlet};
use tracing::field::Visit;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
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
        lines.json().map_event_format(WithTrace::json).boxed()
    } else {
        lines.map_event_format(WithTrace::text).boxed()
    };
    let all = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(ToCollector(outlet.clone()));
    // Whoever set a logger before us keeps it.
    let _ = all.try_init();
    outlet
}

/// Lines, and at the end of those that belong to a trace its id.
struct WithTrace<F> {
    lines: F,
    is_json: bool,
}

impl<F> WithTrace<F> {
    fn json(lines: F) -> Self {
        WithTrace {
            lines,
            is_json: true,
        }
    }
}

impl<T> WithTrace<Format<Full, T>> {
    fn text(lines: Format<Full, T>) -> Self {
        // As it is by default; but where a line is written before it is complete, nobody knows.
        let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|said| said.is_empty());
        WithTrace {
            lines: lines.with_ansi(is_coloured),
            is_json: false,
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(trace) = otlp::trace_of_now() else {
            return self.lines.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.lines
            .format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        match line.strip_suffix('}') {
            Some(open) if self.is_json => writeln!(writer, r#"{open},"trace_id":"{trace}"}}"#),
            _ => writeln!(writer, "{line} trace_id={trace}"),
        }
    }
}

/// Says to an outlet what we log ourselves. What libraries log of connections would be of the connection to the
/// collector as well, and go round for ever.
struct ToCollector(Outlet);

const OURS: [&str; 3] = ["atoll", "openraft", "kube"];

impl<S: Subscriber> Layer<S> for ToCollector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let is_ours = OURS.iter().any(|ours| metadata.target().starts_with(ours));
        if !is_ours || !self.0.is_open() {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let message = said.take("message").unwrap_or_default();
        self.0.say(Line {
            level: *metadata.level(),
            target: metadata.target(),
            message,
            fields: said.0,
            trace_id: otlp::trace_of_now(),
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

    use opentelemetry::trace::TraceId;

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

    /// What is written of a line within a trace, and of one without.
    fn written(is_json: bool) -> [String; 2] {
        let out = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&out);
        let lines = written::layer()
            .without_time()
            .with_writer(move || Out(Arc::clone(&writer)));
        let lines = if is_json {
            lines.json().map_event_format(WithTrace::json).boxed()
        } else {
            let plainly = |lines: Format<Full, ()>| WithTrace {
                lines: lines.with_ansi(false),
                is_json: false,
            };
            lines.map_event_format(plainly).boxed()
        };
        let trace = TraceId::from_bytes([0xab; 16]);
        let both = async {
            otlp::of_trace(trace, async { tracing::warn!(lag_ms = 7, "late {{}}") }).await;
            tracing::warn!("late");
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            runtime.unwrap().block_on(both);
        });
        let text = String::from_utf8(out.lock().unwrap().clone()).unwrap();
        let (first, second) = text.split_once('\n').unwrap();
        [first, second].map(str::to_owned)
    }

    struct Out(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Out {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_end_with_the_trace_that_they_belong_to() {
        let trace = "ab".repeat(16);
        let [within, without] = written(false);
        assert!(
            within.ends_with(&format!("late {{}} lag_ms=7 trace_id={trace}")),
            "{within}"
        );
        assert!(!without.contains("trace_id"), "{without}");
        let [within, without] = written(true).map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            line
        });
        assert_eq!(within["trace_id"], trace.as_str(), "{within}");
        assert_eq!(within["fields"]["message"], "late {}", "{within}");
        assert!(without.get("trace_id").is_none(), "{without}");
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
