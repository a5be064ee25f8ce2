//! The server: accepts connections, speaks HTTP/1.1 and HTTP/2 on one port, and stops in good order.
//!
//! One task a connection, at most so many at once. A connection ends by itself, when it outstays
//! ([`super::activity`]), or when the node stops: then it may finish what is under way, for a while.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use atoll_client::Stream;
use atoll_client::tls::Material;

use super::activity::{Activity, Watched};
use super::bounds::{
    Bounds, DRAIN_TIMEOUT, HEAD_BUFFER_BYTES, HEADERS_BYTES_MAX, HEADERS_MAX, STREAMS_MAX,
};
use super::door::{Guest, Pass};
use super::{Caller, Door, Http, router};
use crate::node::Node;
use crate::surroundings::Listener;

/// How many clients at once are told that there are too many; others are cut off.
const TURNED_AWAY_MAX: usize = 64;
/// Pause after the system refused to give a connection, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves those who come by a door until `shutdown` is done, then lets what is under way end, for at most
/// [`DRAIN_TIMEOUT`].
pub(crate) async fn serve(
    node: Node,
    listener: Listener,
    door: Door,
    shutdown: impl Future<Output = ()> + Send,
) {
    let bounds = Bounds::of(node.config());
    serve_within(bounds, node, listener, door, shutdown).await;
}

/// The same, within other bounds than the configuration's.
pub(super) async fn serve_within(
    bounds: Bounds,
    node: Node,
    listener: Listener,
    door: Door,
    shutdown: impl Future<Output = ()> + Send,
) {
    let stopping = CancellationToken::new();
    let http = Http::new(node, bounds.clone(), stopping.clone());
    let server = Server {
        builder: builder(),
        router: router::router(http, &door),
        door,
        free: Arc::new(Semaphore::new(bounds.connections)),
        bounds,
        turned_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
        stopping: stopping.clone(),
        killed: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    tokio::select! {
        () = server.accept(listener) => {}
        () = shutdown => {}
    }
    stopping.cancel();
    server.tasks.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, server.tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(connections = server.tasks.len(), "connections are cut off");
        server.killed.cancel();
        server.tasks.wait().await;
    }
}

struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    door: Door,
    bounds: Bounds,
    free: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    stopping: CancellationToken,
    killed: CancellationToken,
    tasks: TaskTracker,
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None) // ours sees the first bytes, too, and does not count idle time
        .max_headers(HEADERS_MAX)
        // No pipeline_flush: it would keep back the answer to a head that cannot be read.
        .max_buf_size(HEAD_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEADERS_BYTES_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

impl Server {
    async fn accept(&self, listener: Listener) {
        loop {
            match listener.accept().await {
                Ok(stream) => self.take(stream),
                Err(error) => {
                    tracing::debug!(%error, "no connection was accepted");
                    if !is_of_the_client(&error) {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    fn take(&self, stream: Stream) {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            self.connect(stream, place);
        } else if self.door.is_plain()
            && let Ok(place) = Arc::clone(&self.turned_away).try_acquire_owned()
        {
            self.tasks.spawn(async move {
                let _ = tokio::time::timeout(Duration::from_secs(1), turn_away(stream)).await;
                drop(place);
            });
        }
    }

    fn connect(&self, stream: Stream, place: OwnedSemaphorePermit) {
        let serving = Serving {
            builder: self.builder.clone(),
            router: self.router.clone(),
            bounds: self.bounds.clone(),
            stopping: self.stopping.child_token(),
            killed: self.killed.child_token(),
        };
        if self.door.is_plain() {
            let guest = self.door.guest(stream);
            self.tasks.spawn(async move {
                serving.serve(guest).await;
                drop(place);
            });
            return;
        }
        let door = self.door.clone();
        self.tasks.spawn(async move {
            let stopping = serving.stopping.clone();
            let admitting = tokio::time::timeout(serving.bounds.header_timeout, door.admit(stream));
            let admitted = tokio::select! {
                admitted = admitting => admitted,
                () = stopping.cancelled() => return,
            };
            if let Ok(Some(guest)) = admitted {
                serving.serve(guest).await;
            }
            drop(place);
        });
    }
}

/// What one connection needs to be served.
struct Serving {
    builder: Builder<TokioExecutor>,
    router: Router,
    bounds: Bounds,
    stopping: CancellationToken,
    killed: CancellationToken,
}

impl Serving {
    async fn serve(self, guest: Guest) {
        let Guest {
            stream,
            caller,
            pass,
        } = guest;
        let activity = Arc::new(Activity::new());
        let watched = Watched {
            stream,
            activity: Arc::clone(&activity),
        };
        let service = Requests {
            router: self.router,
            activity: Arc::clone(&activity),
            caller,
        };
        let connection = self
            .builder
            .serve_connection(TokioIo::new(watched), service)
            .into_owned();
        tokio::pin!(connection);
        let bounds = self.bounds;
        let mut tick = tokio::time::interval(bounds.tick());
        let mut renewed = pass.as_ref().map(|pass| pass.tls().changes());
        let mut is_ending = false;
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error, "a connection broke off");
                    }
                    return;
                }
                () = self.killed.cancelled() => return,
                () = self.stopping.cancelled(), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = changed(&mut renewed) => {
                    // What is under way ends here; what comes next comes by our new certificate.
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                    if pass.as_ref().is_some_and(|pass| !pass.is_good()) {
                        return;
                    }
                }
                _ = tick.tick() => {
                    if pass.as_ref().is_some_and(Pass::is_over) {
                        return;
                    }
                    if activity.is_overdue(bounds.header_timeout, bounds.idle_timeout) {
                        if is_ending {
                            return;
                        }
                        is_ending = true;
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}

/// Ends when there are other certificates; never without any.
async fn changed(renewed: &mut Option<watch::Receiver<Arc<Material>>>) {
    let changed = match renewed {
        Some(renewed) => renewed.changed().await,
        None => std::future::pending().await,
    };
    if changed.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The requests of one connection, on their way to the router.
struct Requests {
    router: Router,
    activity: Arc<Activity>,
    caller: Option<Caller>,
}

impl hyper::service::Service<http::Request<Incoming>> for Requests {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, mut request: http::Request<Incoming>) -> Self::Future {
        let under_way = self.activity.begin(request.version());
        request.extensions_mut().insert(under_way);
        if let Some(caller) = &self.caller {
            request.extensions_mut().insert(caller.clone());
        }
        self.router.clone().call(request.map(Body::new))
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Tells a client that there are too many, whatever it asks for.
async fn turn_away(mut stream: Stream) -> io::Result<()> {
    const BODY: &str = r#"{"type":"urn:atoll:problem:Overloaded","title":"The node is busy","status":503,"detail":"the node has as many connections as it takes on; try again later","reason":"Overloaded","retryAfter":1}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // What it sends is read, or the system would take the answer back.
    let mut ignored = [0; 4096];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
