//! Why a request did not end well, and whether it may be sent again.

use std::time::Duration;

use atoll_api::http::{Problem, Reason};

use crate::dialer::WrongScheme;
use crate::tls::{Ended, TlsFault};

/// Why a request did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no server's.
    #[error(
        "{server} is no address of a server: write one such as http://127.0.0.1:7400 or https://eu.example:7400"
    )]
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
    /// The address is of the wrong kind, plain or TLS.
    #[error("{server} is not connected to: {wrong}")]
    WrongScheme {
        /// The server.
        server: String,
        /// How.
        wrong: WrongScheme,
    },
    /// One side did not take the other's certificate: the request was not looked at.
    #[error("{server} is not connected to: {fault}")]
    Untrusted {
        /// The server.
        server: String,
        /// Why, and what to do.
        fault: TlsFault,
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
            | ClientError::WrongScheme { .. }
            | ClientError::Untrusted { .. }
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
        matches!(
            self,
            ClientError::Unreachable { .. } | ClientError::Untrusted { .. }
        )
    }

    /// Whether a request that ended so may have had its effect.
    pub(crate) fn leaves_open(&self) -> bool {
        match self {
            ClientError::Broken { .. }
            | ClientError::Timeout { .. }
            | ClientError::Unexpected { .. } => true,
            ClientError::Refused(_) => self.reason() == Some(Reason::OutcomeUnknown),
            ClientError::Unreachable { .. }
            | ClientError::WrongScheme { .. }
            | ClientError::Untrusted { .. }
            | ClientError::InvalidServer { .. }
            | ClientError::UnusableKey
            | ClientError::InvalidHeader { .. } => false,
        }
    }

    /// Whether another server of the region may do better, although this one never will.
    pub(crate) fn is_of_one_node(&self) -> bool {
        matches!(self, ClientError::Untrusted { .. })
            || self.reason() == Some(Reason::StorageFailed)
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
                        | Reason::Joining
                        | Reason::Draining
                        | Reason::OutcomeUnknown
                )
            ),
            ClientError::InvalidServer { .. }
            | ClientError::WrongScheme { .. }
            | ClientError::Untrusted { .. }
            | ClientError::UnusableKey
            | ClientError::InvalidHeader { .. } => false,
        }
    }

    /// What a request ended with that has no answer.
    pub(crate) fn from_call(error: &hyper_util::client::legacy::Error, server: &str) -> Self {
        let server = server.to_owned();
        if let Some(fault) = Ended::of_call(error) {
            return ClientError::Untrusted { server, fault };
        }
        let cause = innermost(error);
        if error.is_connect() {
            ClientError::Unreachable { server, cause }
        } else {
            ClientError::Broken { server, cause }
        }
    }

    /// What an answer ended with before it was whole.
    pub(crate) fn from_body(error: &hyper::Error, server: &str) -> Self {
        let (server, cause) = (server.to_owned(), innermost(error));
        ClientError::Broken { server, cause }
    }

    pub(crate) fn wrong_scheme(server: &str, wrong: WrongScheme) -> Self {
        let server = server.to_owned();
        ClientError::WrongScheme { server, wrong }
    }
}

/// The last cause of a chain: libraries wrap it in words that say nothing.
#[must_use]
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
