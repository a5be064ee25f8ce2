//! `POST /v1/read`: several keys, of any collections, from one snapshot.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;

use atoll_api::http::{
    KeyRef, LIMIT_MAX, REQUEST_BYTES_MAX, ReadAnswer, ReadItem, ReadRequest, Reason,
};
use atoll_core::view;
use atoll_core::{CollectionName, Key};
use atoll_store::engine::Read;
use atoll_store::query::{self, Slots};
use atoll_store::{Catalog, StoreError};

use super::bounds::{ANSWER_BYTES_MAX, JSON_DEPTH_MAX};
use super::head::Head;
use super::problem::Refused;
use super::{Answer, Http, batch, body, condition, page, path, read, reply, session, write};

pub(crate) async fn read_keys(State(http): State<Http>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    super::query::none(&parts.uri)?;
    head.media.json_only()?;
    let body = body::read_json(&http, &head, body, REQUEST_BYTES_MAX, JSON_DEPTH_MAX).await?;
    let ReadRequest { keys } = batch::shape(&body)?;
    if keys.len() > LIMIT_MAX {
        let detail = format!("at most {LIMIT_MAX} keys are read at once");
        return Err(Refused::new(Reason::TooLarge, detail).limit(LIMIT_MAX));
    }
    session::reach(&http, &head).await?;
    let catalog = http.node().catalog();
    let keys = named(&catalog, keys)?;
    let node = http.node().clone();
    let (items, vector) = page::off_the_runtime(&http, move || {
        node.engine().snapshot(|read| {
            let vector = query::applied(read)?.vector;
            Ok((items(read, &catalog, &keys)?, vector))
        })
    })
    .await?;
    let Some(items) = items else {
        let detail = "the values are too much for one answer; read fewer keys at once";
        return Err(Refused::new(Reason::TooLarge, detail).limit(ANSWER_BYTES_MAX));
    };
    let mut response = reply::json(StatusCode::OK, &ReadAnswer { items })?;
    reply::saw(&http, &mut response, &vector);
    Ok(response)
}

fn named(catalog: &Arc<Catalog>, keys: Vec<KeyRef>) -> Result<Vec<(CollectionName, Key)>, Refused> {
    let named = keys
        .into_iter()
        .enumerate()
        .map(|(index, KeyRef { collection, key })| {
            let of = || {
                let collection = path::collection_name(&collection)?;
                write::lens(catalog, &collection)?;
                Ok((collection, path::key_in_body(key)?))
            };
            of().map_err(|refused: Refused| refused.operation(index))
        });
    named.collect()
}

/// `None` when they are too much for one answer.
fn items(
    read: &dyn Read,
    catalog: &Catalog,
    keys: &[(CollectionName, Key)],
) -> Result<Option<Vec<ReadItem>>, StoreError> {
    let mut items = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for (collection, key) in keys {
        let item = item(read, catalog, collection, key)?;
        bytes += size_of(&item);
        if bytes > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        items.push(item);
    }
    Ok(Some(items))
}

fn item(
    read: &dyn Read,
    catalog: &Catalog,
    collection: &CollectionName,
    key: &Key,
) -> Result<ReadItem, StoreError> {
    let mut item = ReadItem {
        collection: collection.to_string(),
        key: key.as_str().to_owned(),
        ..ReadItem::default()
    };
    let Some(lens) = catalog.lens(collection) else {
        return Ok(item);
    };
    let slots: Slots = read::slots_of(read, &lens, key)?;
    item.found = view::is_present(&lens, &slots);
    if item.found {
        let (shown, siblings) = page::shown_view(&lens, &slots);
        item.value = shown.value;
        item.value_base64 = shown.value_base64;
        item.media_type = shown.media_type;
        item.siblings = siblings;
        item.etag = Some(condition::tag_text(condition::tag(&lens, &slots)));
    }
    Ok(item)
}

fn size_of(item: &ReadItem) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let json = |json: &Option<atoll_api::http::RawJson>| json.as_ref().map_or(0, |j| j.get().len());
    let siblings = item.siblings.iter().flatten();
    let siblings: usize = siblings
        .map(|s| 150 + json(&s.value) + text(&s.value_base64))
        .sum();
    100 + item.key.len() + json(&item.value) + text(&item.value_base64) + siblings
}
