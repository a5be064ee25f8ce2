//! Stability: what a region takes for stable is in every region, and whatever arrives later has seen it.
//!
//! Below the stable vector history is forgotten; this is what makes it safe.
//!
//! Seen to fail: a region that takes the newest that it heard of the others for stable
//! (`Mischief::TrustTheNewest`), though entries that have not seen it are still on their way; the same by hand
//! in replication's knowledge. And, in earnest, regions that joined
//! and wrote before all members knew of them, and two that joined and admitted each other.

use atoll_core::{Entry, VersionVector};

use super::Violation;

const NAME: &str = "stability";

/// A region says that `stable` is stable; `applied` is what another one has.
pub(crate) fn check_everywhere(
    region: usize,
    stable: &VersionVector,
    other: usize,
    applied: &VersionVector,
) -> Result<(), Violation> {
    if applied.covers_all(stable) {
        return Ok(());
    }
    let what = format!("r{region} takes {stable} for stable, and r{other} has {applied}");
    Err(Violation::new(NAME, what))
}

/// An entry arrived at a region for which `stable` is stable. One that writes nothing, such as the announcement
/// of a region that joins, need not have seen anything.
pub(crate) fn check_arrival(
    region: usize,
    stable: &VersionVector,
    entry: &Entry,
) -> Result<(), Violation> {
    if entry.operations.is_empty() || entry.dependencies.covers_all(stable) {
        return Ok(());
    }
    let what = format!(
        "{} arrived at r{region} with dependencies {}, where {stable} is stable",
        entry.dot, entry.dependencies
    );
    Err(Violation::new(NAME, what))
}
