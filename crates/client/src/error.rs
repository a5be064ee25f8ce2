//! Why a request did not end well, and whether it may be sent again.

use std::time::Duration;

use atoll_api::http::{Problem, Reason};

/// Why a request did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no server's.
    #[error("{server} is no address of a server: write one such as http://127.0.0.1:7400")]
    InvalidServer {
        /// As given.
        server: String,
    },
    /// A key that no address can name.
    #[error("the keys . and .. cannot stand in an address: use /v1/batch and /v1/read for them")]
    UnusableKey,
    /// A header's value that HTTP cannot carry.
    #[error("{header} holds characters that HTTP cannot carry")]
    InvalidHeader {
        /// The header.
        header: &'static str,
    },
    /// Nobody listens there: nothing was sent.
    #[error("{server} cannot be reached: {cause}")]
    Unreachable {
        /// The server.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// No answer in time; a write may stand all the same.
    #[error("{server} did not answer within {timeout:?}")]
    Timeout {
        /// The server.
        server: String,
        /// How long we waited.
        timeout: Duration,
    },
    /// The connection broke before the answer was whole; a write may stand all the same.
    #[error("the connection to {server} broke: {cause}")]
    Broken {
        /// The server.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// The server refused, and said why.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// The server answered something that is not Atoll's.
    #[error("{server} answered with status {status}, and not as Atoll does: {detail}")]
    Unexpected {
        /// The server.
        server: String,
        /// The HTTP status.
        status: u16,
        /// What was wrong with it.
        detail: String,
    },
}

impl ClientError {
    /// The server's reason, when it refused.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            ClientError::Refused(problem) => problem.reason(),
            ClientError::InvalidServer { .. }
            | ClientError::UnusableKey
            | ClientError::InvalidHeader { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Timeout { .. }
            | ClientError::Broken { .. }
            | ClientError::Unexpected { .. } => None,
        }
    }

    /// The refusal in full, when the server refused.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether nothing can have been sent, so that even a write may be tried again.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        matches!(self, ClientError::Unreachable { .. })
    }

    /// Whether a request that ended so may have had its effect.
    pub(crate) fn leaves_open(&self) -> bool {
        match self {
            ClientError::Broken { .. }
            | ClientError::Timeout { .. }
            | ClientError::Unexpected { .. } => true,
            ClientError::Refused(_) => self.reason() == Some(Reason::OutcomeUnknown),
            ClientError::Unreachable { .. }
            | ClientError::InvalidServer { .. }
            | ClientError::UnusableKey
            | ClientError::InvalidHeader { .. } => false,
        }
    }

    /// Whether another server of the region may do better, although this one never will.
    pub(crate) fn is_of_one_node(&self) -> bool {
        self.reason() == Some(Reason::StorageFailed)
    }

    /// Whether the same request may succeed a moment later, as far as it is safe to send it again.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            ClientError::Unreachable { .. }
            | ClientError::Broken { .. }
            | ClientError::Timeout { .. } => true,
            // Something between us and the server, or a server that has stopped.
            ClientError::Unexpected { status, .. } => matches!(status, 502..=504),
            ClientError::Refused(problem) => matches!(
                problem.reason(),
                Some(
                    Reason::NoLeader
                        | Reason::Overloaded
                        | Reason::Draining
                        | Reason::OutcomeUnknown
                )
            ),
            ClientError::InvalidServer { .. }
            | ClientError::UnusableKey
            | ClientError::InvalidHeader { .. } => false,
        }
    }

    /// What a call between nodes ended with.
    pub(crate) fn from_call(error: &hyper_util::client::legacy::Error, server: &str) -> Self {
        let (server, cause) = (server.to_owned(), innermost(error));
        if error.is_connect() {
            ClientError::Unreachable { server, cause }
        } else {
            ClientError::Broken { server, cause }
        }
    }

    pub(crate) fn from_reqwest(error: &reqwest::Error, server: &str, timeout: Duration) -> Self {
        let server = server.to_owned();
        if error.is_connect() {
            let cause = innermost(error);
            ClientError::Unreachable { server, cause }
        } else if error.is_timeout() {
            ClientError::Timeout { server, timeout }
        } else {
            let cause = innermost(error);
            ClientError::Broken { server, cause }
        }
    }
}

/// The last cause of a chain: libraries wrap it in words that say nothing.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
