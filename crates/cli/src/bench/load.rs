//! Connections that send work for a while, each as fast as it is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_client::{ClientError, Connection, Dialer};
use hdrhistogram::Histogram;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::work::Work;
use crate::failure::Failure;

/// The longest a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Who sends how much to whom.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Connections are spread over them evenly.
    pub(crate) servers: Vec<String>,
    /// How they are connected to.
    pub(crate) dialer: Dialer,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
    pub(crate) work: Work,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Writes and reads that were answered well.
    pub(crate) items: u64,
    /// Requests that were answered well.
    pub(crate) requests: u64,
    /// Why others were not, and how many.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Microseconds of each request answered well.
    pub(crate) latency: Histogram<u64>,
    pub(crate) elapsed: Duration,
}

impl Load {
    /// Sends until the time is over; requests under way are waited for.
    pub(crate) async fn run(&self) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let end = started + self.duration;
        let mut connections = JoinSet::new();
        for index in 0..self.connections {
            let server = self.servers[index % self.servers.len()].clone();
            let (dialer, work) = (self.dialer.clone(), self.work.clone());
            connections.spawn(send(dialer, server, index, work, end));
        }
        let mut all = Outcome::new()?;
        while let Some(ended) = connections.join_next().await {
            let outcome = ended.map_err(|error| Failure::new(error.to_string()))??;
            all.add(&outcome)?;
        }
        all.elapsed = started.elapsed();
        Ok(all)
    }
}

async fn send(
    dialer: Dialer,
    server: String,
    index: usize,
    work: Work,
    end: Instant,
) -> Result<Outcome, Failure> {
    let mut rng = SmallRng::seed_from_u64(index as u64);
    let mut outcome = Outcome::new()?;
    let mut connection = Connection::open_in(&dialer, &server, REQUEST_TIMEOUT).await?;
    let mut number = 0;
    while Instant::now() < end {
        let shot = work.shot(index, number, &mut rng);
        let (items, began) = (shot.items, Instant::now());
        let sent = connection.send(&shot.method, &shot.path, shot.media_type, shot.body);
        match sent.await {
            Ok(answer) if answer.status < 400 || answer.status == 404 => {
                outcome.note(began.elapsed(), items);
            }
            Ok(answer) => outcome.refused(answer.status, &answer.body),
            Err(error) => {
                outcome.failed(&error);
                connection = Connection::open_in(&dialer, &server, REQUEST_TIMEOUT).await?;
            }
        }
        number += 1;
    }
    Ok(outcome)
}

impl Outcome {
    fn new() -> Result<Self, Failure> {
        Ok(Outcome {
            items: 0,
            requests: 0,
            errors: BTreeMap::new(),
            latency: histogram()?,
            elapsed: Duration::ZERO,
        })
    }

    fn note(&mut self, taken: Duration, items: u64) {
        self.items += items;
        self.requests += 1;
        record(&mut self.latency, taken);
    }

    fn refused(&mut self, status: u16, body: &[u8]) {
        let problem = serde_json::from_slice::<atoll_api::http::Problem>(body);
        let reason = problem.map_or_else(|_| status.to_string(), |problem| problem.reason_word);
        *self.errors.entry(reason).or_default() += 1;
    }

    fn failed(&mut self, error: &ClientError) {
        let reason = match error {
            ClientError::Timeout { .. } => "timeout",
            ClientError::Unreachable { .. } => "unreachable",
            _ => "connection broken",
        };
        *self.errors.entry(reason.to_owned()).or_default() += 1;
    }

    fn add(&mut self, other: &Outcome) -> Result<(), Failure> {
        self.items += other.items;
        self.requests += other.requests;
        for (reason, count) in &other.errors {
            *self.errors.entry(reason.clone()).or_default() += count;
        }
        let added = self.latency.add(&other.latency);
        added.map_err(|error| Failure::new(error.to_string()))
    }

    /// Items a second.
    pub(crate) fn rate(&self) -> f64 {
        self.items as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// The latency that this share of the requests is within, in seconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        quantile(&self.latency, share)
    }
}

/// Microseconds up to ten minutes, with three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>, Failure> {
    Histogram::new_with_bounds(1, 600_000_000, 3).map_err(|error| Failure::new(error.to_string()))
}

pub(crate) fn record(histogram: &mut Histogram<u64>, taken: Duration) {
    let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
    histogram.saturating_record(micros);
}

/// In seconds.
pub(crate) fn quantile(histogram: &Histogram<u64>, share: f64) -> f64 {
    histogram.value_at_quantile(share) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn latencies_are_told_in_seconds() {
        let mut latency = histogram().unwrap();
        for millis in 1..=100 {
            record(&mut latency, Duration::from_millis(millis));
        }
        let told = [0.5, 0.99, 1.0].map(|share| (quantile(&latency, share) * 1e3).round());
        assert_eq!(told, [50.0, 99.0, 100.0]);
    }
}
