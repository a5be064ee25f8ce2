//! Writers that never rest, what they were acknowledged, and the check of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use atoll_client::{Client, Settings, WriteOptions};

use crate::support::nodes::Nodes;
use crate::support::process::Process;
use crate::support::{PATIENCE, until};

/// Of each region; fewer when there are several.
pub(crate) const WRITERS: usize = 16;
/// Writes acknowledged before each kill.
const WRITES_BETWEEN: usize = 100;

/// What the writers know.
#[derive(Default)]
pub(crate) struct Book {
    /// Key → value and dot.
    pub(crate) acknowledged: BTreeMap<String, (String, String)>,
    /// When the last write was acknowledged that was sent after [`Book::since`].
    pub(crate) after: Option<Instant>,
    pub(crate) since: Option<Instant>,
    pub(crate) failures: BTreeMap<String, usize>,
    pub(crate) slowest: Duration,
}

#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Book>>);

impl Shared {
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn acknowledged(&self, key: String, value: String, dot: String, sent: Instant) {
        let mut book = self.book();
        let now = Instant::now();
        book.slowest = book.slowest.max(now - sent);
        if book.after.is_none() && book.since.is_some_and(|since| now >= since) {
            book.after = Some(now);
        }
        book.acknowledged.insert(key, (value, dot));
    }

    pub(crate) async fn more(&self) {
        let before = self.book().acknowledged.len();
        until("writes go on", async || {
            (self.book().acknowledged.len() >= before + WRITES_BETWEEN).then_some(())
        })
        .await;
    }
}

/// Puts one new key after the other until told to stop. The client sends a put again, to the next node, when
/// one is down or its leader is gone.
async fn write(writer: String, client: Client, book: Shared, stop: Arc<AtomicBool>) {
    for i in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (key, value) = (format!("{writer}-{i:06}"), format!("\"{writer}-{i}\""));
        let sent = Instant::now();
        let options = WriteOptions::default();
        let put = client.put("pages", &key, "application/json", value.clone(), &options);
        match put.await {
            Ok(receipt) => {
                let dot = receipt.dot;
                book.acknowledged(key, value, dot, sent);
            }
            Err(error) => {
                let kind = match error.reason() {
                    _ if error.is_unsent() => "unreachable".to_owned(),
                    Some(reason) => format!("{reason:?}: {error}"),
                    None => "no answer".to_owned(),
                };
                *book.book().failures.entry(kind).or_default() += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

pub(crate) struct Load {
    pub(crate) book: Shared,
    stop: Arc<AtomicBool>,
    writers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Each writer of a region prefers another of its nodes.
    pub(crate) fn start(regions: &[Nodes]) -> Load {
        let (book, stop) = (Shared::default(), Arc::<AtomicBool>::default());
        let mut writers = Vec::new();
        for region in regions {
            for w in 0..WRITERS / regions.len() {
                let (book, stop) = (book.clone(), Arc::clone(&stop));
                let mut addresses = region.addresses();
                let preferred = w % addresses.len();
                addresses.rotate_left(preferred);
                let client = Client::of_region(&addresses, patient()).unwrap();
                let writer = format!("{}-{w:02}", region.region);
                writers.push(tokio::spawn(write(writer, client, book, stop)));
            }
        }
        Load {
            book,
            stop,
            writers,
        }
    }

    pub(crate) async fn end(self) -> Shared {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.unwrap();
        }
        self.book
    }
}

/// A busy machine may take longer than the default to elect a leader; what it took is printed.
pub(crate) fn patient() -> Settings {
    Settings {
        retry_for: PATIENCE,
        ..Settings::default()
    }
}

/// Waits until all nodes have applied the same.
pub(crate) async fn settle(nodes: &[&Process]) {
    until("all nodes have the same entries", async || {
        let mut vectors = Vec::new();
        for node in nodes {
            vectors.push(node.client().status().await.ok()?.vector);
        }
        vectors.windows(2).all(|w| w[0] == w[1]).then_some(())
    })
    .await;
}

/// Every acknowledged put is on every node, and no dot was given twice.
pub(crate) async fn check(nodes: &[&Process], book: &Shared) {
    settle(nodes).await;
    let acknowledged = book.book().acknowledged.clone();
    let dots: HashSet<&String> = acknowledged.values().map(|(_, dot)| dot).collect();
    assert_eq!(dots.len(), acknowledged.len(), "a dot was used twice");
    for node in nodes {
        let lines = node.changes_here().await;
        let mut there: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in &lines {
            there.entry(&line.key).or_default().push(&line.dot);
        }
        let used: HashSet<&str> = lines.iter().map(|line| line.dot.as_str()).collect();
        assert_eq!(
            used.len(),
            lines.len(),
            "{}: a dot was used twice",
            node.name
        );
        for (key, (_, dot)) in &acknowledged {
            // Sent again and again, perhaps, and applied once.
            let dots = there.get(key.as_str());
            assert_eq!(dots, Some(&vec![dot.as_str()]), "{}: {key}", node.name);
        }
    }
}
