//! A CA, and what it signs.
//!
//! Certificates name whom they are of by a URI, and the hosts that clients know a node by. When they begin and end
//! is given, so that what is made is a function of the time and of keys drawn at random.

use std::time::Duration;

use atoll_api::certificate::CertificateName;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::reading::{self, Certificate};

/// How long a CA that is made here is valid.
pub(crate) const CA_SECONDS: i64 = 10 * 365 * DAY;
/// Certificates begin before now: clocks differ.
const EARLIER: i64 = 3600;
const DAY: i64 = 24 * 3600;

/// A certificate, with those between it and its CA, and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A CA that can sign.
pub(crate) struct Authority<'a> {
    issuer: Issuer<'static, KeyPair>,
    pair: &'a Pair,
    ca: Certificate,
}

/// Makes a CA for a store.
///
/// # Errors
/// Words for people, when no key can be drawn.
pub(crate) fn make(store: &str, store_id: &str, now: i64) -> Result<Pair, String> {
    let failed = |error: rcgen::Error| format!("no CA can be made: {error}");
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let name = format!("Atoll store {store} {store_id}");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut params, now, now + CA_SECONDS);
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

impl Pair {
    /// The certificate itself.
    pub(crate) fn first(&self) -> Option<Certificate> {
        reading::certificates(&self.certificate).into_iter().next()
    }
}

impl<'a> Authority<'a> {
    /// The CA of this certificate and key.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub(crate) fn load(pair: &'a Pair, now: i64) -> Result<Self, String> {
        let ca = pair.first().ok_or("tls.crt holds no certificate in PEM")?;
        let key = reading::key(&pair.key).map_err(|problem| format!("tls.key {problem}"))?;
        if !ca.is_of(&key) {
            return Err("tls.key is not the key of tls.crt".to_owned());
        }
        if !ca.is_ca {
            return Err(
                "tls.crt is not the certificate of a CA: make it one (in cert-manager, isCA: true)"
                    .to_owned(),
            );
        }
        if ca.not_after <= now {
            return Err("tls.crt is over: renew it".to_owned());
        }
        let issuer = Issuer::from_ca_cert_pem(&ca.pem, key)
            .map_err(|error| format!("tls.crt cannot be used: {error}"))?;
        Ok(Authority { issuer, pair, ca })
    }

    /// Its own certificate.
    pub(crate) fn ca(&self) -> &Certificate {
        &self.ca
    }

    /// A certificate for both ends of connections; it does not outlive its CA.
    ///
    /// # Errors
    /// Words for people, also for a host that is none.
    pub(crate) fn issue(
        &self,
        name: &CertificateName,
        hosts: &[String],
        now: i64,
        seconds: i64,
    ) -> Result<Pair, String> {
        let failed =
            |error: rcgen::Error| format!("no certificate can be made for {name}: {error}");
        let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed)?;
        let uri = name.to_string().try_into().map_err(failed)?;
        params.subject_alt_names.push(SanType::URI(uri));
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        limit(&mut params, now, (now + seconds).min(self.ca.not_after));
        let key = KeyPair::generate().map_err(failed)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(failed)?;
        // Whoever trusts only the CA above this one needs what is between.
        let between = &self.pair.certificate;
        Ok(Pair {
            certificate: format!("{}{between}", leaf.pem()),
            key: key.serialize_pem(),
        })
    }
}

fn limit(params: &mut CertificateParams, now: i64, end: i64) {
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = at(now - EARLIER);
    params.not_after = at(end);
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use atoll_client::tls::{Credentials, TlsPem};

    use super::super::rotation::Cas;
    use super::*;

    pub(crate) const STORE: &str = "5bd1e995cafe0001";

    pub(crate) fn now() -> i64 {
        jiff::Timestamp::now().as_second()
    }

    pub(crate) fn name() -> CertificateName {
        format!("atoll://{STORE}/eu/eu-0").parse().unwrap()
    }

    fn credentials(ca: &Pair, leaf: Pair) -> Result<Credentials, String> {
        let pem = TlsPem {
            ca: ca.certificate.clone().into_bytes(),
            identity: Some((leaf.certificate.into_bytes(), leaf.key.into_bytes())),
            client_ca: None,
        };
        Credentials::of_pem(pem, Some(name())).map_err(|error| error.to_string())
    }

    /// What is signed by a CA that was read back is taken by whoever trusts the CA as it was made.
    #[test]
    fn nodes_take_what_is_issued() {
        let ca = make("shop", STORE, now()).unwrap();
        let authority = Authority::load(&ca, now()).unwrap();
        let hosts = ["shop-eu-0.shop-eu-nodes.team.svc", "127.0.0.1"].map(ToOwned::to_owned);
        let leaf = authority.issue(&name(), &hosts, now(), 90 * DAY).unwrap();
        let read = leaf.first().unwrap();
        assert_eq!(read.hosts, hosts.into());
        assert_eq!(read.not_after - read.not_before, 90 * DAY + EARLIER);
        assert_eq!(credentials(&ca, leaf).map(drop), Ok(()));
    }

    #[test]
    fn another_stores_ca_does_not_vouch() {
        let (ours, theirs) = (
            make("shop", STORE, now()).unwrap(),
            make("shop", "ff", now()).unwrap(),
        );
        let authority = Authority::load(&theirs, now()).unwrap();
        let leaf = authority.issue(&name(), &[], now(), DAY).unwrap();
        let refused = credentials(&ours, leaf).unwrap_err();
        assert!(refused.contains("is not of a CA in ca"), "{refused}");
    }

    /// A CA below another one is trusted alone, not with all that the upper one signs; clients may trust the upper one.
    ///
    /// Caught: the whole chain of `tls.crt` in the bundle of nodes.
    #[test]
    fn of_a_chain_only_the_ca_that_signs_is_trusted() {
        let upper = make("upper", STORE, now()).unwrap();
        let above = Issuer::from_ca_cert_pem(&upper.certificate, reading::key(&upper.key).unwrap());
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "below");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        limit(&mut params, now(), now() + DAY);
        let below = params.signed_by(&key, &above.unwrap()).unwrap();
        let below = Pair {
            certificate: format!("{}{}", below.pem(), upper.certificate),
            key: key.serialize_pem(),
        };
        let cas = Cas::first(below.clone(), "secret/mine".to_owned(), now());
        assert_eq!(cas.bundle(), below.first().unwrap().pem);
        let authority = Authority::load(&below, now()).unwrap();
        let leaf = authority.issue(&name(), &[], now(), DAY).unwrap();
        let trusts = |certificate: String| {
            let key = String::new();
            credentials(&Pair { certificate, key }, leaf.clone()).map(drop)
        };
        assert_eq!(trusts(cas.bundle()), Ok(()));
    }

    #[test]
    fn nothing_outlives_its_ca() {
        let ca = make("shop", STORE, now()).unwrap();
        let authority = Authority::load(&ca, now()).unwrap();
        let leaf = authority
            .issue(&name(), &[], now(), 2 * CA_SECONDS)
            .unwrap();
        assert_eq!(
            leaf.first().unwrap().not_after,
            ca.first().unwrap().not_after
        );
    }

    #[test]
    fn what_is_no_ca_says_why() {
        let ca = make("shop", STORE, now()).unwrap();
        let other = make("shop", STORE, now()).unwrap();
        let leaf = Authority::load(&ca, now())
            .unwrap()
            .issue(&name(), &[], now(), DAY)
            .unwrap();
        let no = |certificate: &str, key: &str, later: i64| {
            let pair = Pair {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            };
            Authority::load(&pair, now() + later).map(drop).unwrap_err()
        };
        assert_eq!(no("", &ca.key, 0), "tls.crt holds no certificate in PEM");
        assert_eq!(
            no(&ca.certificate, "", 0),
            "tls.key holds no private key in PEM"
        );
        assert_eq!(
            no(&ca.certificate, &other.key, 0),
            "tls.key is not the key of tls.crt"
        );
        assert!(
            no(&leaf.certificate, &leaf.key, 0)
                .starts_with("tls.crt is not the certificate of a CA")
        );
        assert_eq!(
            no(&ca.certificate, &ca.key, CA_SECONDS),
            "tls.crt is over: renew it"
        );
    }
}
