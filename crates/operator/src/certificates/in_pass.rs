//! What a pass over a store does about its certificates.

use jiff::Timestamp;

use super::{Arranged, Heard, Opened};
use crate::ask::{self, Ways};
use crate::build::{Built, secret};
use crate::caches::Children;
use crate::error::PassError;
use crate::names;
use crate::observe::Observed;
use crate::pass::Tools;
use crate::plan::Plan;
use crate::validate::Declared;

impl Tools {
    /// The store's certificates, if it has some.
    ///
    /// # Errors
    /// As [`super::Certificates::open`].
    pub(crate) async fn open_certificates(
        &self,
        declared: &Declared,
        children: &Children,
    ) -> Result<Option<Opened>, PassError> {
        let Some(tls) = &declared.tls else {
            return Ok(None);
        };
        let now = Timestamp::now().as_second();
        let opening = self
            .certificates
            .open(&self.hands, declared, tls, children, now);
        opening.await.map(Some)
    }

    /// What is to be there of them.
    ///
    /// # Errors
    /// As [`super::Certificates::arrange`].
    pub(crate) async fn arrange_certificates(
        &self,
        declared: &Declared,
        observed: &Observed,
        plan: &Plan,
        opened: Option<&Opened>,
        ways: &Ways,
    ) -> Result<Option<Arranged>, PassError> {
        let (Some(tls), Some(opened)) = (&declared.tls, opened) else {
            return Ok(None);
        };
        let heard = if opened.is_changing() {
            ask::certificates(declared, observed, ways, self.settings.timeout).await
        } else {
            Heard::default()
        };
        let nodes = plan.nodes(observed);
        let now = Timestamp::now().as_second();
        let arranged = self
            .certificates
            .arrange(opened, declared, tls, &heard, &nodes, now);
        arranged.map(Some)
    }
}

impl Ways {
    /// How the store's nodes are connected to.
    pub(crate) fn of(declared: &Declared, opened: Option<&Opened>) -> Self {
        let tls = opened.map(|opened| (opened.credentials.clone(), declared.store()));
        Ways { tls }
    }
}

impl Arranged {
    /// The objects, the CA first: nothing that it signed is to be there without it.
    pub(crate) fn objects(&self, declared: &Declared) -> Vec<Built> {
        let files = self.files(declared);
        let of_store = |name: String| {
            let files = files.get(&name)?;
            Some(secret::of_store(declared, name, files))
        };
        let of_store = [names::ca(&declared.name), names::operator(&declared.name)]
            .into_iter()
            .filter_map(of_store);
        let regions = self.regions.iter();
        let regions = regions.map(|(region, files)| secret::of_region(declared, region, files));
        let bundle = secret::bundle(declared, &self.cas.bundle());
        of_store.chain(regions).chain([bundle]).collect()
    }
}
