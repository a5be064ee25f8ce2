//! From the CAs and certificates that are there to those that are to be there.
//!
//! Everything but the keys themselves follows from the arguments.

use std::collections::{BTreeMap, BTreeSet};

use atoll_api::certificate::CertificateName;
use atoll_api::manifest::RegionName;
use atoll_api::manifest::conditions::ConditionReason;

use super::authority::{self, Authority, Pair};
use super::files::{self, Files};
use super::leaves::{self, Bench, Holder};
use super::rotation::{Cas, Heard, Step, Wanted, once};
use super::{Outside, Secrets};
use crate::names;
use crate::plan::Told;
use crate::validate::{Declared, DeclaredTls};

/// What is to be there of a store's certificates.
#[derive(Debug)]
pub(crate) struct Arranged {
    pub(crate) cas: Cas,
    pub(crate) operator: Pair,
    /// All that are trusted, those of other clusters included, in PEM.
    pub(crate) bundle: String,
    /// The files of each region's Secret.
    pub(crate) regions: BTreeMap<RegionName, Files>,
    /// What is missing, of another cluster.
    pub(crate) lacks: Option<String>,
    /// What is under way.
    pub(crate) progress: Option<Told>,
    /// When the first of the certificates ends, in seconds since 1970.
    pub(crate) not_after: Option<i64>,
}

/// What it is arranged from.
pub(crate) struct There<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) tls: &'a DeclaredTls,
    pub(crate) cas: &'a Cas,
    pub(crate) operator: &'a Pair,
    pub(crate) wanted: &'a Wanted,
    pub(crate) outside: &'a Outside,
    pub(crate) secrets: &'a Secrets,
    pub(crate) heard: &'a Heard,
    /// Nodes of each region of this cluster, those that leave included.
    pub(crate) nodes: &'a BTreeMap<RegionName, u8>,
    pub(crate) now: i64,
}

/// Arranges it.
///
/// # Errors
/// Words for people.
pub(crate) fn arrange(there: &There<'_>) -> Result<Arranged, String> {
    let There {
        declared, cas, now, ..
    } = there;
    let (step, waits) = step(there);
    let cas = match step {
        Some(step) => {
            tracing::info!(
                store = declared.name,
                namespace = declared.namespace,
                ?step,
                "the store's CA changes"
            );
            let make = || authority::make(&declared.name, &declared.store_id, *now);
            (*cas).clone().after(step, there.wanted, *now, make)?
        }
        None => (*cas).clone(),
    };
    // Whoever was waited for before a promotion trusts the CA that signs now.
    let replaces =
        cas.next.is_none() && (step.is_some() || cas.distrusting(there.heard, *now).is_empty());
    let bundle = once(&[cas.bundle().as_str(), &there.outside.trusted].concat());
    let authority = Authority::load(&cas.signing, *now)?;
    let bench = Bench {
        authority: &authority,
        bundle: &bundle,
        replaces,
        seconds: there.tls.lifetime_seconds,
        now: *now,
    };
    let operator = bench.kept_or_new(&operator(declared), &[Some(there.operator.clone())])?;
    let mut ends = BTreeSet::new();
    let mut regions = BTreeMap::new();
    for (region, nodes) in there.nodes {
        let mut made = Files::from([(files::CA.to_owned(), bundle.clone())]);
        if let Some(clients) = &there.outside.client_ca {
            made.insert(files::CLIENTS.to_owned(), clients.clone());
        }
        for (pod, holder) in holders(declared, region, *nodes) {
            let pair = bench.kept_or_new(&holder, &there.secrets.of_pod(declared, region, &pod))?;
            ends.extend(pair.first().map(|leaf| leaf.not_after));
            made.insert(files::certificate_of(&pod), pair.certificate);
            made.insert(files::key_of(&pod), pair.key);
        }
        regions.insert(region.clone(), made);
    }
    let progress = cas.is_changing().then(|| {
        let message = if cas.next.is_some() {
            "a new CA takes the place of the old one, once all trust it"
        } else {
            "a new CA has taken the place of the old one, which goes when nothing of it is in use"
        };
        let waits = if waits.is_empty() {
            String::new()
        } else {
            format!(": waiting for {}", waits.join(", "))
        };
        Told {
            reason: ConditionReason::ChangingCa,
            message: format!("{message}{waits}"),
        }
    });
    let not_after = ends.into_iter().next();
    Ok(Arranged {
        cas,
        operator,
        bundle,
        regions,
        lacks: there.outside.lacks.clone(),
        progress,
        not_after,
    })
}

/// The next step of a change of the CA, or whom it waits for.
fn step(there: &There<'_>) -> (Option<Step>, Vec<String>) {
    let There {
        declared,
        cas,
        wanted,
        heard,
        secrets,
        now,
        ..
    } = there;
    let mut own = BTreeSet::new();
    let mut is_old_left = false;
    let signing = cas.signing.first().map_or_else(String::new, |ca| ca.pem);
    for (region, nodes) in there.nodes {
        for (pod, holder) in holders(declared, region, *nodes) {
            let held = secrets
                .of_pod(declared, region, &pod)
                .into_iter()
                .flatten()
                .next();
            match held {
                Some(pair) if leaves::is_taken(&signing, &pair, &holder.name) => {
                    own.extend(pair.first().map(|leaf| leaf.fingerprint));
                }
                Some(_) => is_old_left = true,
                None => {}
            }
        }
    }
    let waits = if cas.next.is_some() {
        cas.distrusting(heard, *now)
    } else if cas.former.is_empty() {
        Vec::new()
    } else {
        cas.in_use(heard, &own, *now)
    };
    let step = cas.step(wanted, heard, &own, *now);
    let step = step.filter(|step| *step != Step::Retire || !is_old_left);
    (step, waits)
}

/// Whom the operator's own certificate names.
pub(crate) fn operator(declared: &Declared) -> Holder {
    let name = CertificateName::administrator(declared.store(), "operator");
    Holder {
        name,
        hosts: BTreeSet::new(),
    }
}

/// Whom a region's certificates name, by pod, with the hosts that clients know them by.
fn holders(declared: &Declared, region: &RegionName, nodes: u8) -> Vec<(String, Holder)> {
    let names = declared.names(region);
    let location = declared
        .manifest
        .region(region.as_str())
        .and_then(|region| region.location.as_ref());
    let endpoints = location.into_iter().flat_map(|location| {
        let several = location.endpoints.iter().flatten();
        location.endpoint.iter().chain(several)
    });
    let public: Vec<String> = endpoints
        .filter_map(|endpoint| names::host(endpoint.as_str()))
        .collect();
    let of_node = |ordinal: u8| {
        let name = CertificateName::node(declared.store(), region.clone(), &names.node(ordinal));
        let hosts = names
            .hosts(ordinal)
            .into_iter()
            .chain(public.iter().cloned())
            .collect();
        (names.pod(ordinal), Holder { name, hosts })
    };
    (0..nodes).map(of_node).collect()
}

impl Arranged {
    /// When the CA that signs ends, in seconds since 1970.
    pub(crate) fn cas_end(&self) -> Option<i64> {
        Some(self.cas.signing.first()?.not_after)
    }
}
