//! How current a read has to be.

use std::fmt;
use std::str::FromStr;

/// How current a read has to be: the header `Atoll-Consistency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// All that the region acknowledged before: the leader answers. The default without a session.
    Leader,
    /// All that the session has seen: any node of the region answers. The default with a session.
    Session,
    /// Whatever the node at hand has.
    Any,
}

/// A word that is none of the three.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no consistency: write leader, session or any")]
pub struct UnknownConsistency(String);

impl Consistency {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Consistency::Leader => "leader",
            Consistency::Session => "session",
            Consistency::Any => "any",
        }
    }
}

impl FromStr for Consistency {
    type Err = UnknownConsistency;

    fn from_str(word: &str) -> Result<Self, UnknownConsistency> {
        match word {
            "leader" => Ok(Consistency::Leader),
            "session" => Ok(Consistency::Session),
            "any" => Ok(Consistency::Any),
            other => Err(UnknownConsistency(other.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for consistency in [Consistency::Leader, Consistency::Session, Consistency::Any] {
            assert_eq!(consistency.to_string().parse(), Ok(consistency));
        }
        for wrong in ["", "Leader", "leader ", "strong"] {
            assert!(wrong.parse::<Consistency>().is_err(), "{wrong}");
        }
    }
}
