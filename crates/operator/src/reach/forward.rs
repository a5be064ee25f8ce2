//! Connections to pods through the API server.

use std::io;

use atoll_client::{Dial, Dialing, Duplex};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

/// Connects to pods of one namespace; their names stand where hosts do.
pub(super) struct Forward(pub(super) Api<Pod>);

impl Dial for Forward {
    fn dial(&self, authority: &str) -> Dialing {
        let pods = self.0.clone();
        let place = authority.rsplit_once(':');
        let place = place.and_then(|(pod, port)| Some((pod.to_owned(), port.parse::<u16>().ok()?)));
        Box::pin(async move {
            let (pod, port) = place.ok_or(io::ErrorKind::InvalidInput)?;
            let forwarding = pods.portforward(&pod, &[port]).await;
            let mut forwarded = forwarding.map_err(|error| io::Error::other(said(&error)))?;
            let stream = forwarded.take_stream(port);
            let stream = stream.ok_or(io::ErrorKind::NotConnected)?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }
}

/// What the API server says, in its own words where it has some.
pub(super) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => atoll_client::innermost(other),
    }
}
