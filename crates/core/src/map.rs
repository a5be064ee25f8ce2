//! Maps: named fields, each a register, a counter or a set.
//!
//! A field's slots lie at `[field, kind]` with kind `c` (counter), `r` (register) or `s` (set, elements
//! below). A field has one kind as long as regions agree; when two regions make one field two kinds at
//! once, readers see the register before the set before the counter, and the other stays until removed.

use crate::content::Content;
use crate::entry::SlotWrite;
use crate::expand::{Failure, Keyed, json_content};
use crate::intent::{MapOps, Rejection};
use crate::path::Path;
use crate::set;
use crate::state::ReadState;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Register,
    Set,
    Counter,
}

impl FieldKind {
    const ALL: [FieldKind; 3] = [FieldKind::Register, FieldKind::Set, FieldKind::Counter];

    fn segment(self) -> &'static [u8] {
        match self {
            FieldKind::Register => b"r",
            FieldKind::Set => b"s",
            FieldKind::Counter => b"c",
        }
    }

    pub(crate) fn from_segment(segment: &[u8]) -> Option<FieldKind> {
        FieldKind::ALL
            .into_iter()
            .find(|kind| kind.segment() == segment)
    }

    fn name(self) -> &'static str {
        match self {
            FieldKind::Register => "a register",
            FieldKind::Set => "a set",
            FieldKind::Counter => "a counter",
        }
    }
}

fn place(field: &str, kind: FieldKind) -> Path {
    Path::root().child(field.as_bytes()).child(kind.segment())
}

/// Applies changes by field: removals first.
pub(crate) fn change<S: ReadState>(
    keyed: &Keyed<'_, S>,
    ops: &MapOps,
) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
    let mut writes = Vec::new();
    let is_put = |field: &String| ops.put.iter().any(|(put, _)| put == field);
    for field in &ops.remove {
        remove(keyed, field, is_put(field), &mut writes)?;
    }
    let stays = |field: &String| !ops.remove.contains(field);
    for (field, value) in &ops.put {
        expect(keyed, field, FieldKind::Register, stays(field))?;
        let path = place(field, FieldKind::Register);
        let slot = keyed.slot(&path)?;
        writes.push(keyed.assign(path, &slot, json_content(value)));
    }
    for (field, delta) in &ops.increment {
        expect(keyed, field, FieldKind::Counter, stays(field))?;
        // After a removal in the same write the field counts from nothing again.
        let path = place(field, FieldKind::Counter);
        if stays(field) {
            writes.extend(keyed.count(&path, false, *delta)?);
        } else {
            writes.push(SlotWrite::Add {
                path,
                delta: *delta,
            });
        }
    }
    for (field, elements) in &ops.add {
        expect(keyed, field, FieldKind::Set, stays(field))?;
        writes.extend(set::change(
            keyed,
            &place(field, FieldKind::Set),
            elements,
            &[],
        )?);
    }
    for (field, elements) in &ops.remove_from {
        writes.extend(set::change(
            keyed,
            &place(field, FieldKind::Set),
            &[],
            elements,
        )?);
    }
    Ok(writes)
}

/// Removes every field seen.
pub(crate) fn clear<S: ReadState>(
    keyed: &Keyed<'_, S>,
) -> Result<Vec<SlotWrite>, Failure<S::Error>> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for (path, _) in keyed.below(&Path::root())? {
        let first = path.segments().swap_remove(0);
        if fields.last() != Some(&first) {
            fields.push(first);
        }
    }
    let mut writes = Vec::new();
    for field in fields {
        remove(keyed, &String::from_utf8_lossy(&field), false, &mut writes)?;
    }
    Ok(writes)
}

/// Removes what is seen of a field. A register that is `put` again in the same write needs no tombstone:
/// an entry puts one version into a slot.
fn remove<S: ReadState>(
    keyed: &Keyed<'_, S>,
    field: &str,
    put: bool,
    writes: &mut Vec<SlotWrite>,
) -> Result<(), Failure<S::Error>> {
    let register = place(field, FieldKind::Register);
    let slot = keyed.slot(&register)?;
    if !put && keyed.sees_live(&slot) {
        writes.push(keyed.assign(register, &slot, Content::Tombstone));
    }
    writes.extend(keyed.reset(&place(field, FieldKind::Counter))?);
    writes.extend(set::clear(keyed, &place(field, FieldKind::Set))?);
    Ok(())
}

/// Refuses to make a field a second kind.
fn expect<S: ReadState>(
    keyed: &Keyed<'_, S>,
    field: &str,
    wanted: FieldKind,
    stays: bool,
) -> Result<(), Failure<S::Error>> {
    for kind in FieldKind::ALL
        .into_iter()
        .filter(|&kind| stays && kind != wanted)
    {
        let path = place(field, kind);
        let live = match kind {
            FieldKind::Register => keyed.slot(&path)?.has_live_sibling(),
            FieldKind::Counter => keyed.slot(&path)?.counter.is_live(),
            FieldKind::Set => keyed
                .below(&path)?
                .iter()
                .any(|(_, slot)| slot.has_live_sibling()),
        };
        if live {
            let problem = format!("field {field:?} is {}, not {}", kind.name(), wanted.name());
            return Err(Rejection::TypeMismatch(problem).into());
        }
    }
    Ok(())
}
