//! Export: page after page, to a file that is called `.part` until it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use atoll_api::http::{KeyItem, KeyPage, KeyQuery};
use atoll_client::{Client, ReadOptions};

use crate::failure::Failure;
use crate::output;
use crate::progress;

/// What to export, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) collection: String,
    /// Absent: standard output.
    pub(crate) file: Option<PathBuf>,
    pub(crate) prefix: Option<String>,
    /// The first key.
    pub(crate) start: Option<String>,
    pub(crate) page_keys: usize,
}

/// What an export did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exported {
    /// Keys that an earlier export had written.
    pub(crate) kept: u64,
    /// Keys written now.
    pub(crate) written: u64,
}

impl Export {
    /// Writes every key in order.
    pub(crate) async fn run(&self, client: &Client) -> Result<Exported, Failure> {
        let mut sink = match &self.file {
            Some(path) => Sink::open(path)?,
            None => Sink::default(),
        };
        let mut query = KeyQuery {
            prefix: self.prefix.clone(),
            start: sink.resume_at().or_else(|| self.start.clone()),
            end: None,
            limit: Some(self.page_keys),
            values: true,
        };
        let bar = progress::open_ended();
        bar.set_message(format!("exporting {}", self.collection));
        bar.set_position(sink.kept);
        let mut written = 0;
        loop {
            let options = ReadOptions::default();
            let KeyPage { items, next } = client.page(&self.collection, &query, &options).await?;
            written += items.len() as u64;
            sink.write(&items)?;
            bar.set_position(sink.kept + written);
            if next.is_none() {
                break;
            }
            query.start = next;
        }
        bar.finish_and_clear();
        let kept = sink.kept;
        if let Some(path) = &self.file {
            sink.finish(path)?;
        }
        Ok(Exported { kept, written })
    }
}

/// Where lines go.
#[derive(Default)]
struct Sink {
    part: Option<(PathBuf, BufWriter<File>)>,
    kept: u64,
    last_key: Option<String>,
}

impl Sink {
    /// Opens the `.part` beside `path`, cut after its last whole line.
    fn open(path: &Path) -> Result<Self, Failure> {
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(".part");
        let part = path.with_file_name(name);
        let unusable = |error: std::io::Error| {
            Failure::new(format!("{} cannot be written: {error}", part.display()))
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .append(true)
            .open(&part)
            .map_err(unusable)?;
        let (mut whole_bytes, mut kept, mut last_key) = (0, 0, None);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(unusable)? > 0 {
            let item = line
                .ends_with(b"\n")
                .then(|| serde_json::from_slice::<KeyItem>(&line));
            let Some(Ok(item)) = item else { break };
            whole_bytes += line.len() as u64;
            kept += 1;
            last_key = Some(item.key);
            line.clear();
        }
        file.set_len(whole_bytes).map_err(unusable)?;
        Ok(Sink {
            part: Some((part, BufWriter::new(file))),
            kept,
            last_key,
        })
    }

    /// The first key after the last one written.
    fn resume_at(&self) -> Option<String> {
        self.last_key.as_ref().map(|key| format!("{key}\0"))
    }

    fn write(&mut self, items: &[KeyItem]) -> Result<(), Failure> {
        let mut lines = Vec::new();
        for item in items {
            serde_json::to_writer(&mut lines, item)
                .map_err(|error| Failure::new(error.to_string()))?;
            lines.push(b'\n');
        }
        match &mut self.part {
            Some((_, file)) => {
                file.write_all(&lines)?;
                file.flush()?;
            }
            None => output::bytes(&lines),
        }
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<(), Failure> {
        if let Some((part, file)) = self.part {
            let file = file
                .into_inner()
                .map_err(|error| Failure::new(error.to_string()))?;
            file.sync_all()?;
            fs::rename(part, path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn a_torn_line_is_cut_off_and_the_rest_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.ndjson");
        let part = directory.path().join("all.ndjson.part");
        fs::write(
            &part,
            "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":2}\n{\"key\":\"c\",\"val",
        )
        .unwrap();
        let mut sink = Sink::open(&path).unwrap();
        assert_eq!((sink.kept, sink.resume_at().as_deref()), (2, Some("b\0")));
        let item: KeyItem = serde_json::from_str(r#"{"key":"c","value":3}"#).unwrap();
        sink.write(&[item]).unwrap();
        sink.finish(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":2}\n{\"key\":\"c\",\"value\":3}\n"
        );
        assert!(!part.exists());
    }
}
