//! Requests that nobody should send: each has its status and reason, and none changes anything.
//!
//! They are written to the socket as they are, so that no client's library makes them well-behaved. The
//! table that this prints is the one in the documentation.

use std::fmt::Write as _;

use atoll_core::token::{self, TokenKind};
use atoll_core::{Dot, ReplicaId, StoreId, VersionVector};
use reqwest::Method;
use serde_json::json;

use crate::support::{Store, header, raw};

/// One request and what it must be answered with; no reason where hyper answers before Atoll sees it.
struct Row {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Body,
    status: u16,
    reason: &'static str,
}

enum Body {
    None,
    /// With its length and `application/json`, unless the headers say otherwise.
    Json(Vec<u8>),
    /// As it is, after the headers as they are.
    Bytes(Vec<u8>),
    /// As it is, and then the client stops sending.
    Cut(Vec<u8>),
}

/// Tokens that rows need.
struct Tokens {
    session: String,
    context: String,
    cursor_kind: String,
    other_store: String,
    other_context: String,
    forged: String,
    future: String,
    future_context: String,
    tag: String,
}

const PAGE: &str = "/v1/collections/pages/keys/a";
const USER: &str = "/v1/collections/users/keys/a";
const HITS: &str = "/v1/collections/hits/keys/a/ops";
const TAGS: &str = "/v1/collections/tags/keys/a/ops";
const CART: &str = "/v1/collections/carts/keys/a/ops";

fn row(
    what: &'static str,
    method: &'static str,
    path: impl Into<String>,
    status: u16,
    reason: &'static str,
) -> Row {
    Row {
        what,
        method,
        path: path.into(),
        headers: vec![],
        body: Body::None,
        status,
        reason,
    }
}

impl Row {
    fn json(mut self, body: impl Into<Vec<u8>>) -> Row {
        self.body = Body::Json(body.into());
        self
    }

    fn bytes(mut self, body: impl Into<Vec<u8>>) -> Row {
        self.body = Body::Bytes(body.into());
        self
    }

    fn cut(mut self, body: impl Into<Vec<u8>>) -> Row {
        self.body = Body::Cut(body.into());
        self
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Row {
        self.headers.push((name, value.into()));
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: atoll\r\nconnection: close\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let is_typed = self.headers.iter().any(|(name, _)| *name == "content-type");
        let mut request = match &self.body {
            Body::Json(body) => {
                if !is_typed {
                    head.push_str("content-type: application/json\r\n");
                }
                write!(head, "content-length: {}\r\n\r\n", body.len()).unwrap();
                head.into_bytes()
            }
            Body::None | Body::Bytes(_) | Body::Cut(_) => (head + "\r\n").into_bytes(),
        };
        if let Body::Json(body) | Body::Bytes(body) | Body::Cut(body) = &self.body {
            request.extend_from_slice(body);
        }
        request
    }
}

fn batch(operations: &str) -> Vec<u8> {
    format!(r#"{{"operations":[{operations}]}}"#).into_bytes()
}

/// A first operation that is good: it must not be applied either.
fn after_a_good_one(operation: &str) -> Vec<u8> {
    batch(&format!(
        r#"{{"collection":"pages","key":"good","put":1}},{operation}"#
    ))
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

fn keys() -> Vec<Row> {
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

fn routes() -> Vec<Row> {
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

fn values() -> Vec<Row> {
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

fn operations() -> Vec<Row> {
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

fn headers(tokens: &Tokens) -> Vec<Row> {
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

fn batches(tokens: &Tokens) -> Vec<Row> {
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

fn administration() -> Vec<Row> {
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

async fn prepared(store: &Store) -> Tokens {
    store.done(Method::PUT, PAGE, &json!("before")).await;
    let tag = header(&store.get(PAGE).await, "etag");
    store.done(Method::PUT, PAGE, &json!("now")).await;
    store.done(Method::PUT, USER, &json!({"name": "Ann"})).await;
    store
        .done(Method::POST, HITS, &json!({"increment": 1}))
        .await;
    let read = store.get(PAGE).await;
    let (session, context) = (
        header(&read, "atoll-session"),
        header(&read, "atoll-context"),
    );
    let mut forged = session.clone().into_bytes();
    forged[10] ^= 1;
    let mut future: VersionVector = (*store.running.node().vector()).clone();
    future.raise(Dot::new(ReplicaId(77), 1));
    let write = |kind, store| token::write(kind, StoreId(store), &future);
    Tokens {
        cursor_kind: session.clone(),
        session,
        context,
        forged: String::from_utf8(forged).unwrap(),
        other_store: write(TokenKind::Session, 0xbb),
        other_context: write(TokenKind::Context, 0xbb),
        future: write(TokenKind::Session, 0xaa),
        future_context: write(TokenKind::Context, 0xaa),
        tag,
    }
}

/// Bytes of memory that this process holds.
fn memory_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or_default();
    pages * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_by_name_and_change_nothing() {
    let store = Store::start().await;
    let tokens = prepared(&store).await;
    let (vector, memory) = (store.running.node().vector(), memory_bytes());
    let catalog = store.running.node().catalog();
    let rows = [
        keys(),
        routes(),
        values(),
        operations(),
        headers(&tokens),
        batches(&tokens),
        administration(),
    ];
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for row in rows.into_iter().flatten() {
        let answer = raw(
            store.address(),
            row.encode(),
            matches!(row.body, Body::Cut(_)),
        )
        .await;
        let (status, reason) = answer
            .as_ref()
            .map_or((0, String::new()), |a| (a.status, a.reason()));
        let path = row.path.replace(&tokens.cursor_kind, "<session>");
        let path: String = path.chars().take(60).collect();
        writeln!(
            table,
            "{status} {reason:20} {:48} {} {path}",
            row.what, row.method
        )
        .unwrap();
        if (status, reason.as_str()) != (row.status, row.reason) {
            wrong.push(format!(
                "{}: {status} {reason}, not {} {}",
                row.what, row.status, row.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_snapshot!(table);

    assert_eq!(store.running.node().vector(), vector, "nothing was written");
    assert_eq!(
        store.running.node().catalog(),
        catalog,
        "nothing was declared"
    );
    assert_eq!(store.json("/v1/collections/hits/keys/a").await, json!(1));
    assert_eq!(
        store.json("/v1/collections/pages/keys?values=true").await["items"],
        json!([{"key": "a", "value": "now"}])
    );
    assert_eq!(store.json("/healthz").await["alive"], true);
    let grown = memory_bytes().saturating_sub(memory);
    assert!(grown < 200 << 20, "{grown} bytes more are held");
    store.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_answered_or_cut_off() {
    let store = Store::start().await;
    let tls: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    for garbage in [
        b"GARBAGE\r\n\r\n",
        tls,
        preface,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0",
        b"",
    ] {
        let answer = raw(store.address(), garbage.to_vec(), true).await;
        assert!(answer.is_none_or(|a| a.status == 400), "{garbage:?}");
    }
    assert_eq!(store.json("/healthz").await["alive"], true);
    store.running.stop().await;
}
