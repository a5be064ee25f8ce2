//! Asking nodes: what each region says of itself and of the others. Every question has a timeout, and a
//! region that does not answer keeps nobody waiting for longer than that.

use std::time::Duration;

use atoll_api::http::{Status, TlsStatus};
use atoll_api::manifest::{CollectionSettings, RegionName};
use atoll_client::tls::{Credentials, Expected, StoreId};
use atoll_client::{Client, ClientError, Dialer, Network, Settings as ClientSettings};

use crate::certificates::{Heard, Shown};
use crate::names;
use crate::observe::{Answer, Observed, PodSeen, Said};
use crate::validate::Declared;

/// Where a region's nodes are reached from here, by ordinal where it is known.
type Address = (Option<u8>, String);

/// How nodes of a store are connected to: plainly, or with certificates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    pub(crate) tls: Option<(Credentials, StoreId)>,
}

impl Ways {
    pub(crate) fn dialer(&self, region: &RegionName) -> Dialer {
        match &self.tls {
            None => Dialer::default(),
            Some((credentials, store)) => {
                let expected = Expected::Region(*store, region.clone());
                Dialer::with_tls(Network::Tcp, credentials.clone(), expected)
            }
        }
    }
}

/// A client of a region.
///
/// # Errors
/// [`ClientError::InvalidServer`] for no address.
pub(crate) fn client(
    addresses: &[String],
    dialer: Dialer,
    timeout: Duration,
) -> Result<Client, ClientError> {
    let settings = ClientSettings {
        dialer,
        connect_timeout: timeout / 2,
        request_timeout: timeout,
        attempts: 1,
        retry_for: timeout,
        ..ClientSettings::default()
    };
    Client::of_region(addresses, settings)
}

/// Asks every region, all at once.
pub(crate) async fn ask(
    declared: &Declared,
    observed: &mut Observed,
    ways: &Ways,
    timeout: Duration,
) {
    let regions: Vec<RegionName> = observed.regions.keys().cloned().collect();
    let questions = regions.iter().map(|region| {
        let addresses = addresses(declared, observed, region);
        let dialer = ways.dialer(region);
        async move {
            if addresses.is_empty() {
                return Answer::Nobody;
            }
            let answer = tokio::time::timeout(timeout * 2, one(&addresses, dialer, timeout));
            match answer.await {
                Ok(Ok(said)) => Answer::Said(Box::new(said)),
                Ok(Err(error)) => Answer::Silent(error.to_string()),
                Err(_) => Answer::Silent(format!("no answer within {:?}", timeout * 2)),
            }
        }
    });
    let answers = futures_util::future::join_all(questions).await;
    for (region, answer) in regions.iter().zip(answers) {
        if let Some(seen) = observed.regions.get_mut(region) {
            seen.answer = answer;
        }
    }
}

/// Where a region's nodes are reached: pods that run here by their addresses, others by their endpoints.
pub(crate) fn addresses(
    declared: &Declared,
    observed: &Observed,
    region: &RegionName,
) -> Vec<Address> {
    let seen = observed.regions.get(region);
    let pods: Vec<&PodSeen> = seen
        .and_then(|seen| seen.objects.as_ref())
        .map(|objects| objects.pods.iter().collect())
        .unwrap_or_default();
    // Those that take requests first.
    let (ready, others): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| pod.is_ready);
    let pods = ready.into_iter().chain(others);
    let here = pods.filter_map(|pod| {
        let ip = pod.ip.as_ref()?;
        Some((Some(pod.ordinal), address(declared, ip)))
    });
    let elsewhere = declared
        .manifest
        .region(region.as_str())
        .filter(|region| !declared.is_here(region))
        .map(|region| declared.endpoints(region))
        .unwrap_or_default();
    here.chain(elsewhere.into_iter().map(|endpoint| (None, endpoint)))
        .collect()
}

/// Where the operator reaches a node.
fn address(declared: &Declared, ip: &str) -> String {
    let (scheme, port) = names::entrance(declared.tls.is_some());
    if ip.contains(':') {
        format!("{scheme}://[{ip}]:{port}")
    } else {
        format!("{scheme}://{ip}:{port}")
    }
}

/// Asks every node of this cluster what it shows and trusts; regions of other clusters were asked.
pub(crate) async fn certificates(
    declared: &Declared,
    observed: &Observed,
    ways: &Ways,
    timeout: Duration,
) -> Heard {
    let here = observed.regions.iter().filter_map(|(region, seen)| {
        let objects = seen.objects.as_ref()?;
        Some(objects.pods.iter().map(move |pod| (region, pod)))
    });
    let questions = here.flatten().map(|(region, pod)| async move {
        let name = declared.names(region).pod(pod.ordinal);
        let Some(ip) = &pod.ip else {
            return (name, None);
        };
        let asked = client(&[address(declared, ip)], ways.dialer(region), timeout);
        let status = match asked {
            Ok(node) => tokio::time::timeout(timeout * 2, node.status()).await,
            Err(error) => Ok(Err(error)),
        };
        let status = status.ok().and_then(Result::ok);
        (name, status.and_then(|status| shown(status.tls?)))
    });
    let elsewhere = declared.manifest.regions.iter();
    let elsewhere = elsewhere.filter(|region| !declared.is_here(region));
    let elsewhere = elsewhere.map(|region| {
        let said = observed.said(&region.name);
        let shown = said.and_then(|said| shown(said.tls.clone()?));
        (region.name.to_string(), shown)
    });
    Heard {
        elsewhere: elsewhere.collect(),
        here: futures_util::future::join_all(questions)
            .await
            .into_iter()
            .collect(),
    }
}

fn shown(tls: TlsStatus) -> Option<Shown> {
    Some(Shown {
        certificate: tls.certificate_fingerprint,
        trusts: tls.ca_fingerprints,
    })
}

/// Asks a region: whoever answers who leads, and then the leader, who knows most.
async fn one(
    addresses: &[Address],
    dialer: Dialer,
    timeout: Duration,
) -> Result<Said, ClientError> {
    let all: Vec<String> = addresses
        .iter()
        .map(|(_, address)| address.clone())
        .collect();
    let any = client(&all, dialer.clone(), timeout)?;
    let status = any.status().await?;
    let leads = status.leader.as_deref().and_then(ordinal_in);
    let leader = addresses
        .iter()
        .find(|(ordinal, _)| ordinal.is_some() && *ordinal == leads);
    let asked = match leader {
        Some((_, address)) => client(std::slice::from_ref(address), dialer, timeout)?,
        None => any,
    };
    let status = asked.status().await.unwrap_or(status);
    let (members, nodes, links, topology, metrics) = tokio::join!(
        asked.members(),
        asked.nodes(),
        asked.links(),
        asked.topology(),
        asked.metrics()
    );
    Ok(Said {
        members: members?.members,
        nodes: nodes.map(|list| list.nodes).unwrap_or_default(),
        links: links.map(|list| list.links).unwrap_or_default(),
        topology: topology.ok(),
        conflicts: metrics.ok().map(|text| conflicts(&text)),
        ..said(status)
    })
}

fn said(status: Status) -> Said {
    let collections = status.collections.into_iter();
    let collections = collections.filter_map(|collection| {
        Some(CollectionSettings {
            name: collection.name.parse().ok()?,
            data_type: collection.data_type,
            conflicts: collection.conflicts,
        })
    });
    let (connectivity, sides) = match status.topology {
        Some(topology) => (Some(topology.state), topology.sides),
        None => (None, Vec::new()),
    };
    Said {
        state: status.state,
        join: status.join,
        leader: status.leader,
        version: status.version,
        lag_seconds: status.convergence.lag_seconds,
        is_converged: status.convergence.converged,
        connectivity,
        sides,
        clock: Some(status.clock.state),
        tls: status.tls,
        collections: collections.collect(),
        ..Said::default()
    }
}

/// The ordinal in an address such as `http://shop-eu-1.shop-eu-nodes.team.svc:7401`.
fn ordinal_in(address: &str) -> Option<u8> {
    let host = address.split_once("://")?.1;
    names::ordinal(host.split_once('.')?.0)
}

/// The sum of the conflicts' counter, over collections, kinds and outcomes.
fn conflicts(metrics: &str) -> f64 {
    let lines = metrics.lines();
    let samples = lines.filter(|line| line.starts_with("atoll_conflicts_total"));
    samples
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    use super::*;

    #[test]
    fn the_leader_is_known_by_its_address() {
        assert_eq!(
            ordinal_in("http://shop-eu-1.shop-eu-nodes.team.svc:7401"),
            Some(1)
        );
        assert_eq!(ordinal_in("http://10.0.0.1:7401"), None);
    }

    #[test]
    fn conflicts_are_summed_over_all_labels() {
        let text = "# TYPE atoll_conflicts_total counter\natoll_conflicts_total{kind=\"a\"} 3\n\
                    atoll_conflicts_total{kind=\"b\"} 4\natoll_other 5\n";
        assert_eq!(conflicts(text), 7.0);
    }
}
