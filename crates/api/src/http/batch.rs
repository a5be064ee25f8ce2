//! `POST /v1/batch`: several changes that stand or fall together, as one entry.

use serde::{Deserialize, Serialize};

use super::raw_json::{is_false, only_true, present};
use super::{RawJson, Reason};

/// Changes that stand or fall together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// The changes, in order.
    pub operations: Vec<BatchOperation>,
}

/// One change as written: exactly one of `put`, `putBase64`, `patch`, `delete` and `ops`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchOperation {
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: String,
    /// Sets a Register or a whole Document to this JSON.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub put: Option<RawJson>,
    /// Sets a Register to these bytes, in standard base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_base64: Option<String>,
    /// The media type of `putBase64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Changes the named fields of a Document (RFC 7396).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub patch: Option<RawJson>,
    /// `true` deletes the key.
    #[serde(
        default,
        skip_serializing_if = "is_false",
        deserialize_with = "only_true"
    )]
    pub delete: bool,
    /// Typed operations, as in the body of `POST …/ops`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub ops: Option<RawJson>,
    /// The fingerprint that the key must have; `*` demands presence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// `*` demands absence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_none_match: Option<String>,
    /// What the caller had seen of this key, when that is less than the whole batch's context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// What one operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Set to JSON.
    Put(&'a RawJson),
    /// Set to bytes.
    PutBase64 {
        /// The bytes, in standard base64.
        data: &'a str,
        /// Their media type, if given.
        media_type: Option<&'a str>,
    },
    /// Merge patch.
    Patch(&'a RawJson),
    /// Delete.
    Delete,
    /// Typed operations, as JSON.
    Ops(&'a RawJson),
}

/// An operation that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// None of the changes is given.
    #[error("the operation changes nothing: give one of put, putBase64, patch, delete and ops")]
    NoChange,
    /// More than one is given.
    #[error(
        "the operation holds {count} changes: give one of put, putBase64, patch, delete and ops"
    )]
    SeveralChanges {
        /// How many.
        count: usize,
    },
    /// A media type for JSON.
    #[error("mediaType belongs to putBase64: remove it, put is always JSON")]
    MediaTypeUnused,
    /// `ifNoneMatch` other than `*`.
    #[error("ifNoneMatch can only be *: it demands absence")]
    IfNoneMatch,
}

impl BatchFault {
    /// The reason that it is answered with.
    #[must_use]
    pub const fn reason(self) -> Reason {
        Reason::InvalidValue
    }
}

impl BatchOperation {
    /// The one change that is given.
    ///
    /// # Errors
    /// When there is none, or more than one, or something that does not go with it.
    pub fn change(&self) -> Result<Change<'_>, BatchFault> {
        let put_base64 = self.put_base64.as_deref().map(|data| {
            let media_type = self.media_type.as_deref();
            Change::PutBase64 { data, media_type }
        });
        let given = [
            self.put.as_ref().map(Change::Put),
            put_base64,
            self.patch.as_ref().map(Change::Patch),
            self.delete.then_some(Change::Delete),
            self.ops.as_ref().map(Change::Ops),
        ];
        let mut changes = given.into_iter().flatten();
        let change = changes.next().ok_or(BatchFault::NoChange)?;
        match changes.count() {
            0 if self.media_type.is_some() && self.put_base64.is_none() => {
                Err(BatchFault::MediaTypeUnused)
            }
            0 if self
                .if_none_match
                .as_deref()
                .is_some_and(|text| text != "*") =>
            {
                Err(BatchFault::IfNoneMatch)
            }
            0 => Ok(change),
            more => Err(BatchFault::SeveralChanges { count: more + 1 }),
        }
    }
}

/// A batch that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchAnswer {
    /// The entry's name: one for all operations.
    pub dot: String,
    /// A session that covers the batch.
    pub session: String,
    /// How many operations it held.
    pub operations: usize,
    /// With a write concern beyond `region`: the regions known to have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn operation(rest: &str) -> BatchOperation {
        serde_json::from_str(&format!(r#"{{"collection":"pages","key":"a",{rest}}}"#)).unwrap()
    }

    #[test]
    fn an_operation_holds_exactly_one_change() {
        assert!(
            matches!(operation(r#""put":null"#).change(), Ok(Change::Put(json)) if json.get() == "null")
        );
        assert!(matches!(
            operation(r#""patch":{"a":1}"#).change(),
            Ok(Change::Patch(_))
        ));
        assert_eq!(operation(r#""delete":true"#).change(), Ok(Change::Delete));
        assert!(matches!(
            operation(r#""ops":{"increment":1}"#).change(),
            Ok(Change::Ops(_))
        ));
        assert_eq!(
            operation(r#""putBase64":"AA==","mediaType":"image/png""#).change(),
            Ok(Change::PutBase64 {
                data: "AA==",
                media_type: Some("image/png")
            })
        );
        assert_eq!(
            operation(r#""ifMatch":"x""#).change(),
            Err(BatchFault::NoChange)
        );
        assert_eq!(
            operation(r#""put":1,"delete":true"#).change(),
            Err(BatchFault::SeveralChanges { count: 2 })
        );
        assert_eq!(
            operation(r#""put":1,"mediaType":"a/b""#).change(),
            Err(BatchFault::MediaTypeUnused)
        );
        assert_eq!(
            operation(r#""put":1,"ifNoneMatch":"x""#).change(),
            Err(BatchFault::IfNoneMatch)
        );
    }

    #[test]
    fn fields_that_do_not_exist_are_refused() {
        for text in [
            r#"{"operations":[{"collection":"a","key":"b","putt":1}]}"#,
            r#"{"operations":[{"collection":"a","key":"b","delete":false}]}"#,
            r#"{"operation":[]}"#,
            r#"{"operations":[{"key":"b","put":1}]}"#,
        ] {
            assert!(
                serde_json::from_str::<BatchRequest>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn json_passes_through_as_written() {
        let text = r#"{"operations":[{"collection":"a","key":"b","put":{"z":1.10, "a":1e400}}]}"#;
        let request: BatchRequest = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
    }
}
