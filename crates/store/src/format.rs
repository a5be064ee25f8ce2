//! The format of a data directory: which program may touch it.
//!
//! A directory carries a small text file, [`FILE`], written before anything else and read before anything
//! is opened, so that a program can refuse a directory whose other files it could not even parse:
//!
//! ```text
//! atoll store
//! format 1
//! ```
//!
//! The first two lines keep this shape for ever; a later format may add lines below. The number changes when
//! an older program must not open the directory. Whose data it is (store, region, replica) is a record in
//! [`Family::Meta`](crate::engine::Family::Meta), not here.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use crate::engine::{Engine, EngineError, OpenError};

/// The format that this program writes.
pub const VERSION: u32 = 1;

/// Name of the file that says the format.
pub const FILE: &str = "FORMAT";

/// How a directory comes from one format to the next, oldest first: `STEPS[n]` leads from `n + 1` to `n + 2`.
///
/// A step runs on an open engine, may be cut off at any point and run again, and is followed by a flush and
/// the new [`FILE`]. Format 1 is the first: it has no predecessor.
const STEPS: &[Step] = &[];

/// One step from a format to its successor.
pub(crate) type Step = fn(&dyn Engine) -> Result<(), EngineError>;

/// What a directory of this format has to go through.
pub(crate) fn steps_from(found: u32) -> &'static [Step] {
    let done = usize::try_from(found).map_or(STEPS.len(), |found| found.saturating_sub(1));
    STEPS.get(done..).unwrap_or_default()
}

const MAGIC: &str = "atoll store";
const UNFINISHED_FILE: &str = "FORMAT.new";
/// What a file system itself puts at its root.
const NOBODYS: &[&str] = &["lost+found", UNFINISHED_FILE];

/// What a directory was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody's: empty.
    Empty,
    /// Ours, in a format that we know.
    Known(u32),
}

/// Looks at a directory and changes nothing.
///
/// # Errors
/// [`OpenError`], named, when the directory is not ours to open.
pub(crate) fn examine(directory: &Path) -> Result<Standing, OpenError> {
    match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => admit(directory, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => without_file(directory),
        Err(error) => Err(EngineError::io("read", directory.join(FILE), &error).into()),
    }
}

/// Says in the directory that it has the format of this program, durably.
///
/// # Errors
/// [`EngineError::Io`]; the old file, if there was one, is still there.
pub(crate) fn stamp(directory: &Path) -> Result<(), EngineError> {
    let (unfinished, file) = (directory.join(UNFINISHED_FILE), directory.join(FILE));
    let write = || {
        let mut new = File::create(&unfinished)?;
        new.write_all(render(VERSION).as_bytes())?;
        new.sync_all()?;
        fs::rename(&unfinished, &file)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error: io::Error| EngineError::io("write", file.clone(), &error))
}

fn admit(directory: &Path, text: &str) -> Result<Standing, OpenError> {
    match parse(text) {
        Some(found) if found > VERSION => Err(OpenError::NewerFormat {
            directory: directory.into(),
            found,
            known: VERSION,
        }),
        Some(known) => Ok(Standing::Known(known)),
        None => Err(EngineError::Corrupt {
            file: directory.join(FILE),
            detail: format!("expected the lines \"{MAGIC}\" and \"format NUMBER\""),
        }
        .into()),
    }
}

fn without_file(directory: &Path) -> Result<Standing, OpenError> {
    let failed = |error| EngineError::io("list", directory, &error);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !NOBODYS.iter().any(|known| name == *known) {
            return Err(OpenError::NotAtoll {
                directory: directory.into(),
                detail: format!("it holds {} and no file {FILE}", name.display()),
            });
        }
    }
    Ok(Standing::Empty)
}

fn render(version: u32) -> String {
    format!("{MAGIC}\nformat {version}\n")
}

fn parse(text: &str) -> Option<u32> {
    let mut lines = text.lines();
    let magic = lines.next()?;
    let version = lines.next()?.strip_prefix("format ")?.parse().ok()?;
    (magic == MAGIC && version > 0).then_some(version)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

    use super::*;

    fn standing(files: &[(&str, &str)]) -> Result<Standing, OpenError> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let standing = examine(directory.path());
        let mut left: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(
            left,
            files.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "examining writes nothing"
        );
        standing
    }

    #[test]
    fn the_file_is_pinned() {
        assert_eq!(render(1), "atoll store\nformat 1\n");
    }

    #[test]
    fn every_format_has_a_step_to_its_successor() {
        assert_eq!(STEPS.len(), VERSION as usize - 1);
    }

    #[test]
    fn a_stamped_directory_is_known() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(examine(directory.path()), Ok(Standing::Empty));
        stamp(directory.path()).unwrap();
        assert_eq!(examine(directory.path()), Ok(Standing::Known(VERSION)));
    }

    #[test]
    fn a_newer_format_is_refused_with_both_versions() {
        let error = standing(&[(FILE, "atoll store\nformat 7\nsomething=new\n")]).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::NewerFormat {
                    found: 7,
                    known: VERSION,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error.to_string().contains("data format 7") && error.to_string().contains("up to 1")
        );
    }

    #[test]
    fn lines_below_the_format_are_not_our_business() {
        assert_eq!(
            standing(&[(FILE, "atoll store\nformat 1\nnote\n")]),
            Ok(Standing::Known(1))
        );
    }

    #[test]
    fn a_damaged_file_is_named() {
        for text in [
            "",
            "atoll store\n",
            "atoll store\nformat\n",
            "atoll store\nformat 0\n",
            "x\nformat 1\n",
        ] {
            let error = standing(&[(FILE, text)]).unwrap_err();
            assert!(
                matches!(error, OpenError::Engine(EngineError::Corrupt { .. })),
                "{text:?}: {error}"
            );
        }
    }

    #[test]
    fn a_strangers_directory_is_refused() {
        let error = standing(&[("CURRENT", "MANIFEST-000004\n")]).unwrap_err();
        assert!(matches!(error, OpenError::NotAtoll { .. }), "{error}");
    }

    #[test]
    fn the_leftovers_of_a_file_system_or_a_crash_are_nobodys() {
        assert_eq!(
            standing(&[(UNFINISHED_FILE, "ato"), ("lost+found", "")]),
            Ok(Standing::Empty)
        );
    }
}
