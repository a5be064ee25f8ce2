//! ETags and what requests demand with them.
//!
//! A tag names what a reader saw of a key: the fingerprint of its stored versions, mixed with the declared
//! policies, because those decide what is seen. A tag from before a change of policy matches nothing.

use http::HeaderValue;

use atoll_api::http::Reason;
use atoll_core::intent::Precondition;
use atoll_core::view::{self, Lens};
use atoll_core::{CollectionSpec, Policy};
use atoll_store::query::Slots;

use super::problem::Refused;

/// The tag of what `slots` show.
pub(crate) fn tag(lens: &Lens<'_>, slots: &Slots) -> u128 {
    view::fingerprint(slots) ^ salt(lens.spec)
}

/// The tag as text: 32 hexadecimal digits.
pub(crate) fn tag_text(tag: u128) -> String {
    format!("{tag:032x}")
}

/// The tag as `ETag` has it.
pub(crate) fn tag_header(tag: u128) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{tag:032x}\"")).ok()
}

/// What a write demands of its key.
pub(crate) fn precondition(
    spec: &CollectionSpec,
    if_match: Option<&str>,
    if_none_match: Option<&str>,
) -> Result<Option<Precondition>, Refused> {
    match (if_match, if_none_match) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(invalid("give If-Match or If-None-Match, not both")),
        (None, Some("*")) => Ok(Some(Precondition::Absent)),
        (None, Some(_)) => Err(invalid("on a write, If-None-Match can only be *")),
        (Some("*"), None) => Ok(Some(Precondition::Present)),
        (Some(text), None) => match parse(text)? {
            Some(tag) => Ok(Some(Precondition::Matches(tag ^ salt(spec)))),
            None => Err(Refused::new(
                Reason::PreconditionFailed,
                "the ETag is none of this store's; read the key again and decide anew",
            )),
        },
    }
}

/// Whether a reader that has one of the tags in `If-None-Match` already has what `tag` names.
pub(crate) fn is_known(tag: u128, if_none_match: &str) -> Result<bool, Refused> {
    if if_none_match.trim() == "*" {
        return Ok(true);
    }
    for text in if_none_match.split(',') {
        let text = text.trim();
        if parse(text.strip_prefix("W/").unwrap_or(text))? == Some(tag) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A tag with or without its quotes; `None` when it is a tag, but none of ours.
fn parse(text: &str) -> Result<Option<u128>, Refused> {
    let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let inner = quoted.unwrap_or(text);
    let is_ours = inner.len() == 32 && inner.bytes().all(|b| b.is_ascii_hexdigit());
    if is_ours {
        return Ok(u128::from_str_radix(inner, 16).ok());
    }
    match quoted {
        Some(other) if !other.contains('"') => Ok(None),
        _ => Err(invalid(
            "an ETag is sent back as it was received, quotes included",
        )),
    }
}

fn invalid(detail: &str) -> Refused {
    Refused::new(Reason::InvalidHeader, detail)
}

/// A hash of the policies (FNV-1a), equal in every region that has the same declaration.
fn salt(spec: &CollectionSpec) -> u128 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    feed(spec.policy.name());
    feed(spec.update_delete.name());
    if let Policy::OriginPriority(origins) = &spec.policy {
        for origin in origins {
            feed(origin.as_str());
        }
    }
    u128::from(hash) << 64 | u128::from(hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use atoll_core::{DataType, UpdateDelete};

    fn spec(policy: Policy) -> CollectionSpec {
        CollectionSpec {
            name: "pages".parse().unwrap(),
            data_type: DataType::Register,
            policy,
            update_delete: UpdateDelete::UpdateWins,
        }
    }

    #[test]
    fn a_tag_sent_back_demands_the_fingerprint_that_it_was_made_of() {
        let spec = spec(Policy::LastWriterWins);
        let tag = 42 ^ salt(&spec);
        for text in [format!("\"{tag:032x}\""), format!("{tag:032x}")] {
            let demanded = precondition(&spec, Some(&text), None).unwrap();
            assert_eq!(demanded, Some(Precondition::Matches(42)));
            assert!(is_known(tag, &text).unwrap());
            assert!(is_known(tag, &format!("\"other\", W/{text}")).unwrap());
            assert!(!is_known(tag ^ 1, &text).unwrap());
        }
    }

    #[test]
    fn a_change_of_policy_changes_every_tag() {
        let origins = vec!["eu".parse().unwrap()];
        let salts = [
            Policy::LastWriterWins,
            Policy::KeepSiblings,
            Policy::OriginPriority(vec![]),
            Policy::OriginPriority(origins),
        ]
        .map(|policy| salt(&spec(policy)));
        for (i, one) in salts.iter().enumerate() {
            assert!(!salts[..i].contains(one), "policy {i}");
        }
    }

    #[test]
    fn what_cannot_be_demanded_is_refused() {
        let spec = spec(Policy::LastWriterWins);
        let reason = |if_match, if_none_match| {
            let refused = precondition(&spec, if_match, if_none_match).unwrap_err();
            refused.0.reason_word
        };
        assert_eq!(reason(Some("\"abc\""), None), "PreconditionFailed");
        assert_eq!(reason(Some("abc"), None), "InvalidHeader");
        assert_eq!(reason(Some("\"a\", \"b\""), None), "InvalidHeader");
        assert_eq!(reason(None, Some("\"abc\"")), "InvalidHeader");
        assert_eq!(reason(Some("*"), Some("*")), "InvalidHeader");
    }
}
