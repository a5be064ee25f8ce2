//! Who hears whom: what every region says of the links that it pulls, passed on by all.

use atoll_core::RegionName;

use crate::message::Carries;

/// What one region says of its links. It says so anew all the time, and that it does is a sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The region.
    pub region: RegionName,
    /// Grows with every row of this region, over restarts, too: milliseconds since 1970, or one more than before.
    pub beat: u64,
    /// The regions that it hears, and what those links carry.
    pub hears: Vec<(RegionName, Carries)>,
    /// The regions that it tried to pull from and did not hear.
    pub silent: Vec<RegionName>,
}
