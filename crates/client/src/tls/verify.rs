//! Whom the far end's certificate must name.
//!
//! Chain, validity and purpose are rustls's to check, against the CAs of the store alone. Then the name: a
//! client asks for the host, as everywhere; nodes and the operator ask for store and region, so that it does
//! not matter by which address, proxy or port-forward a node is reached.

use std::sync::Arc;

use atoll_api::certificate::{CertificateName, Holder, StoreId};
use atoll_api::manifest::RegionName;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::fault::TlsFaultKind;

/// Whom a server's certificate must name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// The host of the address, as for any HTTPS server.
    Host,
    /// Any node of this store.
    Store(StoreId),
    /// A node of this region of this store.
    Region(StoreId, RegionName),
}

/// Whom a certificate names; `None` when nobody, or more than one.
#[must_use]
pub fn name_of(certificate: &CertificateDer<'_>) -> Option<CertificateName> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut names = certificate
        .valid_uri_names()
        .filter(|uri| CertificateName::is_meant_by(uri));
    let name = names.next()?.parse().ok()?;
    names.next().is_none().then_some(name)
}

/// A server whose certificate is good, and somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameFault {
    #[error(
        "the server's certificate does not say whose it is: give it one URI as subject alternative name, \
         atoll://STORE/REGION/NODE"
    )]
    NoName,
    #[error("the server is {found}, of another store than {expected}: check the address")]
    OtherStore {
        found: CertificateName,
        expected: StoreId,
    },
    #[error(
        "the server is {found}, and a node of region {expected} was expected: check the address"
    )]
    OtherRegion {
        found: CertificateName,
        expected: RegionName,
    },
    #[error(
        "the server is {found}, an administrator, and a node was expected: check its certificate"
    )]
    NoNode { found: CertificateName },
}

impl NameFault {
    pub(super) fn kind(&self) -> TlsFaultKind {
        match self {
            NameFault::NoName => TlsFaultKind::NoName,
            NameFault::OtherStore { .. } => TlsFaultKind::OtherStore,
            NameFault::OtherRegion { .. } | NameFault::NoNode { .. } => TlsFaultKind::OtherRegion,
        }
    }
}

impl Expected {
    /// Whether a server of this name is the one that was meant.
    fn check(&self, found: Option<CertificateName>) -> Result<(), NameFault> {
        let (store, region) = match self {
            Expected::Host => return Ok(()),
            Expected::Store(store) => (*store, None),
            Expected::Region(store, region) => (*store, Some(region)),
        };
        let found = found.ok_or(NameFault::NoName)?;
        if found.store != store {
            let expected = store;
            return Err(NameFault::OtherStore { found, expected });
        }
        match (&found.holder, region) {
            (Holder::Node { region, .. }, Some(expected)) if region != expected => {
                let expected = expected.clone();
                Err(NameFault::OtherRegion { found, expected })
            }
            (Holder::Node { .. }, _) => Ok(()),
            (Holder::Administrator { .. }, _) => Err(NameFault::NoNode { found }),
        }
    }
}

/// Takes the servers that are expected.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) expected: Expected,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        if self.expected == Expected::Host {
            verify_server_name(&parsed, server_name)?;
        }
        self.expected.check(name_of(end_entity)).map_err(|fault| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    const STORE: StoreId = StoreId(7);

    fn region(name: &str) -> RegionName {
        name.parse().unwrap()
    }

    fn naming(uris: &[&str]) -> Option<CertificateName> {
        let mut params = CertificateParams::new(vec!["eu.example".to_owned()]).unwrap();
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI((*uri).try_into().unwrap()));
        }
        let key = KeyPair::generate().unwrap();
        name_of(params.self_signed(&key).unwrap().der())
    }

    #[test]
    fn a_certificate_names_one_or_nobody() {
        let eu = "atoll://0000000000000007/eu/eu-0";
        let spiffe = "spiffe://cluster.local/ns/shop";
        let node = CertificateName::node(STORE, region("eu"), "eu-0");
        assert_eq!(naming(&[eu]), Some(node.clone()));
        assert_eq!(naming(&[spiffe, eu]), Some(node));
        assert_eq!(naming(&[]), None);
        assert_eq!(naming(&[spiffe]), None);
        assert_eq!(naming(&[eu, "atoll://0000000000000008/eu/eu-0"]), None);
        assert_eq!(naming(&["atoll://shop/eu/eu-0"]), None);
    }

    #[test]
    fn only_who_is_expected_is_taken() {
        let node = |store, name| Some(CertificateName::node(store, region(name), "n"));
        let administrator = Some(CertificateName::administrator(STORE, "ada"));
        let in_eu = Expected::Region(STORE, region("eu"));
        let in_store = Expected::Store(STORE);
        let kind = |expected: &Expected, found| expected.check(found).map_err(|fault| fault.kind());
        assert_eq!(kind(&in_eu, node(STORE, "eu")), Ok(()));
        assert_eq!(kind(&in_store, node(STORE, "us")), Ok(()));
        assert_eq!(kind(&Expected::Host, None), Ok(()));
        assert_eq!(
            kind(&in_eu, node(STORE, "us")),
            Err(TlsFaultKind::OtherRegion)
        );
        assert_eq!(
            kind(&in_eu, node(StoreId(8), "eu")),
            Err(TlsFaultKind::OtherStore)
        );
        assert_eq!(
            kind(&in_store, node(StoreId(8), "eu")),
            Err(TlsFaultKind::OtherStore)
        );
        assert_eq!(
            kind(&in_eu, administrator.clone()),
            Err(TlsFaultKind::OtherRegion)
        );
        assert_eq!(
            kind(&in_store, administrator),
            Err(TlsFaultKind::OtherRegion)
        );
        assert_eq!(kind(&in_store, None), Err(TlsFaultKind::NoName));
    }
}
