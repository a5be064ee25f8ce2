//! A span as it is told, and the bytes that say it: OTLP's `Span`, one field of a `ScopeSpans`.
//!
//! A store that keeps every trace makes four spans a write, so a span is written once, where it ends, into the bytes
//! that are sent: nothing is allocated, copied or converted on the way. Tests read them with the standard's own types.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BufMut as _;
use opentelemetry::trace::SpanId;

use super::context::TraceContext;

/// Something that took time, within a trace.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Its trace and its id.
    pub context: TraceContext,
    /// What it is a part of; none: the whole trace.
    pub parent: Option<SpanId>,
    /// What it is called.
    pub name: Name<'a>,
    /// Which side of a conversation it is.
    pub kind: Kind,
    /// From when until when it took.
    pub times: (SystemTime, SystemTime),
    /// What else is known of it.
    pub attributes: &'a [(&'static str, Value<'a>)],
    /// It failed; why, if that is to be told.
    pub error: Option<&'a str>,
}

/// What a span is called.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// Just that.
    Of(&'a str),
    /// `method route`.
    Request(&'a str, &'a str),
}

/// Which side of a conversation a span is; numbered as in OTLP.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// None.
    Internal = 1,
    /// The one that is asked.
    Server = 2,
    /// The one that takes what another sent before.
    Consumer = 5,
}

/// What stands under an attribute's name.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number, not below 0.
    Number(u64),
}

/// Kinds of fields.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

/// A key, and a length.
pub(super) const PREFIX_BYTES_MAX: usize = 11;

/// `Status.code`.
const FAILED: u64 = 2;

impl Span<'_> {
    /// Adds it to the spans of a `ScopeSpans`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        nested(out, 2, |out| self.encode_fields(out));
    }

    fn encode_fields(&self, out: &mut Vec<u8>) {
        bytes(out, 1, &self.context.trace.to_bytes());
        bytes(out, 2, &self.context.span.to_bytes());
        if let Some(parent) = self.parent {
            bytes(out, 4, &parent.to_bytes());
        }
        match self.name {
            Name::Of(name) => bytes(out, 5, name.as_bytes()),
            Name::Request(method, route) => nested(out, 5, |out| {
                out.extend_from_slice(method.as_bytes());
                out.push(b' ');
                out.extend_from_slice(route.as_bytes());
            }),
        }
        number(out, 6, self.kind as u64);
        let (from, to) = self.times;
        time(out, 7, from);
        time(out, 8, to.max(from));
        for (name, value) in self.attributes {
            nested(out, 9, |out| {
                bytes(out, 1, name.as_bytes());
                nested(out, 2, |out| match *value {
                    Value::Text(text) => bytes(out, 1, text.as_bytes()),
                    Value::Number(value) => number(out, 3, value),
                });
            });
        }
        if let Some(why) = self.error {
            nested(out, 15, |out| {
                if !why.is_empty() {
                    bytes(out, 2, why.as_bytes());
                }
                number(out, 3, FAILED);
            });
        }
        two_bytes_key(out, 16, FIXED_32);
        out.put_u32_le(u32::from(self.context.is_kept));
    }
}

/// Numbers of fields up to 15 take one byte, with their kind.
fn key(out: &mut Vec<u8>, field: u8, kind: u8) {
    out.push(field << 3 | kind);
}

fn two_bytes_key(out: &mut Vec<u8>, field: u16, kind: u8) {
    varint(out, u64::from(field << 3 | u16::from(kind)));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

fn time(out: &mut Vec<u8>, field: u8, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    key(out, field, FIXED_64);
    out.put_u64_le(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    key(out, field, BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// What stands before a field of so many bytes.
pub(super) fn prefix(field: u8, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(PREFIX_BYTES_MAX);
    key(&mut out, field, BYTES);
    varint(&mut out, length as u64);
    out
}

/// A field whose length is known when it is written: most often less than 128, which takes one byte.
fn nested(out: &mut Vec<u8>, field: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([field << 3 | BYTES, 0]);
    let begin = out.len();
    write(out);
    let length = out.len() - begin;
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out[begin - 1] = short,
        _ => drop(out.splice(at..begin, prefix(field, length))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::time::Duration;

    use opentelemetry::trace::TraceId;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span as Standard, Status};
    use prost::Message as _;

    use super::*;

    fn read(spans: &[Span<'_>]) -> Vec<Standard> {
        let mut out = Vec::new();
        for span in spans {
            span.encode(&mut out);
        }
        let read = ScopeSpans::decode(&out[..]).unwrap();
        assert_eq!(read.encoded_len(), out.len(), "nothing that is not known");
        read.spans
    }

    fn span() -> Span<'static> {
        let from = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        Span {
            context: TraceContext {
                trace: TraceId::from_bytes([1; 16]),
                span: SpanId::from_bytes([2; 8]),
                is_kept: true,
            },
            parent: None,
            name: Name::Of("sync"),
            kind: Kind::Internal,
            times: (from, from + Duration::from_nanos(11)),
            attributes: &[],
            error: None,
        }
    }

    fn standard() -> Standard {
        Standard {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: "sync".into(),
            kind: 1,
            start_time_unix_nano: 1_700_000_000_123_456_789,
            end_time_unix_nano: 1_700_000_000_123_456_800,
            flags: 1,
            ..Standard::default()
        }
    }

    fn attribute(key: &str, value: any_value::Value) -> KeyValue {
        KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    }

    #[test]
    fn others_read_what_was_written() {
        let route = "/v1/collections/{collection}/keys/{key}";
        let attributes = [
            ("http.route", Value::Text(route)),
            ("http.response.status_code", Value::Number(503)),
        ];
        let request = Span {
            parent: Some(SpanId::from_bytes([3; 8])),
            name: Name::Request("PUT", route),
            kind: Kind::Server,
            attributes: &attributes,
            error: Some(""),
            ..span()
        };
        let expected = Standard {
            parent_span_id: vec![3; 8],
            name: format!("PUT {route}"),
            kind: 2,
            attributes: vec![
                attribute("http.route", any_value::Value::StringValue(route.into())),
                attribute("http.response.status_code", any_value::Value::IntValue(503)),
            ],
            status: Some(Status {
                code: 2,
                ..Status::default()
            }),
            ..standard()
        };
        let mut out = Vec::new();
        request.encode(&mut out);
        assert!(out.len() > 130, "its length takes two bytes");
        let spans = read(&[span(), request, span()]);
        assert_eq!(spans, [standard(), expected, standard()]);
    }

    #[test]
    fn texts_of_any_length_are_read_as_they_were_written() {
        for length in [0, 1, 126, 127, 128, 129, 16_383, 16_384, 20_000] {
            let text = "x".repeat(length);
            let attributes = [("why", Value::Text(&text))];
            let long = Span {
                name: Name::Request(&text, &text),
                attributes: &attributes,
                error: Some(&text),
                ..span()
            };
            let spans = read(&[long]);
            assert_eq!(spans[0].name, format!("{text} {text}"), "{length}");
            let expected = attribute("why", any_value::Value::StringValue(text.clone()));
            assert_eq!(spans[0].attributes, [expected], "{length}");
            assert_eq!(spans[0].status.as_ref().unwrap().message, text, "{length}");
        }
    }

    #[test]
    fn no_span_ends_before_it_begins() {
        let (from, to) = span().times;
        let turned = Span {
            times: (to, from),
            ..span()
        };
        let spans = read(&[turned]);
        assert_eq!(spans[0].start_time_unix_nano, spans[0].end_time_unix_nano);
    }
}
