//! Events: one for each transition of what a resource says about itself, and one for each thing that was done.

use crate::cluster::CALL_LIMIT;
use directory_sync_api::DirectorySync;
use directory_sync_api::conditions::{PLAN_HELD, READY, find, reasons};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource};

/// Holds that are an alarm. The others are a step that somebody takes in the normal course of things.
const ALARMS: [&str; 5] = ["LimitExceeded", "SourceShrunk", "ValuesVanished", "Unconfirmed", "Protected"];

/// What an event tells. It names no person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Whether somebody should look.
    pub warning: bool,
    /// PascalCase, the same as in conditions and metrics.
    pub reason: &'static str,
    /// What happened.
    pub message: String,
}

/// What events tell of a run beside the conditions that changed, and what of these they leave out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tidings {
    /// What was done.
    pub news: Vec<News>,
    /// What Ready says without the words of a server, where its message repeats some: these may name people.
    pub unquoted: Option<String>,
}

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

    /// Tells of what was done and of every condition that changed.
    pub async fn tell(&self, sync: &DirectorySync, tidings: &Tidings, before: &[Condition], after: &[Condition]) {
        let about = sync.object_ref(&());
        for news in &tidings.news {
            self.publish(&about, news.warning, news.reason, &news.message).await;
        }
        for condition in changed(before, after) {
            let message = message(condition, tidings);
            self.publish(&about, is_warning(condition), &condition.reason, message).await;
        }
    }

    /// Tells of every condition that changed; none of them repeats the words of a server.
    pub async fn transitions(&self, about: &ObjectReference, before: &[Condition], after: &[Condition]) {
        for condition in changed(before, after) {
            self.publish(about, is_warning(condition), &condition.reason, &condition.message).await;
        }
    }

    /// A failure to tell is logged and changes nothing else.
    async fn publish(&self, about: &ObjectReference, warning: bool, reason: &str, message: &str) {
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.chars().take(128).collect(),
            note: Some(cut(message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        match tokio::time::timeout(CALL_LIMIT, self.0.publish(&event, about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, reason, "an event could not be published"),
            Err(_) => tracing::warn!(reason, "an event could not be published in time"),
        }
    }
}

/// The conditions whose status or reason changed. What two of them say alike is told once.
fn changed<'c>(before: &[Condition], after: &'c [Condition]) -> impl Iterator<Item = &'c Condition> {
    let is_news = |now: &&Condition| {
        let same = find(before, &now.type_).is_some_and(|was| was.status == now.status && was.reason == now.reason);
        // A plan that is held is already what Ready says.
        let told = now.type_ == PLAN_HELD && find(after, READY).is_some_and(|ready| ready.reason == now.reason);
        let is_quiet = match now.type_.as_str() {
            READY => now.reason == reasons::PROGRESSING,
            _ => now.status != "True",
        };
        !same && !told && !is_quiet
    };
    [READY, PLAN_HELD].into_iter().filter_map(|kind| find(after, kind)).filter(is_news).collect::<Vec<_>>().into_iter()
}

/// What an event tells of a condition.
fn message<'m>(condition: &'m Condition, tidings: &'m Tidings) -> &'m str {
    match &tidings.unquoted {
        Some(unquoted) if condition.type_ == READY => unquoted,
        _ => &condition.message,
    }
}

fn is_warning(condition: &Condition) -> bool {
    let is_hold = ALARMS.contains(&condition.reason.as_str());
    is_hold || (condition.type_ == READY && condition.status == "False" && condition.reason != reasons::SUSPENDED)
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

    fn condition(kind: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    /// The reasons that are told, those of warnings with an exclamation mark.
    fn told(before: &[Condition], after: &[Condition]) -> Vec<String> {
        changed(before, after).map(|now| format!("{}{}", now.reason, if is_warning(now) { "!" } else { "" })).collect()
    }

    #[test]
    fn a_transition_is_told_once_and_a_repetition_not() {
        let failed = [condition(READY, "False", "SourceUnavailable")];
        let good = [condition(READY, "True", "Succeeded"), condition(PLAN_HELD, "False", "NothingHeld")];
        assert_eq!(told(&[], &failed), ["SourceUnavailable!"]);
        assert!(told(&failed, &failed).is_empty());
        assert_eq!(told(&failed, &good), ["Succeeded"]);
        let progressing = [condition(READY, "Unknown", "Progressing")];
        assert!(told(&good, &progressing).is_empty(), "that a run begins is no news");
    }

    #[test]
    fn a_hold_is_told_once_and_is_a_warning_where_a_guard_holds() {
        let held = |reason| [condition(READY, "True", reason), condition(PLAN_HELD, "True", reason)];
        assert_eq!(told(&[], &held("ApprovalRequired")), ["ApprovalRequired"]);
        assert_eq!(told(&held("ApprovalRequired"), &held("LimitExceeded")), ["LimitExceeded!"]);
        let failed_too = [condition(READY, "False", "ApplyPartiallyFailed"), condition(PLAN_HELD, "True", "Protected")];
        assert_eq!(told(&[], &failed_too), ["ApplyPartiallyFailed!", "Protected!"]);
    }

    #[test]
    fn the_words_of_a_server_are_not_told() {
        let said = |text: &str, condition: Condition| Condition { message: text.to_owned(), ..condition };
        let failed = said("it failed: ada@example.com", condition(READY, "False", "TargetServerError"));
        let held = said("3 changes wait", condition(PLAN_HELD, "True", "LimitExceeded"));
        let tidings = Tidings { news: Vec::new(), unquoted: Some("it failed…".to_owned()) };
        assert_eq!((message(&failed, &tidings), message(&held, &tidings)), ("it failed…", "3 changes wait"));
        assert_eq!(message(&failed, &Tidings::default()), "it failed: ada@example.com");
    }

    #[test]
    fn suspending_is_no_warning_whatever_was_before() {
        let failed = [condition(READY, "False", "SourceUnavailable")];
        assert_eq!(told(&failed, &[condition(READY, "False", "Suspended")]), ["Suspended"]);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert!(cut(&"ü".repeat(2000)).len() <= 1000);
    }
}
