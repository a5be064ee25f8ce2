//! How a node's Raft reaches the others: one call a message, over HTTP/2.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use openraft::AnyError;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};

use atoll_client::{ClientError, PeerClient};
use atoll_store::Identity;

use super::member::RegionNode;
use super::snapshot::{self, SnapshotData};
use super::{TypeConfig, message};
use crate::tls::{NodeTls, Side};

/// Where the nodes of a region take each other's messages.
pub(crate) const PATH: &str = "/internal/v1/raft/";
/// The store, the region's replica id and the node that a message is for: it is taken by nobody else.
pub(crate) const STORE: HeaderName = HeaderName::from_static("atoll-store");
pub(crate) const REPLICA: HeaderName = HeaderName::from_static("atoll-replica");
pub(crate) const NODE: HeaderName = HeaderName::from_static("atoll-node");

/// A whole snapshot is on its way for at most this long.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(3600);

/// Reaches the other nodes of one region.
#[derive(Clone)]
pub(crate) struct Network {
    peers: PeerClient,
    identity: Identity,
    /// Where nodes are reached, by their names, when not where they say.
    reach: BTreeMap<String, String>,
    tls: Option<NodeTls>,
}

impl Network {
    pub(crate) fn new(
        peers: PeerClient,
        identity: Identity,
        reach: BTreeMap<String, String>,
        tls: Option<NodeTls>,
    ) -> Network {
        Network {
            peers,
            identity,
            reach,
            tls,
        }
    }

    /// Where this node reaches another one.
    pub(crate) fn address_of(&self, node: &RegionNode) -> String {
        let reached_at = self.reach.get(&node.name);
        reached_at.unwrap_or(&node.address).clone()
    }
}

/// The headers of a message for the node `target`.
pub(crate) fn envelope(identity: &Identity, target: u64) -> HeaderMap {
    let value = |of: &dyn fmt::Display| {
        HeaderValue::try_from(of.to_string()).expect("ids are visible ASCII")
    };
    HeaderMap::from_iter([
        (STORE, value(&identity.store)),
        (REPLICA, value(&identity.replica)),
        (NODE, value(&target)),
    ])
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Neighbour;

    async fn new_client(&mut self, target: u64, node: &RegionNode) -> Neighbour {
        Neighbour {
            peers: self.peers.clone(),
            address: self.address_of(node),
            envelope: envelope(&self.identity, target),
            target,
            tls: self.tls.clone(),
        }
    }
}

/// One other node.
pub(crate) struct Neighbour {
    peers: PeerClient,
    address: String,
    envelope: HeaderMap,
    target: u64,
    tls: Option<NodeTls>,
}

impl Neighbour {
    async fn call(
        &self,
        what: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RPCError<TypeConfig>> {
        let path = format!("{PATH}{what}");
        let headers = self.envelope.clone();
        self.peers
            .call(&self.address, &path, headers, body, timeout)
            .await
            .map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &ClientError) -> RPCError<TypeConfig> {
        if let (ClientError::Untrusted { fault, .. }, Some(tls)) = (error, &self.tls) {
            tls.refused(Side::Dialing, &self.address, fault);
        }
        match error {
            ClientError::Unreachable { .. }
            | ClientError::Untrusted { .. }
            | ClientError::WrongScheme { .. }
            | ClientError::InvalidServer { .. } => {
                RPCError::Unreachable(Unreachable::new(&AnyError::error(error)))
            }
            _ => RPCError::Network(NetworkError::new(&AnyError::error(error))),
        }
    }
}

fn unreadable(error: &io::Error) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(error))
}

impl RaftNetworkV2<TypeConfig> for Neighbour {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = message::append(&request).map_err(|e| unreadable(&e))?;
        let answer = self.call("append", body, option.hard_ttl()).await?;
        message::read_appended(answer).map_err(|e| unreadable(&e))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = message::ask_vote(&request);
        let answer = self.call("vote", body, option.hard_ttl()).await?;
        message::read_voted(answer).map_err(|e| unreadable(&e))
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = message::ask_vote(&request);
        let answer = self.call("pre-vote", body, option.hard_ttl()).await?;
        message::read_voted(answer).map_err(|e| unreadable(&e))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let body = message::transfer(&request);
        // A target that will not have it says so by a problem; who leads stays as it is then.
        self.call("transfer", body, option.hard_ttl()).await?;
        Ok(Ok(()))
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let head = message::snapshot_head(&vote, &snapshot.meta).map_err(|e| unreadable(&e))?;
        let chunks = snapshot::stream(head, snapshot.snapshot).map_err(|e| unreadable(&e))?;
        let mut chunks = chunks;
        let body = stream::poll_fn(move |cx| chunks.poll_recv(cx));
        let path = format!("{PATH}snapshot");
        let headers = self.envelope.clone();
        tracing::info!(node = self.target, address = %self.address, "a node is sent the state");
        let sending = self
            .peers
            .upload(&self.address, &path, headers, body, SNAPSHOT_TIMEOUT);
        let answer = tokio::select! {
            answer = sending => answer.map_err(|error| StreamingError::from(self.failed(&error)))?,
            closed = cancel => return Err(closed.into()),
        };
        let vote = message::read_vote(answer).map_err(|e| unreadable(&e))?;
        Ok(SnapshotResponse::new(vote))
    }
}
