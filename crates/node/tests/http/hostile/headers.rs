//! Headers: tokens, conditions and wishes that cannot be met.

use super::{PAGE, Row, Tokens, row};

pub(crate) fn headers(tokens: &Tokens) -> Vec<Row> {
    let get = |what, name, value: &str, status, reason| {
        row(what, "GET", PAGE, status, reason).with(name, value)
    };
    let put = |what, name, value: &str, status, reason| {
        row(what, "PUT", PAGE, status, reason)
            .with(name, value)
            .json("1")
    };
    let many = (0..150).map(|_| ("x-note", "1".to_owned())).collect();
    vec![
        get(
            "a session that is none",
            "atoll-session",
            "me",
            400,
            "InvalidToken",
        ),
        get(
            "a session of another store",
            "atoll-session",
            &tokens.other_store,
            400,
            "InvalidToken",
        ),
        get(
            "a session with one bit forged",
            "atoll-session",
            &tokens.forged,
            400,
            "InvalidToken",
        ),
        get(
            "a session of 10,000 characters",
            "atoll-session",
            &"A".repeat(10_000),
            400,
            "InvalidToken",
        ),
        get(
            "a context as a session",
            "atoll-session",
            &tokens.context,
            400,
            "InvalidToken",
        ),
        put(
            "a session as a context",
            "atoll-context",
            &tokens.session,
            400,
            "InvalidToken",
        ),
        put(
            "a context of another store",
            "atoll-context",
            &tokens.other_context,
            400,
            "InvalidToken",
        ),
        get(
            "a session from the future",
            "atoll-session",
            &tokens.future,
            503,
            "SessionNotReached",
        )
        .with("atoll-timeout", "30ms"),
        put(
            "a context from the future",
            "atoll-context",
            &tokens.future_context,
            503,
            "SessionNotReached",
        )
        .with("atoll-timeout", "30ms"),
        row(
            "a cursor that is none",
            "GET",
            "/v1/changes?since=0",
            400,
            "InvalidToken",
        ),
        row(
            "a session as a cursor",
            "GET",
            format!("/v1/changes?since={}", tokens.cursor_kind),
            400,
            "InvalidToken",
        ),
        put(
            "a concern nobody knows",
            "atoll-write-concern",
            "most",
            400,
            "InvalidHeader",
        ),
        put(
            "a concern of 17 regions",
            "atoll-write-concern",
            "regions=17",
            400,
            "InvalidHeader",
        ),
        put(
            "a concern of more regions than there are",
            "atoll-write-concern",
            "regions=2",
            400,
            "InvalidHeader",
        ),
        get(
            "a timeout that is none",
            "atoll-timeout",
            "soon",
            400,
            "InvalidHeader",
        ),
        get(
            "a timeout of an hour",
            "atoll-timeout",
            "1h",
            400,
            "InvalidHeader",
        ),
        get("two timeouts", "atoll-timeout", "1s", 400, "InvalidHeader")
            .with("atoll-timeout", "2s"),
        put(
            "an idempotency key with a blank",
            "idempotency-key",
            "order 7",
            400,
            "InvalidHeader",
        ),
        put(
            "an idempotency key of nothing",
            "idempotency-key",
            "",
            400,
            "InvalidHeader",
        ),
        put(
            "an idempotency key of 129 characters",
            "idempotency-key",
            &"k".repeat(129),
            400,
            "InvalidHeader",
        ),
        put(
            "two idempotency keys",
            "idempotency-key",
            "a",
            400,
            "InvalidHeader",
        )
        .with("idempotency-key", "b"),
        put(
            "an idempotency key of another request",
            "idempotency-key",
            "hostile",
            422,
            "IdempotencyKeyReused",
        ),
        put(
            "a time of one's own",
            "atoll-time",
            "2099-01-01T00:00:00Z",
            400,
            "InvalidHeader",
        ),
        put(
            "a tag without quotes",
            "if-match",
            "abc",
            400,
            "InvalidHeader",
        ),
        put(
            "somebody else's tag",
            "if-match",
            "\"abc\"",
            412,
            "PreconditionFailed",
        ),
        put(
            "a tag from before",
            "if-match",
            &tokens.tag,
            412,
            "PreconditionFailed",
        ),
        put(
            "creating what is there",
            "if-none-match",
            "*",
            412,
            "PreconditionFailed",
        ),
        put(
            "absent and present at once",
            "if-none-match",
            "*",
            400,
            "InvalidHeader",
        )
        .with("if-match", "*"),
        put(
            "a tag that must not be",
            "if-none-match",
            "\"abc\"",
            400,
            "InvalidHeader",
        ),
        put(
            "40,000 bytes of headers",
            "x-note",
            &"x".repeat(40_000),
            413,
            "TooLarge",
        ),
        put(
            "200,000 bytes of headers",
            "x-note",
            &"x".repeat(200_000),
            431,
            "",
        ),
        Row {
            headers: many,
            ..row("150 headers", "GET", PAGE, 431, "")
        },
        row(
            "a header that is not ASCII",
            "GET",
            PAGE,
            400,
            "InvalidHeader",
        )
        .with("atoll-timeout", "5\u{e9}s"),
    ]
}
