//! Certificates and keys as Secrets hold them: read, and told apart.

use std::collections::BTreeSet;
use std::net::IpAddr;

use atoll_client::tls::fingerprint;
use rcgen::{KeyPair, PublicKeyData as _};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

/// What is said of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// In hexadecimal digits.
    pub(crate) fingerprint: String,
    /// In seconds since 1970.
    pub(crate) not_before: i64,
    /// In seconds since 1970.
    pub(crate) not_after: i64,
    /// Whether it may sign others.
    pub(crate) is_ca: bool,
    /// DNS names and addresses that it is for.
    pub(crate) hosts: BTreeSet<String>,
    public_key: Vec<u8>,
    /// Itself, in PEM.
    pub(crate) pem: String,
}

/// The certificates in a PEM text, in their order; what is none is passed over.
pub(crate) fn certificates(text: &str) -> Vec<Certificate> {
    let blocks = Pem::iter_from_buffer(text.as_bytes()).map_while(Result::ok);
    let blocks = blocks.filter(|block| block.label == "CERTIFICATE");
    blocks.filter_map(|block| read(&block)).collect()
}

fn read(block: &Pem) -> Option<Certificate> {
    let found: X509Certificate<'_> = block.parse_x509().ok()?;
    let names = found.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    Some(Certificate {
        fingerprint: fingerprint(&block.contents),
        not_before: found.validity().not_before.timestamp(),
        not_after: found.validity().not_after.timestamp(),
        is_ca: found.is_ca(),
        hosts: names.filter_map(host).collect(),
        public_key: found.public_key().raw.to_vec(),
        pem: block_text(&block.contents),
    })
}

fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four: Option<[u8; 4]> = (*bytes).try_into().ok();
            let sixteen: Option<[u8; 16]> = (*bytes).try_into().ok();
            let address = four.map(IpAddr::from).or(sixteen.map(IpAddr::from))?;
            Some(address.to_string())
        }
        _ => None,
    }
}

/// The same bytes give the same text, whoever wrote them before.
fn block_text(der: &[u8]) -> String {
    encoded("CERTIFICATE", der)
}

fn encoded(label: &str, der: &[u8]) -> String {
    let base64 = base64(der);
    let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// As Kubernetes writes bytes, without quotes.
fn base64(bytes: &[u8]) -> String {
    let quoted = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec()));
    let quoted = quoted.unwrap_or_default();
    quoted.as_str().unwrap_or_default().to_owned()
}

impl Certificate {
    /// Whether a key is this certificate's.
    pub(crate) fn is_of(&self, key: &KeyPair) -> bool {
        self.public_key == key.subject_public_key_info()
    }
}

/// Reads a private key in PEM: PKCS#8, or one of the older forms that cert-manager writes by default (RFC 8017
/// A.1.2, RFC 5915).
///
/// # Errors
/// Words for people.
pub(crate) fn key(text: &str) -> Result<KeyPair, String> {
    let mut blocks = Pem::iter_from_buffer(text.as_bytes()).map_while(Result::ok);
    let block = blocks
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .ok_or("holds no private key in PEM")?;
    let whole = match block.label.as_str() {
        "RSA PRIVATE KEY" => wrapped(RSA, &block.contents),
        "EC PRIVATE KEY" => {
            let has = |curve: &&&[u8]| {
                block
                    .contents
                    .windows(curve.len())
                    .any(|part| part == **curve)
            };
            let curve = [P256, P384]
                .iter()
                .find(has)
                .copied()
                .ok_or("is of a curve that is not known: take P-256 or P-384")?;
            wrapped(&[EC, curve].concat(), &block.contents)
        }
        _ => block.contents,
    };
    KeyPair::from_pem(&encoded("PRIVATE KEY", &whole))
        .map_err(|error| format!("holds a private key that cannot be used: {error}"))
}

/// Object identifiers in DER, the parameters of RSA with its own.
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// PKCS#8 (RFC 5958) around a key of an older form.
fn wrapped(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let version: &[u8] = &[0x02, 0x01, 0x00];
    let parts = [version, &der(0x30, algorithm), &der(0x04, key)].concat();
    der(0x30, &parts)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|digit| *digit == 0).collect();
    let mut all = vec![tag];
    match digits.as_slice() {
        [] => all.push(0),
        [short] if *short < 0x80 => all.push(*short),
        long => {
            all.push(0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX));
            all.extend(long);
        }
    }
    all.extend(content);
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    /// `openssl ecparam -name prime256v1 -genkey -noout`, and the same key by `openssl pkcs8 -topk8 -nocrypt`.
    const SEC1: &str = include_str!("fixtures/ec.key");
    const SEC1_AS_PKCS8: &str = include_str!("fixtures/ec.pkcs8.key");
    /// `openssl genrsa -traditional 2048`, likewise.
    const PKCS1: &str = include_str!("fixtures/rsa.key");
    const PKCS1_AS_PKCS8: &str = include_str!("fixtures/rsa.pkcs8.key");

    #[test]
    fn keys_are_read_in_the_forms_that_cert_manager_writes() {
        for (old, new) in [(SEC1, SEC1_AS_PKCS8), (PKCS1, PKCS1_AS_PKCS8)] {
            let keys = (key(old).unwrap(), key(new).unwrap());
            assert_eq!(
                keys.0.subject_public_key_info(),
                keys.1.subject_public_key_info()
            );
        }
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        for text in [
            "",
            "no key",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(key(text).unwrap_err().contains("private key"), "{text}");
        }
        assert!(
            certificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
                .is_empty()
        );
    }
}
