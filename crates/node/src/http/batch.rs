//! `POST /v1/batch`: several changes that stand or fall together, as one entry.

use axum::extract::{Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use atoll_api::http::{
    BatchOperation, BatchRequest, Change, REQUEST_BYTES_MAX, RawJson, Reason, VALUE_BYTES_MAX,
    media_type,
};
use atoll_core::intent::{Action, Intent};
use atoll_core::token::{self, TokenKind};
use atoll_core::{Value, VersionVector};
use atoll_store::Catalog;

use super::bounds::{BATCH_OPERATIONS_MAX, JSON_DEPTH_MAX};
use super::head::Head;
use super::media::Media;
use super::problem::Refused;
use super::{Answer, Http, body, condition, path, session, write};

/// A value lies in an object, in a list, in an object.
const DEPTH_OF_VALUES: usize = 3;

pub(crate) async fn batch(State(http): State<Http>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    super::query::none(&parts.uri)?;
    check_head(&http, &head)?;
    let depth_max = JSON_DEPTH_MAX + DEPTH_OF_VALUES;
    let body = body::read_json(&http, &head, body, REQUEST_BYTES_MAX, depth_max).await?;
    let BatchRequest { operations } = shape(&body)?;
    check_count(operations.len())?;
    let catalog = http.node().catalog();
    let intents: Vec<Intent> = operations
        .into_iter()
        .enumerate()
        .map(|(index, operation)| {
            intent(&http, &head, &catalog, operation).map_err(|refused| refused.operation(index))
        })
        .collect::<Result<_, _>>()?;
    session::reach(&http, &head).await?;
    for context in contexts(&intents) {
        session::reach_vector(&http, context, head.timeout()).await?;
    }
    let operations = intents.len();
    let trace = head.trace.clone();
    let written = http
        .node()
        .write(atoll_store::Request {
            intents,
            trace,
            idempotency: head.idempotency.clone(),
        })
        .await?;
    let seen_by = write::confirm(&http, &head, &written).await?;
    let more = format!(r#","operations":{operations}"#);
    Ok(write::receipt(&http, &written, seen_by.as_deref(), &more))
}

/// A body as a shape that is promised.
pub(crate) fn shape<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        Refused::new(
            Reason::InvalidValue,
            format!("the body cannot be used: {error}"),
        )
    })
}

fn check_head(http: &Http, head: &Head) -> Result<(), Refused> {
    head.media.json_only()?;
    write::check_concern(http, head.concern())?;
    if head.if_match.is_some() || head.if_none_match.is_some() {
        let detail =
            "in a batch each operation has its own ifMatch or ifNoneMatch; remove the header";
        return Err(Refused::new(Reason::InvalidHeader, detail));
    }
    Ok(())
}

fn check_count(operations: usize) -> Result<(), Refused> {
    match operations {
        0 => Err(Refused::new(
            Reason::InvalidValue,
            "the batch holds no operation",
        )),
        1..=BATCH_OPERATIONS_MAX => Ok(()),
        _ => {
            let detail = format!("a batch holds at most {BATCH_OPERATIONS_MAX} operations");
            Err(Refused::new(Reason::TooLarge, detail).limit(BATCH_OPERATIONS_MAX))
        }
    }
}

/// Contexts that operations bring themselves; each different one once, as far as neighbours tell.
fn contexts(intents: &[Intent]) -> impl Iterator<Item = &VersionVector> {
    let mut last = None;
    intents
        .iter()
        .filter_map(|intent| intent.context.as_ref())
        .filter(move |context| {
            let is_new = last != Some(*context);
            last = Some(*context);
            is_new
        })
}

fn intent(
    http: &Http,
    head: &Head,
    catalog: &Catalog,
    operation: BatchOperation,
) -> Result<Intent, Refused> {
    let collection = path::collection_name(&operation.collection)?;
    let spec = write::lens(catalog, &collection)?.spec;
    let change = operation
        .change()
        .map_err(|fault| Refused::new(fault.reason(), fault.to_string()))?;
    let action = action(change)?;
    action.check(spec.data_type)?;
    let (if_match, if_none_match) = (
        operation.if_match.as_deref(),
        operation.if_none_match.as_deref(),
    );
    let precondition = condition::precondition(spec, if_match, if_none_match).map_err(in_body)?;
    let context = match &operation.context {
        Some(text) => {
            let store = http.node().identity().store;
            Some(token::read(TokenKind::Context, store, text)?)
        }
        None => head.context.clone(),
    };
    Ok(Intent {
        collection,
        key: path::key_in_body(operation.key)?,
        action,
        precondition,
        context,
    })
}

/// What is a header elsewhere is a field here.
fn in_body(refused: Refused) -> Refused {
    match refused.0.reason() {
        Some(Reason::InvalidHeader) => Refused::new(Reason::InvalidValue, refused.0.detail),
        _ => refused,
    }
}

fn action(change: Change<'_>) -> Result<Action, Refused> {
    Ok(match change {
        Change::Put(json) => Action::Put(Value::json(text(json)?)),
        Change::PutBase64 { data, media_type } => Action::Put(bytes(data, media_type)?),
        Change::Patch(json) => Action::Patch(text(json)?),
        Change::Delete => Action::Delete,
        Change::Ops(json) => Action::Ops(text(json)?),
    })
}

fn text(json: &RawJson) -> Result<Bytes, Refused> {
    check_size(json.get().len())?;
    Ok(Bytes::copy_from_slice(json.get().as_bytes()))
}

fn bytes(data: &str, media: Option<&str>) -> Result<Value, Refused> {
    let data = STANDARD.decode(data).map_err(|error| {
        Refused::new(
            Reason::InvalidValue,
            format!("putBase64 is not standard base64: {error}"),
        )
    })?;
    check_size(data.len())?;
    let media = match media.map(Media::parse).transpose().map_err(in_body)? {
        None | Some(Media::Absent) => Some(media_type::BYTES.into()),
        Some(Media::Json) => {
            body::check_json(&data, JSON_DEPTH_MAX)?;
            None
        }
        Some(Media::MergePatch) => Some(media_type::MERGE_PATCH.into()),
        Some(Media::Other(media)) => Some(media),
    };
    Ok(Value {
        media,
        data: data.into(),
    })
}

fn check_size(bytes: usize) -> Result<(), Refused> {
    if bytes > VALUE_BYTES_MAX {
        let detail = format!("the value is longer than {VALUE_BYTES_MAX} bytes");
        return Err(Refused::new(Reason::TooLarge, detail).limit(VALUE_BYTES_MAX));
    }
    Ok(())
}
