//! What a region holds in the end, as anybody could read it.

use std::collections::{BTreeMap, BTreeSet};

use atoll_core::Dot;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::history::{Name, dot_text};

/// All that a region shows.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct End {
    /// Who was asked: the region's name, or that of one of its nodes.
    pub of: String,
    /// Region → sequence, from its status.
    pub vector: BTreeMap<String, u64>,
    /// Every key that is listed, as it is shown.
    pub keys: Vec<Held>,
    /// The ledger, in its order.
    pub ledger: Vec<Row>,
    /// Every change, in the order of dots.
    pub changes: Vec<Changed>,
}

/// A key, and what it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The key.
    #[serde(flatten)]
    pub name: Name,
    /// Its value, or all of several siblings.
    pub values: Vec<Value>,
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The key.
    #[serde(flatten)]
    pub name: Name,
    /// The field, as a JSON Pointer; empty: the whole value.
    pub field: String,
    /// The entries that wrote its versions.
    pub dots: Vec<String>,
    /// The whole row as it was answered, but for when the region noticed.
    pub text: String,
}

/// What an entry changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Changed {
    /// The entry.
    #[serde(with = "dot_text")]
    pub dot: Option<Dot>,
    /// The key.
    #[serde(flatten)]
    pub name: Name,
}

/// Where regions differ, the first few places of each kind; empty when they are equal.
#[must_use]
pub fn differences(ends: &[End]) -> Vec<String> {
    let Some((first, others)) = ends.split_first() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for other in others {
        let between = format!("{} and {}", first.of, other.of);
        if first.vector != other.vector {
            let vectors = (&first.vector, &other.vector);
            found.push(format!("vectors of {between}: {vectors:?}"));
        }
        for (what, differs) in [
            ("key", first_difference(&first.keys, &other.keys)),
            ("ledger row", first_difference(&first.ledger, &other.ledger)),
            ("change", first_difference(&first.changes, &other.changes)),
        ] {
            if let Some(differs) = differs {
                found.push(format!("{between}: {what} {differs}"));
            }
        }
    }
    found
}

fn first_difference<T: PartialEq + std::fmt::Debug>(one: &[T], other: &[T]) -> Option<String> {
    let length = one.len().max(other.len());
    let at = (0..length).find(|i| one.get(*i) != other.get(*i))?;
    Some(format!(
        "{at} of {} and {}: {:?} and {:?}",
        one.len(),
        other.len(),
        one.get(at),
        other.get(at)
    ))
}

impl End {
    /// What a key holds: nothing, one value or several.
    #[must_use]
    pub fn values(&self, name: &Name) -> &[Value] {
        let at = self.keys.binary_search_by(|held| held.name.cmp(name));
        at.map_or(&[], |at| &self.keys[at].values)
    }

    /// Entries named by rows of the ledger, with key and field.
    #[must_use]
    pub fn listed(&self) -> BTreeSet<(&Name, &str, Dot)> {
        let rows = self.ledger.iter();
        rows.flat_map(|row| {
            let dots = row.dots.iter().filter_map(|dot| dot.parse().ok());
            dots.map(|dot| (&row.name, row.field.as_str(), dot))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn end() -> End {
        let name = Name {
            collection: "shared".into(),
            key: "a".into(),
        };
        End {
            of: "eu".into(),
            vector: [("eu".to_owned(), 3)].into_iter().collect(),
            keys: vec![Held {
                name: name.clone(),
                values: vec!["x".into()],
            }],
            ledger: vec![Row {
                name: name.clone(),
                field: String::new(),
                dots: vec!["0000000000000001:1".into(), "0000000000000002:1".into()],
                text: "{}".into(),
            }],
            changes: vec![Changed {
                dot: "0000000000000001:1".parse().ok(),
                name,
            }],
        }
    }

    #[test]
    fn every_difference_between_regions_is_found() {
        assert_eq!(differences(&[end(), end(), end()]), [""; 0]);
        let edits: [fn(&mut End); 6] = [
            |end| *end.vector.get_mut("eu").unwrap() = 4,
            |end| end.keys[0].values[0] = "y".into(),
            |end| end.keys.clear(),
            |end| end.ledger[0].text.push(' '),
            |end| end.ledger.clear(),
            |end| end.changes.clear(),
        ];
        for edit in edits {
            let mut other = end();
            edit(&mut other);
            assert_eq!(differences(&[end(), end(), other]).len(), 1);
        }
    }
}
