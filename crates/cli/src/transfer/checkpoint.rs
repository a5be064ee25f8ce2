//! How far an import came: a small file beside the one that is imported.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The checkpoint of one import.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    file: PathBuf,
}

/// All lines up to here are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// The collection that they were written to.
    pub(crate) collection: String,
    /// How many lines.
    pub(crate) lines: u64,
    /// How many bytes.
    pub(crate) bytes: u64,
}

impl Checkpoint {
    /// Beside `imported`.
    pub(crate) fn beside(imported: &Path) -> Self {
        let mut name = imported
            .file_name()
            .map_or_else(OsString::new, OsString::from);
        name.push(".atoll-progress");
        Checkpoint {
            file: imported.with_file_name(name),
        }
    }

    /// Where an earlier import into `collection` stopped; a file of another one says nothing.
    pub(crate) fn read(&self, collection: &str, total_bytes: u64) -> io::Result<Option<Reached>> {
        let text = match fs::read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let reached = serde_json::from_slice::<Reached>(&text).ok();
        Ok(reached
            .filter(|reached| reached.collection == collection && reached.bytes <= total_bytes))
    }

    /// Notes how far it came.
    pub(crate) fn write(&self, reached: &Reached) -> io::Result<()> {
        let aside = self.file.with_extension("atoll-progress-new");
        fs::write(&aside, serde_json::to_vec(reached)?)?;
        fs::rename(&aside, &self.file)
    }

    /// The import is whole.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn it_is_found_again_for_the_same_collection_only() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::beside(&directory.path().join("all.ndjson"));
        let reached = Reached {
            collection: "pages".to_owned(),
            lines: 7,
            bytes: 99,
        };
        assert_eq!(checkpoint.read("pages", 100).unwrap(), None);
        checkpoint.write(&reached).unwrap();
        assert_eq!(checkpoint.read("pages", 100).unwrap(), Some(reached));
        assert_eq!(checkpoint.read("votes", 100).unwrap(), None);
        assert_eq!(checkpoint.read("pages", 98).unwrap(), None);
        checkpoint.remove().unwrap();
        checkpoint.remove().unwrap();
        assert_eq!(checkpoint.read("pages", 100).unwrap(), None);
    }
}
