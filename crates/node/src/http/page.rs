//! `GET …/keys`: keys in order, from one snapshot.

use axum::extract::{Request, State};
use http::StatusCode;

use atoll_api::http::{KeyItem, KeyPage, KeyQuery, Reason};
use atoll_core::view::{self, Answer as View, Lens};
use atoll_core::{Key, VersionVector};
use atoll_store::StoreError;
use atoll_store::query::{self, PageBounds, Slots};

use super::bounds::ANSWER_BYTES_MAX;
use super::head::Head;
use super::problem::Refused;
use super::shown::{self, Shown};
use super::{Answer, Http, path, reply, session, write};

pub(crate) async fn list_keys(State(http): State<Http>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    let query: KeyQuery = super::query::read(&parts.uri)?;
    let collection = path::collection(parts.uri.path())?;
    let bounds = page_bounds(&query)?;
    session::reach(&http, &head).await?;
    let catalog = http.node().catalog();
    write::lens(&catalog, &collection)?;
    let node = http.node().clone();
    let (page, vector) = off_the_runtime(&http, move || {
        let lens = catalog.lens(&collection);
        node.engine().snapshot(|read| -> Result<_, StoreError> {
            let vector = query::applied(read)?.vector;
            let page = match &lens {
                Some(lens) => shown_page(lens, query::page(read, lens, &bounds)?, query.values),
                None => KeyPage::default(),
            };
            Ok((page, vector))
        })
    })
    .await?;
    answer(&http, &page, &vector)
}

fn page_bounds(query: &KeyQuery) -> Result<PageBounds, Refused> {
    let bytes = |text: &Option<String>| text.clone().unwrap_or_default().into();
    Ok(PageBounds {
        prefix: bytes(&query.prefix),
        start: bytes(&query.start),
        end: bytes(&query.end),
        limit: super::query::limit(query.limit)?,
        bytes_max: ANSWER_BYTES_MAX / 2, // base64 and names take their share
    })
}

/// Runs what may read much away from the threads that serve requests.
pub(crate) async fn off_the_runtime<T: Send + 'static>(
    http: &Http,
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refused> {
    match http.node().0.surroundings.work.run(read).await {
        Ok(result) => Ok(result?),
        Err(error) => {
            tracing::error!(%error, "a read ended early");
            Err(Refused::new(Reason::Internal, "the read ended early"))
        }
    }
}

fn shown_page(
    lens: &Lens<'_>,
    (keys, next): (Vec<(Key, Slots)>, Option<Key>),
    with_values: bool,
) -> KeyPage {
    let item = |(key, slots): (Key, Slots)| item(lens, &key, &slots, with_values);
    KeyPage {
        items: keys.into_iter().map(item).collect(),
        next: next.map(|key| key.as_str().to_owned()),
    }
}

fn item(lens: &Lens<'_>, key: &Key, slots: &Slots, with_values: bool) -> KeyItem {
    let mut item = KeyItem {
        key: key.as_str().to_owned(),
        ..KeyItem::default()
    };
    if with_values {
        let (shown, siblings) = shown_view(lens, slots);
        item.value = shown.value;
        item.value_base64 = shown.value_base64;
        item.media_type = shown.media_type;
        item.siblings = siblings;
    }
    item
}

/// A key's value, and all versions when there are several to show. Of a Document or Map with several
/// versions of a field the merged value is there as well.
pub(crate) fn shown_view(
    lens: &Lens<'_>,
    slots: &Slots,
) -> (Shown, Option<Vec<atoll_api::http::Sibling>>) {
    match view::answer(lens, slots) {
        View::Absent => (Shown::default(), None),
        View::One(value) => (Shown::of(&value), None),
        View::Several(siblings) => {
            let is_merged = siblings.iter().any(|sibling| sibling.field.is_some());
            let merged = siblings.first().and_then(|first| first.value.as_ref());
            let merged = merged.filter(|_| is_merged).map(Shown::of);
            let siblings = shown::siblings(lens.regions, &siblings);
            (merged.unwrap_or_default(), Some(siblings))
        }
    }
}

fn answer(http: &Http, page: &KeyPage, vector: &VersionVector) -> Answer {
    let mut response = reply::json(StatusCode::OK, page)?;
    reply::saw(http, &mut response, vector);
    Ok(response)
}
