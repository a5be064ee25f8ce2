//! `atoll patch`: changes the named fields of a Document.

use atoll_api::http::RawJson;
use clap::Args;

use super::conditions::{self, WriteArguments};
use crate::failure::Failure;
use crate::target::TargetArguments;

#[derive(Args, Debug)]
pub(crate) struct PatchCommand {
    /// Collection
    collection: String,
    /// Key
    key: String,
    /// JSON Merge Patch (RFC 7396), such as '{"title": "Home", "draft": null}'
    patch: String,
    #[command(flatten)]
    write: WriteArguments,
}

impl PatchCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let patch = RawJson::from_string(self.patch)
            .map_err(|error| Failure::usage(format!("the patch is not JSON: {error}")))?;
        let client = target.client().await?;
        let options = self.write.options();
        let receipt = client
            .patch(&self.collection, &self.key, &patch, &options)
            .await?;
        conditions::show_receipt(target, &receipt)
    }
}
