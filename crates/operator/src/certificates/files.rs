//! What is in the Secrets: CAs, certificates and keys, as texts by file name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::authority::{Authority, Pair};
use super::rotation::Cas;

/// A Secret's data, as far as it is text.
pub(crate) type Files = BTreeMap<String, String>;

/// The CAs that are trusted.
pub(crate) const CA: &str = "ca.crt";
/// The CAs of clients.
pub(crate) const CLIENTS: &str = "clients.crt";
/// A certificate, and its key.
pub(crate) const CERTIFICATE: &str = "tls.crt";
pub(crate) const KEY: &str = "tls.key";
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const FORMER: &str = "former.crt";
const ORIGIN: &str = "origin";
const SINCE: &str = "since";

/// What a Secret holds.
pub(crate) fn of(secret: &Secret) -> Files {
    let data = secret.data.iter().flatten();
    let texts = data.filter_map(|(name, bytes)| {
        let text = String::from_utf8(bytes.0.clone()).ok()?;
        Some((name.clone(), text))
    });
    texts.collect()
}

/// A certificate and its key, in cert-manager's layout.
pub(crate) fn pair(files: &Files) -> Option<Pair> {
    named(files, CERTIFICATE, KEY)
}

/// The same of one node, by its pod.
pub(crate) fn of_pod(files: &Files, pod: &str) -> Option<Pair> {
    named(files, &certificate_of(pod), &key_of(pod))
}

pub(crate) fn certificate_of(pod: &str) -> String {
    format!("{pod}.crt")
}

pub(crate) fn key_of(pod: &str) -> String {
    format!("{pod}.key")
}

fn named(files: &Files, certificate: &str, key: &str) -> Option<Pair> {
    Some(Pair {
        certificate: files.get(certificate)?.clone(),
        key: files.get(key)?.clone(),
    })
}

/// The files of a certificate and its key, with those whom it is shown to.
pub(crate) fn with_bundle(pair: &Pair, bundle: &str) -> Files {
    let files = [
        (CERTIFICATE, pair.certificate.as_str()),
        (KEY, &pair.key),
        (CA, bundle),
    ];
    files
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
}

/// A store's CAs; `None` when the one that signs cannot.
pub(crate) fn cas(files: &Files, now: i64) -> Option<Cas> {
    let signing = pair(files)?;
    Authority::load(&signing, now).ok()?;
    let next = named(files, NEXT_CERTIFICATE, NEXT_KEY);
    let text = |name: &str| files.get(name).cloned().unwrap_or_default();
    Some(Cas {
        signing,
        next: next.filter(|next| Authority::load(next, now).is_ok()),
        former: text(FORMER),
        origin: text(ORIGIN),
        since: text(SINCE).parse().unwrap_or(now),
    })
}

/// The files of a store's CAs.
pub(crate) fn of_cas(cas: &Cas) -> Files {
    let Cas {
        signing,
        next,
        former,
        origin,
        since,
    } = cas;
    let mut files = with_bundle(signing, &cas.bundle());
    let mut put = |name: &str, text: &str| files.insert(name.to_owned(), text.to_owned());
    put(ORIGIN, origin);
    put(SINCE, &since.to_string());
    put(FORMER, former);
    // Empty where there is none: a field that is left out of an apply is only removed if nobody else wrote it.
    let (certificate, key) = match next {
        Some(next) => (next.certificate.as_str(), next.key.as_str()),
        None => ("", ""),
    };
    put(NEXT_CERTIFICATE, certificate);
    put(NEXT_KEY, key);
    files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::super::authority::make;
    use super::super::authority::tests::{STORE, now};
    use super::*;

    #[test]
    fn cas_are_read_as_they_were_written() {
        let ca = || make("shop", STORE, now()).unwrap();
        let first = Cas::first(ca(), "made/0".to_owned(), now());
        let changing = Cas {
            next: Some(ca()),
            former: super::super::rotation::once(&ca().certificate),
            ..first.clone()
        };
        for written in [first, changing] {
            assert_eq!(cas(&of_cas(&written), now()), Some(written));
        }
    }

    #[test]
    fn a_ca_that_cannot_sign_is_none() {
        let written = Cas::first(
            make("shop", STORE, now()).unwrap(),
            "made/0".to_owned(),
            now(),
        );
        for damaged in [CERTIFICATE, KEY] {
            let mut files = of_cas(&written);
            files.insert(damaged.to_owned(), "damaged".to_owned());
            assert_eq!(cas(&files, now()), None);
            files.remove(damaged);
            assert_eq!(cas(&files, now()), None);
        }
    }
}
