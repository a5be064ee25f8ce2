//! The loop around passes: who is looked at, when, how many at once; and who of several operators looks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use kube::Client;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource as _, ResourceExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use atoll_client::otlp::Outlet;

use crate::apply::Hands;
use crate::caches::{self, GuardedStore, Requests};
use crate::error::PassError;
use crate::events::Events;
use crate::lease::{self, Door};
use crate::metrics::Metrics;
use crate::pass::Tools;
use crate::serve;
use crate::settings::{Scope, Settings};
use crate::traces::Traces;

/// Changes that come together are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(300);
/// A pass that takes longer is given up; the next one begins anew.
const PASS_WITHIN: Duration = Duration::from_secs(120);
/// How long work in progress may take at the end.
const END_WITHIN: Duration = Duration::from_secs(20);
/// How often collections without a store, and old notes, are looked at.
const TIDY_EVERY: Duration = Duration::from_secs(15);

/// Why an operator does not run, or does not run any more.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No API server is named, or not in a way that can be understood.
    #[error("no API server is known: run in a pod, or set KUBECONFIG ({0})")]
    NoServer(String),
    /// The port for health and metrics is taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Another operator acts now.
    #[error("the lease was lost: another operator may act now, so this one stops")]
    LeaseLost,
    /// The standard variables name a collector that cannot be spoken to.
    #[error("{0}")]
    Telemetry(String),
    /// A metric's name is wrong: a fault of this program.
    #[error("metrics cannot be made: {0}")]
    Metrics(String),
}

/// Runs the operator until told to stop. What is said to `logs` goes to a collector, where the variables ask for it.
///
/// # Errors
/// [`StartError`]. After [`StartError::LeaseLost`] the process ends, so that nothing of it goes on.
pub async fn run(
    settings: Settings,
    logs: Outlet,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let config = kube::Config::infer().await;
    let mut config = config.map_err(|error| StartError::NoServer(error.to_string()))?;
    config.connect_timeout = Some(settings.timeout);
    let client = Client::try_from(config).map_err(|e| StartError::NoServer(e.to_string()))?;
    run_with(client, settings, &logs, stop).await
}

/// The same with a client that is there.
pub(crate) async fn run_with(
    client: Client,
    settings: Settings,
    logs: &Outlet,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let metrics = Metrics::new().map_err(|error| StartError::Metrics(error.to_string()))?;
    let traces = Traces::from_variables(&settings.identity, logs);
    let metrics =
        metrics.with_traces(traces.map_err(|bad| StartError::Telemetry(bad.to_string()))?);
    let address = settings.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })?;
    let tasks = TaskTracker::new();
    let watching = stop.child_token();
    tasks.spawn(serve::serve(listener, metrics.clone(), watching.clone()));

    let mut door = Door::new(
        client.clone(),
        &settings.lease_namespace,
        &settings.identity,
    );
    let ended = lead(&client, &settings, &metrics, &mut door, &stop).await;
    metrics.leads(false);
    door.release().await;
    watching.cancel();
    tasks.close();
    let _ = tokio::time::timeout(END_WITHIN, tasks.wait()).await;
    ended
}

/// Waits for the lease, works while it is held.
async fn lead(
    client: &Client,
    settings: &Settings,
    metrics: &Metrics,
    door: &mut Door,
    stop: &CancellationToken,
) -> Result<(), StartError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            may = door.knock() => if may { break },
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(lease::LOOK_EVERY) => {}
        }
    }
    tracing::info!(identity = settings.identity, "this operator acts");
    metrics.leads(true);
    let working = stop.child_token();
    let tasks = TaskTracker::new();
    let namespaces: Vec<Option<String>> = match &settings.scope {
        Scope::All => vec![None],
        Scope::Namespaces(names) => names.iter().cloned().map(Some).collect(),
    };
    for namespace in namespaces {
        let (tools, requests) = tools(client, settings, metrics, namespace.as_deref());
        let tools = Arc::new(tools);
        let watched = Arc::downgrade(&tools);
        metrics.count(move || {
            let tools = watched.upgrade();
            tools.map(|tools| tools.caches.counts()).unwrap_or_default()
        });
        tasks.spawn(work(Arc::clone(&tools), requests, working.clone()));
        tasks.spawn(tidy(tools, working.clone()));
    }
    tasks.close();
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                // What was begun is finished under the lease, which is renewed meanwhile.
                working.cancel();
                let deadline = tokio::time::sleep(END_WITHIN);
                tokio::pin!(deadline);
                loop {
                    tokio::select! {
                        () = tasks.wait() => return Ok(()),
                        () = &mut deadline => return Ok(()),
                        () = tokio::time::sleep(lease::LOOK_EVERY) => {}
                    }
                    if !door.knock().await {
                        return Err(StartError::LeaseLost);
                    }
                }
            }
            () = tokio::time::sleep(lease::LOOK_EVERY) => {}
        }
        if !door.knock().await {
            working.cancel();
            return Err(StartError::LeaseLost);
        }
    }
}

fn tools(
    client: &Client,
    settings: &Settings,
    metrics: &Metrics,
    namespace: Option<&str>,
) -> (Tools, Requests) {
    let (caches, requests) = caches::watch_all(client, namespace);
    let tools = Tools {
        caches,
        hands: Hands::new(client.clone(), settings.timeout, metrics.clone()),
        pen: Default::default(),
        events: Events::new(client.clone(), &settings.identity, settings.timeout),
        rates: Mutex::default(),
        certificates: Default::default(),
        settings: settings.clone(),
    };
    (tools, requests)
}

/// What is kept of stores that fail.
struct Context {
    tools: Arc<Tools>,
    failures: Mutex<HashMap<ObjectRef<GuardedStore>, u32>>,
}

async fn work(tools: Arc<Tools>, requests: Requests, stop: CancellationToken) {
    let config = Config::default()
        .concurrency(tools.settings.concurrency)
        .debounce(DEBOUNCE);
    let store = tools.caches.stores.clone();
    let context = Arc::new(Context {
        tools,
        failures: Mutex::default(),
    });
    let queue = context.tools.hands.metrics.clone();
    let gone = queue.clone();
    let requests = requests
        .take_until(stop.cancelled_owned())
        .inspect(move |request| {
            if let Ok(request) = request {
                let namespace = request.obj_ref.namespace.as_deref().unwrap_or_default();
                queue.waits(namespace, &request.obj_ref.name);
            }
        });
    let passes = applier(
        |store, context| Box::pin(reconcile(store, context)),
        |store, error, context| after_failure(&store, error, &context),
        context,
        store,
        requests,
        config,
    );
    passes
        .for_each(|outcome| {
            if let Err(error) = outcome {
                match error {
                    // Deleted meanwhile.
                    kube::runtime::controller::Error::ObjectNotFound(store) => {
                        let namespace = store.namespace.as_deref().unwrap_or_default();
                        gone.waited(namespace, &store.name);
                    }
                    error => tracing::warn!("{}", told(&error)),
                }
            }
            std::future::ready(())
        })
        .await;
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

async fn reconcile(store: Arc<GuardedStore>, context: Arc<Context>) -> Result<Action, PassError> {
    let tools = &context.tools;
    // A plan made of half the objects would make the other half again.
    tools.caches.wait_until_ready().await;
    let begun = Instant::now();
    let named = (store.namespace().unwrap_or_default(), store.name_any());
    tools.hands.metrics.waited(&named.0, &named.1);
    let mut span = tools.hands.metrics.traces().pass(&named.0, &named.1);
    let pass = async {
        match &store.0 {
            Ok(store) => tools.pass(store, &mut span).await,
            Err(object) => {
                tools.pass_unreadable(&store, object).await?;
                Ok(tools.settings.look_every)
            }
        }
    };
    let outcome = match tokio::time::timeout(PASS_WITHIN, pass).await {
        Ok(outcome) => outcome,
        Err(_) => Err(PassError::Late {
            what: "a pass".to_owned(),
            within: PASS_WITHIN,
        }),
    };
    let word = match &outcome {
        Ok(_) => "ok",
        Err(error) => error.class().as_str(),
    };
    span.ended(word);
    tools
        .hands
        .metrics
        .passed(word, begun.elapsed().as_secs_f64());
    let again = outcome?;
    context.failures().remove(&ObjectRef::from_obj(&*store));
    Ok(Action::requeue(again))
}

fn after_failure(store: &GuardedStore, error: &PassError, context: &Context) -> Action {
    let mut failures = context.failures();
    let count = failures.entry(ObjectRef::from_obj(store)).or_default();
    *count = count.saturating_add(1);
    let pause = error.class().pause(*count);
    tracing::debug!(store = store.name_any(), ?pause, "the pass is tried again");
    Action::requeue(pause)
}

impl Context {
    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectRef<GuardedStore>, u32>> {
        self.failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What belongs to no store.
async fn tidy(tools: Arc<Tools>, stop: CancellationToken) {
    tools.caches.wait_until_ready().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TIDY_EVERY) => {}
        }
        tools.pass_over_collections_without_store().await;
        tools.pen.forget_old();
        let stores = tools.caches.stores.state();
        let uids: HashSet<&str> = stores
            .iter()
            .filter_map(|store| store.meta().uid.as_deref())
            .collect();
        tools.certificates.keep_only(|uid| uids.contains(uid));
    }
}
