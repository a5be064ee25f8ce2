//! `atoll get`: reads a key.

use atoll_api::http::{KeyItem, RawJson, Sibling, media_type};
use atoll_api::manifest::TimeSpan;
use atoll_client::{Content, Read, ReadOptions};
use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::target::TargetArguments;
use crate::wording;

#[derive(Args, Debug)]
pub(crate) struct GetCommand {
    /// Collection
    collection: String,
    /// Key
    key: String,
    /// Show all versions, also when there is only one
    #[arg(long)]
    siblings: bool,
    /// Wait until the region covers this session
    #[arg(long, value_name = "TOKEN")]
    session: Option<String>,
    /// How long the server waits for the session
    #[arg(long, value_name = "TIME")]
    timeout: Option<TimeSpan>,
}

/// A key with what a later write may want to know of it.
#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    item: KeyItem,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
}

impl GetCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let options = ReadOptions {
            siblings: self.siblings,
            session: self.session.clone(),
            timeout: self.timeout.map(TimeSpan::as_duration),
        };
        let client = target.client().await?;
        let read = client.get(&self.collection, &self.key, &options).await?;
        if read.content == Content::Absent {
            return Err(Failure::new(format!(
                "{} holds nothing under {}",
                self.collection, self.key
            )));
        }
        match (target.format(), &read.content) {
            (Format::Table, Content::Value { media_type, bytes }) => {
                show_value(media_type, bytes);
                Ok(())
            }
            _ => output::show(target.format(), &self.found(read), |found| {
                siblings_table(found.item.siblings.as_deref().unwrap_or_default())
            }),
        }
    }

    fn found(self, read: Read) -> Found {
        let Read {
            content,
            etag,
            context,
            session,
        } = read;
        let mut item = KeyItem {
            key: self.key,
            ..KeyItem::default()
        };
        match content {
            Content::Absent => {}
            Content::Siblings(siblings) => item.siblings = Some(siblings),
            Content::Value { media_type, bytes } => match json(&media_type, &bytes) {
                Some(value) => item.value = Some(value),
                None => {
                    use base64::Engine as _;
                    let engine = base64::engine::general_purpose::STANDARD;
                    item.value_base64 = Some(engine.encode(&bytes));
                    item.media_type = Some(media_type);
                }
            },
        }
        Found {
            item,
            etag,
            context,
            session,
        }
    }
}

fn json(media_type: &str, bytes: &[u8]) -> Option<RawJson> {
    let is_json = media_type.split(';').next()?.trim() == media_type::JSON;
    let text = is_json.then(|| std::str::from_utf8(bytes).ok()).flatten()?;
    RawJson::from_text(text).ok()
}

/// The value itself; text gets the line end that it lacks when a person looks on.
fn show_value(media_type: &str, bytes: &[u8]) {
    output::bytes(bytes);
    let is_text = media_type.starts_with("text/") || media_type.starts_with(media_type::JSON);
    if !bytes.ends_with(b"\n") && (is_text || output::is_watched()) {
        output::bytes(b"\n");
    }
}

/// All versions of a key, one a row.
pub(crate) fn siblings_table(siblings: &[Sibling]) -> String {
    let rows: Vec<_> = siblings
        .iter()
        .map(|sibling| {
            [
                sibling.region.clone(),
                sibling.time.clone(),
                sibling.dot.clone(),
                sibling.field.clone().unwrap_or_default(),
                shown(sibling),
            ]
        })
        .collect();
    output::table(["REGION", "TIME", "DOT", "FIELD", "VALUE"], &rows)
}

fn shown(sibling: &Sibling) -> String {
    if sibling.deleted {
        return "(deleted)".to_owned();
    }
    match (&sibling.value, &sibling.value_base64) {
        (Some(value), _) => wording::short(value.get(), 60),
        (None, Some(base64)) => {
            let bytes = base64.trim_end_matches('=').len() as u64 * 3 / 4;
            let media_type = sibling.media_type.as_deref().unwrap_or(media_type::BYTES);
            format!("({}, {media_type})", wording::bytes(bytes))
        }
        (None, None) => String::new(),
    }
}
