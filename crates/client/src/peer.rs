//! Calls between the nodes of one region: Raft's messages, and requests handed on to the leader.
//!
//! One HTTP/2 connection a node, kept and made again as needed. What the bytes mean is the caller's business.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{TryStream, TryStreamExt};
use http::header::{HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::dialer::{Connector, Dialer};
use crate::error::ClientError;
use crate::resend::Resends;
use crate::tls::{Material, Protocols};

/// Pings notice a node that is gone while calls are under way.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const WINDOW_BYTES: u32 = 8 << 20;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Calls other nodes. Clones share connections.
#[derive(Clone, Debug)]
pub struct PeerClient {
    connector: Connector,
    /// Connections are kept as long as the credentials that they were made with.
    pool: Arc<Mutex<Pool>>,
}

#[derive(Debug)]
struct Pool {
    made_with: Option<Arc<Material>>,
    http: Client<Connector, Body>,
}

/// What another node answered: its body is still to come.
#[derive(Debug)]
pub struct PeerAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    address: String,
}

/// What is sent: what is whole can be sent again.
enum Outgoing {
    Whole(Bytes),
    Made(Body),
}

impl Outgoing {
    /// The body to send now, and what is left for a second time.
    fn take(self) -> (Body, Option<Outgoing>) {
        match self {
            Outgoing::Whole(bytes) => {
                let body = Full::new(bytes.clone()).map_err(|never| match never {});
                (body.boxed_unsync(), Some(Outgoing::Whole(bytes)))
            }
            Outgoing::Made(body) => (body, None),
        }
    }
}

impl PeerClient {
    /// Calls over `dialer` that give up connecting after `connect_timeout`.
    #[must_use]
    pub fn new(dialer: impl Into<Dialer>, connect_timeout: Duration) -> PeerClient {
        let connector = Connector {
            dialer: dialer.into(),
            protocols: Protocols::Http2,
            connect_timeout,
        };
        let pool = Pool {
            made_with: connector.dialer.material(),
            http: pool(&connector),
        };
        PeerClient {
            connector,
            pool: Arc::new(Mutex::new(pool)),
        }
    }

    /// The pool to call by. Once there are other credentials it is a new one; calls under way end on the old.
    fn http(&self) -> Client<Connector, Body> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.connector.dialer.material();
        let is_same = match (&pool.made_with, &now) {
            (Some(then), Some(now)) => Arc::ptr_eq(then, now),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            *pool = Pool {
                made_with: now,
                http: self::pool(&self.connector),
            };
        }
        pool.http.clone()
    }

    /// Posts `body` to `path` of the node at `address` (`http://host:port`, or `https`), and reads the whole answer.
    ///
    /// # Errors
    /// [`ClientError`]; a status other than 200 is [`ClientError::Refused`] or [`ClientError::Unexpected`].
    pub async fn call(
        &self,
        address: &str,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, ClientError> {
        let whole = async {
            let answer = self
                .send(
                    Method::POST,
                    address,
                    path,
                    headers,
                    Outgoing::Whole(body),
                    timeout,
                )
                .await?;
            answer.good().await
        };
        match tokio::time::timeout(timeout, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout {
                server: address.to_owned(),
                timeout,
            }),
        }
    }

    /// Reads what `path` of the node at `address` answers.
    ///
    /// # Errors
    /// As [`PeerClient::call`].
    pub async fn fetch(
        &self,
        address: &str,
        path: &str,
        timeout: Duration,
    ) -> Result<Bytes, ClientError> {
        let body = Outgoing::Whole(Bytes::new());
        let answer = self
            .send(Method::GET, address, path, HeaderMap::new(), body, timeout)
            .await?;
        answer.good().await
    }

    /// Posts a body that is made while it is sent; the answer comes within `timeout`.
    ///
    /// # Errors
    /// As [`PeerClient::call`].
    pub async fn upload<S>(
        &self,
        address: &str,
        path: &str,
        headers: HeaderMap,
        body: S,
        timeout: Duration,
    ) -> Result<Bytes, ClientError>
    where
        S: TryStream<Ok = Bytes> + Send + 'static,
        S::Error: Into<BoxError>,
    {
        let frames = body.map_ok(Frame::data).map_err(Into::into);
        let body = Outgoing::Made(StreamBody::new(frames).boxed_unsync());
        let answer = self
            .send(Method::POST, address, path, headers, body, timeout)
            .await?;
        answer.good().await
    }

    /// Hands a request on as it is; any status is an answer, whose head comes within `timeout`.
    ///
    /// # Errors
    /// [`ClientError`] when there is no answer. [`ClientError::is_unsent`] tells whether it may have had an
    /// effect.
    pub async fn hand_on(
        &self,
        method: Method,
        address: &str,
        path_and_query: &str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<PeerAnswer, ClientError> {
        self.send(
            method,
            address,
            path_and_query,
            headers,
            Outgoing::Whole(body),
            timeout,
        )
        .await
    }

    async fn send(
        &self,
        method: Method,
        address: &str,
        path: &str,
        headers: HeaderMap,
        body: Outgoing,
        timeout: Duration,
    ) -> Result<PeerAnswer, ClientError> {
        let uri = place(address, path).ok_or_else(|| ClientError::InvalidServer {
            server: address.to_owned(),
        })?;
        let checked = self.connector.dialer.check(uri.scheme_str());
        checked.map_err(|wrong| ClientError::wrong_scheme(address, wrong))?;
        let sending = self.send_again(method, uri, headers, body);
        let Ok(sent) = tokio::time::timeout(timeout, sending).await else {
            return Err(ClientError::Timeout {
                server: address.to_owned(),
                timeout,
            });
        };
        let response = sent.map_err(|error| ClientError::from_call(&error, address))?;
        let (head, body) = response.into_parts();
        Ok(PeerAnswer {
            status: head.status,
            headers: head.headers,
            body,
            address: address.to_owned(),
        })
    }

    async fn send_again(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        mut body: Outgoing,
    ) -> Result<Response<Incoming>, legacy::Error> {
        let (http, mut resends) = (self.http(), Resends::default());
        loop {
            let (now, later) = body.take();
            let mut request = Request::new(now);
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers.clone();
            let us = HeaderValue::from_static(crate::USER_AGENT);
            request.headers_mut().entry(USER_AGENT).or_insert(us);
            match (http.request(request).await, later) {
                (Err(error), Some(later)) if resends.allow(&error) => body = later,
                (sent, _) => return sent,
            }
        }
    }
}

fn pool(connector: &Connector) -> Client<Connector, Body> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_only(true)
        .http2_initial_stream_window_size(WINDOW_BYTES)
        .http2_initial_connection_window_size(WINDOW_BYTES)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .build(connector.clone())
}

/// `path_and_query` of the node at `address`.
fn place(address: &str, path_and_query: &str) -> Option<Uri> {
    let address: Uri = address.parse().ok()?;
    Uri::builder()
        .scheme(address.scheme_str()?)
        .authority(address.authority()?.clone())
        .path_and_query(path_and_query)
        .build()
        .ok()
}

impl PeerAnswer {
    /// The body as it comes.
    ///
    /// # Errors
    /// [`ClientError::Broken`] or the like when it ends too early.
    pub async fn next(&mut self) -> Option<Result<Bytes, ClientError>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
                Err(error) => return Some(Err(ClientError::from_body(&error, &self.address))),
            }
        }
    }

    async fn good(self) -> Result<Bytes, ClientError> {
        let PeerAnswer {
            status,
            headers: _,
            body,
            address,
        } = self;
        let body = body.collect().await;
        let body = body
            .map_err(|error| ClientError::from_body(&error, &address))?
            .to_bytes();
        if status == StatusCode::OK {
            return Ok(body);
        }
        Err(
            match serde_json::from_slice::<atoll_api::http::Problem>(&body) {
                Ok(problem) => ClientError::Refused(Box::new(problem)),
                Err(_) => ClientError::Unexpected {
                    server: address,
                    status: status.as_u16(),
                    detail: String::from_utf8_lossy(&body).chars().take(200).collect(),
                },
            },
        )
    }
}
