//! What happens around every request: admission, the session header, problems' bodies, metrics, a span.
//!
//! One layer, written by hand and set behind the router, so that the route's name is known here.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::Method;
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::Instrument;

use atoll_api::http::Reason;
use atoll_api::openapi::ROUTES;
use atoll_client::otlp;
use atoll_core::token::TokenKind;

use super::activity::UnderWay;
use super::problem::Refused;
use super::{Http, reply, session};
use crate::telemetry::RequestSpan;

#[derive(Clone)]
pub(crate) struct Observe(pub(crate) Http);

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;
    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            http: self.0.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    http: Http,
}

/// Where requests go that have no route.
const NO_ROUTE: &str = "none";
/// Where nodes speak among themselves, over streams as long as both live.
const INTERNAL: &str = "/internal/";

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let started = Instant::now();
        let http = self.http.clone();
        let under_way = request.extensions().get::<UnderWay>().cloned();
        let route = route_of(&request);
        if request.uri().path().starts_with(INTERNAL) {
            return Box::pin(among_nodes(self.inner.call(request), under_way));
        }
        let method = method_name(request.method());
        let uri = request.uri().clone();
        let active = http.node().metrics().active();
        let is_v1 = uri.path().starts_with("/v1/");
        let is_admitted = !is_v1 || active.count() <= http.bounds().requests;
        let traces = http.node().metrics().traces();
        let followed = traces.request(request.headers_mut(), method, route);
        let region = &http.node().identity().region;
        let span = tracing::debug_span!("request", %region, route, method);
        let trace = followed.as_ref().map(RequestSpan::trace);
        let answer = is_admitted.then(|| self.inner.call(request));
        let observed = async move {
            let mut response = match answer {
                Some(answer) => answer.await?,
                None => too_many().into_response(),
            };
            if let Some(refused) = response.extensions_mut().remove::<Refused>() {
                write_problem(&mut response, refused, uri.path());
            }
            if is_v1 && !response.headers().contains_key(reply::SESSION) {
                let vector = http.node().vector();
                let value = session::token_header(&http, TokenKind::Session, &vector);
                response.headers_mut().insert(reply::SESSION, value);
            }
            let (status, took) = (response.status().as_u16(), started.elapsed());
            tracing::debug!(status, ?took, "answered");
            http.node().metrics().http(route, method, status, took);
            if let Some(followed) = followed {
                followed.answered(status);
            }
            drop((active, under_way));
            Ok(response)
        };
        let observed = observed.instrument(span);
        match trace {
            Some(trace) => Box::pin(otlp::of_trace(trace, observed)),
            None => Box::pin(observed),
        }
    }
}

/// No admission, no metrics of requests; a refusal still says why.
async fn among_nodes(
    answer: impl Future<Output = Result<Response, Infallible>>,
    under_way: Option<UnderWay>,
) -> Result<Response, Infallible> {
    let mut response = answer.await?;
    if let Some(refused) = response.extensions_mut().remove::<Refused>() {
        write_problem(&mut response, refused, INTERNAL);
    }
    drop(under_way);
    Ok(response)
}

fn too_many() -> Refused {
    let detail = "the node has as many requests under way as it takes on; try again later";
    Refused::new(Reason::Overloaded, detail)
}

fn write_problem(response: &mut Response, refused: Refused, path: &str) {
    let Refused(mut problem) = refused;
    problem.instance = Some(path.to_owned());
    match serde_json::to_vec(&problem) {
        Ok(text) => *response.body_mut() = Body::from(text),
        Err(error) => tracing::error!(%error, "a problem could not be written"),
    }
}

/// The route's name as the table of routes has it.
fn route_of(request: &Request) -> &'static str {
    let Some(matched) = request.extensions().get::<MatchedPath>() else {
        return NO_ROUTE;
    };
    let declared = ROUTES.iter().find(|route| route.path == matched.as_str());
    declared.map_or(NO_ROUTE, |route| route.path)
}

/// The method's name; those that are not known share one, so that clients cannot make up series.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "_OTHER",
    }
}
