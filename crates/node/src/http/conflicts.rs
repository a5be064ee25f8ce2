//! The ledger: `GET /v1/conflicts` and `/v1/conflicts/{id}`.

use axum::extract::{Request, State};
use http::StatusCode;

use atoll_api::http::{Conflict, ConflictList, ConflictQuery, ConflictVersion, Reason};
use atoll_core::collection::Regions;
use atoll_core::slot::Partner;
use atoll_core::state::ConflictId;
use atoll_core::{CollectionName, Content, DataType, Path, Timestamp};
use atoll_store::{Catalog, StoreError, query};

use super::head::Head;
use super::problem::Refused;
use super::query::invalid;
use super::shown::Shown;
use super::{Answer, Http, page, path, reply, session, time, write};

const KINDS: [&str; 3] = ["write-write", "create-create", "update-delete"];

pub(crate) async fn list_conflicts(State(http): State<Http>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    let query: ConflictQuery = super::query::read(&parts.uri)?;
    let wanted = Wanted::of(&query)?;
    session::reach(&http, &head).await?;
    let catalog = http.node().catalog();
    if let Some(collection) = &wanted.collection {
        write::lens(&catalog, collection)?;
    }
    let node = http.node().clone();
    let (list, vector) = page::off_the_runtime(&http, move || {
        node.engine().snapshot(|read| -> Result<_, StoreError> {
            let vector = query::applied(read)?.vector;
            Ok((wanted.list(read, &catalog)?, vector))
        })
    })
    .await?;
    let mut response = reply::json(StatusCode::OK, &list)?;
    reply::saw(&http, &mut response, &vector);
    Ok(response)
}

pub(crate) async fn get_conflict(State(http): State<Http>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let head = Head::read(http.node().identity().store, &parts.headers)?;
    super::query::none(&parts.uri)?;
    let id = id(path::conflict(parts.uri.path()))
        .ok_or_else(|| invalid("a conflict's id has 32 hexadecimal digits"))?;
    session::reach(&http, &head).await?;
    let catalog = http.node().catalog();
    let (found, vector) = http
        .node()
        .engine()
        .snapshot(|read| -> Result<_, StoreError> {
            let vector = query::applied(read)?.vector;
            Ok((query::conflict(read, &catalog, id)?, vector))
        })?;
    let found = found.ok_or_else(|| {
        let detail = "there is no such conflict; it may have been dropped from the ledger";
        Refused::new(Reason::NotFound, detail)
    })?;
    let mut response = reply::json(StatusCode::OK, &shown(&catalog, &found))?;
    reply::saw(&http, &mut response, &vector);
    Ok(response)
}

/// Which rows to list.
struct Wanted {
    collection: Option<CollectionName>,
    kind: Option<String>,
    is_open: Option<bool>,
    from: Timestamp,
    after: Option<ConflictId>,
    limit: usize,
}

impl Wanted {
    fn of(query: &ConflictQuery) -> Result<Wanted, Refused> {
        let collection = query.collection.as_deref().map(path::collection_name);
        let is_open = match query.state.as_deref() {
            None => None,
            Some("open") => Some(true),
            Some("resolved") => Some(false),
            Some(_) => return Err(invalid("state is open or resolved")),
        };
        if let Some(kind) = &query.kind
            && !KINDS.contains(&kind.as_str())
        {
            return Err(invalid(format!("kind is one of {}", KINDS.join(", "))));
        }
        let (from, after) = query
            .since
            .as_deref()
            .map_or(Ok((Timestamp(0), None)), since)?;
        Ok(Wanted {
            collection: collection.transpose()?,
            kind: query.kind.clone(),
            is_open,
            from,
            after,
            limit: super::query::limit(query.limit)?,
        })
    }

    fn has(&self, conflict: &query::Conflict) -> bool {
        let kind_fits = self
            .kind
            .as_ref()
            .is_none_or(|kind| kind == conflict.verdict.kind);
        kind_fits
            && self
                .is_open
                .is_none_or(|is_open| is_open == conflict.resolved.is_none())
    }

    fn list(
        &self,
        read: &dyn atoll_store::engine::Read,
        catalog: &Catalog,
    ) -> Result<ConflictList, StoreError> {
        let mut list = ConflictList::default();
        let mut last = None;
        query::conflicts(
            read,
            catalog,
            self.from,
            self.after,
            self.collection.as_ref(),
            &mut |conflict| {
                if !self.has(&conflict) {
                    return true;
                }
                if list.conflicts.len() == self.limit {
                    list.next = last.map(|(detected, id)| cursor(detected, id));
                    return false;
                }
                last = Some((conflict.detected, conflict.id));
                list.conflicts.push(shown(catalog, &conflict));
                true
            },
        )?;
        Ok(list)
    }
}

/// Where a page ended: the row's place in the order, the same in every region.
fn cursor(detected: Timestamp, id: ConflictId) -> String {
    format!("{:016x}-{:032x}", detected.0, id.0)
}

/// A page's end, or a time.
fn since(text: &str) -> Result<(Timestamp, Option<ConflictId>), Refused> {
    if let Some(ms) = time::parse_millis(text) {
        return Ok((Timestamp::from_millis(ms + 1), None));
    }
    let cursor = text.split_once('-').and_then(|(detected, row)| {
        let detected = u64::from_str_radix(detected, 16)
            .ok()
            .filter(|_| detected.len() == 16)?;
        Some((Timestamp(detected), Some(id(row)?)))
    });
    cursor.ok_or_else(|| {
        invalid("since is the next of a list, or a time such as 2026-01-02T03:04:05Z")
    })
}

fn id(text: &str) -> Option<ConflictId> {
    let is_plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(text, 16)
        .ok()
        .filter(|_| is_plain)
        .map(ConflictId)
}

fn shown(catalog: &Catalog, conflict: &query::Conflict) -> Conflict {
    let query::Conflict {
        id,
        row,
        contents,
        verdict,
        detected,
        resolved,
        seen_here_ms,
    } = conflict;
    let version = |partner: &Partner, content: &Option<Content>| {
        let wins = verdict.winner.map(|winner| winner == partner.dot);
        version(&catalog.regions, partner, content.as_ref(), wins)
    };
    Conflict {
        id: format!("{:032x}", id.0),
        kind: verdict.kind.to_owned(),
        collection: row.at.collection.to_string(),
        key: row.at.key.as_str().to_owned(),
        field: field(catalog, &row.at.collection, &row.at.path),
        versions: vec![
            version(&row.first, &contents[0]),
            version(&row.second, &contents[1]),
        ],
        policy: verdict.policy.to_owned(),
        outcome: verdict.outcome.to_owned(),
        detected: detected.to_string(),
        resolved: resolved.map(|time| time.to_string()),
        seen_here: Some(Timestamp::from_millis(*seen_here_ms).to_string()),
    }
}

fn version(
    regions: &Regions,
    partner: &Partner,
    content: Option<&Content>,
    wins: Option<bool>,
) -> ConflictVersion {
    let shown = match content {
        Some(Content::Value(value)) => Shown::of(value),
        Some(Content::Object) => Shown::of(&atoll_core::Value::json("{}")),
        Some(Content::Tombstone) | None => Shown::default(),
    };
    ConflictVersion {
        dot: partner.dot.to_string(),
        region: regions.shown(partner.dot.replica),
        time: partner.time.to_string(),
        value: shown.value,
        value_base64: shown.value_base64,
        media_type: shown.media_type,
        deleted: content == Some(&Content::Tombstone),
        wins,
    }
}

/// The field as people know it: below a Map's field lies only how it is stored.
fn field(catalog: &Catalog, collection: &CollectionName, path: &Path) -> Option<String> {
    if path.is_root() {
        return None;
    }
    let is_map = catalog
        .lens(collection)
        .is_some_and(|lens| lens.spec.data_type == DataType::Map);
    let first = path.segments().into_iter().next().filter(|_| is_map);
    let shown = first.map_or_else(|| path.clone(), |name| Path::root().child(&name));
    Some(shown.pointer())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let (detected, row) = (Timestamp(77), ConflictId(u128::MAX - 1));
        assert_eq!(
            since(&cursor(detected, row)).unwrap(),
            (detected, Some(row))
        );
        let after = Timestamp::from_millis(1001);
        assert_eq!(since("1970-01-01T00:00:01Z").unwrap(), (after, None));
        for bad in ["", "now", "77-1", "-", "000000000000004d-+1"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
