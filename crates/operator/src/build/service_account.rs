//! Whom pods run as: nobody that the API server knows, and without a token.

use serde_json::json;

use super::{Built, Kind, body};
use crate::names;
use crate::validate::Declared;

pub(super) fn name(declared: &Declared) -> String {
    format!("{}-nodes", declared.name)
}

pub(super) fn build(declared: &Declared) -> Built {
    let (kind, name) = (Kind::ServiceAccount, name(declared));
    let labels = names::store_labels(&declared.name);
    let rest = json!({ "automountServiceAccountToken": false });
    Built {
        kind,
        region: None,
        body: body(declared, kind, &name, &labels, rest),
        name,
    }
}
