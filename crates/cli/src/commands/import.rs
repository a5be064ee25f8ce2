//! `atoll import`: writes the keys of an NDJSON file.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;
use crate::transfer::import::{Import, Imported};

#[derive(Args, Debug)]
pub(crate) struct ImportCommand {
    /// Collection
    collection: String,
    /// File with a line {"key": …, "value": …} for each key; default: standard input.
    /// An import that was interrupted goes on where it stopped
    file: Option<PathBuf>,
    /// Begin with this line, whatever was imported before
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    from_line: Option<u64>,
    /// Keys that are written together: all or none of them
    #[arg(long, value_name = "NUMBER", default_value = "500", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// Batches on their way at the same time
    #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
}

impl ImportCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let import = Import {
            collection: self.collection,
            file: self.file.filter(|file| file.as_os_str() != "-"),
            from_line: self.from_line,
            batch_lines: usize::from(self.batch),
            batches_in_flight: usize::from(self.parallel),
        };
        let imported = import.run(&target.client().await?).await?;
        output::show(target.format(), &imported, Imported::told)
    }
}
