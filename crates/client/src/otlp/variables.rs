//! What the standard's variables say of how telemetry is sent.

use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::sampler::Sampler;
use super::spans::Bounds;

/// How many of the traces that begin here are kept, when nobody says.
pub const TRACE_RATIO: f64 = 0.01;

/// As said, or as it is when nothing is.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Which traces are kept; `OTEL_TRACES_SAMPLER` and its argument.
    pub(super) sampler: Sampler,
    /// What goes with letters of spans: `OTEL_EXPORTER_OTLP_TRACES_HEADERS` or `OTEL_EXPORTER_OTLP_HEADERS`.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// How long a collector may take: `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub(super) timeout: Duration,
    pub(super) spans: Bounds,
    /// How long a span waits at most: `OTEL_BSP_SCHEDULE_DELAY`.
    pub(super) spans_every: Duration,
    /// How many lines of the log wait at most: `OTEL_BLRP_MAX_QUEUE_SIZE`.
    pub(super) lines: usize,
    /// How long one waits at most: `OTEL_BLRP_SCHEDULE_DELAY`.
    pub(super) lines_every: Duration,
}

impl Said {
    /// What is said; of variables that are empty, nothing is.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Said {
        let millis =
            |name, default| Duration::from_millis(number(&variable, name).unwrap_or(default));
        let unsaid = Bounds::default();
        let queued = number(&variable, "OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(unsaid.queued);
        let at_once = number(&variable, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE").unwrap_or(unsaid.at_once);
        let sampler = match variable("OTEL_TRACES_SAMPLER") {
            None => Sampler::ratio(TRACE_RATIO),
            Some(name) => Sampler::named(&name, variable("OTEL_TRACES_SAMPLER_ARG").as_deref()),
        };
        let headers = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_HEADERS"));
        Said {
            sampler,
            headers: headers.map(|text| read_headers(&text)).unwrap_or_default(),
            timeout: millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
            spans: Bounds {
                queued: queued.max(1),
                // A batch that never gets full would leave when the time is up, and not before.
                at_once: at_once.clamp(1, queued.max(1)),
            },
            spans_every: millis("OTEL_BSP_SCHEDULE_DELAY", 5000),
            lines: number(&variable, "OTEL_BLRP_MAX_QUEUE_SIZE").unwrap_or(2048),
            lines_every: millis("OTEL_BLRP_SCHEDULE_DELAY", 1000),
        }
    }
}

fn number<T: FromStr>(variable: impl Fn(&str) -> Option<String>, name: &str) -> Option<T> {
    variable(name)?.trim().parse().ok()
}

/// `name=value,…`, values percent-encoded; what is none is left out, as the standard wants it.
fn read_headers(text: &str) -> Vec<(HeaderName, HeaderValue)> {
    let read = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value: Vec<u8> = percent_decode_str(value.trim()).collect();
        let mut value = HeaderValue::from_bytes(&value).ok()?;
        // Most often it says who may write: logs do not show it.
        value.set_sensitive(true);
        Some((name.trim().parse().ok()?, value))
    };
    text.split(',').filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Said {
        Said::read(|name| {
            let mut all = variables.iter();
            let found = all.find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn sizes(said: &Said) -> [usize; 3] {
        [said.spans.queued, said.spans.at_once, said.lines]
    }

    fn millis(said: &Said) -> [u128; 3] {
        [said.timeout, said.spans_every, said.lines_every].map(|time| time.as_millis())
    }

    #[test]
    fn sizes_and_times_are_as_said() {
        let unsaid = read(&[]);
        assert_eq!(sizes(&unsaid), [8192, 2048, 2048]);
        assert_eq!(millis(&unsaid), [10_000, 5000, 1000]);
        let said = read(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "9"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "2"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "3"),
        ]);
        assert_eq!(sizes(&said), [100, 7, 9]);
        assert_eq!(millis(&said), [1, 2, 3]);
        let odd = read(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "many"),
        ]);
        assert_eq!(
            sizes(&odd),
            [1, 1, 2048],
            "no batch is larger than the queue"
        );
    }

    #[test]
    fn headers_of_traces_come_before_those_of_all() {
        let shown = |variables: &[(&str, &str)]| {
            let headers = read(variables).headers.into_iter();
            let shown = |(name, value): (HeaderName, HeaderValue)| {
                assert!(value.is_sensitive());
                format!("{name}={}", String::from_utf8_lossy(value.as_bytes()))
            };
            headers.map(shown).collect::<Vec<_>>()
        };
        let all = (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20ab=, X-Scope = shop ,bad header=1,none",
        );
        assert_eq!(shown(&[all]), ["authorization=Bearer ab=", "x-scope=shop"]);
        let own = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b");
        assert_eq!(shown(&[all, own]), ["a=b"]);
        assert!(shown(&[]).is_empty());
    }

    #[test]
    fn one_trace_in_a_hundred_is_kept_unless_somebody_says_otherwise() {
        assert_eq!(read(&[]).sampler, Sampler::ratio(TRACE_RATIO));
        let named = [
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ];
        assert_eq!(read(&named).sampler, Sampler::ratio(0.5));
        assert_eq!(read(&named[..1]).sampler, Sampler::ratio(1.0));
    }
}
