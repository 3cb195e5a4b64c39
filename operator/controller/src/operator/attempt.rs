//! One run, and what follows from how it ended: what the status says, and when the next one is due.

use super::pass::{Look, until};
use crate::backoff::{Attempt, Standing, later};
use crate::connect::Versions;
use crate::metrics::Ended;
use crate::reconcile::{Asked, Common, Done, ReconcileError, Run, contained, report};
use crate::schedule::{Schedule, ScheduleError};
use crate::{events::Tidings, status};
use directory_sync_api::conditions::{Cause, Outcome, READY, find, superseded};
use directory_sync_api::sync::PlanDetail;
use directory_sync_api::{DirectorySync, DirectorySyncStatus};
use directory_sync_core::disposition::{Classified, Disposition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use std::time::Duration;
use tokio::time::Instant as Moment;

/// A run that is due.
pub(super) struct Attempting {
    /// What is remembered of it, once it has ended.
    pub(super) attempt: Attempt,
    /// When runs are due, or why that is not known.
    pub(super) schedule: Result<Schedule, ScheduleError>,
    /// The request by annotation that is acted upon.
    pub(super) handled: Option<String>,
    /// When that request, or an approval that waits, was seen, if there is one.
    pub(super) asked: Option<Moment>,
}

/// What a run came to.
struct Conclusion {
    ended: Ended,
    status: DirectorySyncStatus,
    standing: Standing,
    tidings: Tidings,
    look_again: bool,
}

impl Look<'_> {
    /// Makes a run, and says what came of it.
    pub(super) async fn run(&self, sync: Box<DirectorySync>, due: Attempting) -> Result<Action, ReconcileError> {
        let Attempting { mut attempt, schedule, handled, asked } = due;
        let context = self.context;
        let sync = self.progressing(sync, attempt.started).await?;
        let mut versions = Versions::default();
        let asked = Asked { approvals: attempt.approvals.clone(), seen: asked };
        let run = Run::new(&sync, asked, context.client.clone(), context.metrics.clone(), context.stop.clone());
        let common = Common { exclusive: &context.exclusive, shared_reads: &context.shared_reads };
        let result = match &schedule {
            Ok(_) => contained(Box::pin(run.perform(&mut versions, common))).await,
            Err(error) => Err(error.clone().into()),
        };
        let conclusion = match result {
            Err(error) if error.is_interruption() => {
                tracing::info!(namespace = self.namespace, name = sync.name_any(), %error, "the run was given up");
                context.metrics.run(Ended::Interrupted, run.took());
                return Ok(Action::requeue(Duration::ZERO));
            }
            Ok(done) => self.done(done, &attempt),
            Err(error) => self.failed(&sync, &error, versions, &attempt),
        };
        let Conclusion { ended, mut status, standing, tidings, look_again } = conclusion;
        context.metrics.run(ended, run.took());
        if ended != Ended::Succeeded
            && let Some(ready) = find(&status.conditions, READY)
        {
            // The message may repeat what a server said, and that may name people.
            let (namespace, name, reason) = (&self.namespace, sync.name_any(), &ready.reason);
            tracing::warn!(namespace, name, reason, "the run failed; the condition Ready says how");
            tracing::debug!(namespace, name, reason, message = ready.message, "the run failed");
            context.metrics.failed(reason, ended != Ended::Stalled);
        }
        if ended == Ended::Succeeded && matches!(run.unchanged().await, Err(ReconcileError::Superseded)) {
            // What was done is told, but not that the spec which is there now was followed.
            let previous = sync.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            let generation = status.observed_generation;
            status.conditions = superseded(&status.conditions, previous, generation, &Time(Timestamp::now()));
        }
        let next = match &standing {
            Standing::Good => schedule.ok().and_then(|schedule| schedule.next_after(attempt.started)),
            Standing::Failing { until, .. } => Some(*until),
            Standing::Stalled { .. } => None,
        };
        let wake = match &standing {
            Standing::Stalled { recheck_at, .. } => Some(*recheck_at),
            Standing::Good | Standing::Failing { .. } => next,
        };
        let now = Timestamp::now();
        status.last_run_time = Some(Time(now));
        status.next_run_time = next.map(Time);
        status.last_handled_reconcile_at = handled;
        attempt.standing = standing;
        if look_again {
            // One approval is judged per run; those that still wait are as if they came now.
            attempt.approvals.clear();
        }
        context.attempts.remember(&sync.uid().unwrap_or_default(), attempt);
        self.finish(sync, status, &tidings).await?;
        let pause = if look_again { Some(Duration::ZERO) } else { wake.map(|at| until(now, at)) };
        Ok(pause.map_or_else(Action::await_change, Action::requeue))
    }

    /// Says of a new spec that its first run is under way. Later runs are announced by nothing, so that a run that
    /// finds nothing new writes the status once.
    async fn progressing(
        &self,
        mut sync: Box<DirectorySync>,
        now: Timestamp,
    ) -> Result<Box<DirectorySync>, ReconcileError> {
        let generation = sync.metadata.generation;
        if sync.status.as_ref().map(|status| status.observed_generation) == generation {
            return Ok(sync);
        }
        let message = "The first run for this spec is under way.".to_owned();
        let progress = report::failed(&sync, Outcome::Progressing { message }, Default::default(), now);
        // Somebody may have changed the spec in between: the run is about the one that was looked at.
        sync.status = status::write(&self.api, &sync, &progress).await?.status;
        self.context.metrics.resource(&sync, &progress);
        Ok(sync)
    }

    /// After a run that came to its end. Changes that failed make it one to repeat, not before the target wants to be
    /// asked again: until then the next approval waits as well.
    fn done(&self, done: Done, attempt: &Attempt) -> Conclusion {
        let Done { status, news, look_again, pause } = done;
        let is_ready = find(&status.conditions, READY).is_none_or(|ready| ready.status == "True");
        let (ended, standing) =
            if is_ready { (Ended::Succeeded, Standing::Good) } else { (Ended::Failed, self.failing(attempt, pause)) };
        let look_again = look_again && (is_ready || pause.is_none());
        Conclusion { ended, status, standing, tidings: Tidings { news, unquoted: None }, look_again }
    }

    /// After a run that did not come to its end.
    fn failed(
        &self,
        sync: &DirectorySync,
        error: &ReconcileError,
        versions: Versions,
        attempt: &Attempt,
    ) -> Conclusion {
        let now = Timestamp::now();
        // Where the status is to hold no personal data, it does not hold the words of a server.
        let is_bare = sync.spec.plan_detail == PlanDetail::CountsOnly;
        let cause = if is_bare { Cause::new(error.reason(), error.unquoted()) } else { error.cause() };
        let health = error.health(&cause);
        let (ended, outcome, standing) = match error.disposition() {
            Disposition::Retry => (Ended::Failed, Outcome::Failed(cause), self.failing(attempt, None)),
            Disposition::Wait(pause) => (Ended::Failed, Outcome::Failed(cause), self.failing(attempt, Some(pause))),
            Disposition::Stall => {
                let recheck_at = later(now, self.context.pauses.recheck);
                (Ended::Stalled, Outcome::Stalled(cause), Standing::Stalled { versions, recheck_at })
            }
        };
        let status = report::failed(sync, outcome, health, now);
        let tidings = Tidings { news: Vec::new(), unquoted: Some(error.unquoted()) };
        Conclusion { ended, status, standing, tidings, look_again: false }
    }

    fn failing(&self, attempt: &Attempt, pause: Option<Duration>) -> Standing {
        let failures = attempt.failures() + 1;
        let pause = pause.unwrap_or_else(|| self.context.pauses.after(failures));
        Standing::Failing { failures, until: later(Timestamp::now(), pause) }
    }
}
