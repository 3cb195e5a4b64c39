//! From what a run came to, to the conditions of the resource.
//!
//! `Ready` is always there. `Reconciling` and `Stalled` say that something is not as it should be and are there only
//! while they are true, never both. `SourceHealthy`, `TargetHealthy` and `PlanHeld` are observations: they neither
//! make a resource ready nor unready, and `PlanHeld` in particular may be true while `Ready` is, because a plan that
//! waits for a person is no failure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The last run read both sides, planned, and sent all that it was allowed to send without a failure.
pub const READY: &str = "Ready";
/// A run is under way for a new spec, or a failed run will be repeated.
pub const RECONCILING: &str = "Reconciling";
/// Nothing will get better by itself: somebody has to change something first.
pub const STALLED: &str = "Stalled";
/// The source was read whole.
pub const SOURCE_HEALTHY: &str = "SourceHealthy";
/// The target was read whole.
pub const TARGET_HEALTHY: &str = "TargetHealthy";
/// Some of the plan waits for a person.
pub const PLAN_HELD: &str = "PlanHeld";

/// Reasons that the conditions give by themselves. All others come from the errors and holds of a run.
pub mod reasons {
    /// All went well.
    pub const SUCCEEDED: &str = "Succeeded";
    /// A run is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// A run failed and will be repeated.
    pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";
    /// `spec.suspend` is true.
    pub const SUSPENDED: &str = "Suspended";
    /// A side was read whole.
    pub const READ_SUCCEEDED: &str = "ReadSucceeded";
    /// Nothing of the plan waits.
    pub const NOTHING_HELD: &str = "NothingHeld";
    /// Stands in for a reason that is no valid reason.
    pub const FAILED: &str = "Failed";
}

/// Most bytes of a condition's message. The API allows 32,768; a sentence needs fewer.
pub const MAX_MESSAGE_BYTES: usize = 2048;

/// A reason as one word and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// PascalCase, the same in events and metrics.
    pub reason: &'static str,
    /// What, where, and how to mend it.
    pub message: String,
}

impl Cause {
    /// A cause.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The first run for this spec is under way. Not written for later runs, so that a run that finds nothing new
    /// writes the status once.
    Progressing {
        /// What is being done.
        message: String,
    },
    /// The run did all that it was allowed to do.
    Ready {
        /// What it did, or what waits.
        message: String,
    },
    /// The run failed, and will be repeated.
    Failed(Cause),
    /// The run failed, and repeating it changes nothing.
    Stalled(Cause),
    /// There was no run, because `spec.suspend` is true.
    Suspended,
}

/// What a run learnt about one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// It was not asked; what was known before still stands.
    #[default]
    Unchanged,
    /// It was read whole.
    Healthy,
    /// It could not be read, or not whole.
    Unhealthy(Cause),
}

/// What a run learnt about the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Held {
    /// There is no new plan; what was known before still stands.
    #[default]
    Unchanged,
    /// Nothing waits.
    Nothing,
    /// Some of it waits for a person.
    Waiting(Cause),
}

/// Everything the conditions are built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What the run came to.
    pub outcome: Outcome,
    /// What it learnt about the source.
    pub source: Health,
    /// What it learnt about the target.
    pub target: Health,
    /// What it learnt about the plan.
    pub held: Held,
}

/// The new conditions, all with `generation` as their observed generation, in a fixed order.
///
/// `lastTransitionTime` is `now` only where a status differs from the one in `previous`.
pub fn conditions(observation: &Observation, previous: &[Condition], generation: i64, now: &Time) -> Vec<Condition> {
    let build = |kind: &str, finding: Finding| finding.condition(kind, previous, generation, now);
    [
        Some(build(READY, ready(observation, previous))),
        reconciling(&observation.outcome).map(|finding| build(RECONCILING, finding)),
        stalled(&observation.outcome).map(|finding| build(STALLED, finding)),
        side(SOURCE_HEALTHY, &observation.source, previous).map(|finding| build(SOURCE_HEALTHY, finding)),
        side(TARGET_HEALTHY, &observation.target, previous).map(|finding| build(TARGET_HEALTHY, finding)),
        plan_held(&observation.held, previous).map(|finding| build(PLAN_HELD, finding)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The conditions of a run that went well for a spec that is no longer the one that is there: what was learnt stands, but
/// the resource is not ready before the next run. They belong to the older `generation` still; `previous` are those from
/// before the run.
pub fn superseded(
    conditions_of_run: &[Condition],
    previous: &[Condition],
    generation: i64,
    now: &Time,
) -> Vec<Condition> {
    let before = find(conditions_of_run, READY).map(|ready| ready.message.as_str()).unwrap_or_default();
    let message = format!("Another spec came while a run was under way; the next run follows at once. {before}");
    let observation = Observation {
        outcome: Outcome::Progressing { message: message.trim_end().to_owned() },
        source: Health::Unchanged,
        target: Health::Unchanged,
        held: Held::Unchanged,
    };
    let mut superseded = conditions(&observation, conditions_of_run, generation, now);
    for condition in &mut superseded {
        let since = find(previous, &condition.type_).filter(|before| before.status == condition.status);
        condition.last_transition_time =
            since.map_or_else(|| now.clone(), |before| before.last_transition_time.clone());
    }
    superseded
}

/// The condition of this type, if it is there.
pub fn find<'c>(conditions: &'c [Condition], kind: &str) -> Option<&'c Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// A condition without its times.
struct Finding {
    status: &'static str,
    reason: String,
    message: String,
}

impl Finding {
    fn new(status: &'static str, reason: &str, message: &str) -> Self {
        Self { status, reason: reason.to_owned(), message: message.to_owned() }
    }

    fn of(status: &'static str, cause: &Cause) -> Self {
        Self::new(status, cause.reason, &cause.message)
    }

    fn repeated(condition: &Condition) -> Self {
        Self::new(known_status(condition), &condition.reason, &condition.message)
    }

    fn condition(self, kind: &str, previous: &[Condition], generation: i64, now: &Time) -> Condition {
        let since = find(previous, kind).filter(|before| before.status == self.status);
        Condition {
            type_: kind.to_owned(),
            status: self.status.to_owned(),
            reason: valid_reason(&self.reason),
            message: truncated(self.message),
            observed_generation: Some(generation),
            last_transition_time: since.map_or_else(|| now.clone(), |before| before.last_transition_time.clone()),
        }
    }
}

fn ready(observation: &Observation, previous: &[Condition]) -> Finding {
    match &observation.outcome {
        Outcome::Progressing { message } => Finding::new("Unknown", reasons::PROGRESSING, message),
        Outcome::Ready { message } => {
            let reason = match &observation.held {
                Held::Waiting(cause) => cause.reason,
                Held::Nothing | Held::Unchanged => reasons::SUCCEEDED,
            };
            Finding::new("True", reason, message)
        }
        Outcome::Failed(cause) | Outcome::Stalled(cause) => Finding::of("False", cause),
        Outcome::Suspended => suspended(find(previous, READY)),
    }
}

/// Suspending changes nothing about what the last run came to.
fn suspended(before: Option<&Condition>) -> Finding {
    const MESSAGE: &str = "Nothing runs until spec.suspend is false.";
    match before {
        None => Finding::new("Unknown", reasons::SUSPENDED, MESSAGE),
        Some(before) if before.reason == reasons::SUSPENDED => Finding::repeated(before),
        Some(before) => {
            let message = format!("{MESSAGE} Before that: {}", before.message);
            Finding::new(known_status(before), reasons::SUSPENDED, &message)
        }
    }
}

fn reconciling(outcome: &Outcome) -> Option<Finding> {
    match outcome {
        Outcome::Progressing { message } => Some(Finding::new("True", reasons::PROGRESSING, message)),
        Outcome::Failed(cause) => Some(Finding::new("True", reasons::PROGRESSING_WITH_RETRY, &cause.message)),
        Outcome::Ready { .. } | Outcome::Stalled(_) | Outcome::Suspended => None,
    }
}

fn stalled(outcome: &Outcome) -> Option<Finding> {
    match outcome {
        Outcome::Stalled(cause) => Some(Finding::of("True", cause)),
        Outcome::Progressing { .. } | Outcome::Ready { .. } | Outcome::Failed(_) | Outcome::Suspended => None,
    }
}

fn side(kind: &str, health: &Health, previous: &[Condition]) -> Option<Finding> {
    match health {
        Health::Unchanged => find(previous, kind).map(Finding::repeated),
        Health::Healthy => Some(Finding::new("True", reasons::READ_SUCCEEDED, "It was read whole.")),
        Health::Unhealthy(cause) => Some(Finding::of("False", cause)),
    }
}

fn plan_held(held: &Held, previous: &[Condition]) -> Option<Finding> {
    match held {
        Held::Unchanged => find(previous, PLAN_HELD).map(Finding::repeated),
        Held::Nothing => Some(Finding::new("False", reasons::NOTHING_HELD, "Nothing of the plan waits.")),
        Held::Waiting(cause) => Some(Finding::of("True", cause)),
    }
}

fn known_status(condition: &Condition) -> &'static str {
    match condition.status.as_str() {
        "True" => "True",
        "False" => "False",
        _ => "Unknown",
    }
}

/// A reason as metav1.Condition demands it; an invalid one would make the API server refuse the whole status.
fn valid_reason(reason: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ':');
    let valid = reason.len() <= 1024
        && reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && reason.chars().all(inner);
    if valid { reason.to_owned() } else { reasons::FAILED.to_owned() }
}

fn truncated(mut message: String) -> String {
    const MARK: &str = "…";
    if message.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES - MARK.len()).rev().find(|&end| message.is_char_boundary(end));
        message.truncate(end.unwrap_or_default());
        message.push_str(MARK);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;
    use proptest::prelude::*;

    fn time(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn observed(outcome: Outcome) -> Observation {
        Observation { outcome, source: Health::Unchanged, target: Health::Unchanged, held: Held::Unchanged }
    }

    fn cause() -> impl Strategy<Value = Cause> {
        (
            prop::sample::select(vec!["SourceUnavailable", "LimitExceeded", "not a reason", "", "1st"]),
            ".{0,40}|[é]{3000}",
        )
            .prop_map(|(reason, message)| Cause::new(reason, message))
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            ".{0,20}".prop_map(|message| Outcome::Progressing { message }),
            ".{0,20}".prop_map(|message| Outcome::Ready { message }),
            cause().prop_map(Outcome::Failed),
            cause().prop_map(Outcome::Stalled),
            Just(Outcome::Suspended),
        ]
    }

    fn health() -> impl Strategy<Value = Health> {
        prop_oneof![Just(Health::Unchanged), Just(Health::Healthy), cause().prop_map(Health::Unhealthy)]
    }

    fn held() -> impl Strategy<Value = Held> {
        prop_oneof![Just(Held::Unchanged), Just(Held::Nothing), cause().prop_map(Held::Waiting)]
    }

    /// A run, and what happens around it.
    #[derive(Debug, Clone)]
    struct Run {
        /// Whether the spec is another than at the run before.
        changed_before: bool,
        /// Whether it is changed while the run is under way.
        changed_during: bool,
        /// What the run came to.
        came_to: Observation,
        /// How long after the last one it ended.
        later: i64,
    }

    fn run() -> impl Strategy<Value = Run> {
        (any::<bool>(), any::<bool>(), outcome(), health(), health(), held(), 0..5_i64).prop_map(
            |(changed_before, changed_during, outcome, source, target, held, later)| {
                let came_to = Observation { outcome, source, target, held };
                Run { changed_before, changed_during, came_to, later }
            },
        )
    }

    /// The conditions after a run for the spec of `generation`, as the controller writes them.
    fn after(run: &Run, previous: &[Condition], generation: i64, now: &Time) -> Vec<Condition> {
        let after = conditions(&run.came_to, previous, generation, now);
        match run.came_to.outcome {
            Outcome::Ready { .. } if run.changed_during => superseded(&after, previous, generation, now),
            // A resource is not run while it is suspended, and to suspend it is to change it.
            _ => after,
        }
    }

    fn is_true(conditions: &[Condition], kind: &str) -> bool {
        find(conditions, kind).is_some_and(|condition| condition.status == "True")
    }

    /// The checks that Flux runs over its own kinds after every reconciliation, and the rules of kstatus. `observed` is
    /// the status' generation, `generation` that of the resource.
    fn assert_acceptable(conditions: &[Condition], observed: i64, generation: i64) {
        let ready = find(conditions, READY).expect("Ready is always present");
        assert!(observed <= generation, "nobody has seen a spec that is not there");
        if observed < generation {
            assert_ne!(ready.status, "True", "what is ready follows the spec that is there");
        }
        for abnormal in [RECONCILING, STALLED] {
            if let Some(condition) = find(conditions, abnormal) {
                assert_eq!(condition.status, "True", "{abnormal} is absent unless it is true");
                assert_ne!(ready.status, "True", "{abnormal} excludes Ready");
            }
        }
        if is_true(conditions, STALLED) {
            assert_eq!(ready.status, "False", "what is stalled is not ready");
            assert!(!is_true(conditions, RECONCILING), "what is stalled is not being reconciled");
        }
        let mut kinds: Vec<_> = conditions.iter().map(|condition| &condition.type_).collect();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), conditions.len(), "each type once");
        for condition in conditions {
            // The status is written with the same generation, so no condition is ahead of it or behind it.
            assert_eq!(condition.observed_generation, Some(observed));
            assert!(["True", "False", "Unknown"].contains(&condition.status.as_str()));
            assert!(condition.message.len() <= MAX_MESSAGE_BYTES);
            assert!(condition.reason.starts_with(|c: char| c.is_ascii_alphabetic()), "{:?}", condition.reason);
            assert!(condition.reason.chars().all(|c| c.is_ascii_alphanumeric()), "{:?}", condition.reason);
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_in_whatever_order_the_conditions_are_acceptable(runs in prop::collection::vec(run(), 1..12)) {
            let (mut generation, mut second) = (1, 0);
            let mut previous: Vec<Condition> = Vec::new();
            for run in runs {
                generation += i64::from(run.changed_before);
                let observed = generation;
                generation += i64::from(run.changed_during);
                second += run.later;
                let next = after(&run, &previous, observed, &time(second));
                // Suspended is what a resource is, not what a run for it came to: it is looked at again at once.
                if run.came_to.outcome != Outcome::Suspended || !run.changed_during {
                    assert_acceptable(&next, observed, generation);
                }
                for condition in &next {
                    let expected = match find(&previous, &condition.type_) {
                        Some(before) if before.status == condition.status => before.last_transition_time.clone(),
                        _ => time(second),
                    };
                    prop_assert_eq!(&condition.last_transition_time, &expected, "moves only when the status flips");
                }
                previous = next;
            }
        }

        #[test]
        fn the_same_outcome_again_changes_nothing(first in run(), second in run()) {
            let before = conditions(&first.came_to, &[], 1, &time(0));
            let once = conditions(&second.came_to, &before, 1, &time(10));
            let again = conditions(&second.came_to, &once, 1, &time(20));
            prop_assert_eq!(once, again);
        }
    }

    #[test]
    fn a_held_plan_is_ready_and_says_why_it_waits() {
        let held = Cause::new("LimitExceeded", "812 people would be suspended, 50 are allowed");
        let observation = Observation {
            outcome: Outcome::Ready { message: "812 changes wait for an approval".into() },
            source: Health::Healthy,
            target: Health::Healthy,
            held: Held::Waiting(held),
        };
        let conditions = conditions(&observation, &[], 3, &time(0));
        let ready = find(&conditions, READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "LimitExceeded"));
        assert!(is_true(&conditions, PLAN_HELD));
    }

    #[test]
    fn a_failed_read_leaves_what_is_known_of_the_plan() {
        let held = Observation {
            held: Held::Waiting(Cause::new("ApprovalRequired", "3 changes wait")),
            ..observed(Outcome::Ready { message: String::new() })
        };
        let before = conditions(&held, &[], 1, &time(0));
        let failed = Observation {
            source: Health::Unhealthy(Cause::new("SourceUnavailable", "no answer")),
            ..observed(Outcome::Failed(Cause::new("SourceUnavailable", "no answer")))
        };
        let after = conditions(&failed, &before, 1, &time(60));
        assert_eq!(find(&after, PLAN_HELD), find(&before, PLAN_HELD));
        assert!(is_true(&after, RECONCILING));
        assert_eq!(find(&after, SOURCE_HEALTHY).unwrap().status, "False");
    }

    #[test]
    fn suspending_keeps_what_the_last_run_came_to() {
        let failed = Outcome::Stalled(Cause::new("SourceAuthFailed", "the password is wrong"));
        let before = conditions(&observed(failed), &[], 1, &time(0));
        let after = conditions(&observed(Outcome::Suspended), &before, 2, &time(60));
        let ready = find(&after, READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reasons::SUSPENDED));
        assert!(ready.message.contains("the password is wrong"));
        assert!(find(&after, STALLED).is_none());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = Outcome::Failed(Cause::new("SourceUnavailable", "ü".repeat(5000)));
        let conditions = conditions(&observed(long), &[], 1, &time(0));
        let message = &find(&conditions, READY).unwrap().message;
        assert!(message.len() <= MAX_MESSAGE_BYTES && message.ends_with('…'), "{} bytes", message.len());
    }
}
