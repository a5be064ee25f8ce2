//! Attribute values made once and shared, so that counting allocates nothing.
//!
//! Bounded by what is declared: regions, links and collections.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::KeyValue;

#[derive(Default)]
pub(crate) struct Names {
    shared: RwLock<HashMap<Box<str>, Arc<str>>>,
    links: RwLock<HashMap<Box<str>, [KeyValue; 2]>>,
}

impl Names {
    /// A name as an attribute's value.
    pub(crate) fn shared(&self, name: &str) -> Arc<str> {
        made_once(&self.shared, name, || Arc::from(name))
    }

    pub(crate) fn origin(&self, region: &str) -> KeyValue {
        KeyValue::new("origin", self.shared(region))
    }

    /// The two ends of a link named `source:target`.
    pub(crate) fn link(&self, name: &str) -> [KeyValue; 2] {
        made_once(&self.links, name, || {
            let (from, to) = name.split_once(':').unwrap_or((name, ""));
            [
                KeyValue::new("link.from", from.to_owned()),
                KeyValue::new("link.to", to.to_owned()),
            ]
        })
    }
}

fn made_once<T: Clone>(
    made: &RwLock<HashMap<Box<str>, T>>,
    name: &str,
    make: impl FnOnce() -> T,
) -> T {
    let known = made.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(value) = known.get(name) {
        return value.clone();
    }
    drop(known);
    let mut known = made.write().unwrap_or_else(PoisonError::into_inner);
    known.entry(name.into()).or_insert_with(make).clone()
}
