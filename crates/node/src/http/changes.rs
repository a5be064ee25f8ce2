//! `GET /v1/changes`: every change in order of arrival, one JSON object a line.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::sync::{OwnedSemaphorePermit, watch};

use atoll_api::http::{ChangesQuery, Reason, media_type};
use atoll_core::VersionVector;
use atoll_core::token::{self, TokenKind};

use super::activity::UnderWay;
use super::change_feed::{Chunk, Feed};
use super::head::Head;
use super::problem::Refused;
use super::{Answer, Http, page, path, session, write};

pub(crate) async fn changes(State(http): State<Http>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    let query: ChangesQuery = super::query::read(&parts.uri)?;
    let feed = feed(&http, &query)?;
    session::reach(&http, &head).await?;
    let place = match query.follow {
        true => Some(follower(&http)?),
        false => None,
    };
    let mut stream = Stream {
        arrivals: http.node().arrivals(),
        http,
        feed: Some(feed),
        follows: query.follow,
        _under_way: parts.extensions.get::<UnderWay>().cloned(),
        _place: place,
    };
    // The first chunk decides whether there is an answer at all.
    let first = match query.follow {
        true => Bytes::new(),
        false => stream.next().await?.unwrap_or_default(),
    };
    let mut response = Response::new(body(first, stream));
    let media = HeaderValue::from_static(media_type::NDJSON);
    response.headers_mut().insert(CONTENT_TYPE, media);
    Ok(response)
}

fn feed(http: &Http, query: &ChangesQuery) -> Result<Feed, Refused> {
    let since = match &query.since {
        Some(cursor) => token::read(TokenKind::Cursor, http.node().identity().store, cursor)?,
        None => VersionVector::new(),
    };
    let collection = match &query.collection {
        Some(name) => {
            let name = path::collection_name(name)?;
            write::lens(&http.node().catalog(), &name)?;
            Some(name)
        }
        None => None,
    };
    let limit = match query.limit {
        None if query.follow => usize::MAX,
        given => super::query::limit(given)?,
    };
    Ok(Feed::new(since, collection, limit))
}

fn follower(http: &Http) -> Result<OwnedSemaphorePermit, Refused> {
    Arc::clone(&http.0.followers)
        .try_acquire_owned()
        .map_err(|_| {
            let detail = "the node has as many followers as it takes on; try again later, or poll";
            Refused::new(Reason::Overloaded, detail)
        })
}

/// Changes on their way to one client; reads on only when the client has taken what there was.
struct Stream {
    http: Http,
    feed: Option<Feed>,
    follows: bool,
    arrivals: watch::Receiver<u64>,
    _under_way: Option<UnderWay>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Stream {
    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        loop {
            let Some(feed) = self.feed.take() else {
                return Ok(None);
            };
            let node = self.http.node().clone();
            let (feed, chunk) = page::off_the_runtime(&self.http, move || feed.read(&node)).await?;
            let Chunk { lines, is_last } = chunk;
            let next = feed.next_index();
            self.feed = (!feed.is_done() && (self.follows || !is_last)).then_some(feed);
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
            if self.feed.is_some() && is_last && !self.wait_for(next).await {
                return Ok(None);
            }
        }
    }

    /// Waits until something arrives at `index`; `false` when the node is about to stop.
    async fn wait_for(&mut self, index: u64) -> bool {
        tokio::select! {
            arrived = self.arrivals.wait_for(|last| *last >= index) => arrived.is_ok(),
            () = self.http.0.stopping.cancelled() => false,
        }
    }
}

fn body(first: Bytes, stream: Stream) -> Body {
    let rest = stream::unfold(Some(stream), |stream| async {
        let mut stream = stream?;
        match stream.next().await {
            Ok(Some(lines)) => Some((Ok(lines), Some(stream))),
            Ok(None) => None,
            // The status is sent already: breaking off is all that is left to say so.
            Err(refused) => Some((Err(refused.0), None)),
        }
    });
    let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
    Body::from_stream(futures_util::StreamExt::chain(first, rest))
}
