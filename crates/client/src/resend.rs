//! When a request is sent again at once to the same server: it is certain that nobody looked at it.
//!
//! That is so when its connection ended before it took the request, as one does whose certificate is turned
//! away (asked again, the other end says why), and when the other end of HTTP/2 says so, as one does that stops
//! (RFC 9113, section 8.7).

use std::error::Error as _;

use hyper_util::client::legacy;

/// How often one request is sent again.
const RESENDS_MAX: u32 = 3;

/// How often a request was sent again.
#[derive(Default)]
pub(crate) struct Resends(u32);

impl Resends {
    /// Whether the request that ended with `error` is sent once more.
    pub(crate) fn allow(&mut self, error: &legacy::Error) -> bool {
        let is_allowed = self.0 < RESENDS_MAX && was_not_looked_at(error);
        self.0 += u32::from(is_allowed);
        is_allowed
    }
}

fn was_not_looked_at(error: &legacy::Error) -> bool {
    let Some(cause) = error.source() else {
        return false;
    };
    let is_unsent = cause
        .downcast_ref::<hyper::Error>()
        .is_some_and(hyper::Error::is_canceled);
    is_unsent
        || cause
            .source()
            .is_some_and(|cause| cause.downcast_ref().is_some_and(is_refused))
}

fn is_refused(error: &h2::Error) -> bool {
    let is = |reason| error.is_remote() && error.reason() == Some(reason);
    (error.is_go_away() && is(h2::Reason::NO_ERROR))
        || (error.is_reset() && is(h2::Reason::REFUSED_STREAM))
}
