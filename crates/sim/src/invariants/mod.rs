//! What must hold, one file each. Each was seen to fail once: `crate::mischief_tests` puts a fault in for
//! every one of them and keeps doing so; what needed a fault in another room is told in the file.

pub(crate) mod always_a_way;
pub(crate) mod causal_order;
pub(crate) mod convergence;
pub(crate) mod copies;
pub(crate) mod follows_entries;
pub(crate) mod hlc;
pub(crate) mod no_dot_reused;
pub(crate) mod no_loss;
pub(crate) mod no_resurrection;
pub(crate) mod one_application;
pub(crate) mod removed_is_over;
pub(crate) mod retired_is_held;
pub(crate) mod sessions;
pub(crate) mod stability;

use std::fmt;

use atoll_store::StoreError;
use atoll_store::engine::EngineError;
use atoll_store::raft_log::RaftLogError;

/// Something that must never happen did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant does not hold.
    pub invariant: &'static str,
    /// What differs, and where.
    pub what: String,
}

/// What a region must never answer itself: an error.
pub(crate) const NO_ERRORS: &str = "no-errors";

impl Violation {
    pub(crate) fn new(invariant: &'static str, what: impl fmt::Display) -> Self {
        Violation {
            invariant,
            what: what.to_string(),
        }
    }

    /// A region could not go on.
    pub(crate) fn broken(what: impl fmt::Display) -> Self {
        Violation::new(NO_ERRORS, what)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

impl From<StoreError> for Violation {
    fn from(error: StoreError) -> Self {
        Violation::broken(error)
    }
}

impl From<EngineError> for Violation {
    fn from(error: EngineError) -> Self {
        Violation::broken(error)
    }
}

impl From<RaftLogError> for Violation {
    fn from(error: RaftLogError) -> Self {
        Violation::broken(error)
    }
}
