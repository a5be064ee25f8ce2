//! The ledger: conflicts, listed and shown.

use atoll_api::http::{Conflict, ConflictList, ConflictQuery};
use http::Method;

use crate::client::Client;
use crate::error::ClientError;
use crate::request::Request;

impl Client {
    /// A page of the ledger, in the order of detection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn conflicts(&self, query: &ConflictQuery) -> Result<ConflictList, ClientError> {
        let ConflictQuery {
            collection,
            kind,
            state,
            since,
            limit,
        } = query;
        let request = Request::new(Method::GET, self.address(&["v1", "conflicts"])?)
            .query("collection", collection.as_deref())
            .query("kind", kind.as_deref())
            .query("state", state.as_deref())
            .query("since", since.as_deref())
            .query("limit", limit.map(|limit| limit.to_string()).as_deref());
        self.json(&self.ask(request).await?)
    }

    /// One conflict.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn conflict(&self, id: &str) -> Result<Conflict, ClientError> {
        let request = Request::new(Method::GET, self.address(&["v1", "conflicts", id])?);
        self.json(&self.ask(request).await?)
    }
}
