//! Bodies: values and operations that cannot be stored, and bodies that are none.

use super::{CART, HITS, PAGE, Row, TAGS, USER, nested, row};

pub(crate) fn values() -> Vec<Row> {
    let large = vec![b' '; (1 << 20) + 1];
    let chunked = |body: &[u8]| {
        let mut chunk = format!("{:x}\r\n", body.len()).into_bytes();
        chunk.extend_from_slice(body);
        chunk.extend_from_slice(b"\r\n0\r\n\r\n");
        chunk
    };
    let long_type = format!("image/{}", "x".repeat(300));
    vec![
        row("JSON that stops", "PUT", PAGE, 400, "InvalidValue").json(r#"{"a":"#),
        row("JSON with more behind it", "PUT", PAGE, 400, "InvalidValue").json("{} {}"),
        row("JSON that is not UTF-8", "PUT", PAGE, 400, "InvalidValue").json(b"\"\xff\"".to_vec()),
        row("no JSON at all", "PUT", PAGE, 400, "InvalidValue").json(""),
        row("JSON nested 65 deep", "PUT", PAGE, 400, "InvalidValue").json(nested(65)),
        row("JSON nested 500,000 deep", "PUT", PAGE, 400, "InvalidValue").json(nested(500_000)),
        row(
            "a document nested 65 deep",
            "PATCH",
            USER,
            400,
            "InvalidValue",
        )
        .json(format!(r#"{{"a":{}}}"#, nested(64))),
        row(
            "a number beyond all numbers, in a document",
            "PUT",
            USER,
            400,
            "InvalidValue",
        )
        .json(r#"{"a":1e999}"#),
        row("a value of 1 MiB and a byte", "PUT", PAGE, 413, "TooLarge").json(large.clone()),
        row("the same without its length", "PUT", PAGE, 413, "TooLarge")
            .with("transfer-encoding", "chunked")
            .bytes(chunked(&large)),
        row("the promise of an exabyte", "PUT", PAGE, 413, "TooLarge")
            .with("content-length", "1152921504606846976")
            .bytes("x"),
        row("a length that is no number", "PUT", PAGE, 400, "")
            .with("content-length", "many")
            .bytes("x"),
        row("two lengths", "PUT", PAGE, 400, "")
            .with("content-length", "1")
            .with("content-length", "2")
            .bytes("xx"),
        row("chunks that are none", "PUT", PAGE, 400, "InvalidValue")
            .with("transfer-encoding", "chunked")
            .bytes("many\r\n"),
        row("a body that breaks off", "PUT", PAGE, 400, "InvalidValue")
            .with("content-length", "10")
            .cut("half"),
        row(
            "a compressed body",
            "PUT",
            PAGE,
            415,
            "UnsupportedMediaType",
        )
        .with("content-encoding", "gzip")
        .json("1"),
        row(
            "a media type that is none",
            "PUT",
            PAGE,
            400,
            "InvalidHeader",
        )
        .with("content-type", "nonsense")
        .json("1"),
        row(
            "a media type of 306 characters",
            "PUT",
            PAGE,
            400,
            "InvalidHeader",
        )
        .with("content-type", long_type)
        .json("1"),
        row("two media types", "PUT", PAGE, 400, "InvalidHeader")
            .with("content-type", "a/b")
            .with("content-type", "c/d")
            .json("1"),
        row(
            "a document that is a form",
            "PUT",
            USER,
            415,
            "UnsupportedMediaType",
        )
        .with("content-type", "application/x-www-form-urlencoded")
        .json("a=1"),
        row(
            "a patch that is a JSON Patch",
            "PATCH",
            USER,
            415,
            "UnsupportedMediaType",
        )
        .with("content-type", "application/json-patch+json")
        .json("[]"),
        row(
            "a document that is a list",
            "PUT",
            USER,
            409,
            "TypeMismatch",
        )
        .json("[1]"),
        row("patching a register", "PATCH", PAGE, 409, "TypeMismatch").json("{}"),
        row(
            "putting a counter",
            "PUT",
            "/v1/collections/hits/keys/a",
            409,
            "TypeMismatch",
        )
        .json("1"),
        row(
            "operations on a register",
            "POST",
            format!("{PAGE}/ops"),
            409,
            "TypeMismatch",
        )
        .json(r#"{"increment":1}"#),
    ]
}

pub(crate) fn operations() -> Vec<Row> {
    let op = |what, path, body: &str, reason| row(what, "POST", path, 400, reason).json(body);
    vec![
        op("no operation", HITS, "{}", "InvalidValue"),
        op(
            "an operation that does not exist",
            HITS,
            r#"{"multiply":2}"#,
            "InvalidValue",
        ),
        op(
            "half an increment",
            HITS,
            r#"{"increment":1.5}"#,
            "InvalidValue",
        ),
        op(
            "an increment beyond 64 bits",
            HITS,
            r#"{"increment":9223372036854775808}"#,
            "InvalidValue",
        ),
        op(
            "a counter led out of its range",
            HITS,
            r#"{"increment":9223372036854775807}"#,
            "InvalidValue",
        ),
        op(
            "up and down at once",
            HITS,
            r#"{"increment":1,"decrement":1}"#,
            "InvalidValue",
        ),
        op(
            "a reset that is none",
            HITS,
            r#"{"reset":false}"#,
            "InvalidValue",
        ),
        op(
            "elements that are no list",
            TAGS,
            r#"{"add":"a"}"#,
            "InvalidValue",
        ),
        op(
            "an element that comes and goes",
            TAGS,
            r#"{"add":["a"],"remove":["a"]}"#,
            "InvalidValue",
        ),
        op(
            "a field that is no object",
            CART,
            r#"{"put":["a"]}"#,
            "InvalidValue",
        ),
        row("a field of two kinds", "POST", CART, 409, "TypeMismatch")
            .json(r#"{"put":{"a":1},"increment":{"a":1}}"#),
        row("10,001 elements", "POST", TAGS, 413, "TooLarge")
            .json(format!(r#"{{"add":[{}1]}}"#, "1,".repeat(10_000))),
    ]
}
