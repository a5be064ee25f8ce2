//! `atoll put`: sets a Register or a whole Document.

use std::path::PathBuf;

use atoll_api::http::media_type;
use clap::Args;

use super::conditions::{self, WriteArguments};
use crate::failure::Failure;
use crate::target::TargetArguments;

const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Args, Debug)]
pub(crate) struct PutCommand {
    /// Collection
    collection: String,
    /// Key
    key: String,
    /// Value: JSON when it can be read as JSON, otherwise text
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    value: Option<String>,
    /// Take the value from a file; - is standard input
    #[arg(short, long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Media type of the value
    #[arg(long, value_name = "MEDIA-TYPE")]
    media_type: Option<String>,
    #[command(flatten)]
    write: WriteArguments,
}

impl PutCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let bytes = match (&self.value, &self.file) {
            (Some(value), _) => value.clone().into_bytes(),
            (None, Some(file)) => conditions::contents(file)?,
            (None, None) => return Err(Failure::usage("no value is given")),
        };
        let media_type = match &self.media_type {
            Some(media_type) => media_type.clone(),
            None => guessed(&bytes).to_owned(),
        };
        let client = target.client().await?;
        let receipt = client
            .put(
                &self.collection,
                &self.key,
                &media_type,
                bytes,
                &self.write.options(),
            )
            .await?;
        conditions::show_receipt(target, &receipt)
    }
}

fn guessed(bytes: &[u8]) -> &'static str {
    if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
        media_type::JSON
    } else if std::str::from_utf8(bytes).is_ok() {
        TEXT
    } else {
        media_type::BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_as_json_is_json() {
        for json in ["1", "\"a\"", "{\"a\":[1]}", "null", " true "] {
            assert_eq!(guessed(json.as_bytes()), media_type::JSON, "{json}");
        }
        assert_eq!(guessed(b"Hello, world"), TEXT);
        assert_eq!(guessed(&[0xff, 0]), media_type::BYTES);
    }
}
