//! What can be shown and trusted, and what is refused before it is.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/authority.rs"]
mod authority;

use atoll_client::tls::{CertificateName, Credentials, TlsPem};
use authority::{Authority, Leaf, STORE, node};
use rcgen::ExtendedKeyUsagePurpose;

/// What a node `eu-0` says about these.
fn refusal(pem: TlsPem) -> String {
    Credentials::of_pem(pem, Some(node("eu", "eu-0")))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_nodes_certificate_is_its_own_and_good_for_both_ends() {
    let (ca, other) = (Authority::new("shop"), Authority::new("other"));
    let mine = || Leaf::of(&node("eu", "eu-0"));
    let good = ca.pem_of(&mine());
    let credentials = Credentials::of_pem(good.clone(), Some(node("eu", "eu-0"))).unwrap();
    let material = credentials.current();
    assert_eq!(material.certificate_not_after, Some(4_102_444_800));
    assert_eq!(material.ca_not_after, Some(7_258_118_400));

    for (leaf, said) in [
        (Leaf::of(&node("us", "eu-0")), "/us/eu-0, and this node is"),
        (Leaf::of(&node("eu", "eu-1")), "/eu/eu-1, and this node is"),
        (
            Leaf::of(&CertificateName::administrator(STORE, "ada")),
            "/-/ada, and this node is",
        ),
        (
            Leaf {
                uris: Vec::new(),
                ..mine()
            },
            "names nobody",
        ),
        (
            Leaf {
                ends: 2020,
                ..mine()
            },
            "expired",
        ),
        (
            Leaf {
                usages: vec![ExtendedKeyUsagePurpose::ServerAuth],
                ..mine()
            },
            "server auth and client auth",
        ),
    ] {
        let told = refusal(ca.pem_of(&leaf));
        assert!(
            told.starts_with("tls.crt: ") && told.contains(said),
            "{told}"
        );
    }

    let foreign = TlsPem {
        ca: other.pem().into_bytes(),
        ..good.clone()
    };
    assert!(refusal(foreign).contains("not of a CA in ca"));
    let both = TlsPem {
        ca: format!("{}{}", other.pem(), ca.pem()).into_bytes(),
        ..good.clone()
    };
    assert!(Credentials::of_pem(both, Some(node("eu", "eu-0"))).is_ok());
    let none = TlsPem {
        identity: None,
        ..good
    };
    assert!(refusal(none).contains("is missing"));
}

#[test]
fn what_is_no_pem_is_refused_by_its_name() {
    let ca = Authority::new("shop");
    let good = ca.pem_of(&Leaf::of(&node("eu", "eu-0")));
    let (certificate, key) = good.identity.clone().unwrap();
    let (_, other_key) = ca.pem_of(&Leaf::of(&node("eu", "eu-0"))).identity.unwrap();
    let empty = Vec::new;
    for (ca, identity, said) in [
        (
            empty(),
            (certificate.clone(), key.clone()),
            "ca.crt: holds no",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\n!".to_vec(),
            (certificate.clone(), key.clone()),
            "ca.crt: ",
        ),
        (
            good.ca.clone(),
            (empty(), key.clone()),
            "tls.crt: holds no certificate",
        ),
        (
            good.ca.clone(),
            (certificate.clone(), empty()),
            "tls.key: holds no private key",
        ),
        (
            good.ca.clone(),
            (certificate, other_key),
            "tls.key: does not fit tls.crt",
        ),
    ] {
        let told = refusal(TlsPem {
            ca,
            identity: Some(identity),
            client_ca: None,
        });
        assert!(told.starts_with(said), "{told}");
    }
}

/// A Secret is written file by file: half of a new one changes nothing.
#[test]
fn files_are_taken_when_they_fit_together_and_kept_until_then() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let leaf = |ends| Leaf {
        ends,
        ..Leaf::of(&node("eu", "eu-0"))
    };
    let files = authority::write(directory.path(), &old.pem(), &old.issue(&leaf(2100)));
    let credentials = Credentials::read(files, Some(node("eu", "eu-0"))).unwrap();
    let changes = credentials.changes();
    assert!(!credentials.refresh().unwrap());

    let next = new.issue(&leaf(2101));
    std::fs::write(directory.path().join("tls.crt"), &next.certificate).unwrap();
    let told = credentials.refresh().unwrap_err().to_string();
    assert!(told.contains("tls.key: does not fit"), "{told}");
    std::fs::write(directory.path().join("tls.key"), &next.key).unwrap();
    let told = credentials.refresh().unwrap_err().to_string();
    assert!(told.contains("tls.crt: is not of a CA in ca"), "{told}");
    assert!(!changes.has_changed().unwrap());
    assert_eq!(
        credentials.current().certificate_not_after,
        Some(4_102_444_800)
    );

    let both = format!("{}{}", old.pem(), new.pem());
    std::fs::write(directory.path().join("ca.crt"), both).unwrap();
    assert!(credentials.refresh().unwrap());
    assert!(changes.has_changed().unwrap());
    assert_eq!(
        credentials.current().certificate_not_after,
        Some(4_133_980_800)
    );

    std::fs::remove_file(directory.path().join("tls.key")).unwrap();
    let told = credentials.refresh().unwrap_err().to_string();
    assert!(told.contains("tls.key: cannot be read"), "{told}");
}
