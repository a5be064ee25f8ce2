//! Documents: JSON objects merged field by field.
//!
//! One slot per object node and per leaf (arrays are leaves). The root slot and every inner object hold
//! an `Object` mark; a leaf holds its JSON. Every write of a document renews the marks on the way to what
//! it changes, so a concurrent delete of any of them is seen as what it is: an update-delete conflict at
//! that slot. What a policy hides, the next write that has seen it removes: it never comes back.

use serde_json::{Map, Value as Json};

use crate::content::Content;
use crate::entry::SlotWrite;
use crate::expand::{Failure, Keyed, json_content};
use crate::path::Path;
use crate::slot::Slot;
use crate::state::ReadState;
use crate::view;

type Fields = Map<String, Json>;

/// Sets the whole document. A field that was there and is not any more gets a tombstone.
pub(crate) fn put<S: ReadState>(
    keyed: &Keyed<'_, S>,
    fields: &Fields,
) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
    let existing = keyed.all()?;
    let mut wanted: Vec<(Path, Content)> = vec![(Path::root(), Content::Object)];
    flatten(&Path::root(), fields, &mut wanted);
    wanted.sort_by(|a, b| a.0.cmp(&b.0));

    let mut writes = Vec::with_capacity(wanted.len());
    let mut gone: Vec<Path> = Vec::new();
    for (path, slot) in &existing {
        let stays = wanted.binary_search_by(|w| w.0.cmp(path)).is_ok();
        let below_gone = gone
            .iter()
            .any(|g| path.as_bytes().starts_with(g.as_bytes()));
        if !stays && !below_gone && keyed.sees_live(slot) {
            writes.push(keyed.replace(path.clone(), slot, Content::Tombstone));
            gone.push(path.clone());
        }
    }
    for (path, content) in wanted {
        let empty = Slot::default();
        let slot = existing
            .binary_search_by(|e| e.0.cmp(&path))
            .map_or(&empty, |at| &existing[at].1);
        writes.push(keyed.assign(path, slot, content));
    }
    Ok(writes)
}

/// Changes the fields that the merge patch names (RFC 7396), and only those.
pub(crate) fn patch<S: ReadState>(
    keyed: &Keyed<'_, S>,
    fields: &Fields,
) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
    let mut writes = Vec::new();
    patch_object(keyed, &Path::root(), fields, &mut writes)?;
    Ok(writes)
}

/// Deletes the document: a tombstone at its root, and every field that was seen goes.
pub(crate) fn delete<S: ReadState>(
    keyed: &Keyed<'_, S>,
) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
    let slots = keyed.all()?;
    if !slots.iter().any(|(_, slot)| keyed.sees_live(slot)) {
        return Ok(vec![]);
    }
    Ok(vec![keyed.replace(
        Path::root(),
        &slots[0].1,
        Content::Tombstone,
    )])
}

fn patch_object<S: ReadState>(
    keyed: &Keyed<'_, S>,
    path: &Path,
    fields: &Fields,
    writes: &mut Vec<SlotWrite>,
) -> Result<(), Failure<S::Error>> {
    let slot = keyed.slot(path)?;
    if !view::shows_object(&keyed.lens, &slot) {
        writes.push(keyed.replace(path.clone(), &slot, Content::Object));
        let mut wanted = Vec::new();
        flatten(path, &without_nulls(fields), &mut wanted);
        for (path, content) in wanted {
            let slot = keyed.slot(&path)?;
            writes.push(keyed.assign(path, &slot, content));
        }
        return Ok(());
    }
    writes.push(keyed.assign(path.clone(), &slot, Content::Object));
    for (name, value) in fields {
        let field = path.child(name.as_bytes());
        match value {
            Json::Object(inner) => patch_object(keyed, &field, inner, writes)?,
            Json::Null => {
                let slot = keyed.slot(&field)?;
                let sees_below = || -> Result<bool, Failure<S::Error>> {
                    Ok(keyed
                        .below(&field)?
                        .iter()
                        .any(|(_, slot)| keyed.sees_live(slot)))
                };
                if keyed.sees_live(&slot) || sees_below()? {
                    writes.push(keyed.replace(field, &slot, Content::Tombstone));
                }
            }
            leaf => {
                let slot = keyed.slot(&field)?;
                let holds_object = slot.siblings.iter().any(|v| v.content == Content::Object);
                let content = json_content(leaf);
                writes.push(if holds_object || !keyed.below(&field)?.is_empty() {
                    keyed.replace(field, &slot, content)
                } else {
                    keyed.assign(field, &slot, content)
                });
            }
        }
    }
    Ok(())
}

/// The slots of an object's fields, its own mark excluded.
fn flatten(path: &Path, fields: &Fields, out: &mut Vec<(Path, Content)>) {
    for (name, value) in fields {
        let field = path.child(name.as_bytes());
        if let Json::Object(inner) = value {
            out.push((field.clone(), Content::Object));
            flatten(&field, inner, out);
        } else {
            out.push((field, json_content(value)));
        }
    }
}

fn without_nulls(fields: &Fields) -> Fields {
    let kept = fields.iter().filter(|(_, value)| !value.is_null());
    kept.map(|(name, value)| match value {
        Json::Object(inner) => (name.clone(), Json::Object(without_nulls(inner))),
        other => (name.clone(), other.clone()),
    })
    .collect()
}
