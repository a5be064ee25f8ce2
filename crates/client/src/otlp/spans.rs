//! Spans on their way out: they wait as the bytes that are sent, in batches, and one task sends those.
//!
//! A batch is sent when it is full, or when the time is up; nobody is woken before. It has room in front for what says
//! whose spans they are, so it becomes a letter where it is. What finds no room is dropped and counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource as Described;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message as _;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::carrier::Post;
use super::context::TraceContext;
use super::counts::Counts;
use super::sampler::Sampler;
use super::span::{PREFIX_BYTES_MAX, Span, prefix};

/// How many spans wait at most, and how many are sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `OTEL_BSP_MAX_QUEUE_SIZE`.
    pub queued: usize,
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
    pub at_once: usize,
}

impl Default for Bounds {
    /// More than the standard's 2048 and 512: a busy node that keeps all traces fills those in an instant. Spans are
    /// about a hundred bytes each.
    fn default() -> Bounds {
        Bounds {
            queued: 8192,
            at_once: 2048,
        }
    }
}

/// Takes spans that have ended, and never waits. Clones share the queue; what it holds when the last one goes is sent.
#[derive(Clone, Debug)]
pub struct Spans(Arc<Door>);

#[derive(Debug)]
struct Door {
    queue: Arc<Queue>,
    sampler: Sampler,
    counts: Counts,
}

#[derive(Debug)]
struct Queue {
    bounds: Bounds,
    head: Head,
    waiting: Mutex<Waiting>,
    /// A batch is full, or there will be no more.
    news: Notify,
}

#[derive(Debug)]
struct Waiting {
    full: VecDeque<Batch>,
    /// Takes what comes next.
    open: Batch,
    /// In all batches.
    spans: usize,
    has_ended: bool,
}

/// Spans that are sent together.
#[derive(Debug)]
struct Batch {
    /// Room for the head, and spans as fields of a `ScopeSpans`.
    bytes: Vec<u8>,
    count: usize,
}

/// A batch as it is sent: an `ExportTraceServiceRequest` of one resource and one scope.
#[derive(Debug)]
pub struct Letter {
    /// Its bytes.
    pub bytes: Bytes,
    /// How many spans it holds.
    pub spans: usize,
}

/// The other end of the queue.
#[derive(Debug)]
pub struct Taken(Arc<Queue>);

impl Spans {
    /// A queue for those spans, which is emptied by whoever holds its other end.
    #[must_use]
    pub fn new(
        whose: &Resource,
        sampler: Sampler,
        bounds: Bounds,
        counts: Counts,
    ) -> (Spans, Taken) {
        let head = Head::new(whose);
        let waiting = Waiting {
            full: VecDeque::new(),
            open: head.batch(0),
            spans: 0,
            has_ended: false,
        };
        let queue = Arc::new(Queue {
            bounds,
            head,
            waiting: Mutex::new(waiting),
            news: Notify::new(),
        });
        let door = Door {
            queue: Arc::clone(&queue),
            sampler,
            counts,
        };
        (Spans(Arc::new(door)), Taken(queue))
    }

    /// Something begins, below `parent` if there is one: its context, if its trace is kept.
    #[must_use]
    pub fn begin(&self, parent: Option<&TraceContext>) -> Option<TraceContext> {
        self.0.sampler.begin(parent)
    }

    /// Something has ended.
    pub fn put(&self, span: &Span<'_>) {
        let Door { queue, counts, .. } = &*self.0;
        let mut waiting = queue.waiting();
        if waiting.has_ended || waiting.spans >= queue.bounds.queued {
            drop(waiting);
            counts.of_spans().count(false, 1);
            return;
        }
        span.encode(&mut waiting.open.bytes);
        waiting.open.count += 1;
        waiting.spans += 1;
        if waiting.open.count >= queue.bounds.at_once {
            let full = queue.close(&mut waiting);
            waiting.full.push_back(full);
            drop(waiting);
            queue.news.notify_one();
        }
    }

    /// No more spans. Those that wait are still sent, as long as the runtime lives.
    pub fn end(&self) {
        self.0.queue.end();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the open batch; what comes next finds one with as much room.
    fn close(&self, waiting: &mut Waiting) -> Batch {
        let next = self.head.batch(waiting.open.bytes.len());
        std::mem::replace(&mut waiting.open, next)
    }

    fn end(&self) {
        self.waiting().has_ended = true;
        self.news.notify_one();
    }
}

impl Taken {
    /// The oldest batch that is full; any that is not empty when `is_due`.
    pub fn next(&mut self, is_due: bool) -> Option<Letter> {
        let Taken(queue) = self;
        let mut waiting = queue.waiting();
        let batch = match waiting.full.pop_front() {
            Some(batch) => batch,
            None if is_due && waiting.open.count > 0 => queue.close(&mut waiting),
            None => return None,
        };
        waiting.spans -= batch.count;
        drop(waiting);
        Some(queue.head.letter(batch))
    }

    fn has_ended(&self) -> bool {
        self.0.waiting().has_ended
    }

    /// Sends what there is every so often, and batches as soon as they are full, until no more can come.
    pub(super) async fn send(mut self, post: Post, counts: Counts, every: Duration) {
        let mut until = Instant::now() + every;
        loop {
            let news = tokio::time::timeout_at(until, self.0.news.notified());
            let is_time = news.await.is_err();
            let is_over = self.has_ended();
            while let Some(Letter { bytes, spans }) = self.next(is_time || is_over) {
                let is_sent = post.send(bytes).await;
                counts.of_spans().count(is_sent, spans);
            }
            if is_over {
                return;
            }
            if is_time {
                until = Instant::now() + every;
            }
        }
    }
}

/// What stands before the spans of every letter.
#[derive(Debug)]
struct Head {
    /// A `ResourceSpans` without scopes.
    resource: Vec<u8>,
    /// A `ScopeSpans` without spans.
    scope: Vec<u8>,
}

impl Head {
    fn new(resource: &Resource) -> Head {
        let said = ResourceAttributesWithSchema::from(resource);
        let resource = ResourceSpans {
            resource: Some(Described {
                attributes: said.attributes.0,
                ..Described::default()
            }),
            schema_url: said.schema_url.unwrap_or_default(),
            ..ResourceSpans::default()
        };
        let scope = ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "atoll".into(),
                ..InstrumentationScope::default()
            }),
            ..ScopeSpans::default()
        };
        Head {
            resource: resource.encode_to_vec(),
            scope: scope.encode_to_vec(),
        }
    }

    fn bytes_max(&self) -> usize {
        self.resource.len() + self.scope.len() + 2 * PREFIX_BYTES_MAX
    }

    /// An empty one, with room for so many bytes.
    fn batch(&self, bytes: usize) -> Batch {
        let mut room = Vec::with_capacity(bytes.max(self.bytes_max()));
        room.resize(self.bytes_max(), 0);
        Batch {
            bytes: room,
            count: 0,
        }
    }

    /// Writes itself before a batch's spans, from its end to its beginning: each part says how long the rest is.
    fn letter(&self, batch: Batch) -> Letter {
        let Batch { mut bytes, count } = batch;
        let (mut from, to) = (self.bytes_max(), bytes.len());
        let mut before = |part: &[u8]| {
            from -= part.len();
            bytes[from..from + part.len()].copy_from_slice(part);
            to - from
        };
        let of_scope = before(&self.scope);
        before(&prefix(2, of_scope));
        let of_resource = before(&self.resource);
        before(&prefix(1, of_resource));
        Letter {
            bytes: Bytes::from(bytes).slice(from..),
            spans: count,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::time::SystemTime;

    use opentelemetry::KeyValue;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

    use super::super::span::{Kind, Name};
    use super::*;

    fn spans(queued: usize, at_once: usize) -> (Spans, Taken, Counts) {
        let whose = KeyValue::new("atoll.region", "eu");
        let whose = Resource::builder_empty().with_attribute(whose).build();
        let (bounds, counts) = (Bounds { queued, at_once }, Counts::default());
        let (spans, taken) = Spans::new(&whose, Sampler::ratio(1.0), bounds, counts.clone());
        (spans, taken, counts)
    }

    fn put(spans: &Spans, names: std::ops::Range<usize>) {
        for name in names {
            spans.put(&Span {
                context: spans.begin(None).unwrap(),
                parent: None,
                name: Name::Of(&name.to_string()),
                kind: Kind::Internal,
                times: (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH),
                attributes: &[],
                error: None,
            });
        }
    }

    /// The names of a batch's spans, as a collector reads them.
    fn read(letter: Option<Letter>) -> Vec<usize> {
        let Letter { bytes, spans } = letter.unwrap();
        let said = ExportTraceServiceRequest::decode(bytes).unwrap();
        let [of_resource] = &said.resource_spans[..] else {
            panic!("{said:?}")
        };
        let who = of_resource.resource.as_ref().unwrap();
        assert_eq!(who.attributes[0].key, "atoll.region");
        let [of_scope] = &of_resource.scope_spans[..] else {
            panic!("{said:?}")
        };
        assert_eq!(of_scope.scope.as_ref().unwrap().name, "atoll");
        assert_eq!(of_scope.spans.len(), spans);
        let names = of_scope.spans.iter().map(|span| span.name.parse().unwrap());
        names.collect()
    }

    #[test]
    fn full_batches_are_taken_at_once_and_others_when_they_are_due() {
        let (spans, mut taken, _) = spans(100, 3);
        put(&spans, 0..2);
        assert!(taken.next(false).is_none());
        put(&spans, 2..7);
        assert_eq!(read(taken.next(false)), [0, 1, 2]);
        assert_eq!(read(taken.next(true)), [3, 4, 5]);
        assert!(taken.next(false).is_none());
        assert_eq!(read(taken.next(true)), [6]);
        assert!(taken.next(true).is_none(), "nothing is sent of nothing");
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (spans, mut taken, counts) = spans(4, 3);
        put(&spans, 0..6);
        assert_eq!(counts.spans().dropped, 2);
        assert_eq!(read(taken.next(true)), [0, 1, 2]);
        put(&spans, 6..10);
        assert_eq!(counts.spans().dropped, 3);
        assert_eq!(read(taken.next(true)), [3, 6, 7]);
        assert_eq!(read(taken.next(true)), [8]);
        spans.end();
        put(&spans, 10..11);
        assert_eq!(counts.spans().dropped, 4);
        assert!(taken.next(true).is_none());
    }

    #[test]
    fn letters_of_any_length_are_whole() {
        for count in [1, 2, 3, 40, 1000] {
            let (spans, mut taken, _) = spans(2000, 2000);
            put(&spans, 0..count);
            assert!(read(taken.next(true)).into_iter().eq(0..count), "{count}");
        }
    }

    #[test]
    fn the_queue_ends_with_the_last_who_can_put_something_in() {
        let (spans, taken, _) = spans(4, 3);
        let other = spans.clone();
        drop(spans);
        assert!(!taken.has_ended());
        drop(other);
        assert!(taken.has_ended());
    }
}
