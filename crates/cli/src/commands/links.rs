//! `atoll links`: the links of all regions at hand, with their state, lag and reason.

use crate::commands::status::Overview;
use crate::failure::Failure;
use crate::output;
use crate::target::TargetArguments;

/// Shows them.
pub(crate) async fn run(target: &TargetArguments) -> Result<(), Failure> {
    let places = target.regions().await?;
    let overview = Overview::of(&places).await;
    let links: Vec<_> = overview.links().collect();
    output::show(target.format(), &links, |_| overview.links_table())?;
    overview.check()
}
