//! Which traces are kept: decided once, where a trace begins; what follows goes by that.

use opentelemetry::trace::{SpanId, TraceId};

use super::context::TraceContext;

/// What is decided by the trace's id: the same for all that decide by it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// What came with a trace that is kept is kept.
    follows: bool,
    /// Of the others.
    ratio: f64,
}

impl Sampler {
    /// Keeps that share of the traces that begin here, and those that are kept where they came from.
    #[must_use]
    pub fn ratio(ratio: f64) -> Sampler {
        let follows = true;
        Sampler { follows, ratio }
    }

    /// As `OTEL_TRACES_SAMPLER` and its argument say; what is not understood is as the standard's default: all.
    pub(super) fn named(name: &str, argument: Option<&str>) -> Sampler {
        let (follows, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name),
        };
        let said = argument.and_then(|text| text.parse().ok());
        let said = said.filter(|ratio| (0.0..=1.0).contains(ratio));
        let ratio = match (kind, said) {
            ("always_on", _) => 1.0,
            ("always_off", _) => 0.0,
            ("traceidratio", Some(ratio)) => ratio,
            ("traceidratio", None) => {
                tracing::warn!(
                    name,
                    argument,
                    "OTEL_TRACES_SAMPLER_ARG is no share; all traces are kept"
                );
                1.0
            }
            _ => {
                tracing::warn!(
                    name,
                    "OTEL_TRACES_SAMPLER names no sampler; all traces are kept"
                );
                return Sampler::ratio(1.0);
            }
        };
        Sampler { follows, ratio }
    }

    /// The context of a span that begins below another one, or a trace, if it is kept. Nothing is kept of a trace
    /// that is not kept where it came from.
    pub(super) fn begin(self, parent: Option<&TraceContext>) -> Option<TraceContext> {
        let trace = match parent {
            Some(parent) if !parent.is_kept => return None,
            Some(parent) if self.follows => return Some(parent.with_new_span()),
            Some(parent) => parent.trace,
            None => TraceId::from_bytes(rand::random()),
        };
        let begun = TraceContext {
            trace,
            span: SpanId::INVALID,
            is_kept: true,
        };
        self.keeps(trace).then(|| begun.with_new_span())
    }

    /// As OpenTelemetry's `TraceIdRatioBased` has it.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of all numbers needs no more digits than a share has"
    )]
    fn keeps(self, trace: TraceId) -> bool {
        let number = u128::from_be_bytes(trace.to_bytes()) as u64 >> 1;
        let bound = (self.ratio * (1_u64 << 63) as f64) as u64;
        number < bound
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn parent(is_kept: bool) -> TraceContext {
        TraceContext {
            // Of all numbers, in the upper half.
            trace: TraceId::from_bytes([0xf0; 16]),
            span: SpanId::from_bytes([7; 8]),
            is_kept,
        }
    }

    /// Whether a trace begins here; goes on that is kept; goes on that is not.
    fn kept(sampler: Sampler) -> [bool; 3] {
        let below = |is_kept| sampler.begin(Some(&parent(is_kept))).is_some();
        [sampler.begin(None).is_some(), below(true), below(false)]
    }

    #[test]
    fn samplers_keep_what_their_names_say() {
        let named = |name| kept(Sampler::named(name, None));
        assert_eq!(named("always_on"), [true, true, false]);
        assert_eq!(named("always_off"), [false, false, false]);
        assert_eq!(named("parentbased_always_on"), [true, true, false]);
        assert_eq!(named("parentbased_always_off"), [false, true, false]);
        let none = |name| kept(Sampler::named(name, Some("0")));
        assert_eq!(none("traceidratio"), [false, false, false]);
        assert_eq!(none("parentbased_traceidratio"), [false, true, false]);
        assert_eq!(kept(Sampler::ratio(0.0)), [false, true, false]);
        assert_eq!(kept(Sampler::ratio(1.0)), [true, true, false]);
        // The parent's trace decides: its number is in the upper half.
        let half = Sampler::named("traceidratio", Some("0.5"));
        assert!(half.begin(Some(&parent(true))).is_none());
        for (name, argument) in [
            ("xray", None),
            ("traceidratio", Some("much")),
            ("traceidratio", Some("7")),
        ] {
            assert!(
                Sampler::named(name, argument).begin(None).is_some(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_share_of_the_traces_that_begin_here_is_kept() {
        let sampler = Sampler::ratio(0.25);
        let kept = (0..10_000).filter_map(|_| sampler.begin(None)).count();
        // Six times the deviation: 43 of 2500.
        assert!((2240..2760).contains(&kept), "{kept}");
        let one = sampler.begin(Some(&parent(true))).unwrap();
        assert!(one.is_kept && one.trace == parent(true).trace && one.span != parent(true).span);
    }
}
