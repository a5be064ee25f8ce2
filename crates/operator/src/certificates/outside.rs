//! Secrets that people bring: a CA of their own, CAs of other clusters, CAs of clients.

use k8s_openapi::api::core::v1::Secret;

use super::authority::{Authority, Pair};
use super::files;
use super::reading;
use super::rotation::once;
use super::secrets::get;
use crate::apply::Hands;
use crate::error::PassError;
use crate::validate::{Declared, DeclaredTls};

/// What they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    /// The CA that is to sign.
    pub(crate) own: Option<Pair>,
    /// CAs of other clusters, in PEM.
    pub(crate) trusted: String,
    /// CAs of clients, in PEM.
    pub(crate) client_ca: Option<String>,
    /// What is wrong with the user's own CA, or with clients': then everything stays as it is.
    pub(crate) fault: Option<String>,
    /// What is wrong with another cluster's CA: the store goes on without that cluster. A cluster's CA is there only
    /// once its operator has made it, so nobody waits for it.
    pub(crate) lacks: Option<String>,
}

/// Reads them, if any are named.
///
/// # Errors
/// What the API server says. What is wrong with a Secret is in the answer.
pub(crate) async fn read(
    hands: &Hands,
    declared: &Declared,
    tls: &DeclaredTls,
    now: i64,
) -> Result<Outside, PassError> {
    let mut outside = Outside::default();
    let told = |field: &str, name: &str, problem: String| {
        Some(format!("spec.tls.{field}: Secret {name} {problem}"))
    };
    if let Some(name) = &tls.ca {
        let found = get(hands, &declared.namespace, name).await?;
        match own(found.as_ref(), now) {
            Ok(own) => outside.own = Some(own),
            Err(problem) => outside.fault = told("caSecretRef", name, problem),
        }
    }
    for name in &tls.trusted {
        let found = get(hands, &declared.namespace, name).await?;
        match bundle(found.as_ref()) {
            Ok(bundle) => outside.trusted += &bundle,
            Err(problem) => outside.lacks = told("trustedCaSecretRefs", name, problem),
        }
    }
    if let Some(name) = &tls.client_ca {
        let found = get(hands, &declared.namespace, name).await?;
        match bundle(found.as_ref()) {
            Ok(bundle) => outside.client_ca = Some(bundle),
            Err(problem) => outside.fault = told("clientCaSecretRef", name, problem),
        }
    }
    Ok(outside)
}

const MISSING: &str = "is not in the store's namespace: make it, or name another one";

fn own(found: Option<&Secret>, now: i64) -> Result<Pair, String> {
    let files = files::of(found.ok_or(MISSING)?);
    let pair = files::pair(&files)
        .ok_or("has no tls.crt and tls.key: write the CA there, as cert-manager does")?;
    Authority::load(&pair, now).map_err(|problem| format!("cannot be used: {problem}"))?;
    Ok(pair)
}

fn bundle(found: Option<&Secret>) -> Result<String, String> {
    let files = files::of(found.ok_or(MISSING)?);
    let text = files.get(files::CA).map_or("", String::as_str);
    if !reading::certificates(text).iter().any(|found| found.is_ca) {
        return Err("has no certificate of a CA in ca.crt: write one there, in PEM".to_owned());
    }
    Ok(once(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use k8s_openapi::ByteString;

    use super::super::authority::make;
    use super::super::authority::tests::{STORE, now};
    use super::*;

    fn secret(files: &[(&str, &str)]) -> Secret {
        let data = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), ByteString(text.as_bytes().to_vec())));
        Secret {
            data: Some(data.collect()),
            ..Secret::default()
        }
    }

    #[test]
    fn what_people_bring_is_taken_or_told_of() {
        let ca = make("shop", STORE, now()).unwrap();
        let whole = secret(&[
            ("tls.crt", &ca.certificate),
            ("tls.key", &ca.key),
            ("ca.crt", &ca.certificate),
        ]);
        assert_eq!(own(Some(&whole), now()), Ok(ca.clone()));
        assert_eq!(bundle(Some(&whole)), Ok(once(&ca.certificate)));
        assert_eq!(own(None, now()), Err(MISSING.to_owned()));
        let half = secret(&[("tls.crt", &ca.certificate)]);
        assert!(
            own(Some(&half), now())
                .unwrap_err()
                .starts_with("has no tls.crt and tls.key")
        );
        assert!(
            bundle(Some(&half))
                .unwrap_err()
                .starts_with("has no certificate of a CA in ca.crt")
        );
        let damaged = secret(&[("tls.crt", &ca.certificate), ("tls.key", "no key")]);
        assert!(
            own(Some(&damaged), now())
                .unwrap_err()
                .starts_with("cannot be used: tls.key")
        );
    }
}
