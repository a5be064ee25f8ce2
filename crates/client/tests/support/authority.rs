//! A CA for tests, and certificates of it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test that has it uses a part"
)]

use std::path::Path;

use atoll_api::certificate::{CertificateName, StoreId};
use atoll_client::tls::{TlsFiles, TlsPem};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

/// The id of the tests' store.
pub const STORE: StoreId = StoreId(0x5bd1_e995_cafe_0001);

/// A CA.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate to be made.
pub struct Leaf {
    pub uris: Vec<String>,
    pub hosts: Vec<String>,
    pub usages: Vec<ExtendedKeyUsagePurpose>,
    /// The year in whose first moment its validity ends.
    pub ends: i32,
}

/// A certificate and its key in PEM.
#[derive(Clone)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

/// The name of a node of the tests' store.
pub fn node(region: &str, node: &str) -> CertificateName {
    CertificateName::node(STORE, region.parse().unwrap(), node)
}

impl Leaf {
    /// Of a name, for both ends of connections, for as long as any test lives.
    pub fn of(name: &CertificateName) -> Leaf {
        Leaf {
            uris: vec![name.to_string()],
            hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            usages: vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            ends: 2100,
        }
    }
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2200, 1, 1);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn issue(&self, leaf: &Leaf) -> Issued {
        let mut params = CertificateParams::new(leaf.hosts.clone()).unwrap();
        for uri in &leaf.uris {
            params
                .subject_alt_names
                .push(SanType::URI(uri.as_str().try_into().unwrap()));
        }
        params.extended_key_usages.clone_from(&leaf.usages);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(leaf.ends, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// All that a holder of a certificate of this CA has, who trusts nobody else.
    pub fn pem_of(&self, leaf: &Leaf) -> TlsPem {
        pem(&self.pem(), &self.issue(leaf))
    }
}

/// What a holder of a certificate has, who trusts these CAs.
pub fn pem(ca: &str, issued: &Issued) -> TlsPem {
    TlsPem {
        ca: ca.as_bytes().to_vec(),
        identity: Some((
            issued.certificate.as_bytes().to_vec(),
            issued.key.as_bytes().to_vec(),
        )),
        client_ca: None,
    }
}

/// Writes it as a Kubernetes TLS Secret is mounted.
pub fn write(directory: &Path, ca: &str, issued: &Issued) -> TlsFiles {
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        ca: file("ca.crt", ca),
        identity: Some((
            file("tls.crt", &issued.certificate),
            file("tls.key", &issued.key),
        )),
        client_ca: None,
    }
}
