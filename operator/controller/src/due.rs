//! Whether a run is due now, later, or not before something changes: a decision without side effects.

use crate::backoff::{Attempt, Standing};
use crate::schedule::Schedule;
use jiff::Timestamp;

/// What the decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// The time.
    pub now: Timestamp,
    /// Generation of the spec.
    pub generation: i64,
    /// Generation that the status speaks of.
    pub observed_generation: i64,
    /// When the last run ended, as the status tells it.
    pub last_run: Option<Timestamp>,
    /// Whether the last run ended well, as the status tells it. Asked only when this process has not tried yet.
    pub last_run_was_good: bool,
    /// When runs are due; `None` where the schedule cannot be followed.
    pub schedule: Option<&'a Schedule>,
    /// Values of the annotations that ask for a run.
    pub requested: &'a [String],
    /// The value that was last acted upon, as the status tells it.
    pub handled: Option<&'a str>,
    /// UIDs of approvals that wait to be used.
    pub approvals: &'a [String],
    /// The last attempt of this process.
    pub attempt: Option<&'a Attempt>,
}

/// When a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now, for this cause.
    Now(Cause),
    /// At this time, unless something changes before.
    At(Timestamp),
    /// If, at this time, a Secret or ConfigMap is another than when the resource stalled.
    IfMended(Timestamp),
    /// Not before something changes.
    OnChange,
}

/// Why a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub enum Cause {
    /// The spec is new or another.
    NewSpec,
    /// Somebody asked for a run by annotation.
    Requested,
    /// An approval waits to be used.
    Approved,
    /// The last run before this process did not end well.
    Unfinished,
    /// The pause after a failure is over.
    Retry,
    /// The schedule.
    Schedule,
}

/// Decides. What people do (another spec, a request, an approval) comes first and ends every pause; of missed due
/// times one run makes up for all.
pub fn due(sight: &Sight<'_>) -> Due {
    // What this process has tried counts even if it could not write it into the status: a status that cannot be
    // written must not make a run due without end.
    let tried = sight.attempt;
    let generation_seen = tried.map_or(sight.observed_generation, |tried| tried.generation);
    if sight.generation != generation_seen || (sight.last_run.is_none() && tried.is_none()) {
        return Due::Now(Cause::NewSpec);
    }
    if unseen(sight).is_some() {
        return Due::Now(Cause::Requested);
    }
    if sight.approvals.iter().any(|uid| tried.is_none_or(|tried| !tried.approvals.contains(uid))) {
        return Due::Now(Cause::Approved);
    }
    match tried.map(|tried| &tried.standing) {
        Some(Standing::Stalled { recheck_at, .. }) => return Due::IfMended(*recheck_at),
        Some(Standing::Failing { until, .. }) if *until > sight.now => return Due::At(*until),
        Some(Standing::Failing { .. }) => return Due::Now(Cause::Retry),
        None if !sight.last_run_was_good => return Due::Now(Cause::Unfinished),
        Some(Standing::Good) | None => {}
    }
    // A due time that fell into a run counts as missed, so the start of the last run is what to go on from.
    let since = tried.map(|tried| tried.started).or(sight.last_run);
    match since.and_then(|since| sight.schedule?.next_after(since)) {
        Some(next) if next <= sight.now => Due::Now(Cause::Schedule),
        Some(next) => Due::At(next),
        None => Due::OnChange,
    }
}

/// The request by annotation that was not acted upon yet; of several the last. After a restart the status knows but
/// one value, so that where both annotations are in use one run too many may follow.
pub fn unseen<'a>(sight: &Sight<'a>) -> Option<&'a str> {
    let is_seen = |value: &String| match sight.attempt {
        Some(tried) => tried.requested.contains(value),
        None => sight.handled == Some(value),
    };
    sight.requested.iter().rfind(|value| !is_seen(value)).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Versions;
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hourly() -> Schedule {
        let spec = directory_sync_api::schedule::Schedule { jitter: "0s".to_owned(), ..Default::default() };
        Schedule::of(&spec, "uid").unwrap()
    }

    fn attempt(standing: Standing) -> Attempt {
        Attempt {
            generation: 3,
            requested: BTreeSet::from(["monday".to_owned()]),
            approvals: BTreeSet::from(["old".to_owned()]),
            started: time("2026-03-01T10:00:00Z"),
            standing,
        }
    }

    /// A resource whose last run ended well a quarter of an hour ago.
    fn quiet<'a>(schedule: &'a Schedule, attempt: Option<&'a Attempt>) -> Sight<'a> {
        static MONDAY: LazyLock<[String; 1]> = LazyLock::new(|| ["monday".to_owned()]);
        Sight {
            now: time("2026-03-01T10:15:00Z"),
            generation: 3,
            observed_generation: 3,
            last_run: Some(time("2026-03-01T10:00:05Z")),
            last_run_was_good: true,
            schedule: Some(schedule),
            requested: MONDAY.as_slice(),
            handled: Some("monday"),
            approvals: &[],
            attempt,
        }
    }

    #[test]
    fn a_quiet_resource_waits_for_its_next_due_time() {
        let (hourly, good) = (hourly(), attempt(Standing::Good));
        assert_eq!(due(&quiet(&hourly, Some(&good))), Due::At(time("2026-03-01T11:00:00Z")));
        assert_eq!(due(&quiet(&hourly, None)), Due::At(time("2026-03-01T11:00:00Z")), "after a restart");
    }

    #[test]
    fn one_run_makes_up_for_every_due_time_that_was_missed() {
        let hourly = hourly();
        let after_a_night = Sight { now: time("2026-03-02T07:30:00Z"), ..quiet(&hourly, None) };
        assert_eq!(due(&after_a_night), Due::Now(Cause::Schedule));
        let ran = Attempt { started: after_a_night.now, ..attempt(Standing::Good) };
        let then = Sight { attempt: Some(&ran), ..after_a_night };
        assert_eq!(due(&then), Due::At(time("2026-03-02T08:00:00Z")));
    }

    #[test]
    fn a_new_resource_and_a_new_spec_run_at_once() {
        let (hourly, good) = (hourly(), attempt(Standing::Good));
        let new = Sight { last_run: None, observed_generation: -1, ..quiet(&hourly, None) };
        assert_eq!(due(&new), Due::Now(Cause::NewSpec));
        let changed = Sight { generation: 4, ..quiet(&hourly, Some(&good)) };
        assert_eq!(due(&changed), Due::Now(Cause::NewSpec));
    }

    #[test]
    fn a_request_runs_once() {
        let (hourly, good) = (hourly(), attempt(Standing::Good));
        let tuesday = ["tuesday".to_owned()];
        let asked = Sight { requested: &tuesday, ..quiet(&hourly, Some(&good)) };
        assert_eq!(due(&asked), Due::Now(Cause::Requested));
        let tried = Attempt { requested: BTreeSet::from(tuesday.clone()), ..good.clone() };
        assert_ne!(due(&Sight { attempt: Some(&tried), ..asked }), Due::Now(Cause::Requested));
        let taken_back = Sight { requested: &[], ..quiet(&hourly, Some(&tried)) };
        assert_eq!(due(&taken_back), Due::At(time("2026-03-01T11:00:00Z")));
    }

    #[test]
    fn either_annotation_asks_and_the_new_value_is_what_is_acted_upon() {
        let (hourly, good) = (hourly(), attempt(Standing::Good));
        let both = ["monday".to_owned(), "flux".to_owned()];
        let asked = Sight { requested: &both, ..quiet(&hourly, Some(&good)) };
        assert_eq!((due(&asked), unseen(&asked)), (Due::Now(Cause::Requested), Some("flux")));
        let tried = Attempt { requested: BTreeSet::from(both.clone()), ..good.clone() };
        let ours_again = ["tuesday".to_owned(), "flux".to_owned()];
        let asked = Sight { requested: &ours_again, ..quiet(&hourly, Some(&tried)) };
        assert_eq!((due(&asked), unseen(&asked)), (Due::Now(Cause::Requested), Some("tuesday")));
    }

    #[test]
    fn an_approval_runs_once_even_if_it_could_not_be_used() {
        let (hourly, good) = (hourly(), attempt(Standing::Good));
        let approvals = ["old".to_owned(), "new".to_owned()];
        let approved = Sight { approvals: &approvals, ..quiet(&hourly, Some(&good)) };
        assert_eq!(due(&approved), Due::Now(Cause::Approved));
        let only_old = Sight { approvals: &approvals[..1], ..quiet(&hourly, Some(&good)) };
        assert_eq!(due(&only_old), Due::At(time("2026-03-01T11:00:00Z")));
    }

    #[test]
    fn a_failing_resource_waits_out_its_pause_and_is_then_tried_again() {
        let hourly = hourly();
        let until = time("2026-03-01T10:20:00Z");
        let failing = attempt(Standing::Failing { failures: 4, until });
        assert_eq!(due(&quiet(&hourly, Some(&failing))), Due::At(until));
        let later = Sight { now: until, ..quiet(&hourly, Some(&failing)) };
        assert_eq!(due(&later), Due::Now(Cause::Retry));
    }

    #[test]
    fn a_stalled_resource_does_not_run_on_schedule() {
        let hourly = hourly();
        let recheck_at = time("2026-03-01T10:25:00Z");
        let stalled = attempt(Standing::Stalled { versions: Versions::default(), recheck_at });
        let much_later = Sight { now: time("2026-03-01T18:00:00Z"), ..quiet(&hourly, Some(&stalled)) };
        assert_eq!(due(&much_later), Due::IfMended(recheck_at));
        assert_eq!(due(&Sight { requested: &["now".to_owned()], ..much_later }), Due::Now(Cause::Requested));
        assert_eq!(due(&Sight { generation: 4, ..much_later }), Due::Now(Cause::NewSpec));
    }

    #[test]
    fn what_did_not_end_well_before_a_restart_is_tried_once_after_it() {
        let (hourly, failing) = (hourly(), attempt(Standing::Failing { failures: 1, until: Timestamp::MAX }));
        let restarted = Sight { last_run_was_good: false, ..quiet(&hourly, None) };
        assert_eq!(due(&restarted), Due::Now(Cause::Unfinished));
        assert_eq!(due(&Sight { attempt: Some(&failing), ..restarted }), Due::At(Timestamp::MAX));
    }

    #[test]
    fn a_status_that_could_not_be_written_does_not_make_runs_without_end() {
        let (hourly, good) = (hourly(), attempt(Standing::Good));
        let unwritten = Sight { observed_generation: -1, last_run: None, ..quiet(&hourly, Some(&good)) };
        assert_eq!(due(&unwritten), Due::At(time("2026-03-01T11:00:00Z")));
    }
}
