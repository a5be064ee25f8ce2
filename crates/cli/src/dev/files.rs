//! Manifests from files and directories, with all that is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

use atoll_api::manifest::{StoreManifest, parse};

use crate::failure::Failure;
use crate::wording;

/// Reads manifests; a directory stands for the YAML and JSON files in it.
pub(crate) fn read(paths: &[PathBuf]) -> Result<StoreManifest, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for file in listed(path)? {
                files.push(text_of(&file)?);
            }
        } else {
            files.push(text_of(path)?);
        }
    }
    parsed(&files)
}

/// What manifests declare; each is a name and a text.
pub(crate) fn parsed(files: &[(String, String)]) -> Result<StoreManifest, Failure> {
    parse(files).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(|error| format!("- {error}")).collect();
        let count = wording::counted(errors.len() as u64, "fault", "faults");
        Failure::usage(format!("the manifests have {count}\n{}", lines.join("\n")))
    })
}

fn text_of(path: &Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(Failure::usage(format!("{name} cannot be read: {error}"))),
    }
}

fn listed(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage(format!("{} cannot be read: {error}", directory.display()))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
