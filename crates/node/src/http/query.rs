//! Query strings: read into the shapes that are promised; a parameter that does not exist is refused.

use axum::extract::Query;
use http::Uri;
use serde::de::DeserializeOwned;

use atoll_api::http::{LIMIT_DEFAULT, LIMIT_MAX, Reason};

use super::path;
use super::problem::Refused;

/// The parameters as `T`, which refuses those that it does not know.
pub(crate) fn read<T: DeserializeOwned + Default>(uri: &Uri) -> Result<T, Refused> {
    let Some(text) = uri.query().filter(|text| !text.is_empty()) else {
        return Ok(T::default());
    };
    if path::decode(text).is_none() {
        return Err(invalid("the query is not percent-encoded UTF-8"));
    }
    match Query::<T>::try_from_uri(uri) {
        Ok(Query(parameters)) => Ok(parameters),
        Err(rejection) => {
            let text = rejection.body_text();
            let problem = text
                .rsplit_once("string: ")
                .map_or(&*text, |(_, cause)| cause);
            Err(invalid(format!("the query cannot be used: {problem}")))
        }
    }
}

/// Demands that there are no parameters.
pub(crate) fn none(uri: &Uri) -> Result<(), Refused> {
    let Some(text) = uri.query().filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let name: String = text
        .split(['=', '&'])
        .next()
        .unwrap_or_default()
        .chars()
        .take(64)
        .collect();
    Err(invalid(format!(
        "there is no query parameter {name:?} here; remove it"
    )))
}

/// How many items to answer with.
pub(crate) fn limit(given: Option<usize>) -> Result<usize, Refused> {
    match given.unwrap_or(LIMIT_DEFAULT) {
        limit if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(invalid(format!("limit is a number from 1 to {LIMIT_MAX}")).limit(LIMIT_MAX)),
    }
}

pub(crate) fn invalid(detail: impl Into<String>) -> Refused {
    Refused::new(Reason::InvalidValue, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use atoll_api::http::KeyQuery;

    fn read_keys(query: &str) -> Result<KeyQuery, String> {
        let uri: Uri = format!("/v1/collections/a/keys?{query}").parse().unwrap();
        read(&uri).map_err(|refused| refused.0.detail)
    }

    #[test]
    fn parameters_are_read_and_unknown_ones_named() {
        let query = read_keys("prefix=a%2Fb&limit=5&values=true").unwrap();
        assert_eq!(query.prefix.as_deref(), Some("a/b"));
        assert_eq!((query.limit, query.values), (Some(5), true));
        assert_eq!(read_keys("").unwrap(), KeyQuery::default());
        for (query, named) in [
            ("limits=5", "limits"),
            ("limit=many", "limit"),
            ("limit=-1", "limit"),
            ("values=yes", "values"),
            ("limit=1&limit=2", "limit"),
            ("prefix=%ff", "UTF-8"),
        ] {
            let problem = read_keys(query).unwrap_err();
            assert!(problem.contains(named), "{query}: {problem}");
        }
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit(None).unwrap(), LIMIT_DEFAULT);
        assert!(limit(Some(0)).is_err());
        assert!(limit(Some(LIMIT_MAX + 1)).is_err());
        assert!(none(&"/v1/status?".parse().unwrap()).is_ok());
        let refused = none(&"/v1/status?all=1".parse().unwrap()).unwrap_err();
        assert!(refused.0.detail.contains("all"), "{refused:?}");
    }
}
