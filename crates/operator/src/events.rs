//! Events: what people see in `kubectl describe` and `kubectl events`.

use atoll_api::manifest::GeoStore;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use crate::names::OPERATOR;
use crate::plan::Told;

/// Most characters of an event's note.
const NOTE_MAX: usize = 1000;

/// Publishes events. One that is lost is told of in the log, and stops nothing.
pub(crate) struct Events {
    recorder: Recorder,
    timeout: std::time::Duration,
}

impl Events {
    pub(crate) fn new(client: Client, identity: &str, timeout: std::time::Duration) -> Self {
        let reporter = Reporter {
            controller: OPERATOR.to_owned(),
            instance: Some(identity.to_owned()),
        };
        Events {
            recorder: Recorder::new(client, reporter),
            timeout,
        }
    }

    /// Something was done.
    pub(crate) async fn done(&self, store: &GeoStore, told: &Told) {
        self.publish(store, EventType::Normal, told).await;
    }

    /// Something is wrong.
    pub(crate) async fn wrong(&self, object: &impl Resource<DynamicType = ()>, told: &Told) {
        self.publish(object, EventType::Warning, told).await;
    }

    async fn publish(
        &self,
        object: &impl Resource<DynamicType = ()>,
        type_: EventType,
        told: &Told,
    ) {
        let event = Event {
            type_,
            reason: told.reason.as_str().to_owned(),
            note: Some(told.message.chars().take(NOTE_MAX).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let reference = object.object_ref(&());
        let publishing = self.recorder.publish(&event, &reference);
        match tokio::time::timeout(self.timeout, publishing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, reason = event.reason, "an event is lost"),
            Err(_) => tracing::warn!(reason = event.reason, "an event is lost: no answer"),
        }
    }
}
