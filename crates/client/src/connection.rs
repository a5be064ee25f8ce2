//! One connection, one request at a time, as lean as HTTP/1.1 gets: for load generators.
//!
//! Nothing is retried, pooled or remembered. What people and programs want is [`crate::Client`].

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::dialer::Dialer;
use crate::error::{ClientError, innermost};
use crate::network::Network;
use crate::tls::{Protocols, TlsFault};

/// An open connection; it ends when it is dropped.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    server: String,
    host: HeaderValue,
    request_timeout: Duration,
}

/// An answer in full, whatever its status.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Connection {
    /// Connects to the server at `http://host:port`.
    ///
    /// # Errors
    /// When it is no address, or nobody answers there within `request_timeout`.
    pub async fn open(server: &str, request_timeout: Duration) -> Result<Self, ClientError> {
        Connection::open_in(&Network::Tcp, server, request_timeout).await
    }

    /// The same in a network of the caller's, or by TLS to `https://host:port`.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_in(
        dialer: impl Into<Dialer>,
        server: &str,
        request_timeout: Duration,
    ) -> Result<Self, ClientError> {
        let invalid = || ClientError::InvalidServer {
            server: server.to_owned(),
        };
        let uri: Uri = server.parse().map_err(|_| invalid())?;
        let authority = uri.authority().ok_or_else(invalid)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| invalid())?;
        let dialer = dialer.into();
        let checked = dialer.check(uri.scheme_str());
        checked.map_err(|wrong| ClientError::wrong_scheme(server, wrong))?;
        let opening = async {
            let dialed = dialer.dial(&uri, Protocols::Http1).await;
            let stream = dialed.map_err(|error| not_opened(&error, server))?.stream;
            let handshake = http1::handshake(TokioIo::new(stream)).await;
            handshake.map_err(|error| not_opened(&error, server))
        };
        let (sender, driver) = timeout(request_timeout, opening)
            .await
            .map_err(|_| too_slow(server, request_timeout))??;
        // The task ends with the connection, at the latest when `Connection` is dropped.
        let driver = tokio::spawn(async move {
            let _ = driver.await;
        });
        Ok(Connection {
            sender,
            driver,
            server: server.to_owned(),
            host,
            request_timeout,
        })
    }

    /// Sends a request and waits for its answer. `path` is used as it is: encode it before.
    ///
    /// # Errors
    /// When the connection breaks or no answer comes in time; it is of no more use then.
    pub async fn send(
        &mut self,
        method: &Method,
        path: &str,
        media_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<RawAnswer, ClientError> {
        let mut headers = HeaderMap::new();
        if let Some(media_type) = media_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        self.send_with(method, path, headers, body).await
    }

    /// The same with headers of the caller's.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_with(
        &mut self,
        method: &Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<RawAnswer, ClientError> {
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(crate::USER_AGENT));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse().map_err(|_| ClientError::UnusableKey)?;
        *request.headers_mut() = headers;
        let answering = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(RawAnswer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        match timeout(self.request_timeout, answering).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(ClientError::Broken {
                server: self.server.clone(),
                cause: innermost(&error),
            }),
            Err(_) => Err(too_slow(&self.server, self.request_timeout)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn not_opened(error: &(dyn std::error::Error + 'static), server: &str) -> ClientError {
    let server = server.to_owned();
    match TlsFault::in_chain(error) {
        Some(fault) => ClientError::Untrusted { server, fault },
        None => ClientError::Unreachable {
            server,
            cause: innermost(error),
        },
    }
}

fn too_slow(server: &str, timeout: Duration) -> ClientError {
    ClientError::Timeout {
        server: server.to_owned(),
        timeout,
    }
}
