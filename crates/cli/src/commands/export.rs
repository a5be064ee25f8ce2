//! `atoll export`: writes a collection's keys to an NDJSON file.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;
use crate::transfer::export::Export;
use crate::wording;

#[derive(Args, Debug)]
pub(crate) struct ExportCommand {
    /// Collection
    collection: String,
    /// File; default: standard output. It is called FILE.part until it is whole, and an export that was
    /// interrupted goes on there
    file: Option<PathBuf>,
    /// Only keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// First key
    #[arg(long, value_name = "KEY")]
    start: Option<String>,
    /// Keys asked for at once
    #[arg(long, value_name = "NUMBER", default_value = "1000", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    page: u16,
}

impl ExportCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let file = self.file.filter(|file| file.as_os_str() != "-");
        let export = Export {
            collection: self.collection,
            file: file.clone(),
            prefix: self.prefix,
            start: self.start,
            page_keys: usize::from(self.page),
        };
        let exported = export.run(&target.client().await?).await?;
        let written = wording::counted(exported.written, "key", "keys");
        let told = match exported.kept {
            0 => format!("{written} written"),
            kept => format!(
                "{written} written, after {} of before",
                wording::count(kept)
            ),
        };
        match file {
            Some(_) => output::show(target.format(), &exported, |_| told),
            None => {
                output::note(&told);
                Ok(())
            }
        }
    }
}
