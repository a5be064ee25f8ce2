//! Opens the one long-lived stream of a region link.
//!
//! One HTTP/2 connection per link: a POST whose body carries upstream frames (hello,
//! acknowledgements, asks) while its answer carries downstream frames (batches, heartbeats). Both bodies are
//! open at the same time; the caller may send before the answer's head has arrived, so that no round trip
//! is lost before the first frame. What the bytes mean is the business of replication.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::uri::Authority;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::dialer::{Dialer, WrongScheme};
use crate::tls::{Protocols, TlsFault};

/// Where a node serves links.
pub const LINK_PATH: &str = "/internal/v1/link";

/// Upstream frames that may wait to be sent.
const UPSTREAM_FRAMES_MAX: usize = 64;
/// What the far side may send before we have read it; replication's credit is the tighter bound.
const WINDOW_BYTES: u32 = 8 << 20;
const FRAME_BYTES_MAX: u32 = 256 << 10;
/// Replication's heartbeats notice silence first; these pings free a connection that nobody reads.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a broken connection's task is waited for; it has nothing left to do.
const CAUSE_WITHIN: Duration = Duration::from_millis(500);
/// Most of a refusal's body that is read for the message.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// An open link: frames in both directions.
///
/// Dropping `upstream` ends the request's body; dropping `downstream` closes the connection.
#[derive(Debug)]
pub struct LinkStream {
    /// Towards the source; bounded, so a stuck connection makes the sender wait.
    pub upstream: mpsc::Sender<Bytes>,
    /// From the source.
    pub downstream: Downstream,
    /// Until when the source's certificate is valid, in seconds since 1970; absent without TLS.
    pub not_after: Option<i64>,
}

/// The bytes that the source sends, cut wherever the network cut them.
#[derive(Debug)]
pub struct Downstream {
    state: State,
    endpoint: String,
    answer_timeout: Duration,
    connection: Connection,
}

/// Why a link could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The endpoint is no address.
    #[error("{endpoint} is no endpoint of a node: write http://host:port or https://host:port")]
    InvalidEndpoint {
        /// As given.
        endpoint: String,
    },
    /// Nobody answers there.
    #[error("{endpoint} cannot be reached: {source}")]
    Connect {
        /// The endpoint.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
    /// The endpoint is of the wrong kind, plain or TLS.
    #[error("{endpoint} is not connected to: {wrong}")]
    WrongScheme {
        /// The endpoint.
        endpoint: String,
        /// How.
        wrong: WrongScheme,
    },
    /// One side did not take the other's certificate.
    #[error("{endpoint} is not connected to: {fault}")]
    Untrusted {
        /// The endpoint.
        endpoint: String,
        /// Why, and what to do.
        fault: TlsFault,
    },
    /// The far side took too long to accept the connection or to answer.
    #[error("{endpoint} did not answer within {timeout:?}")]
    Timeout {
        /// The endpoint.
        endpoint: String,
        /// How long we waited.
        timeout: Duration,
    },
    /// The far side answered, but with no link.
    #[error("the link was refused with status {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's words, as far as there are any.
        detail: String,
        /// Where the node is that is to be asked instead.
        leader: Option<String>,
    },
    /// The connection ended in the middle.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
}

/// Opens a link to the node at `endpoint` (`http://host:port`, or `https`).
///
/// # Errors
/// When the endpoint is no address or nobody accepts the connection within `connect_timeout`. A refusal by
/// the node is told by the first [`Downstream::next`], which waits as long for the answer's head.
pub async fn open(
    dialer: impl Into<Dialer>,
    endpoint: &str,
    connect_timeout: Duration,
) -> Result<LinkStream, LinkError> {
    let dialer = dialer.into();
    let address = address(endpoint)?;
    let named = || endpoint.to_owned();
    let checked = dialer.check(address.scheme_str());
    checked.map_err(|wrong| LinkError::WrongScheme {
        endpoint: named(),
        wrong,
    })?;
    let dialed = match timeout(connect_timeout, dialer.dial(&address, Protocols::Http2)).await {
        Ok(Ok(dialed)) => dialed,
        Ok(Err(source)) => {
            let endpoint = named();
            return Err(match TlsFault::in_chain(&source) {
                Some(fault) => LinkError::Untrusted { endpoint, fault },
                None => LinkError::Connect { endpoint, source },
            });
        }
        Err(_) => return Err(too_slow(endpoint, connect_timeout)),
    };
    let mut stream = open_over(dialed.stream, endpoint, connect_timeout).await?;
    stream.not_after = dialed.not_after;
    Ok(stream)
}

/// Opens a link over a connection that somebody else has made, such as a simulated network.
///
/// # Errors
/// As [`open`].
pub async fn open_over<C>(
    connection: C,
    endpoint: &str,
    answer_timeout: Duration,
) -> Result<LinkStream, LinkError>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = address(endpoint)?;
    let uri = Uri::builder()
        .scheme(address.scheme_str().unwrap_or("http"))
        .authority(address.authority().map_or("", Authority::as_str))
        .path_and_query(LINK_PATH)
        .build()
        .map_err(|_| invalid(endpoint))?;
    let (upstream, mut frames) = mpsc::channel::<Bytes>(UPSTREAM_FRAMES_MAX);
    let frames = stream::poll_fn(move |context| {
        let frame = frames.poll_recv(context);
        frame.map(|bytes| bytes.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes))))
    });
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::USER_AGENT, crate::USER_AGENT)
        .body(StreamBody::new(frames))
        .map_err(|_| invalid(endpoint))?;

    let handshake = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(connection));
    let (mut sender, driver) = timeout(answer_timeout, handshake)
        .await
        .map_err(|_| too_slow(endpoint, answer_timeout))??;
    // The task ends with the connection, at the latest when `Downstream` is dropped.
    let driver = Connection(tokio::spawn(async move {
        let error = driver.await.err()?;
        tracing::debug!(%error, "a link's connection ended");
        TlsFault::in_chain(&error)
    }));
    let answer = sender.send_request(request);
    let answer: Answer = Box::pin(async move {
        let response = answer.await;
        // Held until the answer is here: the last sender's end would close the connection.
        drop(sender);
        response
    });
    Ok(LinkStream {
        upstream,
        downstream: Downstream {
            state: State::Waiting { answer },
            endpoint: endpoint.to_owned(),
            answer_timeout,
            connection: driver,
        },
        not_after: None,
    })
}

impl Downstream {
    /// The next bytes; `None` when the source has ended the link in good order.
    ///
    /// Cancel-safe: bytes are never lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Bytes, LinkError>> {
        if let State::Waiting { answer } = &mut self.state {
            let waited = timeout(self.answer_timeout, answer.as_mut()).await;
            let response = match waited {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return self.broken(error).await,
                Err(_) => {
                    let error = too_slow(&self.endpoint, self.answer_timeout);
                    return self.fail(error);
                }
            };
            if response.status() != StatusCode::OK {
                self.state = State::Refused {
                    status: response.status(),
                    body: Some(response.into_body()),
                };
            } else {
                self.state = State::Open(response.into_body());
            }
        }
        match &mut self.state {
            State::Open(body) => loop {
                match body.frame().await {
                    Some(Ok(frame)) => {
                        // The last frame of a body may be empty.
                        if let Some(bytes) =
                            frame.into_data().ok().filter(|bytes| !bytes.is_empty())
                        {
                            return Some(Ok(bytes));
                        }
                    }
                    Some(Err(error)) => return self.broken(error).await,
                    None => {
                        self.state = State::Ended;
                        return None;
                    }
                }
            },
            State::Refused { status, body } => {
                let status = *status;
                let body = body.take();
                let error = refusal(status, body, self.answer_timeout).await;
                self.fail(error)
            }
            State::Ended | State::Waiting { .. } => None,
        }
    }

    /// What broke the connection is known to the task that drove it.
    async fn broken(&mut self, error: hyper::Error) -> Option<Result<Bytes, LinkError>> {
        let driven = timeout(CAUSE_WITHIN, &mut self.connection.0).await;
        let fault = driven.ok().and_then(Result::ok).flatten();
        let endpoint = self.endpoint.clone();
        self.fail(match fault.or_else(|| TlsFault::in_chain(&error)) {
            Some(fault) => LinkError::Untrusted { endpoint, fault },
            None => LinkError::Broken(error),
        })
    }

    fn fail(&mut self, error: LinkError) -> Option<Result<Bytes, LinkError>> {
        self.state = State::Ended;
        Some(Err(error))
    }
}

type Answer = std::pin::Pin<
    Box<dyn Future<Output = Result<http::Response<Incoming>, hyper::Error>> + Send + Sync>,
>;

enum State {
    Waiting {
        answer: Answer,
    },
    Refused {
        status: StatusCode,
        body: Option<Incoming>,
    },
    Open(Incoming),
    Ended,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Waiting { .. } => "Waiting",
            State::Refused { .. } => "Refused",
            State::Open(_) => "Open",
            State::Ended => "Ended",
        })
    }
}

/// The task that drives the connection; it ends with its owner.
#[derive(Debug)]
struct Connection(JoinHandle<Option<TlsFault>>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn refusal(status: StatusCode, body: Option<Incoming>, patience: Duration) -> LinkError {
    let read = async {
        let collected = Limited::new(body?, REFUSAL_BYTES_MAX).collect().await;
        collected.ok().map(http_body_util::Collected::to_bytes)
    };
    let bytes = timeout(patience, read).await.ok().flatten();
    let bytes = bytes.unwrap_or_default();
    let (detail, leader) = match serde_json::from_slice::<atoll_api::http::Problem>(&bytes) {
        Ok(problem) => (problem.to_string(), problem.leader),
        Err(_) => (String::from_utf8_lossy(&bytes).trim().to_owned(), None),
    };
    LinkError::Refused {
        status: status.as_u16(),
        detail,
        leader,
    }
}

/// An endpoint as an address: nothing but scheme, host and port.
fn address(endpoint: &str) -> Result<Uri, LinkError> {
    let uri: Uri = endpoint.parse().map_err(|_| invalid(endpoint))?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_http || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(invalid(endpoint));
    }
    uri.host().ok_or_else(|| invalid(endpoint))?;
    Ok(uri)
}

fn invalid(endpoint: &str) -> LinkError {
    LinkError::InvalidEndpoint {
        endpoint: endpoint.to_owned(),
    }
}

fn too_slow(endpoint: &str, timeout: Duration) -> LinkError {
    LinkError::Timeout {
        endpoint: endpoint.to_owned(),
        timeout,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn an_endpoint_is_scheme_host_and_port() {
        for good in [
            "http://127.0.0.1:7400",
            "http://[::1]:7400/",
            "http://eu.example",
            "https://eu:1",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:7400",
            "ftp://eu:1",
            "http://eu/x",
            "http://eu/?a=b",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
