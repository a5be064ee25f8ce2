//! Why a pass did not end well, by who can do something about it.

use std::time::Duration;

use atoll_client::ClientError;

/// Why a pass, or a part of it, did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    /// An object of a name that is needed belongs to somebody else.
    #[error(
        "{kind} {name} is there already and is not this store's: delete it, or give the store another name"
    )]
    NameTaken { kind: &'static str, name: String },
    /// The API server refuses what is made of the declaration.
    #[error("the API server refuses {what}: {message}")]
    Refused { what: String, message: String },
    /// Certificates cannot be made, or those that people bring cannot be used.
    #[error("{message}")]
    Certificates { message: String },
    /// The API server cannot be asked now.
    #[error("{what}: {}", words(source))]
    Kube {
        what: String,
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("{what}: the API server did not answer within {within:?}")]
    Late { what: String, within: Duration },
    /// A node did not do what it was asked.
    #[error("{what}: {source}")]
    Node {
        what: String,
        source: Box<ClientError>,
    },
}

/// Who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The user: trying again changes nothing.
    User,
    /// Nobody needs to: it passes.
    Transient,
    /// A node, or the way to it.
    Remote,
}

impl PassError {
    /// From a call of the API server.
    pub(crate) fn kube(what: impl Into<String>, source: kube::Error) -> PassError {
        let what = what.into();
        match source {
            // Invalid, forbidden by a policy, or of a shape that this server does not know.
            kube::Error::Api(status)
                if matches!(status.code, 400 | 403 | 422) || is_unreadable(&status.message) =>
            {
                let message = status.message.clone();
                PassError::Refused { what, message }
            }
            source => {
                let source = Box::new(source);
                PassError::Kube { what, source }
            }
        }
    }

    /// From what is wrong with certificates.
    pub(crate) fn certificates(message: impl Into<String>) -> PassError {
        let message = message.into();
        PassError::Certificates { message }
    }

    /// From a call of a node.
    pub(crate) fn node(what: impl Into<String>, source: ClientError) -> PassError {
        let (what, source) = (what.into(), Box::new(source));
        PassError::Node { what, source }
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            PassError::NameTaken { .. }
            | PassError::Refused { .. }
            | PassError::Certificates { .. } => Class::User,
            PassError::Kube { .. } | PassError::Late { .. } => Class::Transient,
            PassError::Node { .. } => Class::Remote,
        }
    }
}

/// Whether the API server cannot make sense of a field at all, such as an amount of memory in words, of what is sent or of
/// what it has. It answers 500 then, as if it were its own fault.
fn is_unreadable(message: &str) -> bool {
    let begins = ["failed to convert new object", "failed to create typed"];
    begins.iter().any(|words| message.contains(words))
}

/// What the API server says, without what is only for programs.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("the API server answers {}: {}", status.code, status.message)
        }
        error => error.to_string(),
    }
}

impl Class {
    /// As a metric's label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Class::User => "user",
            Class::Transient => "transient",
            Class::Remote => "remote",
        }
    }

    /// How long to wait after so many failures in a row.
    pub(crate) fn pause(self, failures: u32) -> Duration {
        let (first, most) = match self {
            // Nobody tells when an object of somebody else's is gone, or a policy changed.
            Class::User => (Duration::from_secs(5), Duration::from_secs(30)),
            Class::Transient => (Duration::from_secs(1), Duration::from_secs(60)),
            Class::Remote => (Duration::from_secs(2), Duration::from_secs(30)),
        };
        first
            .saturating_mul(1 << failures.saturating_sub(1).min(10))
            .min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, message: &str) -> PassError {
        let status = kube::core::Status::failure(message, "").with_code(code);
        PassError::kube("StatefulSet shop-eu", kube::Error::Api(status.boxed()))
    }

    /// Caught: every 500 taken for an outage, so that a store with memory in words was tried for ever, and said so in
    /// a page of words.
    #[test]
    fn a_field_that_cannot_be_read_is_the_users() {
        let told = answered(
            500,
            "failed to convert new object (team/shop-eu; apps/v1, Kind=StatefulSet) to proper version: quantities must match",
        );
        assert_eq!(told.class(), Class::User);
        let outage = answered(500, "etcdserver: request timed out");
        assert_eq!(outage.class(), Class::Transient);
        assert_eq!(
            outage.to_string(),
            "StatefulSet shop-eu: the API server answers 500: etcdserver: request timed out"
        );
    }

    #[test]
    fn pauses_grow_and_end() {
        let seconds = |class: Class, failures| class.pause(failures).as_secs();
        assert_eq!([1, 2, 3].map(|n| seconds(Class::Transient, n)), [1, 2, 4]);
        assert_eq!(seconds(Class::Remote, 100), 30);
        assert_eq!([1, 100].map(|n| seconds(Class::User, n)), [5, 30]);
    }
}
