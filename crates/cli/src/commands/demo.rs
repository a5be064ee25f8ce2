//! `atoll demo` (hidden, run by `make demo`): the main job on real input, every claim checked.

use clap::Args;

use crate::demo;
use crate::dev::signals::unless_ended;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct DemoCommand {
    /// Use the small sample instead of Debian's iso-codes
    #[arg(long)]
    small: bool,
}

impl DemoCommand {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        Box::pin(unless_ended(demo::run(self.small))).await
    }
}
