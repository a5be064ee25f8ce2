//! State and administration: status, links, collections, metrics.

use atoll_api::http::{
    CollectionList, LinkList, LinkStatus, NodeAddress, NodeList, Progress, Readiness, Status,
    media_type,
};
use http::{Method, StatusCode};

use crate::client::Client;
use crate::data::to_json;
use crate::error::ClientError;
use crate::request::Request;

/// A new node may be sent all there is meanwhile.
const JOIN_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3600);

impl Client {
    /// The node's view of its region and of the others.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        let request = Request::new(Method::GET, self.address(&["v1", "status"])?);
        self.json(&self.ask(request).await?)
    }

    /// The links into the server's region.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn links(&self) -> Result<LinkList, ClientError> {
        let request = Request::new(Method::GET, self.address(&["v1", "links"])?);
        self.json(&self.ask(request).await?)
    }

    /// The nodes of the server's region, as its leader knows them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn nodes(&self) -> Result<NodeList, ClientError> {
        let request = Request::new(Method::GET, self.address(&["v1", "nodes"])?);
        self.json(&self.ask(request).await?)
    }

    /// Makes the running, empty node at `address` one of the region's; returns when it has a vote.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn add_node(&self, address: &str) -> Result<NodeList, ClientError> {
        let body = to_json(&NodeAddress {
            address: address.to_owned(),
        });
        let request = Request::new(Method::POST, self.address(&["v1", "nodes"])?)
            .body(media_type::JSON, body)
            .patience(Some(JOIN_PATIENCE));
        self.json(&self.ask(request).await?)
    }

    /// Removes a node from the server's region, also one that is gone.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_node(&self, name: &str) -> Result<NodeList, ClientError> {
        let url = self.address(&["v1", "nodes", name])?;
        self.json(&self.ask(Request::new(Method::DELETE, url)).await?)
    }

    /// Stops pulling over one link (`source:target`).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn pause_link(&self, name: &str) -> Result<LinkStatus, ClientError> {
        self.link_order(name, "pause").await
    }

    /// Pulls over one link again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn resume_link(&self, name: &str) -> Result<LinkStatus, ClientError> {
        self.link_order(name, "resume").await
    }

    /// Pausing what is paused changes nothing, so both orders may be sent twice.
    async fn link_order(&self, name: &str, order: &str) -> Result<LinkStatus, ClientError> {
        let url = self.address(&["v1", "links", name, order])?;
        let request = Request::new(Method::POST, url).safe();
        self.json(&self.ask(request).await?)
    }

    /// Declares the store's collections: all of them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_collections(
        &self,
        collections: &CollectionList,
    ) -> Result<CollectionList, ClientError> {
        let url = self.address(&["v1", "admin", "collections"])?;
        let request = Request::new(Method::PUT, url).body(media_type::JSON, to_json(collections));
        self.json(&self.ask(request).await?)
    }

    /// Whether requests are welcome; a refusal with a readable state is an answer, too.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn readiness(&self) -> Result<Readiness, ClientError> {
        let request = Request::new(Method::GET, self.address(&["readyz"])?);
        match self.ask(request).await {
            Ok(answer) => self.json(&answer),
            Err(ClientError::Unexpected { status, .. })
                if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() =>
            {
                Ok(Readiness {
                    ready: false,
                    progress: Progress::Starting,
                    join: None,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// The metrics, in the text form of Prometheus.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        self.text("/metrics").await
    }
}
