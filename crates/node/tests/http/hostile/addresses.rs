//! Addresses: keys, collections, routes and parameters that do not exist.

use super::{PAGE, Row, row};

pub(crate) fn keys() -> Vec<Row> {
    let put = |what, key: &str, status, reason| {
        row(
            what,
            "PUT",
            format!("/v1/collections/pages/keys/{key}"),
            status,
            reason,
        )
        .json("1")
    };
    vec![
        put("an empty key", "", 400, "InvalidKey"),
        put("a key of 1,025 bytes", &"k".repeat(1025), 400, "InvalidKey"),
        put(
            "a key of 1,025 bytes, encoded",
            &"%6B".repeat(1025),
            400,
            "InvalidKey",
        ),
        put("a key that is not UTF-8", "%ff", 400, "InvalidKey"),
        put("an overlong zero", "%C0%80", 400, "InvalidKey"),
        put("half a surrogate pair", "%ED%A0%80", 400, "InvalidKey"),
        put("a percent sign without digits", "%zz", 400, "InvalidKey"),
        put("a percent sign at the end", "a%", 400, "InvalidKey"),
        put("a slash that is not encoded", "a/b", 400, "InvalidKey"),
        put("a way up", "../users/keys/a", 400, "InvalidKey"),
        put("an address of 70,000 bytes", &"k".repeat(70_000), 414, ""),
        row(
            "an empty key of operations",
            "POST",
            "/v1/collections/hits/keys//ops",
            400,
            "InvalidKey",
        )
        .json("{}"),
        row(
            "a collection nobody declared",
            "PUT",
            "/v1/collections/nope/keys/a",
            404,
            "UnknownCollection",
        )
        .json("1"),
        row(
            "a collection in capitals",
            "PUT",
            "/v1/collections/Pages/keys/a",
            404,
            "UnknownCollection",
        )
        .json("1"),
        row(
            "a collection that is a way up",
            "PUT",
            "/v1/collections/..%2f..%2fetc/keys/a",
            404,
            "UnknownCollection",
        )
        .json("1"),
        row(
            "a key that is not there",
            "GET",
            "/v1/collections/pages/keys/gone",
            404,
            "NotFound",
        ),
        row(
            "deleting what is not there",
            "DELETE",
            "/v1/collections/pages/keys/gone",
            404,
            "NotFound",
        ),
    ]
}

pub(crate) fn routes() -> Vec<Row> {
    vec![
        row(
            "a route that does not exist",
            "GET",
            "/v1/secrets",
            404,
            "NotFound",
        ),
        row(
            "a route of a later version",
            "PUT",
            "/v2/collections/pages/keys/a",
            404,
            "NotFound",
        )
        .json("1"),
        row("posting to a key", "POST", PAGE, 405, "MethodNotAllowed").json("1"),
        row(
            "writing the status",
            "PUT",
            "/v1/status",
            405,
            "MethodNotAllowed",
        )
        .json("{}"),
        row(
            "a method nobody knows",
            "BREW",
            "/v1/batch",
            405,
            "MethodNotAllowed",
        )
        .json("{}"),
        row(
            "pausing a link that does not exist",
            "POST",
            "/v1/links/us%3Aeu/pause",
            404,
            "NotFound",
        ),
        row(
            "a parameter that does not exist",
            "PUT",
            format!("{PAGE}?ttl=5"),
            400,
            "InvalidValue",
        )
        .json("1"),
        row(
            "a parameter misspelt",
            "GET",
            format!("{PAGE}?sibling=true"),
            400,
            "InvalidValue",
        ),
        row(
            "a flag that is no flag",
            "GET",
            format!("{PAGE}?siblings=maybe"),
            400,
            "InvalidValue",
        ),
        row(
            "a page of nothing",
            "GET",
            "/v1/collections/pages/keys?limit=0",
            400,
            "InvalidValue",
        ),
        row(
            "a page of too much",
            "GET",
            "/v1/collections/pages/keys?limit=10001",
            400,
            "InvalidValue",
        ),
        row(
            "a page of less than nothing",
            "GET",
            "/v1/collections/pages/keys?limit=-1",
            400,
            "InvalidValue",
        ),
        row(
            "a prefix that is not UTF-8",
            "GET",
            "/v1/collections/pages/keys?prefix=%ff",
            400,
            "InvalidValue",
        ),
        row(
            "a limit given twice",
            "GET",
            "/v1/changes?limit=1&limit=2",
            400,
            "InvalidValue",
        ),
        row(
            "a state of conflicts that does not exist",
            "GET",
            "/v1/conflicts?state=closed",
            400,
            "InvalidValue",
        ),
        row(
            "a kind of conflict that does not exist",
            "GET",
            "/v1/conflicts?kind=civil-war",
            400,
            "InvalidValue",
        ),
        row(
            "a time that is none",
            "GET",
            "/v1/conflicts?since=yesterday",
            400,
            "InvalidValue",
        ),
        row(
            "a conflict's id that is none",
            "GET",
            "/v1/conflicts/1",
            400,
            "InvalidValue",
        ),
        row(
            "a conflict that does not exist",
            "GET",
            format!("/v1/conflicts/{:032x}", 7),
            404,
            "NotFound",
        ),
    ]
}
