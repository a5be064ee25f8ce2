//! What this side shows and trusts now.
//!
//! A connection takes what is there when it begins. What is there changes as a whole, after everything was
//! checked: files that do not fit together leave things as they were, and are told. Files are re-read by
//! [`Credentials::refresh`]; who wants to know of a change waits on [`Credentials::changes`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use atoll_api::certificate::CertificateName;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use tokio::sync::watch;

use super::fault::TlsFault;
use super::fingerprint::fingerprint;
use super::validity::not_after;
use super::verify::{Expected, Verifier, name_of};

/// PEM files, in the layout of a Kubernetes TLS Secret: `tls.crt`, `tls.key`, `ca.crt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CAs that are trusted.
    pub ca: PathBuf,
    /// The certificate, with the certificates between it and the CA, and its key; absent: none is shown.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The CAs of clients, where they are others.
    pub client_ca: Option<PathBuf>,
}

/// What is in such files.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsPem {
    /// The CAs that are trusted.
    pub ca: Vec<u8>,
    /// The certificate and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The CAs of clients.
    pub client_ca: Option<Vec<u8>>,
}

/// Certificates or keys that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct TlsError {
    /// The file, or the part when there are no files.
    pub what: String,
    /// What is wrong and what to do.
    pub problem: String,
}

/// What HTTP is spoken, told to the other side by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// What the client likes better.
    Both,
}

/// What a server wants to see of those that connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// A certificate of the store's CA.
    Required,
    /// A certificate of the clients' CA, or none; none at all where there is no such CA.
    Optional,
}

/// Certificate, key and CAs, as they are now. Clones share them.
#[derive(Clone)]
pub struct Credentials(Arc<Shared>);

struct Shared {
    files: Option<TlsFiles>,
    /// Whom the certificate must name.
    must_name: Option<CertificateName>,
    pem: Mutex<TlsPem>,
    current: watch::Sender<Arc<Material>>,
}

/// Certificate, key and CAs that fit together.
pub struct Material {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    peers: Arc<dyn ClientCertVerifier>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    identity: Option<Arc<CertifiedKey>>,
    /// When the certificate ends, in seconds since 1970; absent when none is shown.
    pub certificate_not_after: Option<i64>,
    /// When the first of the CAs ends that are not over yet; the last one's end when all are.
    pub ca_not_after: Option<i64>,
    /// Of the certificate; absent when none is shown.
    pub certificate_fingerprint: Option<String>,
    /// Of the CAs.
    pub ca_fingerprints: Vec<String>,
}

impl Credentials {
    /// Reads files. A certificate that `must_name` somebody is one for both ends of connections, and valid now.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn read(files: TlsFiles, must_name: Option<CertificateName>) -> Result<Self, TlsError> {
        let pem = files.read()?;
        Credentials::new(pem, Some(files), must_name)
    }

    /// The same, without files.
    ///
    /// # Errors
    /// [`TlsError`], naming the part.
    pub fn of_pem(pem: TlsPem, must_name: Option<CertificateName>) -> Result<Self, TlsError> {
        Credentials::new(pem, None, must_name)
    }

    fn new(
        pem: TlsPem,
        files: Option<TlsFiles>,
        must_name: Option<CertificateName>,
    ) -> Result<Self, TlsError> {
        let material = Material::of(&pem, &Names::of(files.as_ref()), must_name.as_ref())?;
        Ok(Credentials(Arc::new(Shared {
            files,
            must_name,
            pem: Mutex::new(pem),
            current: watch::Sender::new(Arc::new(material)),
        })))
    }

    /// What there is now.
    #[must_use]
    pub fn current(&self) -> Arc<Material> {
        Arc::clone(&self.0.current.borrow())
    }

    /// Tells when there is something else.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Material>> {
        self.0.current.subscribe()
    }

    /// Reads the files again; answers whether anything changed. Blocks, if the disk does.
    ///
    /// # Errors
    /// [`TlsError`]; things are as they were then.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        match &self.0.files {
            Some(files) => self.replace(files.read()?),
            None => Ok(false),
        }
    }

    /// Takes other credentials; answers whether anything changed.
    ///
    /// # Errors
    /// [`TlsError`]; things are as they were then.
    pub fn replace(&self, pem: TlsPem) -> Result<bool, TlsError> {
        let Shared {
            files,
            must_name,
            pem: known,
            current,
        } = &*self.0;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == pem {
            return Ok(false);
        }
        let material = Material::of(&pem, &Names::of(files.as_ref()), must_name.as_ref())?;
        *known = pem;
        current.send_replace(Arc::new(material));
        Ok(true)
    }
}

/// The same, not equal ones.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("files", &self.0.files)
            .finish_non_exhaustive()
    }
}

impl TlsFiles {
    fn read(&self) -> Result<TlsPem, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| TlsError {
                what: path.display().to_string(),
                problem: format!("cannot be read: {error}"),
            })
        };
        let identity = self.identity.as_ref();
        let identity = identity.map(|(certificate, key)| Ok((read(certificate)?, read(key)?)));
        Ok(TlsPem {
            ca: read(&self.ca)?,
            identity: identity.transpose()?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }
}

/// What the parts are called in errors.
struct Names {
    ca: String,
    client_ca: String,
    certificate: String,
    key: String,
}

impl Names {
    fn of(files: Option<&TlsFiles>) -> Names {
        let shown = |path: Option<&PathBuf>, otherwise: &str| {
            path.map_or_else(|| otherwise.to_owned(), |path| path.display().to_string())
        };
        let identity = files.and_then(|files| files.identity.as_ref());
        Names {
            ca: shown(files.map(|files| &files.ca), "ca.crt"),
            client_ca: shown(
                files.and_then(|f| f.client_ca.as_ref()),
                "the clients' ca.crt",
            ),
            certificate: shown(identity.map(|(certificate, _)| certificate), "tls.crt"),
            key: shown(identity.map(|(_, key)| key), "tls.key"),
        }
    }
}

impl Material {
    fn of(
        pem: &TlsPem,
        names: &Names,
        must_name: Option<&CertificateName>,
    ) -> Result<Material, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let Roots {
            roots,
            not_after: ca_not_after,
            fingerprints: ca_fingerprints,
        } = read_roots(&pem.ca, &names.ca)?;
        let peers = verifier(&roots, &provider, false, &names.ca)?;
        let clients = match &pem.client_ca {
            None => None,
            Some(pem) => {
                let Roots { roots, .. } = read_roots(pem, &names.client_ca)?;
                Some(verifier(&roots, &provider, true, &names.client_ca)?)
            }
        };
        let identity = match &pem.identity {
            None => None,
            Some((certificate, key)) => {
                Some(Arc::new(read_identity(certificate, key, names, &provider)?))
            }
        };
        let leaf = identity.as_ref().and_then(|identity| identity.cert.first());
        let material = Material {
            certificate_not_after: leaf.and_then(|leaf| not_after(leaf)),
            certificate_fingerprint: leaf.map(|leaf| fingerprint(leaf)),
            ca_fingerprints,
            provider,
            roots,
            peers,
            clients,
            identity,
            ca_not_after,
        };
        if let Some(must_name) = must_name {
            material.check_own(must_name).map_err(|problem| TlsError {
                what: names.certificate.clone(),
                problem,
            })?;
        }
        Ok(material)
    }

    /// A node's certificate is one that the others of its store take, at either end.
    fn check_own(&self, must_name: &CertificateName) -> Result<(), String> {
        let chain = self
            .identity
            .as_ref()
            .map(|identity| identity.cert.as_slice());
        let (leaf, between) = chain
            .and_then(<[_]>::split_first)
            .ok_or("is missing: a node shows a certificate to all others")?;
        let found = name_of(leaf);
        if found.as_ref() != Some(must_name) {
            let found = found.map_or_else(|| "nobody".to_owned(), |name| name.to_string());
            return Err(format!(
                "names {found}, and this node is {must_name}: give it that URI as subject alternative name, or \
                 correct the configuration"
            ));
        }
        let now = UnixTime::now();
        let server = rustls::server::ParsedCertificate::try_from(leaf).and_then(|parsed| {
            let algorithms = self.provider.signature_verification_algorithms.all;
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &self.roots,
                between,
                now,
                algorithms,
            )
        });
        let client = || self.peers.verify_client_cert(leaf, between, now).map(drop);
        server.and_then(|()| client()).map_err(|error| match error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
                "is not of a CA in ca: put its CA there".to_owned()
            }
            rustls::Error::InvalidCertificate(rustls::CertificateError::InvalidPurposeContext {
                ..
            }) => "must be for both ends of connections: give it the extended key usages server auth and \
                   client auth"
                .to_owned(),
            error => format!("cannot be used: {error}; renew it"),
        })
    }

    /// Whether somebody who was let in by this certificate would still be.
    ///
    /// # Errors
    /// Why not.
    pub fn still_takes(&self, chain: &[CertificateDer<'_>]) -> Result<(), TlsFault> {
        let Some((leaf, between)) = chain.split_first() else {
            return Err(TlsFault::of(&rustls::Error::NoCertificatesPresented));
        };
        let verified = self
            .peers
            .verify_client_cert(leaf, between, UnixTime::now());
        verified.map(drop).map_err(|error| TlsFault::of(&error))
    }

    /// What a client needs to connect to whom it expects.
    ///
    /// # Panics
    /// Never: the provider knows the versions.
    #[must_use]
    pub fn client_config(&self, expected: Expected, protocols: Protocols) -> Arc<ClientConfig> {
        let algorithms = self.provider.signature_verification_algorithms;
        let verifier = Verifier {
            roots: Arc::clone(&self.roots),
            expected,
            algorithms,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .expect("ring knows both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let shown = SingleCertAndKey::from(Arc::clone(identity));
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        };
        config.alpn_protocols = protocols.names();
        // Who comes back is looked at again, by the CAs of then.
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }

    /// What a server needs; `None` when there is no certificate to show.
    ///
    /// # Panics
    /// Never: the provider knows the versions.
    #[must_use]
    pub fn server_config(&self, clients: ClientCertificates) -> Option<Arc<ServerConfig>> {
        let identity = Arc::clone(self.identity.as_ref()?);
        let newest = [&version::TLS13];
        let both = [&version::TLS13, &version::TLS12];
        let versions = match clients {
            ClientCertificates::Required => newest.as_slice(),
            ClientCertificates::Optional => both.as_slice(),
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .expect("ring knows both versions");
        let builder = match (clients, &self.clients) {
            (ClientCertificates::Required, _) => {
                builder.with_client_cert_verifier(Arc::clone(&self.peers))
            }
            (ClientCertificates::Optional, Some(clients)) => {
                builder.with_client_cert_verifier(Arc::clone(clients))
            }
            (ClientCertificates::Optional, None) => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = Protocols::Both.names();
        if clients == ClientCertificates::Required || self.clients.is_some() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Some(Arc::new(config))
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("certificate_not_after", &self.certificate_not_after)
            .finish_non_exhaustive()
    }
}

impl Protocols {
    fn names(self) -> Vec<Vec<u8>> {
        let (http1, http2) = (b"http/1.1".to_vec(), b"h2".to_vec());
        match self {
            Protocols::Http1 => vec![http1],
            Protocols::Http2 => vec![http2],
            Protocols::Both => vec![http2, http1],
        }
    }
}

struct Roots {
    roots: Arc<RootCertStore>,
    not_after: Option<i64>,
    fingerprints: Vec<String>,
}

fn read_roots(pem: &[u8], what: &str) -> Result<Roots, TlsError> {
    let wrong = |problem: String| TlsError {
        what: what.to_owned(),
        problem,
    };
    let mut roots = RootCertStore::empty();
    let (mut ends, mut fingerprints) = (Vec::new(), Vec::new());
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(format!("is no PEM file: {error}")))?;
        ends.extend(not_after(&certificate));
        fingerprints.push(fingerprint(&certificate));
        let added = roots.add(certificate);
        added.map_err(|error| wrong(format!("holds a CA that cannot be used: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate of a CA in PEM".to_owned()));
    }
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    let next = ends.iter().filter(|end| **end > now).min();
    Ok(Roots {
        roots: Arc::new(roots),
        not_after: next.or(ends.iter().max()).copied(),
        fingerprints,
    })
}

fn verifier(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    is_optional: bool,
    what: &str,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
    let builder = if is_optional {
        builder.allow_unauthenticated()
    } else {
        builder
    };
    builder.build().map_err(|error| TlsError {
        what: what.to_owned(),
        problem: format!("holds no CA that can be used: {error}"),
    })
}

fn read_identity(
    certificate: &[u8],
    key: &[u8],
    names: &Names,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let in_certificate = |problem: String| TlsError {
        what: names.certificate.clone(),
        problem,
    };
    let in_key = |problem: String| TlsError {
        what: names.key.clone(),
        problem,
    };
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| in_certificate(format!("is no PEM file: {error}")))?;
    if chain.is_empty() {
        return Err(in_certificate("holds no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| in_key(format!("holds no private key in PEM: {error}")))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| in_key(format!("does not fit {}: {error}", names.certificate)))
}
