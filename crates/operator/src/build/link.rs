//! Links as objects, so that people can watch them.

use serde_json::json;

use super::{Built, Kind, body};
use crate::names;
use crate::validate::Declared;

pub(super) fn build(declared: &Declared) -> Vec<Built> {
    let is_here = |region: &atoll_api::manifest::RegionName| {
        let region = declared.manifest.region(region.as_str());
        region.is_some_and(|region| declared.is_here(region))
    };
    let links = atoll_api::topology::links(&declared.manifest).into_iter();
    // A link is served where it ends: that cluster shows it.
    let here = links.filter(|link| is_here(&link.to));
    here.map(|link| {
        let name = names::link(&declared.name, link.from.as_str(), link.to.as_str());
        let labels = names::store_labels(&declared.name);
        let rest = json!({
            "spec": { "storeRef": { "name": declared.name }, "from": link.from, "to": link.to },
        });
        let kind = Kind::ReplicationLink;
        Built {
            kind,
            region: None,
            body: body(declared, kind, &name, &labels, rest),
            name,
        }
    })
    .collect()
}
