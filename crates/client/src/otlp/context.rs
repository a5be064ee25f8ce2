//! Where a span stands: its trace, its own id, and whether the trace is kept. Travels between programs as W3C's
//! `traceparent`, and within entries as what that says, in less than half the bytes.

use opentelemetry::trace::{SpanId, TraceId};

/// `00-<32 hexadecimal digits>-<16>-<2>`.
const TRACEPARENT_BYTES: usize = 55;
/// Trace id, span id, flags.
const PACKED_BYTES: usize = 25;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A span, as those below it name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Its trace.
    pub trace: TraceId,
    /// Itself.
    pub span: SpanId,
    /// Whether the trace is kept.
    pub is_kept: bool,
}

impl TraceContext {
    /// Reads a `traceparent` of version 00 or a later one; none when it is not one.
    #[must_use]
    pub fn read(traceparent: &[u8]) -> Option<TraceContext> {
        let is_whole = traceparent.len() == TRACEPARENT_BYTES
            && [2, 35, 52].iter().all(|&at| traceparent[at] == b'-');
        if !is_whole || traceparent.starts_with(b"ff") {
            return None;
        }
        let [_version]: [u8; 1] = bytes(&traceparent[..2])?;
        let [flags] = bytes(&traceparent[53..])?;
        TraceContext {
            trace: TraceId::from_bytes(bytes(&traceparent[3..35])?),
            span: SpanId::from_bytes(bytes(&traceparent[36..52])?),
            is_kept: flags & 1 == 1,
        }
        .valid()
    }

    /// Reads what an entry holds: what [`TraceContext::pack`] wrote, or a `traceparent`.
    #[must_use]
    pub fn unpack(held: &[u8]) -> Option<TraceContext> {
        let Ok(packed) = <&[u8; PACKED_BYTES]>::try_from(held) else {
            return TraceContext::read(held);
        };
        let (trace, rest) = packed.split_first_chunk()?;
        let (span, flags) = rest.split_first_chunk()?;
        TraceContext {
            trace: TraceId::from_bytes(*trace),
            span: SpanId::from_bytes(*span),
            is_kept: flags[0] & 1 == 1,
        }
        .valid()
    }

    fn valid(self) -> Option<TraceContext> {
        (self.trace != TraceId::INVALID && self.span != SpanId::INVALID).then_some(self)
    }

    /// For entries.
    #[must_use]
    pub fn pack(&self) -> [u8; PACKED_BYTES] {
        let mut out = [0; PACKED_BYTES];
        out[..16].copy_from_slice(&self.trace.to_bytes());
        out[16..24].copy_from_slice(&self.span.to_bytes());
        out[24] = u8::from(self.is_kept);
        out
    }

    /// For other programs.
    #[must_use]
    pub fn traceparent(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut out = [b'-'; TRACEPARENT_BYTES];
        write(&mut out[..2], &[0]);
        write(&mut out[3..35], &self.trace.to_bytes());
        write(&mut out[36..52], &self.span.to_bytes());
        write(&mut out[53..], &[u8::from(self.is_kept)]);
        out
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn with_new_span(self) -> TraceContext {
        let span = SpanId::from_bytes(rand::random());
        TraceContext { span, ..self }
    }
}

fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(out)
}

fn write(digits: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// Of a digit; the standard has small ones only.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    const KEPT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_written_as_it_was_read() {
        let context = TraceContext::read(KEPT.as_bytes()).unwrap();
        assert_eq!(context.trace.to_string(), &KEPT[3..35]);
        assert_eq!(context.span.to_string(), &KEPT[36..52]);
        assert_eq!(context.traceparent(), KEPT.as_bytes());
        assert!(context.is_kept);
        let below = context.with_new_span();
        assert!(below.trace == context.trace && below.span != context.span);
    }

    #[test]
    fn the_last_bit_says_whether_a_trace_is_kept() {
        for (flags, is_kept) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let text = format!("{}{flags}", &KEPT[..53]);
            let context = TraceContext::read(text.as_bytes()).unwrap();
            assert_eq!(context.is_kept, is_kept, "{flags}");
            assert_eq!(TraceContext::unpack(&context.pack()), Some(context));
        }
    }

    #[test]
    fn entries_hold_a_context_in_either_form() {
        let context = TraceContext::read(KEPT.as_bytes()).unwrap();
        let packed = context.pack();
        assert_eq!((packed.len(), packed[0], packed[24]), (25, 0x0a, 1));
        assert_eq!(TraceContext::unpack(&packed), Some(context));
        assert_eq!(TraceContext::unpack(KEPT.as_bytes()), Some(context));
        let (mut no_trace, mut no_span) = (packed, packed);
        no_trace[..16].fill(0);
        no_span[16..24].fill(0);
        for bad in [&[][..], &packed[1..], &no_trace, &no_span, b"00-0af7"] {
            assert_eq!(TraceContext::unpack(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_not_read() {
        let zero = |at: std::ops::Range<usize>| {
            let mut text = KEPT.to_owned();
            text.replace_range(at.clone(), &"0".repeat(at.len()));
            text
        };
        let bad = [
            String::new(),
            KEPT[..54].to_owned(),
            format!("{KEPT}0"),
            KEPT.replace("0af7", "0AF7"),
            KEPT.replacen("00-", "ff-", 1),
            KEPT.replacen("00-", "0x-", 1),
            KEPT.replacen('-', "0", 1),
            zero(3..35),
            zero(36..52),
        ];
        for text in bad {
            assert_eq!(TraceContext::read(text.as_bytes()), None, "{text:?}");
        }
    }
}
