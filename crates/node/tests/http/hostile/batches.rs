//! Batches of which half is good, and what administrators should not send.

use super::{Row, Tokens, nested, row};

fn batch(operations: &str) -> Vec<u8> {
    format!(r#"{{"operations":[{operations}]}}"#).into_bytes()
}

/// A first operation that is good: it must not be applied either.
fn after_a_good_one(operation: &str) -> Vec<u8> {
    batch(&format!(
        r#"{{"collection":"pages","key":"good","put":1}},{operation}"#
    ))
}

pub(crate) fn batches(tokens: &Tokens) -> Vec<Row> {
    let post = |what, status, reason, body: Vec<u8>| {
        row(what, "POST", "/v1/batch", status, reason).json(body)
    };
    let operation = r#"{"collection":"pages","key":"k","put":1},"#;
    let many = operation.repeat(10_001);
    let large = format!(
        r#"{{"collection":"pages","key":"k","put":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    let deep = format!(r#"{{"collection":"pages","key":"k","put":{}}}"#, nested(65));
    let foreign = format!(
        r#"{{"collection":"pages","key":"k","put":1,"context":"{}"}}"#,
        tokens.other_context
    );
    let key = format!(
        r#"{{"collection":"pages","key":"{}","put":1}}"#,
        "k".repeat(1025)
    );
    vec![
        post(
            "a batch that is no JSON",
            400,
            "InvalidValue",
            b"put a 1".to_vec(),
        ),
        post("a batch of nothing", 400, "InvalidValue", batch("")),
        post(
            "a batch of 10,001 operations",
            413,
            "TooLarge",
            batch(many.trim_end_matches(',')),
        ),
        post("a batch of 17 MiB", 413, "TooLarge", vec![b' '; 17 << 20]),
        post(
            "half good: a collection nobody declared",
            404,
            "UnknownCollection",
            after_a_good_one(r#"{"collection":"nope","key":"k","put":1}"#),
        ),
        post(
            "half good: an operation that the type lacks",
            409,
            "TypeMismatch",
            after_a_good_one(r#"{"collection":"hits","key":"k","put":1}"#),
        ),
        post(
            "half good: a condition that does not hold",
            412,
            "PreconditionFailed",
            after_a_good_one(r#"{"collection":"pages","key":"gone","put":1,"ifMatch":"*"}"#),
        ),
        post(
            "half good: a counter led out of its range",
            400,
            "InvalidValue",
            after_a_good_one(
                r#"{"collection":"hits","key":"a","ops":{"increment":9223372036854775807}}"#,
            ),
        ),
        post(
            "half good: two changes in one",
            400,
            "InvalidValue",
            after_a_good_one(r#"{"collection":"pages","key":"k","put":1,"delete":true}"#),
        ),
        post(
            "half good: no change",
            400,
            "InvalidValue",
            after_a_good_one(r#"{"collection":"pages","key":"k"}"#),
        ),
        post(
            "half good: a time of one's own",
            400,
            "InvalidValue",
            after_a_good_one(
                r#"{"collection":"pages","key":"k","put":1,"time":"2099-01-01T00:00:00Z"}"#,
            ),
        ),
        post(
            "half good: an empty key",
            400,
            "InvalidKey",
            after_a_good_one(r#"{"collection":"pages","key":"","put":1}"#),
        ),
        post(
            "half good: a key of 1,025 bytes",
            400,
            "InvalidKey",
            after_a_good_one(&key),
        ),
        post(
            "half good: bytes that are not base64",
            400,
            "InvalidValue",
            after_a_good_one(r#"{"collection":"pages","key":"k","putBase64":"@@"}"#),
        ),
        post(
            "half good: a value of 1 MiB and more",
            413,
            "TooLarge",
            after_a_good_one(&large),
        ),
        post(
            "half good: a value nested 65 deep",
            400,
            "InvalidValue",
            after_a_good_one(&deep),
        ),
        post(
            "half good: a context of another store",
            400,
            "InvalidToken",
            after_a_good_one(&foreign),
        ),
        post(
            "a condition on the batch itself",
            400,
            "InvalidHeader",
            batch(operation.trim_end_matches(',')),
        )
        .with("if-match", "*"),
        post(
            "a batch that is a form",
            415,
            "UnsupportedMediaType",
            b"a=1".to_vec(),
        )
        .with("content-type", "application/x-www-form-urlencoded"),
        row(
            "reading 10,001 keys at once",
            "POST",
            "/v1/read",
            413,
            "TooLarge",
        )
        .json(format!(
            r#"{{"keys":[{}{{"collection":"pages","key":"a"}}]}}"#,
            r#"{"collection":"pages","key":"a"},"#.repeat(10_000)
        )),
        row(
            "reading of nobody's collection",
            "POST",
            "/v1/read",
            404,
            "UnknownCollection",
        )
        .json(r#"{"keys":[{"collection":"nope","key":"a"}]}"#),
    ]
}

pub(crate) fn administration() -> Vec<Row> {
    let put = |what, status, reason, body: &str| {
        row(what, "PUT", "/v1/admin/collections", status, reason).json(body)
    };
    vec![
        put(
            "a collection's type changed",
            409,
            "TypeMismatch",
            r#"{"collections":[{"name":"pages","type":"Set"}]}"#,
        ),
        put(
            "a policy that does not exist",
            400,
            "InvalidValue",
            r#"{"collections":[{"name":"pages","type":"Register","conflicts":{"policy":"CoinToss"}}]}"#,
        ),
        put(
            "a region that does not exist",
            400,
            "InvalidValue",
            r#"{"collections":[{"name":"pages","type":"Register","conflicts":{"policy":"OriginPriority","origins":["mars"]}}]}"#,
        ),
        put(
            "a collection declared twice",
            400,
            "InvalidValue",
            r#"{"collections":[{"name":"pages","type":"Register"},{"name":"pages","type":"Register"}]}"#,
        ),
        put("collections without their list", 400, "InvalidValue", "[]"),
    ]
}
