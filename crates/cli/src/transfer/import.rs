//! Import: lines become batches, several of them in flight; the checkpoint follows in order.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use atoll_api::http::{BatchAnswer, BatchOperation, BatchRequest};
use atoll_api::manifest::DataType;
use atoll_client::{Client, ClientError, WriteOptions};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use indicatif::ProgressBar;

use super::checkpoint::{Checkpoint, Reached};
use super::line;
use crate::failure::Failure;
use crate::progress;
use crate::wording;

/// A batch ends with whichever comes first.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// What to import, and how.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) collection: String,
    /// Absent: standard input, which cannot be resumed.
    pub(crate) file: Option<PathBuf>,
    /// Skip what comes before this line (from 1), and ignore the checkpoint.
    pub(crate) from_line: Option<u64>,
    pub(crate) batch_lines: usize,
    pub(crate) batches_in_flight: usize,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Imported {
    /// Lines skipped because an earlier import had written them.
    pub(crate) skipped: u64,
    /// Keys written now.
    pub(crate) written: u64,
}

impl Import {
    /// Writes every line, or says which one could not be.
    pub(crate) async fn run(&self, client: &Client) -> Result<Imported, Failure> {
        let data_type = data_type_of(client, &self.collection).await?;
        let checkpoint = self.file.as_deref().map(Checkpoint::beside);
        let mut lines = self.open(checkpoint.as_ref())?;
        let skipped = lines.reached.lines;
        let mut flight = Flight {
            client,
            checkpoint,
            sent: FuturesOrdered::new(),
            keys: VecDeque::new(),
            written: 0,
        };
        while let Some(batch) = lines.batch(data_type, self.batch_lines)? {
            while flight.sent.len() >= self.batches_in_flight || flight.overlaps(&batch) {
                flight.land(&lines.bar).await?;
            }
            flight.launch(batch);
        }
        while !flight.sent.is_empty() {
            flight.land(&lines.bar).await?;
        }
        lines.bar.finish_and_clear();
        if let Some(checkpoint) = &flight.checkpoint {
            checkpoint.remove()?;
        }
        Ok(Imported {
            skipped,
            written: flight.written,
        })
    }

    fn open(&self, checkpoint: Option<&Checkpoint>) -> Result<Lines, Failure> {
        let start = Reached {
            collection: self.collection.clone(),
            lines: 0,
            bytes: 0,
        };
        let mut lines = match &self.file {
            None => Lines::new(Box::new(BufReader::new(std::io::stdin())), start, None),
            Some(path) => {
                let unreadable = |error: std::io::Error| {
                    Failure::usage(format!("{} cannot be read: {error}", path.display()))
                };
                let mut file = File::open(path).map_err(unreadable)?;
                let total = file.metadata().map_err(unreadable)?.len();
                let earlier = match (checkpoint, self.from_line) {
                    (Some(checkpoint), None) => checkpoint.read(&self.collection, total)?,
                    _ => None,
                };
                let start = earlier.unwrap_or(start);
                file.seek(SeekFrom::Start(start.bytes))
                    .map_err(unreadable)?;
                Lines::new(Box::new(BufReader::new(file)), start, Some(total))
            }
        };
        while let Some(from_line) = self.from_line
            && lines.reached.lines + 1 < from_line
            && lines.next()?.is_some()
        {}
        Ok(lines)
    }
}

/// Batches that are on their way, in the order of their lines.
struct Flight<'a> {
    client: &'a Client,
    checkpoint: Option<Checkpoint>,
    sent: FuturesOrdered<BoxFuture<'a, Result<(BatchAnswer, Reached), Failure>>>,
    keys: VecDeque<HashSet<String>>,
    written: u64,
}

impl Flight<'_> {
    fn launch(&mut self, batch: Batch) {
        let keys = batch
            .operations
            .iter()
            .map(|operation| operation.key.clone());
        self.keys.push_back(keys.collect());
        self.sent.push_back(Box::pin(send(self.client, batch)));
    }

    /// Whether a key of the batch is on its way: of two lines of one key the later must stand.
    fn overlaps(&self, batch: &Batch) -> bool {
        let mut operations = batch.operations.iter();
        operations.any(|operation| self.keys.iter().any(|keys| keys.contains(&operation.key)))
    }

    /// Waits for the oldest batch.
    async fn land(&mut self, bar: &ProgressBar) -> Result<(), Failure> {
        let Some(sent) = self.sent.next().await else {
            return Ok(());
        };
        self.keys.pop_front();
        let (answer, reached) = sent?;
        self.written += answer.operations as u64;
        bar.set_position(reached.bytes);
        match &self.checkpoint {
            Some(checkpoint) => Ok(checkpoint.write(&reached)?),
            None => Ok(()),
        }
    }
}

/// The lines still to come.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    reached: Reached,
    bar: ProgressBar,
}

/// Writes that go together, and where the file stands after them.
struct Batch {
    operations: Vec<BatchOperation>,
    /// The line of each operation: empty lines lie between.
    lines: Vec<u64>,
    reached: Reached,
}

impl Lines {
    fn new(reader: Box<dyn BufRead + Send>, reached: Reached, total: Option<u64>) -> Self {
        let bar = match total {
            Some(total) => progress::over_bytes(total),
            None => progress::open_ended(),
        };
        bar.set_message(format!("importing into {}", reached.collection));
        bar.set_position(reached.bytes);
        Lines {
            reader,
            reached,
            bar,
        }
    }

    fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let number = self.reached.lines + 1;
        let read = self.reader.read_line(&mut line);
        match read
            .map_err(|error| Failure::new(format!("line {number} cannot be read: {error}")))?
        {
            0 => Ok(None),
            bytes => {
                self.reached.lines = number;
                self.reached.bytes += bytes as u64;
                Ok(Some(line))
            }
        }
    }

    fn batch(&mut self, data_type: DataType, lines_max: usize) -> Result<Option<Batch>, Failure> {
        let (mut operations, mut lines, mut bytes) = (Vec::new(), Vec::new(), 0);
        while operations.len() < lines_max && bytes < BATCH_BYTES_MAX {
            let Some(line) = self.next()? else { break };
            if line.trim().is_empty() {
                continue;
            }
            bytes += line.len();
            let number = self.reached.lines;
            let operation = line::operation(&self.reached.collection, data_type, &line);
            operations
                .push(operation.map_err(|error| Failure::new(format!("line {number}: {error}")))?);
            lines.push(number);
        }
        Ok((!operations.is_empty()).then(|| Batch {
            operations,
            lines,
            reached: self.reached.clone(),
        }))
    }
}

async fn send(client: &Client, batch: Batch) -> Result<(BatchAnswer, Reached), Failure> {
    let Batch {
        operations,
        lines,
        reached,
    } = batch;
    let options = WriteOptions::default();
    match client.batch(&BatchRequest { operations }, &options).await {
        Ok(answer) => Ok((answer, reached)),
        Err(error) => Err(failed(error, &lines)),
    }
}

fn failed(error: ClientError, lines: &[u64]) -> Failure {
    let operation = error.problem().and_then(|problem| problem.operation);
    let place = match operation.and_then(|operation| lines.get(operation)) {
        Some(line) => format!("line {line}"),
        None => format!(
            "lines {} to {}",
            lines.first().copied().unwrap_or_default(),
            lines.last().copied().unwrap_or_default()
        ),
    };
    let failure = Failure::from(error).during(place);
    failure.help("correct it and run the same command again: it goes on where it stopped")
}

/// The collection's type, by which lines are read.
pub(crate) async fn data_type_of(client: &Client, collection: &str) -> Result<DataType, Failure> {
    let status = client.status().await?;
    let known = status.collections.iter();
    let found = known.clone().find(|known| known.name == collection);
    found.map(|found| found.data_type).ok_or_else(|| {
        let names: Vec<_> = known.map(|known| known.name.as_str()).collect();
        Failure::usage(format!(
            "there is no collection {collection} in store {}",
            status.store
        ))
        .help(format!("there are {}", names.join(", ")))
    })
}

impl Imported {
    /// In a sentence.
    pub(crate) fn told(&self) -> String {
        let written = wording::counted(self.written, "key", "keys");
        match self.skipped {
            0 => format!("{written} written"),
            skipped => format!(
                "{written} written, after {} done before",
                wording::counted(skipped, "line", "lines")
            ),
        }
    }
}
