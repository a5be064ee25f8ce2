//! Keys: read, written, listed, and followed.

use atoll_api::http::{
    BatchAnswer, BatchRequest, ChangeLine, ChangesQuery, KeyPage, KeyQuery, Operations, RawJson,
    ReadAnswer, ReadRequest, Reason, Receipt, Sibling, Siblings, header, media_type,
};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Serialize;
use url::Url;

use crate::client::{Client, text};
use crate::error::ClientError;
use crate::options::{ReadOptions, WriteOptions};
use crate::request::{Answer, Request};

/// What a key was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The value or values.
    pub content: Content,
    /// Its fingerprint, for `If-Match`.
    pub etag: Option<String>,
    /// What was seen, for a later write's context.
    pub context: Option<String>,
    /// A session that covers what was seen.
    pub session: Option<String>,
}

/// The value or values of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Absent,
    /// One value.
    Value {
        /// Its media type.
        media_type: String,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Several values, or one in the form of siblings.
    Siblings(Vec<Sibling>),
}

/// Changes as they come.
#[derive(Debug)]
pub struct Changes {
    client: Client,
    response: Response<Incoming>,
    buffer: BytesMut,
    is_ended: bool,
}

impl Client {
    /// Reads a key.
    ///
    /// # Errors
    /// [`ClientError`]; an absent key is none.
    pub async fn get(
        &self,
        collection: &str,
        key: &str,
        options: &ReadOptions,
    ) -> Result<Read, ClientError> {
        let request = Request::new(Method::GET, self.key(collection, key)?)
            .headers(options.headers()?)
            .patience(options.timeout)
            .query("siblings", options.siblings.then_some("true"));
        let answer = self.ask(request.taking_absence()).await?;
        self.read_from(&answer, options.siblings)
    }

    fn read_from(&self, answer: &Answer, are_siblings: bool) -> Result<Read, ClientError> {
        let media_type =
            text(&answer.headers, header::CONTENT_TYPE).unwrap_or_else(|| media_type::BYTES.into());
        let content = match answer.status {
            StatusCode::NOT_FOUND => {
                let error = self.refusal(answer.status, &answer.body);
                if error.reason() != Some(Reason::NotFound) {
                    return Err(error);
                }
                Content::Absent
            }
            _ if are_siblings || answer.status == StatusCode::MULTIPLE_CHOICES => {
                let Siblings { siblings } = self.json(answer)?;
                Content::Siblings(siblings)
            }
            _ => Content::Value {
                media_type,
                bytes: answer.body.clone(),
            },
        };
        Ok(Read {
            content,
            etag: text(&answer.headers, header::ETAG),
            context: text(&answer.headers, header::CONTEXT),
            session: text(&answer.headers, header::SESSION),
        })
    }

    /// Sets a Register or a whole Document.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put(
        &self,
        collection: &str,
        key: &str,
        media_type: &str,
        value: impl Into<Bytes>,
        options: &WriteOptions,
    ) -> Result<Receipt, ClientError> {
        let request = Request::new(Method::PUT, self.key(collection, key)?);
        self.write(request.body(media_type, value.into()), options)
            .await
    }

    /// Sets a Register or a whole Document to JSON.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_json(
        &self,
        collection: &str,
        key: &str,
        value: &RawJson,
        options: &WriteOptions,
    ) -> Result<Receipt, ClientError> {
        let bytes = Bytes::copy_from_slice(value.get().as_bytes());
        self.put(collection, key, media_type::JSON, bytes, options)
            .await
    }

    /// Changes the named fields of a Document (RFC 7396).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn patch(
        &self,
        collection: &str,
        key: &str,
        patch: &RawJson,
        options: &WriteOptions,
    ) -> Result<Receipt, ClientError> {
        let bytes = Bytes::copy_from_slice(patch.get().as_bytes());
        let request = Request::new(Method::PATCH, self.key(collection, key)?);
        self.write(request.body(media_type::MERGE_PATCH, bytes), options)
            .await
    }

    /// Deletes what the caller has seen.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete(
        &self,
        collection: &str,
        key: &str,
        options: &WriteOptions,
    ) -> Result<Receipt, ClientError> {
        let request = Request::new(Method::DELETE, self.key(collection, key)?);
        self.write(request, options).await
    }

    /// Applies typed operations to a Counter, a Set or a Map.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn operate(
        &self,
        collection: &str,
        key: &str,
        operations: &Operations,
        options: &WriteOptions,
    ) -> Result<Receipt, ClientError> {
        let url = self.address(&["v1", "collections", collection, "keys", key, "ops"])?;
        let request = Request::new(Method::POST, url);
        self.write(request.body(media_type::JSON, to_json(operations)), options)
            .await
    }

    /// Makes several changes, all or nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn batch(
        &self,
        batch: &BatchRequest,
        options: &WriteOptions,
    ) -> Result<BatchAnswer, ClientError> {
        let request = Request::new(Method::POST, self.address(&["v1", "batch"])?)
            .body(media_type::JSON, to_json(batch))
            .headers(self.headers_of_write(options)?)
            .patience(options.timeout);
        self.json(&self.ask(request).await?)
    }

    async fn write(
        &self,
        request: Request,
        options: &WriteOptions,
    ) -> Result<Receipt, ClientError> {
        let request = request
            .headers(self.headers_of_write(options)?)
            .patience(options.timeout);
        self.json(&self.ask(request).await?)
    }

    /// A client that never sends a write twice needs no key for it.
    fn headers_of_write(&self, options: &WriteOptions) -> Result<HeaderMap, ClientError> {
        if self.tries_again() {
            options.repeatable_headers()
        } else {
            options.headers()
        }
    }

    /// Reads several keys from one snapshot.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn read(
        &self,
        keys: &ReadRequest,
        options: &ReadOptions,
    ) -> Result<ReadAnswer, ClientError> {
        let request = Request::new(Method::POST, self.address(&["v1", "read"])?)
            .safe()
            .body(media_type::JSON, to_json(keys))
            .headers(options.headers()?)
            .patience(options.timeout);
        self.json(&self.ask(request).await?)
    }

    /// A page of keys, in order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn page(
        &self,
        collection: &str,
        query: &KeyQuery,
        options: &ReadOptions,
    ) -> Result<KeyPage, ClientError> {
        let KeyQuery {
            prefix,
            start,
            end,
            limit,
            values,
        } = query;
        let url = self.address(&["v1", "collections", collection, "keys"])?;
        let request = Request::new(Method::GET, url)
            .headers(options.headers()?)
            .patience(options.timeout)
            .query("prefix", prefix.as_deref())
            .query("start", start.as_deref())
            .query("end", end.as_deref())
            .query("limit", limit.map(|limit| limit.to_string()).as_deref())
            .query("values", values.then_some("true"));
        self.json(&self.ask(request).await?)
    }

    /// Every change in arrival order, from `since`; with `follow`, for as long as the server lives.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn changes(&self, query: &ChangesQuery) -> Result<Changes, ClientError> {
        let ChangesQuery {
            since,
            collection,
            limit,
            follow,
        } = query;
        let request = Request::new(Method::GET, self.address(&["v1", "changes"])?)
            .query("since", since.as_deref())
            .query("collection", collection.as_deref())
            .query("limit", limit.map(|limit| limit.to_string()).as_deref())
            .query("follow", follow.then_some("true"));
        Ok(Changes {
            response: self.open(request).await?,
            client: self.clone(),
            buffer: BytesMut::new(),
            is_ended: false,
        })
    }

    fn key(&self, collection: &str, key: &str) -> Result<Url, ClientError> {
        self.address(&["v1", "collections", collection, "keys", key])
    }
}

impl Changes {
    /// The next change; `None` when the server has told them all.
    ///
    /// Cancel-safe: what has arrived is kept.
    ///
    /// # Errors
    /// When the connection breaks or a line is not understood; the stream ends there.
    pub async fn next(&mut self) -> Option<Result<ChangeLine, ClientError>> {
        loop {
            if let Some(line) = self.buffered_line() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let parsed = serde_json::from_slice(&line).map_err(|error| {
                    self.is_ended = true;
                    self.client
                        .unexpected(StatusCode::OK, &format!("a change: {error}"))
                });
                return Some(parsed);
            }
            if self.is_ended {
                return None;
            }
            match self.response.frame().await {
                Some(Ok(frame)) => {
                    if let Some(chunk) = frame.data_ref() {
                        self.buffer.extend_from_slice(chunk);
                    }
                }
                None => self.is_ended = true,
                Some(Err(error)) => {
                    self.is_ended = true;
                    let server = self.client.server();
                    return Some(Err(ClientError::from_body(&error, server)));
                }
            }
        }
    }

    fn buffered_line(&mut self) -> Option<BytesMut> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        let line = self.buffer.split_to(end);
        self.buffer.advance(1);
        Some(line)
    }
}

/// Shapes of requests hold nothing that JSON cannot.
pub(crate) fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
