//! Lines of the log on their way to a collector.
//!
//! A log is set up before anybody knows of a collector. So it says its lines to an [`Outlet`], which is opened once a
//! collector is known that is to get them; lines said before are in the log, and nowhere else.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use tracing::Level;

/// Takes lines, and never waits. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Outlet(Arc<OnceLock<Open>>);

#[derive(Debug)]
struct Open {
    provider: SdkLoggerProvider,
    logger: SdkLogger,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// How bad it is.
    pub level: Level,
    /// Which part of the program says it.
    pub target: &'static str,
    /// What it says.
    pub message: String,
    /// What else is in it, by name.
    pub fields: Vec<(&'static str, Field)>,
    /// The trace that it belongs to.
    pub trace_id: Option<TraceId>,
}

/// What stands under a name in a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// A text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

tokio::task_local! {
    static TRACE: TraceId;
}

/// Work that belongs to a trace: what is logged meanwhile carries its id. Most work logs nothing, so nothing is
/// prepared for it.
pub fn of_trace<F: Future>(trace: TraceId, work: F) -> impl Future<Output = F::Output> {
    TRACE.scope(trace, work)
}

/// The trace that what is logged now belongs to.
#[must_use]
pub fn trace_of_now() -> Option<TraceId> {
    TRACE.try_with(|trace| *trace).ok()
}

impl Outlet {
    /// Whether anybody takes lines.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.get().is_some()
    }

    /// Has a line sent. Nobody takes it: nothing happens.
    pub fn say(&self, line: Line) {
        let Some(Open { logger, .. }) = self.0.get() else {
            return;
        };
        let Line {
            level,
            target,
            message,
            fields,
            trace_id,
        } = line;
        let mut record = logger.create_log_record();
        let now = SystemTime::now();
        record.set_timestamp(now);
        record.set_observed_timestamp(now);
        record.set_severity_number(severity(level));
        record.set_severity_text(level.as_str());
        record.set_target(target);
        record.set_body(message.into());
        let fields = fields.into_iter().map(|(name, field)| (name, value(field)));
        record.add_attributes(fields);
        if let Some(trace_id) = trace_id {
            record.set_trace_context(trace_id, SpanId::INVALID, None);
        }
        logger.emit(record);
    }

    /// Lines go this way from now on; the first one to say so is heard.
    pub(super) fn open(&self, provider: SdkLoggerProvider) {
        let logger = provider.logger("atoll");
        // Opened before: one process has one log, and one collector for it.
        let _ = self.0.set(Open { provider, logger });
    }

    /// No more lines; those that wait are still sent, as long as the runtime lives.
    pub fn close(&self) {
        if let Some(open) = self.0.get() {
            // Closed before: nothing to do.
            let _ = open.provider.shutdown();
        }
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    }
}

fn value(field: Field) -> AnyValue {
    match field {
        Field::Text(text) => AnyValue::String(text.into()),
        Field::Int(number) => AnyValue::Int(number),
        Field::Float(number) => AnyValue::Double(number),
        Field::Bool(is) => AnyValue::Boolean(is),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::sync::Mutex;
    use std::time::Duration;

    use opentelemetry::InstrumentationScope;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Shelf(Arc<Mutex<Vec<SdkLogRecord>>>);

    impl LogProcessor for Shelf {
        fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
            self.0.lock().unwrap().push(record.clone());
        }
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn line(message: &str) -> Line {
        Line {
            level: Level::WARN,
            target: "atoll_node",
            message: message.to_owned(),
            fields: vec![
                ("lag_ms", Field::Int(7)),
                ("region", Field::Text("eu".into())),
            ],
            trace_id: TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").ok(),
        }
    }

    #[test]
    fn lines_go_to_whom_the_outlet_was_opened_for_first_and_to_nobody_before() {
        let (outlet, first, second) = (Outlet::default(), Shelf::default(), Shelf::default());
        let to = |shelf: &Shelf| {
            SdkLoggerProvider::builder()
                .with_log_processor(shelf.clone())
                .build()
        };
        outlet.clone().say(line("too early"));
        assert!(!outlet.is_open());
        outlet.open(to(&first));
        outlet.open(to(&second));
        outlet.clone().say(line("a link is slow"));
        assert!(second.0.lock().unwrap().is_empty());
        let records = first.0.lock().unwrap();
        let [record] = &records[..] else {
            panic!("{records:?}")
        };
        assert_eq!(
            record.body(),
            Some(&AnyValue::String("a link is slow".into()))
        );
        assert_eq!(record.severity_number(), Some(Severity::Warn));
        assert_eq!(record.target().map(AsRef::as_ref), Some("atoll_node"));
        let trace = record.trace_context().unwrap().trace_id;
        assert_eq!(trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        let fields: Vec<_> = record
            .attributes_iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        assert_eq!(fields.len(), 2, "{fields:?}");
        assert!(fields[0].starts_with("lag_ms=Int(7)"), "{fields:?}");
    }
}
