//! Whether certificates are valid, and renewed in time.

use atoll_api::manifest::conditions::{ConditionKind, ConditionReason};
use jiff::Timestamp;

use super::Found;
use super::conditions::{Holds, Standing};
use crate::error::PassError;
use crate::observe::Said;

/// A node that still shows a certificate with less than this share of its time left does not take the new one.
const SHARE_LEFT_MIN: i64 = 6;

pub(super) fn valid(found: &Found<'_>) -> Standing {
    let kind = ConditionKind::CertificatesValid;
    let no = |reason, message: String| Standing::new(kind, Holds::False, reason, message);
    let Some(tls) = &found.declared.tls else {
        return no(
            ConditionReason::NoTls,
            "nodes talk without TLS, as declared".to_owned(),
        );
    };
    let mut failures = found.failures.iter();
    let fault = failures.find_map(|failure| match failure {
        PassError::Certificates { message } => Some(message.clone()),
        _ => None,
    });
    if let Some(fault) = fault {
        return no(ConditionReason::CaNotUsable, fault);
    }
    let Some(arranged) = found.arranged else {
        let message = "the certificates cannot be looked at now";
        return Standing::new(kind, Holds::Unknown, ConditionReason::NotKnown, message);
    };
    let left_min = tls.lifetime_seconds / SHARE_LEFT_MIN;
    let mut answering = found.observed.answering();
    let old = answering.find_map(|(region, said)| {
        Some(format!(
            "region {region}: {}",
            trouble(said, found.now, left_min)?
        ))
    });
    if let Some(trouble) = old {
        return no(ConditionReason::NotTaken, trouble);
    }
    if let Some(progress) = &arranged.progress {
        return Standing::new(kind, Holds::True, progress.reason, progress.message.clone());
    }
    let Some(end) = arranged.not_after else {
        let message = "no node has a certificate yet";
        return Standing::new(kind, Holds::Unknown, ConditionReason::Issuing, message);
    };
    let message = format!(
        "the first of the nodes' certificates ends on {}, and is renewed before; the CA ends on {}",
        day(end),
        arranged.cas_end().map_or_else(String::new, day)
    );
    Standing::new(kind, Holds::True, ConditionReason::Issued, message)
}

/// Why the node that spoke for a region does not use what it was given.
fn trouble(said: &Said, now: Timestamp, left_min: i64) -> Option<String> {
    let tls = said.tls.as_ref()?;
    if let Some(problem) = &tls.problem {
        return Some(format!(
            "{} does not use its certificates as they are now: {problem}",
            tls.name
        ));
    }
    let end: Timestamp = tls.certificate_expires.as_ref()?.parse().ok()?;
    let left = end.as_second() - now.as_second();
    (left < left_min).then(|| {
        format!(
            "{} shows a certificate that ends at {end}, although there is a newer one: look whether its machine \
             renews what its pod has mounted",
            tls.name
        )
    })
}

fn day(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use atoll_api::http::TlsStatus;

    use super::*;

    #[test]
    fn a_node_that_keeps_an_old_certificate_is_told_of() {
        let said = |expires: &str, problem: Option<&str>| Said {
            tls: Some(TlsStatus {
                name: "atoll://1/eu/eu-0".to_owned(),
                certificate_expires: Some(expires.to_owned()),
                ca_expires: None,
                certificate_fingerprint: String::new(),
                ca_fingerprints: Vec::new(),
                refused: 0,
                last_refusal: None,
                problem: problem.map(ToOwned::to_owned),
            }),
            ..Said::default()
        };
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let told = |said: &Said| trouble(said, now, 24 * 3600);
        assert_eq!(told(&Said::default()), None);
        assert_eq!(told(&said("2026-01-02T00:00:01.000Z", None)), None);
        assert!(
            told(&said("2026-01-01T23:59:59.000Z", None))
                .unwrap()
                .contains("although there is a newer one")
        );
        assert!(
            told(&said("2026-03-01T00:00:00.000Z", Some("tls.key: x")))
                .unwrap()
                .ends_with("tls.key: x")
        );
    }
}
