//! A question asked in A and answered in B, and a slow link from A to C: C never shows the answer without
//! the question, whichever way the question comes.
//!
//! With `askAfter: never` C waits for the slow link, and says so in its metrics; by default it asks B, and
//! has both after one hop more. So it does when the link is cut.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may print what it measured, and fail by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use atoll_api::http::{KeyRef, LinkState, RawJson, ReadRequest};
use atoll_client::{Client, Content, ReadOptions, WriteOptions};
use serde_json::json;
use support::proxy::Proxy;
use support::store::{Plan, Store};
use support::{changes, until};

const DELAY: Duration = Duration::from_secs(2);

/// A store of a, b and c; what c pulls from a comes through a proxy.
struct Slow {
    store: Store,
    proxy: Proxy,
}

/// When c showed what, from the answer's acknowledgement in b.
struct Seen {
    question: Duration,
    answer: Duration,
}

async fn start(delay: Duration, ask_after: Option<&'static str>) -> Slow {
    let collections = json!([{"name": "board", "type": "Register"}]);
    let mut plan = Plan::new(&["a", "b", "c"], collections);
    let proxy = Proxy::start(plan.address("a"), delay).await;
    let c = plan.region("c");
    c.ask_after = ask_after;
    c.finds.insert("a", proxy.address());
    let store = plan.start().await;
    store.settle().await;
    Slow { store, proxy }
}

impl Slow {
    /// Asks in a, answers in b once b has the question, and watches c until it shows both.
    async fn ask(&self, round: usize) -> Seen {
        let [a, b, c] = ["a", "b", "c"].map(|name| self.store.region(name).client());
        let (question, answer) = (format!("{round}-question"), format!("{round}-answer"));
        let write = async {
            put(&a, &question).await;
            until("b shows the question", async || {
                is_shown(&b, &question).await.then_some(())
            })
            .await;
            put(&b, &answer).await;
            Instant::now()
        };
        let (answered, (question_at, answer_at)) =
            tokio::join!(write, watch(&c, &question, &answer));
        Seen {
            question: question_at.saturating_duration_since(answered),
            answer: answer_at.saturating_duration_since(answered),
        }
    }

    /// What entries of b have waited in c for what they depend on, in seconds.
    async fn causal_wait(&self) -> f64 {
        let metrics = self.store.region("c").client().metrics().await.unwrap();
        let name = "atoll_replication_causal_wait_seconds_sum{";
        let sums = metrics.lines().filter(|line| line.starts_with(name));
        let of_b = sums.filter(|line| line.contains(r#"origin="b""#));
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        of_b.filter_map(value).sum()
    }

    /// Every change in c's order of arrival: no answer comes before its question.
    async fn check_order_of_arrival(&self, rounds: usize) {
        let changes = changes(&self.store.region("c").client()).await;
        let keys: Vec<String> = changes.into_iter().map(|change| change.key).collect();
        for round in 0..rounds {
            let at = |what| {
                keys.iter()
                    .position(|key| *key == format!("{round}-{what}"))
            };
            let (question, answer) = (at("question").unwrap(), at("answer").unwrap());
            assert!(
                question < answer,
                "round {round} arrived in the order {keys:?}"
            );
        }
    }
}

async fn put(client: &Client, key: &str) {
    let value = RawJson::from_text("true").unwrap();
    let options = WriteOptions::default();
    client
        .put_json("board", key, &value, &options)
        .await
        .unwrap();
}

async fn is_shown(client: &Client, key: &str) -> bool {
    let read = client.get("board", key, &ReadOptions::default()).await;
    read.unwrap().content != Content::Absent
}

/// Looks without pause until both are shown: in one snapshot, and by two requests with the answer first.
async fn watch(c: &Client, question: &str, answer: &str) -> (Instant, Instant) {
    let key = |key: &str| KeyRef {
        collection: "board".to_owned(),
        key: key.to_owned(),
    };
    let both = ReadRequest {
        keys: vec![key(question), key(answer)],
    };
    let mut question_at = None;
    until("c shows the answer", async || {
        // Without the pauses that `until` makes.
        for _ in 0..20 {
            let items = c.read(&both, &ReadOptions::default()).await.unwrap().items;
            let (has_question, has_answer) = (items[0].found, items[1].found);
            assert!(
                has_question || !has_answer,
                "c shows {answer} and no {question}"
            );
            if has_question {
                question_at.get_or_insert_with(Instant::now);
            }
            if has_answer {
                return Some((question_at?, Instant::now()));
            }
            if is_shown(c, answer).await {
                assert!(
                    is_shown(c, question).await,
                    "c shows {answer} and no {question}"
                );
            }
        }
        None
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_waits_for_its_question_however_slow() {
    const ROUNDS: usize = 3;
    let slow = start(DELAY, Some("never")).await;
    let before = slow.causal_wait().await;
    let mut waited = Duration::ZERO;
    for round in 0..ROUNDS {
        let Seen { question, answer } = slow.ask(round).await;
        println!(
            "askAfter never: after the answer was given in b, c shows question {question:?}, answer {answer:?}"
        );
        waited = waited.max(answer);
    }
    slow.check_order_of_arrival(ROUNDS).await;
    let sum = slow.causal_wait().await - before;
    println!(
        "atoll_replication_causal_wait_seconds_sum{{origin=\"b\"}} in c: {sum:.3} in {ROUNDS} rounds"
    );
    // The question left a before b answered, so the answer waits for a little less than the delay.
    assert!(
        waited > DELAY * 3 / 4,
        "the slow link delays the answer: {waited:?}"
    );
    assert!(sum >= 1.5, "the wait is counted: {sum}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_is_asked_for_what_is_missing() {
    const ROUNDS: usize = 10;
    let slow = start(DELAY, None).await;
    let before = slow.causal_wait().await;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        times.push(slow.ask(round).await.answer);
    }
    slow.check_order_of_arrival(ROUNDS).await;
    times.sort_unstable();
    let (fastest, median, slowest) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
    let sum = slow.causal_wait().await - before;
    println!(
        "askAfter 50ms: c shows the answer {fastest:?} (fastest), {median:?} (median), {slowest:?} (slowest) after it was given in b"
    );
    println!(
        "atoll_replication_causal_wait_seconds_sum{{origin=\"b\"}} in c: {sum:.3} in {ROUNDS} rounds"
    );
    assert!(
        median < DELAY / 2,
        "one hop more, not the slow link: {times:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_depend_on_comes_though_its_link_is_cut() {
    let slow = start(Duration::ZERO, None).await;
    let [a, c] = ["a", "c"].map(|name| slow.store.region(name).client());
    slow.proxy.cut();
    until("c has noticed", async || {
        let links = c.links().await.unwrap().links;
        let link = links.into_iter().find(|link| link.name == "a:c").unwrap();
        (link.state != LinkState::Streaming).then_some(())
    })
    .await;
    let answer = slow.ask(0).await.answer;
    println!("link cut: c shows the answer {answer:?} after it was given in b");
    // Nobody has answered this one, so b, which sends its own entries only, does not bring it.
    put(&a, "unanswered").await;
    assert!(!is_shown(&c, "unanswered").await);
    slow.proxy.heal();
    let healed = Instant::now();
    slow.store.settle().await;
    println!(
        "healed: all regions have everything {:?} later",
        healed.elapsed()
    );
    assert!(is_shown(&c, "unanswered").await);
    slow.check_order_of_arrival(1).await;
}
