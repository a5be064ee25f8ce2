//! `atoll delete`: deletes what the caller has seen.

use clap::Args;

use super::conditions::{self, WriteArguments};
use crate::failure::Failure;
use crate::target::TargetArguments;

#[derive(Args, Debug)]
pub(crate) struct DeleteCommand {
    /// Collection
    collection: String,
    /// Key
    key: String,
    #[command(flatten)]
    write: WriteArguments,
}

impl DeleteCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let client = target.client().await?;
        let options = self.write.options();
        let receipt = client.delete(&self.collection, &self.key, &options).await?;
        conditions::show_receipt(target, &receipt)
    }
}
