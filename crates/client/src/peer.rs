//! Calls between the nodes of one region: Raft's messages, and requests handed on to the leader.
//!
//! One HTTP/2 connection a node, kept and made again as needed. What the bytes mean is the caller's business.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStream;
use http::{HeaderMap, Method, StatusCode};

use crate::error::ClientError;

/// Pings notice a node that is gone while calls are under way.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const WINDOW_BYTES: u32 = 8 << 20;

/// Calls other nodes. Clones share connections.
#[derive(Clone, Debug)]
pub struct PeerClient {
    http: reqwest::Client,
}

/// What another node answered: its body is still to come.
#[derive(Debug)]
pub struct PeerAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    response: reqwest::Response,
    address: String,
}

impl PeerClient {
    /// Calls that give up connecting after `connect_timeout`.
    ///
    /// # Errors
    /// [`ClientError::InvalidServer`] when the system has no means for connections.
    pub fn new(connect_timeout: Duration) -> Result<PeerClient, ClientError> {
        let http = reqwest::Client::builder()
            .user_agent(crate::USER_AGENT)
            .http2_prior_knowledge()
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .http2_initial_connection_window_size(WINDOW_BYTES)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(connect_timeout)
            .build()
            .map_err(|_| ClientError::InvalidServer {
                server: String::new(),
            })?;
        Ok(PeerClient { http })
    }

    /// Posts `body` to `path` of the node at `address` (`http://host:port`), and reads the whole answer.
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
                .send(Method::POST, address, path, headers, body.into(), timeout)
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
        let body = reqwest::Body::default();
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
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let body = reqwest::Body::wrap_stream(body);
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
            body.into(),
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
        body: reqwest::Body,
        timeout: Duration,
    ) -> Result<PeerAnswer, ClientError> {
        let invalid = || ClientError::InvalidServer {
            server: address.to_owned(),
        };
        let url: reqwest::Url = address.parse().map_err(|_| invalid())?;
        let url = url.join(path).map_err(|_| invalid())?;
        let request = self.http.request(method, url).headers(headers).body(body);
        let Ok(sent) = tokio::time::timeout(timeout, request.send()).await else {
            return Err(ClientError::Timeout {
                server: address.to_owned(),
                timeout,
            });
        };
        let response = sent.map_err(|error| ClientError::from_reqwest(&error, address, timeout))?;
        Ok(PeerAnswer {
            status: response.status(),
            headers: response.headers().clone(),
            response,
            address: address.to_owned(),
        })
    }
}

impl PeerAnswer {
    /// The body as it comes.
    ///
    /// # Errors
    /// [`ClientError::Broken`] or the like when it ends too early.
    pub async fn next(&mut self) -> Option<Result<Bytes, ClientError>> {
        let timeout = Duration::MAX;
        match self.response.chunk().await {
            Ok(chunk) => chunk.map(Ok),
            Err(error) => Some(Err(ClientError::from_reqwest(
                &error,
                &self.address,
                timeout,
            ))),
        }
    }

    async fn good(self) -> Result<Bytes, ClientError> {
        let PeerAnswer {
            status,
            response,
            address,
            ..
        } = self;
        let body = response.bytes().await;
        let body =
            body.map_err(|error| ClientError::from_reqwest(&error, &address, Duration::MAX))?;
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
