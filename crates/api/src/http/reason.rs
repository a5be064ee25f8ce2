//! Why a request was refused: the stable word, its HTTP status and its title, in one table.

use std::fmt;
use std::str::FromStr;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $title:literal;)*) => {
        /// Why a request was refused. Words are never renamed; new ones may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$name => stringify!($name),)*
                }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Reason::$name => $status,)*
                }
            }

            /// The title: one sentence, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Reason::$name => $title,)*
                }
            }
        }
    };
}

reasons! {
    /// The key is empty, too long or not UTF-8.
    InvalidKey = 400, "The key cannot be used";
    /// The body or a parameter cannot be read.
    InvalidValue = 400, "The request's content cannot be used";
    /// A session, context or cursor that is damaged, forged or of another store.
    InvalidToken = 400, "The token is not one of this store";
    /// A header whose value is not known.
    InvalidHeader = 400, "A header's value cannot be used";
    /// No credentials, or wrong ones.
    Unauthorized = 401, "Credentials are missing or wrong";
    /// Credentials that do not suffice.
    Forbidden = 403, "These credentials do not allow this";
    /// The key, the conflict, the link or the route does not exist.
    NotFound = 404, "There is nothing here";
    /// The collection is not declared.
    UnknownCollection = 404, "The collection is not declared";
    /// The route has no such method.
    MethodNotAllowed = 405, "The method is not allowed here";
    /// The request took too long to arrive or to be answered.
    Timeout = 408, "The request took too long";
    /// The operation does not exist for the collection's type.
    TypeMismatch = 409, "The collection's type has no such operation";
    /// The member is in a state that does not allow this, or is changed at this moment.
    WrongState = 409, "The region's state does not allow this";
    /// The last member, or the hub of the star, cannot leave.
    CannotLeave = 409, "The region cannot leave";
    /// A region that is said to be dead was heard of.
    RegionAlive = 409, "The region is alive";
    /// The number of lost entries was not given, or is another one.
    LostNotConfirmed = 409, "The number of lost entries is not confirmed";
    /// The hub of a star is none of its regions.
    HubNotARegion = 409, "The hub is not a region";
    /// Entries of some region would not reach another one.
    UnreachableRegion = 409, "A region could not be reached";
    /// A name that is no region of the topology, or a member that it leaves out.
    UnknownRegion = 409, "The topology's regions do not fit";
    /// The topology makes no sense by itself.
    InvalidTopology = 409, "The topology cannot be used";
    /// An endpoint belongs to another store.
    OtherStore = 409, "The region belongs to another store";
    /// Two regions have one replica id.
    ReplicaTwice = 409, "Two regions have the same replica id";
    /// `If-Match` or `If-None-Match` does not hold.
    PreconditionFailed = 412, "The key is not as demanded";
    /// The `Idempotency-Key` names another request.
    IdempotencyKeyReused = 422, "The idempotency key was used for another request";
    /// The value, the request or a part of it is too large.
    TooLarge = 413, "The request is too large";
    /// The media type is not accepted here.
    UnsupportedMediaType = 415, "The media type is not accepted here";
    /// A fault of Atoll's own.
    Internal = 500, "Something went wrong inside";
    /// The region has not caught up with the session or context in time.
    SessionNotReached = 503, "The region has not caught up with the session";
    /// The region's clock is off: it accepts no writes.
    ClockSkew = 503, "The region's clock is off, it accepts no writes";
    /// The region's data was put back to an older state: it accepts no writes.
    RolledBack = 503, "The region's data is older than what others have of it";
    /// The region is joining the store: it accepts no writes yet.
    Joining = 503, "The region is joining, it accepts no writes yet";
    /// The node is about to stop.
    Draining = 503, "The node is about to stop";
    /// The region has no leader at the moment.
    NoLeader = 503, "The region has no leader at the moment";
    /// The region's nodes or regions are being changed already.
    ChangeUnderWay = 409, "Another change is under way";
    /// The node or its leader went away while a write was under way: it may stand.
    OutcomeUnknown = 503, "Whether the write stands is not known";
    /// More is asked than can be done.
    Overloaded = 503, "The node is busy";
    /// The disk failed; the node accepts no writes.
    StorageFailed = 503, "The node's storage has failed";
    /// The write stands, but not everywhere it should be in time.
    WriteConcernTimeout = 504, "The write stands, but not in all regions demanded";
    /// The disk is nearly full: the node accepts no writes.
    DiskFull = 507, "The disk is nearly full, no writes are accepted";
}

/// A word that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this version knows no such reason: treat it by its HTTP status")]
pub struct UnknownReason;

impl Reason {
    /// The problem's `type`: a name, not an address.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("urn:atoll:problem:{self}")
    }

    /// Whether the same request may succeed a little later, having changed nothing so far.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Reason::SessionNotReached
            | Reason::ClockSkew
            | Reason::Joining
            | Reason::Draining
            | Reason::NoLeader
            | Reason::Overloaded => true,
            Reason::InvalidKey
            | Reason::InvalidValue
            | Reason::InvalidToken
            | Reason::InvalidHeader
            | Reason::Unauthorized
            | Reason::Forbidden
            | Reason::NotFound
            | Reason::UnknownCollection
            | Reason::MethodNotAllowed
            | Reason::Timeout
            | Reason::TypeMismatch
            | Reason::WrongState
            | Reason::CannotLeave
            | Reason::RegionAlive
            | Reason::LostNotConfirmed
            | Reason::HubNotARegion
            | Reason::UnreachableRegion
            | Reason::UnknownRegion
            | Reason::InvalidTopology
            | Reason::OtherStore
            | Reason::ReplicaTwice
            | Reason::PreconditionFailed
            | Reason::IdempotencyKeyReused
            | Reason::TooLarge
            | Reason::UnsupportedMediaType
            | Reason::Internal
            | Reason::StorageFailed
            | Reason::RolledBack
            | Reason::ChangeUnderWay
            | Reason::OutcomeUnknown
            | Reason::WriteConcernTimeout
            | Reason::DiskFull => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Reason::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == text)
            .ok_or(UnknownReason)
    }
}
