//! Certificates of nodes and of the operator: which ones are kept, which ones are made anew.

use std::collections::BTreeSet;

use atoll_api::certificate::CertificateName;
use atoll_client::tls::{Credentials, TlsPem};

use super::authority::{Authority, Pair};

/// Whom a certificate is to be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) name: CertificateName,
    /// By which clients know it.
    pub(crate) hosts: BTreeSet<String>,
}

/// What certificates are made and judged by.
pub(crate) struct Bench<'a> {
    pub(crate) authority: &'a Authority<'a>,
    /// All that are trusted, in PEM.
    pub(crate) bundle: &'a str,
    /// Whether certificates of a former CA are to be replaced now.
    pub(crate) replaces: bool,
    /// How long certificates are to be valid.
    pub(crate) seconds: i64,
    pub(crate) now: i64,
}

impl Bench<'_> {
    /// The first of those there that is good, or a new one.
    ///
    /// # Errors
    /// Words for people.
    pub(crate) fn kept_or_new(
        &self,
        holder: &Holder,
        there: &[Option<Pair>],
    ) -> Result<Pair, String> {
        let mut there = there.iter().flatten();
        if let Some(kept) = there.find(|pair| self.is_good(pair, holder)) {
            return Ok(kept.clone());
        }
        tracing::info!(name = %holder.name, "a certificate is issued");
        let hosts: Vec<String> = holder.hosts.iter().cloned().collect();
        self.authority
            .issue(&holder.name, &hosts, self.now, self.seconds)
    }

    fn is_good(&self, pair: &Pair, holder: &Holder) -> bool {
        let Some(read) = pair.first() else {
            return false;
        };
        let is_signed = is_taken(&self.authority.ca().pem, pair, &holder.name);
        read.hosts == holder.hosts
            && !self.is_due(read.not_before, read.not_after)
            && (is_signed || (!self.replaces && is_taken(self.bundle, pair, &holder.name)))
    }

    /// Whether less than a third of its time is left, and a new one would last longer; or it lasts longer than is
    /// declared.
    fn is_due(&self, not_before: i64, not_after: i64) -> bool {
        let (left, whole) = (not_after - self.now, not_after - not_before);
        let new_end = (self.now + self.seconds).min(self.authority.ca().not_after);
        left > self.seconds || (left * 3 <= whole && new_end > not_after)
    }
}

/// Whether those who trust these CAs take a certificate for somebody's.
pub(crate) fn is_taken(cas: &str, pair: &Pair, name: &CertificateName) -> bool {
    credentials(cas, pair, name).is_ok()
}

/// What somebody with this certificate shows and trusts.
///
/// # Errors
/// Words for people.
pub(crate) fn credentials(
    cas: &str,
    pair: &Pair,
    name: &CertificateName,
) -> Result<Credentials, String> {
    let made = Credentials::of_pem(pem(cas, pair), Some(name.clone()));
    made.map_err(|error| error.to_string())
}

fn pem(cas: &str, pair: &Pair) -> TlsPem {
    let bytes = |text: &str| text.as_bytes().to_vec();
    TlsPem {
        ca: bytes(cas),
        identity: Some((bytes(&pair.certificate), bytes(&pair.key))),
        client_ca: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::super::authority::make;
    use super::super::authority::tests::{STORE, name, now};
    use super::*;

    const DAYS_90: i64 = 90 * 24 * 3600;

    fn holder(hosts: &[&str]) -> Holder {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Holder {
            name: name(),
            hosts,
        }
    }

    fn at<T>(ca: &Pair, bundle: &str, later: i64, use_it: impl FnOnce(Bench<'_>) -> T) -> T {
        let authority = Authority::load(ca, now()).unwrap();
        use_it(Bench {
            authority: &authority,
            bundle,
            replaces: false,
            seconds: DAYS_90,
            now: now() + later,
        })
    }

    /// Caught: a certificate that is kept although its node goes by another name now.
    #[test]
    fn a_certificate_is_kept_while_it_is_good_and_replaced_in_time() {
        let ca = make("shop", STORE, now()).unwrap();
        let eu = holder(&["shop-eu", "10.0.0.1"]);
        let first = at(&ca, &ca.certificate, 0, |bench| {
            bench.kept_or_new(&eu, &[]).unwrap()
        });
        let there = [Some(first.clone())];
        let next = |holder: &Holder, later: i64| {
            at(&ca, &ca.certificate, later, |bench| {
                bench.kept_or_new(holder, &there).unwrap()
            })
        };
        assert_eq!(next(&eu, 0), first);
        assert_eq!(next(&eu, DAYS_90 * 6 / 10), first);
        assert_ne!(next(&eu, DAYS_90 * 7 / 10), first);
        assert_ne!(next(&holder(&["shop-eu"]), 0), first);
        let us = Holder {
            name: format!("atoll://{STORE}/us/us-0").parse().unwrap(),
            ..eu.clone()
        };
        assert_ne!(next(&us, 0), first);
        let shorter = at(&ca, &ca.certificate, 0, |bench| {
            Bench {
                seconds: DAYS_90 / 2,
                ..bench
            }
            .kept_or_new(&eu, &there)
            .unwrap()
        });
        assert_ne!(shorter, first);
    }

    #[test]
    fn what_is_damaged_is_replaced_by_what_is_remembered() {
        let ca = make("shop", STORE, now()).unwrap();
        let eu = holder(&["shop-eu"]);
        at(&ca, &ca.certificate, 0, |bench| {
            let first = bench.kept_or_new(&eu, &[]).unwrap();
            let damaged = Pair {
                key: "damaged".to_owned(),
                ..first.clone()
            };
            let there = [Some(damaged), Some(first.clone())];
            assert_eq!(bench.kept_or_new(&eu, &there).unwrap(), first);
            assert_ne!(bench.kept_or_new(&eu, &there[..1]).unwrap(), first);
        });
    }

    #[test]
    fn what_a_former_ca_signed_stays_until_all_trust_the_new_one() {
        let (old, new) = (
            make("shop", STORE, now()).unwrap(),
            make("shop", STORE, now()).unwrap(),
        );
        let eu = holder(&["shop-eu"]);
        let first = at(&old, &old.certificate, 0, |bench| {
            bench.kept_or_new(&eu, &[]).unwrap()
        });
        let both = format!("{}{}", old.certificate, new.certificate);
        let there = [Some(first.clone())];
        at(&new, &both, 0, |bench| {
            assert_eq!(bench.kept_or_new(&eu, &there).unwrap(), first);
            let replacing = Bench {
                replaces: true,
                ..bench
            };
            assert_ne!(replacing.kept_or_new(&eu, &there).unwrap(), first);
        });
        // Of a CA that nobody trusts, it is of no use.
        at(&new, &new.certificate, 0, |bench| {
            assert_ne!(bench.kept_or_new(&eu, &there).unwrap(), first);
        });
    }

    /// A CA that ends soon does not make a new certificate at every pass.
    #[test]
    fn a_certificate_that_ends_with_its_ca_is_made_once() {
        let ca = make("shop", STORE, now()).unwrap();
        let eu = holder(&["shop-eu"]);
        let authority = Authority::load(&ca, now()).unwrap();
        let end = ca.first().unwrap().not_after;
        let bench = Bench {
            authority: &authority,
            bundle: &ca.certificate,
            replaces: false,
            seconds: 2 * (end - now()),
            now: now(),
        };
        let first = bench.kept_or_new(&eu, &[]).unwrap();
        assert!(bench.is_due(now() - 300, now() + 100));
        let late = Bench {
            now: end - 60,
            ..bench
        };
        assert!(!late.is_due(now(), first.first().unwrap().not_after));
    }
}
