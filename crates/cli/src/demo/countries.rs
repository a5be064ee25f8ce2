//! A real data set, imported through one region: the countries and subdivisions of ISO 3166.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::claims::Claims;
use super::look::keys;
use super::store::DemoStore;
use crate::failure::Failure;
use crate::transfer::import::Import;
use crate::wording;

const SAMPLE: &str = include_str!("../../data/countries.ndjson");
/// Where Debian's `iso-codes` keeps them: file, list, and the field that is the key.
const ISO_CODES: [(&str, &str, &str); 2] = [
    (
        "/usr/share/iso-codes/json/iso_3166-1.json",
        "3166-1",
        "alpha_2",
    ),
    (
        "/usr/share/iso-codes/json/iso_3166-2.json",
        "3166-2",
        "code",
    ),
];

/// Imports in eu, reads everywhere.
pub(crate) async fn tell(
    store: &DemoStore,
    small: bool,
    claims: &mut Claims,
) -> Result<(), Failure> {
    let iso_codes = if small { None } else { from_iso_codes() };
    let (source, lines) = match iso_codes {
        Some(lines) => (
            "countries and subdivisions of ISO 3166, from Debian's iso-codes",
            lines,
        ),
        None => ("countries of ISO 3166, from a small sample", sample()),
    };
    let count = lines.len() as u64;
    claims.chapter(&format!(
        "{} are imported in eu: {source}",
        wording::counted(count, "document", "documents")
    ));
    let mut file = tempfile::NamedTempFile::new()?;
    for line in &lines {
        writeln!(file, "{line}")?;
    }
    let import = Import {
        collection: "countries".to_owned(),
        file: Some(file.path().to_owned()),
        from_line: None,
        batch_lines: 100,
        batches_in_flight: 4,
    };
    let began = Instant::now();
    let imported = import.run(store.region("eu")?).await?;
    let imported_after = began.elapsed();
    store.settle().await?;
    let late = began.elapsed() - imported_after;
    claims.equal(
        &format!(
            "eu acknowledged them all, on disk, in {}",
            wording::duration(imported_after)
        ),
        &count,
        &imported.written,
    );
    let mut counts = Vec::new();
    for place in &store.places {
        counts.push((place.name(), keys(&place.client, "countries", None).await?));
    }
    claims.everywhere(
        &format!(
            "every other region had them {} after eu",
            wording::duration(late)
        ),
        &count,
        &counts,
    );
    let last = lines
        .last()
        .and_then(|line| Some((line.get("key")?.as_str()?, line.get("value")?)));
    if let Some((key, document)) = last {
        let seen = store.read("countries", key).await?;
        claims.everywhere(
            &format!("document {key} is the same everywhere, field by field"),
            document,
            &seen,
        );
    }
    Ok(())
}

/// Lines of `{"key", "value"}`; absent when the package is not installed.
fn from_iso_codes() -> Option<Vec<Value>> {
    let mut lines = Vec::new();
    for (file, list, key) in ISO_CODES {
        let text = fs::read_to_string(Path::new(file)).ok()?;
        let parsed: Value = serde_json::from_str(&text).ok()?;
        for item in parsed.get(list)?.as_array()? {
            lines.push(json!({ "key": item.get(key)?, "value": item }));
        }
    }
    Some(lines)
}

fn sample() -> Vec<Value> {
    SAMPLE
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_can_be_read() {
        assert_eq!(sample().len(), SAMPLE.lines().count());
        assert!(sample().len() > 40);
    }
}
