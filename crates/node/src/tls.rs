//! TLS of a running node: its certificates as they are now, whom it takes, and what became of those it did not.
//!
//! Files are looked at every few seconds. A change reaches connections when they begin: calls between nodes and
//! links go over to it at once, by new connections; what clients have open stays. Whoever was let in by a
//! certificate that is over, or of a CA that is not trusted any more, is cut off.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use atoll_api::certificate::{CertificateName, StoreId};
use atoll_api::http::TlsStatus;
use atoll_api::manifest::RegionName;
use atoll_client::tls::{Credentials, Expected, Material, TlsError, TlsFault};
use atoll_client::{Dialer, Network};
use atoll_core::Timestamp;

use crate::config::NodeConfig;
use crate::http::Belonging;
use crate::telemetry::{Metrics, TlsGauge};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The same fault is told as a warning this often; in between for those who debug.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// Bounds of how long a link trusts a certificate that it has seen.
const LOOK_AGAIN_MIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// A certificate that ends this soon is a warning.
const ENDS_SOON: Duration = Duration::from_secs(24 * 3600);

/// Which end of a connection this node was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Accepting,
    Dialing,
}

impl Side {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Side::Accepting => "accepting",
            Side::Dialing => "dialing",
        }
    }
}

/// The TLS of one node, shared.
#[derive(Clone)]
pub(crate) struct NodeTls(Arc<Shared>);

struct Shared {
    credentials: Credentials,
    me: CertificateName,
    region: RegionName,
    demands_clients: bool,
    metrics: Arc<Metrics>,
    refused: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// Why the files as they are now are not used.
    files: Option<TlsError>,
    /// The last connection that did not come about.
    fault: Option<String>,
    told: BTreeMap<(&'static str, &'static str), Instant>,
}

impl NodeTls {
    /// Reads the certificates of a configuration that has some.
    pub(crate) fn read(
        config: &NodeConfig,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<NodeTls>, String> {
        let Some(tls) = &config.tls else {
            return Ok(None);
        };
        let region: RegionName = config.region_name()?.into();
        let me = CertificateName::node(config.store_id()?, region.clone(), &config.node_name());
        let credentials = Credentials::read(tls.files(), Some(me.clone()))
            .map_err(|error| format!("tls: {error}"))?;
        tracing::info!(%me, "this node talks by TLS");
        Ok(Some(NodeTls(Arc::new(Shared {
            credentials,
            me,
            region,
            demands_clients: tls.client_ca.is_some(),
            metrics: Arc::clone(metrics),
            refused: AtomicU64::new(0),
            last: Mutex::default(),
        }))))
    }

    pub(crate) fn store(&self) -> StoreId {
        self.0.me.store
    }

    pub(crate) fn belonging(&self) -> Belonging<'_> {
        Belonging {
            store: self.0.me.store,
            region: &self.0.region,
        }
    }

    /// Whether clients must show a certificate.
    pub(crate) fn demands_clients(&self) -> bool {
        self.0.demands_clients
    }

    pub(crate) fn current(&self) -> Arc<Material> {
        self.0.credentials.current()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Material>> {
        self.0.credentials.changes()
    }

    /// Looks at the files, for as long as the node lives.
    pub(crate) async fn watch(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let looking = self.clone();
            let looked = tokio::task::spawn_blocking(move || looking.look()).await;
            if let Err(error) = looked {
                tracing::warn!(%error, "the certificates were not looked at");
            }
        }
    }

    fn look(&self) {
        let looked = self.0.credentials.refresh();
        let ends_in = seconds_left(self.current().certificate_not_after);
        let mut last = self.last();
        match looked {
            Ok(changed) => {
                last.files = None;
                if changed {
                    tracing::info!(me = %self.0.me, ends_in, "certificates were changed");
                } else if ends_in.is_some_and(|left| left < ENDS_SOON.as_secs_f64())
                    && last.may_tell("own", "ends-soon")
                {
                    tracing::warn!(me = %self.0.me, ends_in, "the certificate ends soon; renew it");
                }
            }
            Err(error) => {
                if last.files.as_ref() != Some(&error) {
                    tracing::warn!(%error, "changed certificates are not used; the old ones stay");
                }
                last.files = Some(error);
            }
        }
    }

    /// Somebody was not taken, or did not take this node.
    pub(crate) fn refused(&self, side: Side, who: &str, fault: &TlsFault) {
        let (side, reason) = (side.name(), fault.kind.name());
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        self.0.metrics.tls_refused(side, reason);
        let mut last = self.last();
        last.fault = Some(format!("{who}: {fault}"));
        if last.may_tell(side, reason) {
            tracing::warn!(side, reason, who, %fault, "no connection by TLS");
        } else {
            tracing::debug!(side, reason, who, %fault, "no connection by TLS");
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> TlsStatus {
        let material = self.current();
        let last = self.last();
        TlsStatus {
            name: self.0.me.to_string(),
            certificate_expires: shown(material.certificate_not_after),
            ca_expires: shown(material.ca_not_after),
            certificate_fingerprint: material.certificate_fingerprint.clone().unwrap_or_default(),
            ca_fingerprints: material.ca_fingerprints.clone(),
            refused: self.0.refused.load(Ordering::Relaxed),
            last_refusal: last.fault.clone(),
            problem: last.files.as_ref().map(ToString::to_string),
        }
    }

    pub(crate) fn gauge(&self) -> TlsGauge {
        let material = self.current();
        TlsGauge {
            certificate_seconds: seconds_left(material.certificate_not_after).unwrap_or_default(),
            ca_seconds: seconds_left(material.ca_not_after).unwrap_or_default(),
        }
    }
}

impl Last {
    fn may_tell(&mut self, side: &'static str, reason: &'static str) -> bool {
        let told = self.told.get(&(side, reason));
        let is_due = told.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if is_due {
            self.told.insert((side, reason), Instant::now());
        }
        is_due
    }
}

/// How a node connects to the nodes of a region.
pub(crate) fn dialer(tls: Option<&NodeTls>, network: &Network, region: &RegionName) -> Dialer {
    match tls {
        None => network.into(),
        Some(tls) => {
            let expected = Expected::Region(tls.store(), region.clone());
            Dialer::with_tls(network.clone(), tls.0.credentials.clone(), expected)
        }
    }
}

/// Ends when a connection has outlived the certificates that it was made with: there are others here, or the
/// other side's are nearly over. Never without TLS.
pub(crate) async fn outlived(
    changes: Option<watch::Receiver<Arc<Material>>>,
    not_after: Option<i64>,
) {
    let Some(mut changes) = changes else {
        return std::future::pending().await;
    };
    let own = async {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let others = async {
        match seconds_left(not_after) {
            Some(left) => tokio::time::sleep(asked_again_after(left)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! { () = own => {}, () = others => {} }
}

/// When to look whether the other side has a new certificate, of one that is valid for so many seconds.
fn asked_again_after(seconds_left: f64) -> Duration {
    let most = (seconds_left * 0.9).clamp(0.0, LOOK_AGAIN_MAX.as_secs_f64());
    Duration::from_secs_f64(most).max(LOOK_AGAIN_MIN)
}

/// Seconds from now; below zero when it is over.
#[allow(clippy::cast_precision_loss, reason = "times of certificates fit well")]
pub(crate) fn seconds_left(not_after: Option<i64>) -> Option<f64> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    not_after.map(|end| end as f64 - now.as_secs_f64())
}

fn shown(not_after: Option<i64>) -> Option<String> {
    let seconds = u64::try_from(not_after?).ok()?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However long a certificate is valid, a link begins anew a few times before it is over, and not all the time.
    #[test]
    fn links_look_for_a_new_certificate_before_the_old_one_is_over() {
        for days in [1.0, 90.0, 3650.0] {
            let (mut left, mut looks) = (days * 86_400.0, 0);
            while left > 2.0 {
                let pause = asked_again_after(left).as_secs_f64();
                assert!(pause >= 1.0 && pause < left, "{pause} of {left}");
                left -= pause;
                looks += 1;
            }
            assert!((4..=130).contains(&looks), "{looks} of {days} days");
        }
        assert_eq!(asked_again_after(-5.0), LOOK_AGAIN_MIN);
    }
}
