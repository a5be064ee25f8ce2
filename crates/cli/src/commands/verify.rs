//! `atoll verify`: proves that regions are equal, or names what differs.

use atoll_api::manifest::TimeSpan;
use clap::Args;

use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;
use crate::verify::{Verdict, verify};

#[derive(Args, Debug)]
pub(crate) struct VerifyCommand {
    /// Only this collection
    collection: Option<String>,
    /// How long to wait until all regions have the same entries
    #[arg(long, value_name = "TIME", default_value = "30s")]
    timeout: TimeSpan,
}

impl VerifyCommand {
    pub(crate) async fn run(self, target: &TargetArguments) -> Result<(), Failure> {
        let places = target.places()?;
        if places.len() < 2 {
            return Err(Failure::usage("one region alone cannot be compared")
                .help("name the servers of all regions: --server URL,URL,URL"));
        }
        let patience = self.timeout.as_duration();
        let verdict = verify(&places, self.collection.as_deref(), patience).await?;
        output::show(target.format(), &verdict, Verdict::table)?;
        match verdict.different {
            0 => Ok(()),
            _ => Err(Failure::new("the regions are not equal")
                .help("keep their data directories: they are the evidence")),
        }
    }
}
