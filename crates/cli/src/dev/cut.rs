//! Partitions: every link from and to a region is paused, through the admin API, also those that would stand
//! in for others.

use atoll_api::http::{LinkState, LinkStatus};
use atoll_api::topology::LinkName;

use crate::failure::Failure;
use crate::output;
use crate::target::Place;
use crate::wording;

/// Cuts a region off from all others.
pub(crate) async fn partition(places: &[Place], region: &str) -> Result<(), Failure> {
    check(places, region)?;
    let paused = pause(places, region).await?;
    let links = wording::counted(paused, "link", "links");
    output::line(&format!(
        "{region} is cut off: {links} paused. It goes on reading and writing; `atoll dev heal {region}` brings it back."
    ));
    Ok(())
}

/// Brings a region back, or all of them.
pub(crate) async fn heal(places: &[Place], region: Option<&str>) -> Result<(), Failure> {
    if let Some(region) = region {
        check(places, region)?;
    }
    let resumed = resume(places, region).await?;
    let links = wording::counted(resumed, "link", "links");
    let who = region.map_or("All regions are".to_owned(), |region| {
        format!("{region} is")
    });
    output::line(&format!("{who} back: {links} resumed."));
    Ok(())
}

/// Pauses all links of a region, also those that are not there now; says how many.
pub(crate) async fn pause(places: &[Place], region: &str) -> Result<u64, Failure> {
    let mut paused = 0;
    for place in places {
        let known = place.client.links().await?.links;
        for source in places.iter().map(Place::name) {
            let link = format!("{source}:{}", place.name());
            let is_paused = |l: &LinkStatus| l.name == link && l.state == LinkState::Paused;
            if source != place.name() && touches(&link, region) && !known.iter().any(is_paused) {
                place.client.pause_link(&link).await?;
                paused += 1;
            }
        }
    }
    Ok(paused)
}

/// Resumes the paused links of a region, or of all; says how many.
pub(crate) async fn resume(places: &[Place], region: Option<&str>) -> Result<u64, Failure> {
    let mut resumed = 0;
    for place in places {
        for link in place.client.links().await?.links {
            let is_meant = region.is_none_or(|region| touches(&link.name, region));
            if is_meant && link.state == LinkState::Paused {
                place.client.resume_link(&link.name).await?;
                resumed += 1;
            }
        }
    }
    Ok(resumed)
}

fn touches(link: &str, region: &str) -> bool {
    link.parse::<LinkName>()
        .is_ok_and(|link| link.from.as_str() == region || link.to.as_str() == region)
}

fn check(places: &[Place], region: &str) -> Result<(), Failure> {
    let known: Vec<_> = places.iter().map(Place::name).collect();
    if known.iter().any(|name| name == region) {
        Ok(())
    } else {
        let known = known.join(", ");
        Err(
            Failure::usage(format!("the dev store has no region {region}"))
                .help(format!("its regions are {known}")),
        )
    }
}
