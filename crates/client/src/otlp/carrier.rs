//! Carries what the exporters made to the collector, over the one network that a process has.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

use crate::dialer::{Connector, Dialer};
use crate::tls::Protocols;

/// What a collector may say.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// An HTTP client that may be asked from any thread, also from one outside the runtime.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    http: Client<Connector, Full<Bytes>>,
    runtime: Handle,
    timeout: Duration,
}

impl Carrier {
    pub(super) fn new(dialer: Dialer, runtime: Handle, timeout: Duration) -> Carrier {
        let connector = Connector {
            dialer,
            protocols: Protocols::Http1,
            connect_timeout: timeout,
        };
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build(connector);
        Carrier {
            http,
            runtime,
            timeout,
        }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = async {
            let answer = self.http.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(answer) => answer,
            Err(_) => Err("the collector did not answer in time".into()),
        }
    }
}

impl HttpClient for Carrier {
    fn send_bytes<'me, 'answer>(
        &'me self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'answer>>
    where
        'me: 'answer,
        Self: 'answer,
    {
        let carrier = self.clone();
        let sending = self
            .runtime
            .spawn(async move { carrier.send(request).await });
        Box::pin(async move { sending.await? })
    }
}

/// Letters to one address.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) carrier: Carrier,
    pub(super) address: Uri,
    /// What goes with each, such as who may write.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Post {
    /// Whether the collector took it.
    pub(super) async fn send(&self, letter: Bytes) -> bool {
        let mut request = Request::post(self.address.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(letter)
            .expect("an address that was read makes a request");
        request.headers_mut().extend(self.headers.iter().cloned());
        let answer = self.carrier.send(request).await;
        if let Err(error) = &answer {
            tracing::debug!(%error, "a collector was not reached");
        }
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}
