//! The links that a manifest declares: who pulls from whom, and how much of it.
//!
//! Declared links are preferred links; replication takes others while one is silent. In AllToAll every
//! source sends only what it wrote itself, so one copy of each entry reaches each region; elsewhere a
//! source passes on what it has heard, too, filtered by what the target lacks.

use std::fmt;
use std::str::FromStr;

use crate::manifest::{InvalidName, LinkSpec, RegionName, StoreManifest, Topology};

/// A directed replication edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredLink {
    /// The region that serves entries.
    pub from: RegionName,
    /// The region that pulls them.
    pub to: RegionName,
    /// Which entries pass while all is well.
    pub carries: Carries,
}

/// Which entries pass over a link while all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Carries {
    /// Those that the source wrote itself.
    OwnEntries,
    /// All that the target lacks.
    Everything,
}

/// The name of a link: `eu:us` pulls from eu into us.
///
/// Region names may hold '-', so a dash would be ambiguous; a colon is allowed in neither name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName {
    /// The source.
    pub from: RegionName,
    /// The target.
    pub to: RegionName,
}

/// A text that names no link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLinkName {
    /// Not two names.
    #[error("a link is named by its two regions: write source:target, such as eu:us")]
    NotTwoNames,
    /// A name that cannot be a region's.
    #[error(transparent)]
    Region(#[from] InvalidName),
}

impl DeclaredLink {
    /// The link's name.
    #[must_use]
    pub fn name(&self) -> LinkName {
        LinkName {
            from: self.from.clone(),
            to: self.to.clone(),
        }
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.from, self.to)
    }
}

impl FromStr for LinkName {
    type Err = InvalidLinkName;

    fn from_str(text: &str) -> Result<Self, InvalidLinkName> {
        let (from, to) = text.split_once(':').ok_or(InvalidLinkName::NotTwoNames)?;
        Ok(LinkName {
            from: from.parse()?,
            to: to.parse()?,
        })
    }
}

/// The links of a store, in the order of its regions (or of its ring, or as listed).
#[must_use]
pub fn links(manifest: &StoreManifest) -> Vec<DeclaredLink> {
    let regions = manifest.regions.iter().map(|region| &region.name);
    match &manifest.topology {
        Topology::AllToAll => regions
            .clone()
            .flat_map(|from| regions.clone().map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
            .map(|(from, to)| link(from, to, Carries::OwnEntries))
            .collect(),
        Topology::Ring { order } => order
            .iter()
            .zip(order.iter().cycle().skip(1))
            .map(|(from, to)| link(from, to, Carries::Everything))
            .collect(),
        Topology::Star { hub } => regions
            .filter(|spoke| *spoke != hub)
            .flat_map(|spoke| {
                [
                    link(spoke, hub, Carries::OwnEntries),
                    link(hub, spoke, Carries::Everything),
                ]
            })
            .collect(),
        Topology::Custom { links } => links
            .iter()
            .map(|LinkSpec { from, to }| link(from, to, Carries::Everything))
            .collect(),
    }
}

fn link(from: &RegionName, to: &RegionName, carries: Carries) -> DeclaredLink {
    DeclaredLink {
        from: from.clone(),
        to: to.clone(),
        carries,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use crate::manifest::parse;

    fn declared(topology: &str, regions: &[&str]) -> Vec<String> {
        let regions: Vec<_> = regions
            .iter()
            .map(|name| format!("{{name: {name}}}"))
            .collect();
        let text = format!(
            "apiVersion: atoll.dev/v1alpha1\nkind: GeoStore\nmetadata: {{name: shop}}\n\
             spec: {{topology: {topology}, regions: [{}]}}",
            regions.join(", ")
        );
        let manifest = parse(&[("shop.yaml", text)]).unwrap();
        let shown = |link: &DeclaredLink| match link.carries {
            Carries::OwnEntries => format!("{} own", link.name()),
            Carries::Everything => format!("{} all", link.name()),
        };
        links(&manifest).iter().map(shown).collect()
    }

    #[test]
    fn all_to_all_links_every_ordered_pair() {
        assert_eq!(
            declared("{type: AllToAll}", &["eu", "us", "ap"]),
            [
                "eu:us own",
                "eu:ap own",
                "us:eu own",
                "us:ap own",
                "ap:eu own",
                "ap:us own"
            ]
        );
        assert!(declared("{type: AllToAll}", &["eu"]).is_empty());
    }

    #[test]
    fn a_ring_runs_one_way_in_its_order() {
        assert_eq!(
            declared("{type: Ring}", &["eu", "us", "ap"]),
            ["eu:us all", "us:ap all", "ap:eu all"]
        );
        assert_eq!(
            declared("{type: Ring, order: [ap, us, eu]}", &["eu", "us", "ap"]),
            ["ap:us all", "us:eu all", "eu:ap all"]
        );
    }

    #[test]
    fn a_star_passes_everything_on_at_its_hub() {
        assert_eq!(
            declared("{type: Star, hub: us}", &["eu", "us", "ap"]),
            ["eu:us own", "us:eu all", "ap:us own", "us:ap all"]
        );
    }

    #[test]
    fn custom_links_are_those_listed() {
        assert_eq!(
            declared(
                "{type: Custom, links: [{from: a, to: b}, {from: b, to: c}, {from: c, to: a}]}",
                &["a", "b", "c"]
            ),
            ["a:b all", "b:c all", "c:a all"]
        );
    }

    #[test]
    fn link_names_are_unambiguous_and_read_back() {
        let name: LinkName = "eu-west:us-east".parse().unwrap();
        assert_eq!(
            (name.from.as_str(), name.to.as_str()),
            ("eu-west", "us-east")
        );
        assert_eq!(name.to_string(), "eu-west:us-east");
        for bad in ["", "eu", "eu:", ":us", "eu:us:ap", "EU:us"] {
            assert!(bad.parse::<LinkName>().is_err(), "{bad}");
        }
    }
}
