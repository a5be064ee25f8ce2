//! Members of the store and its topology.

use atoll_api::http::{
    MemberList, MemberStatus, Removed, TopologyDeclaration, TopologyPlan, TopologyStatus,
    media_type,
};
use http::Method;

use crate::client::Client;
use crate::data::to_json;
use crate::error::ClientError;
use crate::request::Request;

impl Client {
    /// The members as the server knows them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn members(&self) -> Result<MemberList, ClientError> {
        let request = Request::new(Method::GET, self.address(&["v1", "regions"])?);
        self.json(&self.ask(request).await?)
    }

    /// Lets a region leave. Ask again with [`Client::members`] how far it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn drain_region(&self, name: &str) -> Result<MemberStatus, ClientError> {
        let url = self.address(&["v1", "regions", name, "drain"])?;
        self.json(&self.ask(Request::new(Method::POST, url)).await?)
    }

    /// Lets a region that was leaving stay.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cancel_drain(&self, name: &str) -> Result<MemberStatus, ClientError> {
        let url = self.address(&["v1", "regions", name, "drain"])?;
        self.json(&self.ask(Request::new(Method::DELETE, url)).await?)
    }

    /// Retires a dead region. `lost` repeats how many of its entries are known to be lost, which the refusal
    /// of a call without it names.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_region(
        &self,
        name: &str,
        lost: Option<u64>,
    ) -> Result<Removed, ClientError> {
        let mut url = self.address(&["v1", "regions", name])?;
        url.query_pairs_mut().append_pair("force", "true");
        if let Some(lost) = lost {
            url.query_pairs_mut().append_pair("lost", &lost.to_string());
        }
        self.json(&self.ask(Request::new(Method::DELETE, url)).await?)
    }

    /// The topology as declared.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn topology(&self) -> Result<TopologyStatus, ClientError> {
        let request = Request::new(Method::GET, self.address(&["v1", "topology"])?);
        self.json(&self.ask(request).await?)
    }

    /// What declaring a topology would do.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn plan_topology(
        &self,
        declaration: &TopologyDeclaration,
    ) -> Result<TopologyPlan, ClientError> {
        let url = self.address(&["v1", "topology", "plan"])?;
        let request = Request::new(Method::POST, url)
            .body(media_type::JSON, to_json(declaration))
            .safe();
        self.json(&self.ask(request).await?)
    }

    /// Declares the topology.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_topology(
        &self,
        declaration: &TopologyDeclaration,
    ) -> Result<TopologyStatus, ClientError> {
        let url = self.address(&["v1", "topology"])?;
        let request = Request::new(Method::PUT, url).body(media_type::JSON, to_json(declaration));
        self.json(&self.ask(request).await?)
    }
}
