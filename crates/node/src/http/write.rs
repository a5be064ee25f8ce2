//! Writes of one key: `PUT`, `PATCH`, `DELETE` and `POST …/ops`.
//!
//! headers → key and collection → body → [`Action`], checked → wait for session and context → the node →
//! receipt. Nothing is proposed before everything that can be checked has been.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use atoll_api::http::{Reason, VALUE_BYTES_MAX, WriteConcern, media_type};
use atoll_core::intent::{Action, Intent};
use atoll_core::token::TokenKind;
use atoll_core::view::Lens;
use atoll_core::{CollectionName, CollectionSpec, DataType, Dot, Key, Value};
use atoll_store::{Catalog, Written};

use super::bounds::JSON_DEPTH_MAX;
use super::head::Head;
use super::media::Media;
use super::problem::Refused;
use super::{Answer, Http, body, condition, path, reply, session};

pub(crate) async fn put_key(State(http): State<Http>, request: Request) -> Answer {
    let (target, body) = Target::of(&http, request, path::key)?;
    if target.spec.data_type == DataType::Document {
        target.head.media.json_only()?;
    }
    let body = body::read(&http, &target.head, body, VALUE_BYTES_MAX).await?;
    let value = value_of(&target, body.clone())?;
    commit(&http, target, Action::Put(value)).await
}

pub(crate) async fn patch_key(State(http): State<Http>, request: Request) -> Answer {
    let (target, body) = Target::of(&http, request, path::key)?;
    target.head.media.patch_only()?;
    let body = body::read_json(&http, &target.head, body, VALUE_BYTES_MAX, JSON_DEPTH_MAX).await?;
    commit(&http, target, Action::Patch(body.clone())).await
}

pub(crate) async fn operate_on_key(State(http): State<Http>, request: Request) -> Answer {
    let (target, body) = Target::of(&http, request, path::key_of_operations)?;
    target.head.media.json_only()?;
    let body = body::read_json(&http, &target.head, body, VALUE_BYTES_MAX, JSON_DEPTH_MAX).await?;
    commit(&http, target, Action::Ops(body.clone())).await
}

pub(crate) async fn delete_key(State(http): State<Http>, request: Request) -> Answer {
    let (target, _) = Target::of(&http, request, path::key)?;
    commit(&http, target, Action::Delete).await
}

/// How to look at a collection; one that is not declared is refused.
pub(crate) fn lens<'a>(
    catalog: &'a Catalog,
    collection: &CollectionName,
) -> Result<Lens<'a>, Refused> {
    catalog.lens(collection).ok_or_else(|| {
        let detail = format!(
            "there is no collection {:?}; declare it in the manifest",
            collection.as_str()
        );
        Refused::new(Reason::UnknownCollection, detail)
    })
}

/// What a write is about: all but its body.
struct Target {
    head: Head,
    spec: CollectionSpec,
    key: Key,
}

impl Target {
    fn of(
        http: &Http,
        request: Request,
        name: fn(&str) -> Result<(CollectionName, Key), Refused>,
    ) -> Result<(Target, Body), Refused> {
        let (parts, body) = request.into_parts();
        let head = Head::read(http.node().identity().store, &parts.headers)?;
        super::query::none(&parts.uri)?;
        let (collection, key) = name(parts.uri.path())?;
        check_concern(http, head.concern())?;
        let spec = lens(&http.node().catalog(), &collection)?.spec.clone();
        Ok((Target { head, spec, key }, body))
    }

    fn intent(&mut self, action: Action) -> Result<Intent, Refused> {
        let (if_match, if_none_match) = (&self.head.if_match, &self.head.if_none_match);
        Ok(Intent {
            collection: self.spec.name.clone(),
            key: self.key.clone(),
            action,
            precondition: condition::precondition(
                &self.spec,
                if_match.as_deref(),
                if_none_match.as_deref(),
            )?,
            context: self.head.context.clone(),
        })
    }
}

/// A body as a value: JSON stays JSON, everything else is bytes with their media type.
fn value_of(target: &Target, body: Bytes) -> Result<Value, Refused> {
    let media = match &target.head.media {
        Media::Json => None,
        Media::Absent if target.spec.data_type == DataType::Document => None,
        Media::Absent => Some(media_type::BYTES.into()),
        Media::MergePatch => Some(media_type::MERGE_PATCH.into()),
        Media::Other(media) => Some(media.clone()),
    };
    if media.is_none() {
        body::check_json(&body, JSON_DEPTH_MAX)?;
    }
    Ok(Value { media, data: body })
}

async fn commit(http: &Http, mut target: Target, action: Action) -> Answer {
    action.check(target.spec.data_type)?;
    let is_delete = matches!(action, Action::Delete);
    let intent = target.intent(action)?;
    session::reach(http, &target.head).await?;
    let head = target.head;
    let request = atoll_store::Request {
        intents: vec![intent],
        trace: head.trace.clone(),
        idempotency: head.idempotency.clone(),
    };
    let written = http.node().write(request).await?;
    if is_delete && written.entry.is_none() {
        let detail = "there was nothing to delete under this key";
        return Err(Refused::new(Reason::NotFound, detail));
    }
    let seen_by = confirm(http, &head, &written).await?;
    Ok(receipt(http, &written, seen_by.as_deref(), ""))
}

/// A concern that this store can never meet is refused before anything is written.
pub(crate) fn check_concern(http: &Http, concern: WriteConcern) -> Result<(), Refused> {
    let regions = http.node().config().peers.len() + 1;
    if concern.regions_needed(regions) > regions {
        let detail = format!("{concern} can never be met: the store has {regions} regions");
        return Err(Refused::new(Reason::InvalidHeader, detail));
    }
    Ok(())
}

/// Waits until as many regions have a write as its concern demands; answers with who has it. The write
/// stands in any case.
pub(crate) async fn confirm(
    http: &Http,
    head: &Head,
    written: &Written,
) -> Result<Option<Vec<String>>, Refused> {
    let concern = head.concern();
    let Some((dot, _)) = written.entry.filter(|_| concern != WriteConcern::Region) else {
        return Ok(None);
    };
    let (seen_by, is_met) = http.node().confirm(dot, &concern, head.timeout()).await;
    let seen_by = session::shown_regions(&http.node().catalog().regions, &seen_by);
    if is_met {
        return Ok(Some(seen_by));
    }
    let detail = format!(
        "the write stands, but {concern} was not met within {:?}; it will reach the other regions later: do not repeat it",
        head.timeout()
    );
    let mut refused = Refused::new(Reason::WriteConcernTimeout, detail);
    refused.0.seen_by = Some(seen_by);
    refused.0.dot = Some(dot.to_string());
    Err(refused)
}

/// A write that stands. Written by hand, as it is the most frequent answer; `more` is further fields.
pub(crate) fn receipt(
    http: &Http,
    written: &Written,
    seen_by: Option<&[String]>,
    more: &str,
) -> Response {
    let session = session::token(http, TokenKind::Session, &written.session);
    let dot = written
        .entry
        .map(|(dot, _)| Dot::to_string(&dot))
        .unwrap_or_default();
    let mut text = String::with_capacity(128 + session.len() + more.len());
    for part in [
        r#"{"dot":""#,
        &dot,
        r#"","session":""#,
        &session,
        "\"",
        more,
    ] {
        text.push_str(part);
    }
    if let Some(regions) = seen_by {
        // Names of regions and of replicas hold nothing that JSON escapes.
        text.push_str(&format!(r#","seenBy":["{}"]"#, regions.join(r#"",""#)));
    }
    text.push('}');
    let mut response = reply::json_text(StatusCode::OK, text);
    let headers = response.headers_mut();
    if let Ok(session) = HeaderValue::try_from(session) {
        headers.insert(reply::SESSION, session);
    }
    if let Some(dot) = HeaderValue::try_from(dot)
        .ok()
        .filter(|dot| !dot.is_empty())
    {
        headers.insert(reply::DOT, dot);
    }
    if written.repeats {
        headers.insert(reply::REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
