//! Why one side did not take the other's certificate, and what to do about it.
//!
//! The words fit both ends: what is wrong with the other side's certificate was seen here, what is wrong with
//! our own was told by the other side in an alert.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::verify::NameFault;

/// How deep errors are wrapped at most.
const DEPTH_MAX: usize = 16;
/// How an alert is written where only its text is left.
const ALERT: &str = "received fatal alert: ";

/// Why a TLS connection was refused, by this side or by the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFault {
    /// In a word.
    pub kind: TlsFaultKind,
    /// What is wrong and what to do.
    pub detail: String,
}

/// Why a TLS connection was refused, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsFaultKind {
    /// A certificate of a CA that is not trusted.
    UnknownCa,
    /// A certificate that is not valid any more, or not yet.
    Expired,
    /// No certificate was shown.
    NoCertificate,
    /// A certificate that does not name a node or an administrator.
    NoName,
    /// A certificate of another store.
    OtherStore,
    /// A certificate of another region than expected, or of somebody who is no node.
    OtherRegion,
    /// A certificate that does not name the host.
    OtherHost,
    /// The other side does not speak TLS.
    NoTls,
    /// Anything else.
    Other,
}

impl TlsFaultKind {
    /// The word, as in the attribute `reason` of metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TlsFaultKind::UnknownCa => "unknown-ca",
            TlsFaultKind::Expired => "expired",
            TlsFaultKind::NoCertificate => "no-certificate",
            TlsFaultKind::NoName => "no-name",
            TlsFaultKind::OtherStore => "other-store",
            TlsFaultKind::OtherRegion => "other-region",
            TlsFaultKind::OtherHost => "other-host",
            TlsFaultKind::NoTls => "no-tls",
            TlsFaultKind::Other => "other",
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl TlsFault {
    pub(super) fn new(kind: TlsFaultKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        TlsFault { kind, detail }
    }

    /// The fault at the root of an error of a connection, if TLS was the cause.
    #[must_use]
    pub fn in_chain(error: &(dyn std::error::Error + 'static)) -> Option<TlsFault> {
        let mut next = Some(error);
        for _ in 0..DEPTH_MAX {
            let error = next?;
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(TlsFault::of(tls));
            }
            // HTTP/2 keeps of an I/O error only the words.
            if error.source().is_none()
                && let Some((_, alert)) = error.to_string().split_once(ALERT)
            {
                return Some(told(alert));
            }
            let wrapped = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            next = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }

    /// What an error of rustls means.
    #[must_use]
    pub fn of(error: &rustls::Error) -> TlsFault {
        match error {
            rustls::Error::InvalidCertificate(wrong) => seen(wrong),
            rustls::Error::AlertReceived(alert) => told(&format!("{alert:?}")),
            rustls::Error::NoCertificatesPresented => TlsFault::new(
                TlsFaultKind::NoCertificate,
                "the other side shows no certificate: nodes need tls.certificate and tls.key in their \
                 configuration, people --cert and --key",
            ),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsFault::new(
                TlsFaultKind::NoTls,
                "the other side does not speak TLS: is this a plain port, or does the address say https:// \
                 where http:// is meant?",
            ),
            other => TlsFault::new(TlsFaultKind::Other, format!("TLS failed: {other}")),
        }
    }
}

/// What is wrong with the other side's certificate.
fn seen(wrong: &CertificateError) -> TlsFault {
    use CertificateError as Wrong;
    match wrong {
        Wrong::UnknownIssuer | Wrong::BadSignature => TlsFault::new(
            TlsFaultKind::UnknownCa,
            "the other side's certificate is of a CA that is not trusted here: is it of another store? while \
             the CA is being changed, ca must hold both, the old and the new one",
        ),
        Wrong::Expired
        | Wrong::ExpiredContext { .. }
        | Wrong::NotValidYet
        | Wrong::NotValidYetContext { .. } => TlsFault::new(
            TlsFaultKind::Expired,
            format!(
                "the other side's certificate is not valid now: renew it, or set the clocks ({wrong})"
            ),
        ),
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => TlsFault::new(
            TlsFaultKind::OtherHost,
            format!(
                "the server's certificate does not name the host that was asked for: use an address that it \
                 names, or add the name to its subject alternative names ({wrong})"
            ),
        ),
        Wrong::Other(other) => match other.0.downcast_ref::<NameFault>() {
            Some(fault) => TlsFault::new(fault.kind(), fault.to_string()),
            None => unusable(wrong),
        },
        _ => unusable(wrong),
    }
}

fn unusable(wrong: &CertificateError) -> TlsFault {
    let detail = format!("the other side's certificate cannot be used: {wrong}");
    TlsFault::new(TlsFaultKind::Other, detail)
}

/// What the other side says is wrong with ours; the alert by its name.
fn told(alert: &str) -> TlsFault {
    let is = |description: AlertDescription| alert == format!("{description:?}");
    if is(AlertDescription::UnknownCA) || is(AlertDescription::DecryptError) {
        let detail = "the other side does not trust the CA of this side's certificate: is it of another store? \
                      while the CA is being changed, its ca must hold both, the old and the new one";
        TlsFault::new(TlsFaultKind::UnknownCa, detail)
    } else if is(AlertDescription::CertificateExpired) {
        let detail = "the other side finds this side's certificate not valid now: renew it, or set the clocks";
        TlsFault::new(TlsFaultKind::Expired, detail)
    } else if is(AlertDescription::CertificateRequired) {
        let detail = "the other side demands a certificate: nodes need tls.certificate and tls.key in their \
                      configuration, people --cert and --key";
        TlsFault::new(TlsFaultKind::NoCertificate, detail)
    } else if is(AlertDescription::CertificateUnknown) || is(AlertDescription::BadCertificate) {
        let detail = "the other side did not expect this side's certificate: it names another store, region \
                      or host; see the log there";
        TlsFault::new(TlsFaultKind::Other, detail)
    } else {
        let detail = format!("the other side ended TLS with the alert {alert}; see the log there");
        TlsFault::new(TlsFaultKind::Other, detail)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    /// An alert counts as such however it was wrapped, also where only words are left of it.
    #[test]
    fn the_cause_is_found_however_deep_it_is() {
        let alert = || rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, alert());
        let twice = io::Error::other(wrapped);
        assert_eq!(
            TlsFault::in_chain(&twice).unwrap().kind,
            TlsFaultKind::UnknownCa
        );
        let words = io::Error::other(alert().to_string());
        assert_eq!(
            TlsFault::in_chain(&words).unwrap().kind,
            TlsFaultKind::UnknownCa
        );
        let other = io::Error::new(io::ErrorKind::ConnectionReset, "reset");
        assert_eq!(TlsFault::in_chain(&other), None);
    }
}
