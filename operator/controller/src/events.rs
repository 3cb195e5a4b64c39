//! Events: one for each transition of what a resource says about itself.

use directory_sync_api::DirectorySync;
use directory_sync_api::conditions::{PLAN_HELD, READY, find};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource};

/// Publishes events; one for the whole process, because it joins repetitions.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// Publishes to this cluster.
    pub fn new(client: Client) -> Self {
        let instance = std::env::var("CONTROLLER_POD_NAME").ok();
        let controller = "directory-sync-operator".to_owned();
        Self(Recorder::new(client, kube::runtime::events::Reporter { controller, instance }))
    }

    /// Tells of every condition that changed. A failure to tell is logged and changes nothing else.
    pub async fn tell(&self, sync: &DirectorySync, after: &[Condition]) {
        let before = sync.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        for event in transitions(before, after) {
            if let Err(error) = self.0.publish(&event, &sync.object_ref(&())).await {
                tracing::warn!(%error, reason = event.reason, "an event could not be published");
            }
        }
    }
}

/// One event for each condition whose status or reason changed. The messages name no person.
fn transitions(before: &[Condition], after: &[Condition]) -> Vec<Event> {
    let changed = |kind: &str| {
        let now = find(after, kind)?;
        let same = find(before, kind).is_some_and(|was| was.status == now.status && was.reason == now.reason);
        // A plan that is held is already what Ready says.
        let told = kind == PLAN_HELD && find(after, READY).is_some_and(|ready| ready.reason == now.reason);
        let is_quiet = now.status == "Unknown" || (kind == PLAN_HELD && now.status == "False");
        (!same && !told && !is_quiet).then_some(now)
    };
    let event = |condition: &Condition| Event {
        type_: match condition.status.as_str() {
            "False" => EventType::Warning,
            _ => EventType::Normal,
        },
        reason: condition.reason.chars().take(128).collect(),
        note: Some(cut(&condition.message)),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    [READY, PLAN_HELD].into_iter().filter_map(changed).map(event).collect()
}

/// At most 1 kB, whole characters.
fn cut(message: &str) -> String {
    let mut end = message.len().min(1000);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn ready(status: &str, reason: &str) -> Vec<Condition> {
        vec![Condition {
            type_: READY.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: "ü".repeat(2000),
            observed_generation: Some(1),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }]
    }

    #[test]
    fn a_transition_is_told_once_and_a_repetition_not() {
        let failed = ready("False", "SourceUnavailable");
        let told = transitions(&[], &failed);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].reason, "SourceUnavailable");
        assert!(told[0].note.as_ref().is_some_and(|note| note.len() <= 1000));
        assert!(transitions(&failed, &failed).is_empty());
        assert_eq!(transitions(&failed, &ready("True", "Succeeded")).len(), 1);
    }
}
