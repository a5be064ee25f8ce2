//! Certificates: a CA for each store, a certificate for each node, one for the operator itself.
//!
//! ```text
//!  STORE-ca          the store's CA, and the one that takes its place
//!  STORE-operator    an administrator's certificate
//!  STORE-REGION-tls  the certificates of a region's nodes, and whom they trust; mounted by its pods
//!  STORE-ca.crt      a ConfigMap with what clients, and other clusters, are to trust: the store's own CAs
//! ```
//!
//! Secrets are known by their metadata; what is in them is read when that changed. What was arranged last is
//! remembered: a Secret that somebody deletes or damages comes back as it was. Nodes read their files again when
//! they change, so nothing is restarted.
//!
//! - `rotation`: how one CA takes the place of another
//! - `leaves`: which certificates are kept
//! - `arrange`: both together, without any I/O
//! - `in_pass`: when in a pass all of it happens
//! - `authority`, `reading`, `files`: certificates, keys, and the Secrets' files

mod arrange;
mod authority;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod calls;
pub(crate) mod files;
mod in_pass;
mod leaves;
mod outside;
mod reading;
mod rotation;
mod secrets;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use atoll_api::manifest::RegionName;
use atoll_client::tls::Credentials;

pub(crate) use self::arrange::Arranged;
use self::arrange::There;
use self::authority::{Authority, Pair};
use self::leaves::Bench;
use self::outside::Outside;
use self::rotation::{Cas, Wanted, once};
pub(crate) use self::rotation::{Heard, Shown};
use self::secrets::Secrets;
use crate::apply::Hands;
use crate::caches::Children;
use crate::error::PassError;
use crate::names;
use crate::validate::{Declared, DeclaredTls};

/// What is known of stores' certificates, by the stores' uids.
#[derive(Default)]
pub(crate) struct Certificates {
    known: Mutex<HashMap<String, Known>>,
}

/// Of one store.
#[derive(Clone, Default)]
struct Known {
    secrets: Secrets,
    /// What was arranged last.
    cas: Option<Cas>,
}

/// A store's certificates, as a pass begins.
pub(crate) struct Opened {
    cas: Cas,
    operator: Pair,
    wanted: Wanted,
    outside: Outside,
    secrets: Secrets,
    /// What the operator shows to nodes, and whom it trusts.
    pub(crate) credentials: Credentials,
}

impl Opened {
    /// Whether nodes are to be asked what they show and trust.
    pub(crate) fn is_changing(&self) -> bool {
        self.cas.is_changing()
    }
}

impl Certificates {
    /// Reads what there is; a store without a CA gets one.
    ///
    /// # Errors
    /// What the API server says; that a CA of the user's cannot be used, when there is no other.
    pub(crate) async fn open(
        &self,
        hands: &Hands,
        declared: &Declared,
        tls: &DeclaredTls,
        children: &Children,
        now: i64,
    ) -> Result<Opened, PassError> {
        let mut known = self.known().get(&declared.uid).cloned().unwrap_or_default();
        known.secrets.look(hands, declared, children).await?;
        let mut outside = outside::read(hands, declared, tls, now).await?;
        let wanted = wanted(tls, &outside);
        let cas = match known.cas_there(declared, now) {
            Some(cas) => cas,
            None => begin(declared, &known.secrets, &wanted, &outside, now)?,
        };
        if outside.lacks.is_some() {
            // Whom nodes trust now, they go on to trust: a Secret that is away for a moment cuts nobody off.
            outside.trusted += &known.secrets.trusted_by_nodes();
        }
        let trusted = once(&[cas.bundle().as_str(), &outside.trusted].concat());
        let operator = operator(declared, tls, &cas, &known.secrets, &trusted, now)?;
        // Made anew in each pass: ready for use, they are as large as the Secrets that they are made of.
        let name = arrange::operator(declared).name;
        let credentials =
            leaves::credentials(&trusted, &operator, &name).map_err(PassError::certificates)?;
        // Not written yet; another pass is to find the same.
        known.cas = Some(cas.clone());
        let secrets = known.secrets.clone();
        self.known().insert(declared.uid.clone(), known);
        Ok(Opened {
            cas,
            operator,
            wanted,
            outside,
            secrets,
            credentials,
        })
    }

    /// What is to be there now.
    ///
    /// # Errors
    /// That a Secret of the user's cannot be used: then everything stays as it is.
    pub(crate) fn arrange(
        &self,
        opened: &Opened,
        declared: &Declared,
        tls: &DeclaredTls,
        heard: &Heard,
        nodes: &BTreeMap<RegionName, u8>,
        now: i64,
    ) -> Result<Arranged, PassError> {
        let Opened {
            cas,
            operator,
            wanted,
            outside,
            secrets,
            credentials: _,
        } = opened;
        if let Some(fault) = &outside.fault {
            return Err(PassError::certificates(fault.clone()));
        }
        let there = There {
            declared,
            tls,
            cas,
            operator,
            wanted,
            outside,
            secrets,
            heard,
            nodes,
            now,
        };
        let arranged = arrange::arrange(&there).map_err(PassError::certificates)?;
        let mut known = self.known();
        let known = known.entry(declared.uid.clone()).or_default();
        known.cas = Some(arranged.cas.clone());
        known.secrets.remember(declared, &arranged);
        Ok(arranged)
    }

    /// Forgets stores that are not there any more.
    pub(crate) fn keep_only(&self, is_there: impl Fn(&str) -> bool) {
        self.known().retain(|uid, _| is_there(uid));
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The store's CAs: as the Secret has them, or as they were when it is damaged or gone.
    fn cas_there(&self, declared: &Declared, now: i64) -> Option<Cas> {
        let live = self.secrets.live(&names::ca(&declared.name));
        let read = live.and_then(|files| files::cas(files, now));
        let remembered = || {
            let cas = self.cas.clone()?;
            Authority::load(&cas.signing, now).is_ok().then_some(cas)
        };
        read.or_else(remembered)
    }
}

fn wanted(tls: &DeclaredTls, outside: &Outside) -> Wanted {
    let origin = match &tls.ca {
        Some(secret) => format!("secret/{secret}"),
        None => format!("made/{}", tls.ca_revision),
    };
    Wanted {
        origin,
        own: outside.own.clone(),
    }
}

/// The first CA of a store; or, when its Secret was lost, a new one beside those that nodes still trust.
fn begin(
    declared: &Declared,
    secrets: &Secrets,
    wanted: &Wanted,
    outside: &Outside,
    now: i64,
) -> Result<Cas, PassError> {
    if let Some(fault) = &outside.fault {
        return Err(PassError::certificates(fault.clone()));
    }
    let made = || authority::make(&declared.name, &declared.store_id, now);
    let signing = wanted.own.clone().map_or_else(made, Ok);
    let signing = signing.map_err(PassError::certificates)?;
    let mut cas = Cas::first(signing, wanted.origin.clone(), now);
    let known = reading::certificates(&secrets.trusted_by_nodes());
    let outside = reading::certificates(&outside.trusted);
    let signs = rotation::print(&cas.signing);
    let others = known.into_iter().filter(|ca| {
        ca.fingerprint != signs
            && !outside
                .iter()
                .any(|other| other.fingerprint == ca.fingerprint)
    });
    cas.former = once(&others.map(|ca| ca.pem).collect::<String>());
    tracing::info!(
        store = declared.name,
        namespace = declared.namespace,
        "the store has a CA"
    );
    Ok(cas)
}

/// The operator's certificate: the one there is, or a new one.
fn operator(
    declared: &Declared,
    tls: &DeclaredTls,
    cas: &Cas,
    secrets: &Secrets,
    trusted: &str,
    now: i64,
) -> Result<Pair, PassError> {
    let authority = Authority::load(&cas.signing, now).map_err(PassError::certificates)?;
    let bench = Bench {
        authority: &authority,
        bundle: trusted,
        replaces: false,
        seconds: tls.lifetime_seconds,
        now,
    };
    let there = secrets.of_operator(declared);
    let holder = arrange::operator(declared);
    bench
        .kept_or_new(&holder, &there)
        .map_err(PassError::certificates)
}
