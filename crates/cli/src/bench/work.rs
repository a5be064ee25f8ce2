//! What a load consists of: one request after another.

use std::fmt::Write as _;

use atoll_api::http::media_type;
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _};

/// What one connection sends.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) collection: String,
    /// Keys begin so; different for every run.
    pub(crate) prefix: String,
    pub(crate) kind: Kind,
    pub(crate) value_bytes: usize,
}

/// The kind of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each put has a key of its own.
    UniquePuts,
    /// Puts and gets of so many keys, with the share of puts in percent.
    Mix { keys: u64, puts_percent: u8 },
    /// Batches of so many puts, each with a key of its own.
    Batches { items: usize },
    /// Increments of one counter.
    HotCounter,
    /// Requests that do nothing: what HTTP alone costs.
    Nothing,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) media_type: Option<&'static str>,
    pub(crate) body: Bytes,
    /// How many writes or reads it stands for.
    pub(crate) items: u64,
}

impl Work {
    /// The `number`th request of a connection.
    pub(crate) fn shot(&self, connection: usize, number: u64, rng: &mut SmallRng) -> Shot {
        match self.kind {
            Kind::UniquePuts => self.put(format_args!("{connection}-{number}"), rng),
            Kind::Mix { keys, puts_percent } => {
                let key = rng.random_range(0..keys.max(1));
                if rng.random_range(0..100) < puts_percent {
                    self.put(format_args!("{key}"), rng)
                } else {
                    shot(http::Method::GET, self.key(format_args!("{key}")))
                }
            }
            Kind::Batches { items } => self.batch(connection, number, items, rng),
            Kind::HotCounter => Shot {
                media_type: Some(media_type::JSON),
                body: Bytes::from_static(br#"{"increment":1}"#),
                ..shot(http::Method::POST, self.key(format_args!("hot")) + "/ops")
            },
            Kind::Nothing => shot(http::Method::GET, "/healthz".to_owned()),
        }
    }

    fn put(&self, name: std::fmt::Arguments<'_>, rng: &mut SmallRng) -> Shot {
        let mut value = vec![0; self.value_bytes];
        rng.fill_bytes(&mut value);
        Shot {
            media_type: Some(media_type::BYTES),
            body: value.into(),
            ..shot(http::Method::PUT, self.key(name))
        }
    }

    fn key(&self, name: std::fmt::Arguments<'_>) -> String {
        format!(
            "/v1/collections/{}/keys/{}-{name}",
            self.collection, self.prefix
        )
    }

    fn batch(&self, connection: usize, number: u64, items: usize, rng: &mut SmallRng) -> Shot {
        let mut body = String::with_capacity(items * (self.value_bytes + 80));
        body.push_str(r#"{"operations":["#);
        for item in 0..items {
            let comma = if item == 0 { "" } else { "," };
            let _ = write!(
                body,
                r#"{comma}{{"collection":"{}","key":"{}-{connection}-{number}-{item}","put":""#,
                self.collection, self.prefix
            );
            // The quotes belong to the value.
            for _ in 2..self.value_bytes.max(2) {
                body.push(char::from(rng.random_range(b'a'..=b'z')));
            }
            body.push_str("\"}");
        }
        body.push_str("]}");
        Shot {
            media_type: Some(media_type::JSON),
            body: body.into(),
            items: items as u64,
            ..shot(http::Method::POST, "/v1/batch".to_owned())
        }
    }
}

fn shot(method: http::Method, path: String) -> Shot {
    Shot {
        method,
        path,
        media_type: None,
        body: Bytes::new(),
        items: 1,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use rand::SeedableRng as _;

    use super::*;

    fn shots(kind: Kind) -> Vec<Shot> {
        let work = Work {
            collection: "c".to_owned(),
            prefix: "p".to_owned(),
            kind,
            value_bytes: 100,
        };
        let mut rng = SmallRng::seed_from_u64(1);
        (0..3)
            .map(|number| work.shot(7, number, &mut rng))
            .collect()
    }

    #[test]
    fn unique_puts_have_keys_and_values_of_their_own() {
        let shots = shots(Kind::UniquePuts);
        assert_eq!(shots[1].path, "/v1/collections/c/keys/p-7-1");
        assert_eq!(shots[1].body.len(), 100);
        assert_ne!(shots[1].body, shots[2].body);
    }

    #[test]
    fn a_batch_is_json_of_so_many_values_of_that_size() {
        let shots = shots(Kind::Batches { items: 10 });
        let batch: atoll_api::http::BatchRequest = serde_json::from_slice(&shots[0].body).unwrap();
        assert_eq!((batch.operations.len(), shots[0].items), (10, 10));
        let value = batch.operations[3].put.as_ref().unwrap();
        assert_eq!(value.get().len(), 100);
    }
}
