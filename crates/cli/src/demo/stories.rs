//! What happens in two regions that cannot hear each other, and what becomes of it.
//!
//! Every story has a state before, a write in eu, a later write in us, and what all regions must show once
//! they hear each other again.

use atoll_api::http::{Add, Conflict, ConflictQuery, Operations, RawJson, Remove};
use atoll_client::{Client, ReadOptions, WriteOptions};
use serde_json::{Value, json};

use super::claims::Claims;
use super::store::{DemoStore, value};
use crate::failure::Failure;
use crate::output;

/// One key that both sides write.
pub(crate) struct Story {
    collection: &'static str,
    key: &'static str,
    before: Write,
    eu: Write,
    us: Write,
    /// What eu and us show while they are cut off.
    local: (Value, Value),
    /// What all show in the end, and how that is told.
    after: (Value, &'static str),
    /// The conflict's kind, and what has lost; absent when nothing is in conflict.
    conflict: Option<(&'static str, Option<Value>)>,
}

/// A write.
enum Write {
    Put(Value),
    Patch(Value),
    Delete,
    Add(Value),
    AddAndRemove(Value, Value),
}

/// The stories, once they are written.
pub(crate) struct Written(Vec<Story>);

fn stories() -> Vec<Story> {
    vec![
        Story {
            collection: "pages",
            key: "title",
            before: Write::Put(json!("Atoll")),
            eu: Write::Put(json!("Atoll, a ring of coral")),
            us: Write::Put(json!("Atoll, an island")),
            local: (json!("Atoll, a ring of coral"), json!("Atoll, an island")),
            after: (
                json!("Atoll, an island"),
                "the same title: one wins everywhere, the later one",
            ),
            conflict: Some(("write-write", Some(json!("Atoll, a ring of coral")))),
        },
        Story {
            collection: "carts",
            key: "ann",
            before: Write::Add(json!(["tea"])),
            eu: Write::Add(json!(["bread"])),
            us: Write::AddAndRemove(json!(["apples"]), json!(["tea"])),
            local: (json!(["bread", "tea"]), json!(["apples"])),
            after: (
                json!(["apples", "bread"]),
                "the cart: what either side put in is in it, what was taken out is not",
            ),
            conflict: None,
        },
        Story {
            collection: "articles",
            key: "atoll",
            before: Write::Put(json!({ "title": "Atoll", "body": "…", "tags": ["sea"] })),
            eu: Write::Patch(json!({ "title": "Atolls" })),
            us: Write::Patch(json!({ "body": "A ring-shaped reef." })),
            local: (
                json!({ "title": "Atolls", "body": "…", "tags": ["sea"] }),
                json!({ "title": "Atoll", "body": "A ring-shaped reef.", "tags": ["sea"] }),
            ),
            after: (
                json!({ "title": "Atolls", "body": "A ring-shaped reef.", "tags": ["sea"] }),
                "one document's different fields: both changes survive",
            ),
            conflict: None,
        },
        Story {
            collection: "pages",
            key: "draft",
            before: Write::Put(json!("first draft")),
            eu: Write::Delete,
            us: Write::Put(json!("second draft")),
            local: (Value::Null, json!("second draft")),
            after: (
                json!("second draft"),
                "a delete against an update: the update stands, as the collection declares",
            ),
            conflict: Some(("update-delete", None)),
        },
        Story {
            collection: "notes",
            key: "lunch",
            before: Write::Put(json!("lunch?")),
            eu: Write::Put(json!("lunch at noon")),
            us: Write::Put(json!("lunch at one")),
            local: (json!("lunch at noon"), json!("lunch at one")),
            after: (
                json!(["lunch at noon", "lunch at one"]),
                "a note: both values are kept as siblings, as the collection declares",
            ),
            conflict: Some(("write-write", Some(json!("lunch at noon")))),
        },
    ]
}

/// Writes the states before, and waits until they are everywhere.
pub(crate) async fn prepare(store: &DemoStore) -> Result<(), Failure> {
    let client = store.region("eu")?;
    for story in stories() {
        story
            .before
            .send(client, story.collection, story.key)
            .await?;
    }
    store.settle().await
}

/// Writes both sides, eu first.
pub(crate) async fn write(store: &DemoStore) -> Result<Written, Failure> {
    let (eu, us) = (store.region("eu")?, store.region("us")?);
    let stories = stories();
    for story in &stories {
        story.eu.send(eu, story.collection, story.key).await?;
        story.us.send(us, story.collection, story.key).await?;
    }
    Ok(Written(stories))
}

/// Cut off, each side shows its own writes at once.
pub(crate) async fn check_local(
    store: &DemoStore,
    Written(stories): &Written,
    claims: &mut Claims,
) -> Result<(), Failure> {
    let (mut expected, mut seen) = (Vec::new(), Vec::new());
    for story in stories {
        let regions = [("eu", &story.local.0), ("us", &story.local.1)];
        for (region, local) in regions {
            expected.push(local.clone());
            seen.push(value(store.region(region)?, story.collection, story.key).await?);
        }
    }
    claims.equal(
        "cut off, each side goes on and shows its own writes",
        &expected,
        &seen,
    );
    Ok(())
}

/// Brought back, all regions show the same, and the ledger says what happened.
pub(crate) async fn check_all(
    store: &DemoStore,
    Written(stories): &Written,
    claims: &mut Claims,
) -> Result<(), Failure> {
    for story in stories {
        let seen = store.read(story.collection, story.key).await?;
        let (after, told) = &story.after;
        claims.everywhere(told, after, &seen);
    }
    for story in stories {
        let (place, mut rows) = (format!("{}/{}", story.collection, story.key), Vec::new());
        for place in &store.places {
            let row = conflict_of(&place.client, story).await?;
            rows.push((place.name(), row));
        }
        let first = rows.first().and_then(|(_, row)| row.clone());
        match &story.conflict {
            None => claims.everywhere(&format!("no conflict of {place} is recorded"), &None, &rows),
            Some((kind, lost)) => {
                let told =
                    format!("the ledger has the {kind} of {place}, the same row in every region");
                let found = first.as_ref().map(|row| row.kind.as_str());
                if found == Some(*kind) {
                    claims.everywhere(&told, &first, &rows);
                } else {
                    claims.equal(&told, &Some(*kind), &found);
                }
                if let Some(lost) = lost {
                    claims.equal(
                        &format!("… where {lost} can still be read"),
                        &true,
                        &holds(first.as_ref(), lost),
                    );
                }
            }
        }
    }
    Ok(())
}

/// The siblings of the note: read with their context, resolved by a write that has seen them.
pub(crate) async fn resolve(store: &DemoStore, claims: &mut Claims) -> Result<(), Failure> {
    let ap = store.region("ap")?;
    let read = ap.get("notes", "lunch", &ReadOptions::default()).await?;
    let options = WriteOptions {
        context: read.context,
        ..WriteOptions::default()
    };
    let choice = json!("lunch at half past twelve");
    ap.put_json("notes", "lunch", &raw(&choice)?, &options)
        .await?;
    store.settle().await?;
    let seen = store.read("notes", "lunch").await?;
    claims.everywhere(
        "ap read both and wrote one: all regions show that one",
        &choice,
        &seen,
    );
    let note = stories()
        .into_iter()
        .find(|story| story.collection == "notes");
    if let Some(note) = note {
        let mut resolved = Vec::new();
        for place in &store.places {
            let row = conflict_of(&place.client, &note).await?;
            resolved.push((place.name(), row.is_some_and(|row| row.resolved.is_some())));
        }
        claims.everywhere(
            "… and the conflict is resolved in every region's ledger",
            &true,
            &resolved,
        );
    }
    Ok(())
}

/// Whether a row still has this value.
fn holds(row: Option<&Conflict>, value: &Value) -> bool {
    let versions = row.iter().flat_map(|row| &row.versions);
    let mut values = versions.filter_map(|version| version.value.as_ref()?.value().ok());
    values.any(|kept| kept == *value)
}

/// The key's row without what is local to a region.
async fn conflict_of(client: &Client, story: &Story) -> Result<Option<Conflict>, Failure> {
    let query = ConflictQuery {
        collection: Some(story.collection.to_owned()),
        limit: Some(1000),
        ..ConflictQuery::default()
    };
    let rows = client.conflicts(&query).await?.conflicts;
    let row = rows.into_iter().find(|row| row.key == story.key);
    Ok(row.map(|row| Conflict {
        seen_here: None,
        ..row
    }))
}

impl Written {
    /// Who wrote what.
    pub(crate) fn table(&self) -> String {
        let rows: Vec<_> = self
            .0
            .iter()
            .map(|story| {
                [
                    format!("{}/{}", story.collection, story.key),
                    story.eu.told(),
                    story.us.told(),
                ]
            })
            .collect();
        output::table(["KEY", "IN EU", "THEN IN US"], &rows)
    }
}

impl Write {
    async fn send(&self, client: &Client, collection: &str, key: &str) -> Result<(), Failure> {
        let options = WriteOptions::default();
        match self {
            Write::Put(value) => {
                client
                    .put_json(collection, key, &raw(value)?, &options)
                    .await?
            }
            Write::Patch(value) => {
                client
                    .patch(collection, key, &raw(value)?, &options)
                    .await?
            }
            Write::Delete => client.delete(collection, key, &options).await?,
            Write::Add(_) | Write::AddAndRemove(..) => {
                client
                    .operate(collection, key, &self.operations(), &options)
                    .await?
            }
        };
        Ok(())
    }

    fn operations(&self) -> Operations {
        let elements = |value: &Value| value.as_array().cloned();
        let (add, remove) = match self {
            Write::Add(add) => (elements(add), None),
            Write::AddAndRemove(add, remove) => (elements(add), elements(remove)),
            Write::Put(_) | Write::Patch(_) | Write::Delete => (None, None),
        };
        Operations {
            add: add.map(Add::Elements),
            remove: remove.map(Remove::Listed),
            ..Operations::default()
        }
    }

    fn told(&self) -> String {
        match self {
            Write::Put(value) => format!("put {value}"),
            Write::Patch(value) => format!("patch {value}"),
            Write::Delete => "delete".to_owned(),
            Write::Add(add) => format!("add {add}"),
            Write::AddAndRemove(add, remove) => format!("add {add}, remove {remove}"),
        }
    }
}

fn raw(value: &Value) -> Result<RawJson, Failure> {
    RawJson::try_from(value).map_err(|error| Failure::new(error.to_string()))
}
