//! HTTP v1.
use crate::node::Node;
pub(crate) async fn serve(_node: Node, _listener: tokio::net::TcpListener, shutdown: impl Future<Output = ()>) { shutdown.await }
