//! Flags that all writes share, and what they print.

use std::fs;
use std::io::Read;
use std::path::Path;

use atoll_api::http::{Receipt, WriteConcern};
use atoll_api::manifest::TimeSpan;
use atoll_client::WriteOptions;
use clap::Args;

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;

/// What must hold for a write, and who must have it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WriteArguments {
    /// Write only if the key still has this ETag; * demands that it exists
    #[arg(long, value_name = "ETAG", conflicts_with = "if_absent")]
    if_match: Option<String>,
    /// Write only if the key does not exist
    #[arg(long)]
    if_absent: bool,
    /// What you had seen (a read's context); older siblings that it does not cover survive
    #[arg(long, value_name = "TOKEN")]
    context: Option<String>,
    /// Who must have the write before the answer: region, regions=N, majority or all
    #[arg(long, value_name = "CONCERN", default_value = "region")]
    write_concern: WriteConcern,
    /// Wait until the region covers this session
    #[arg(long, value_name = "TOKEN")]
    session: Option<String>,
    /// Your name for this request: run again under it, it is applied once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// How long the server waits for a session, a context or a write concern
    #[arg(long, value_name = "TIME")]
    timeout: Option<TimeSpan>,
}

impl WriteArguments {
    pub(crate) fn options(&self) -> WriteOptions {
        WriteOptions {
            context: self.context.clone(),
            if_match: self.if_match.clone(),
            if_absent: self.if_absent,
            write_concern: self.write_concern,
            timeout: self.timeout.map(TimeSpan::as_duration),
            session: self.session.clone(),
            traceparent: None,
            idempotency_key: self.idempotency_key.clone(),
        }
    }
}

/// Says that a write stands.
pub(crate) fn show_receipt(target: &TargetArguments, receipt: &Receipt) -> Result<(), Failure> {
    output::show(target.format(), receipt, |receipt| match &receipt.seen_by {
        Some(regions) => format!("written as {} · in {}", receipt.dot, regions.join(", ")),
        None => format!("written as {}", receipt.dot),
    })
}

/// A file's bytes; `-` is standard input.
pub(crate) fn contents(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))
}
