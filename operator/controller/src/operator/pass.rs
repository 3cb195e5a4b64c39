//! One look at one resource: what it is now, and whether a run is due.

use super::attempt::Attempting;
use super::{Context, Guarded, undecodable};
use crate::backoff::{Attempt, Standing, later};
use crate::cluster::{FIELD_MANAGER, call, found};
use crate::connect::{KubernetesReferences, References, Versions};
use crate::due::{Due, Sight, due, unseen};
use crate::events::Tidings;
use crate::reconcile::{ReconcileError, report};
use crate::schedule::Schedule;
use crate::status;
use crate::store::Approvals;
use directory_sync_api::conditions::{Outcome, READY, find};
use directory_sync_api::{DirectorySync, DirectorySyncStatus, FINALIZER, FLUX_REQUESTED_AT, REQUESTED_AT};
use directory_sync_core::disposition::Classified;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Never sleeps longer than this before it looks at the clock again.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// Most characters of a request by annotation that are compared and repeated in the status.
const LONGEST_REQUEST: usize = 1024;

/// One of the few looks that there are at the same time; given back when dropped.
type Slot = Option<tokio::sync::OwnedSemaphorePermit>;

/// One look at one resource, as it is now and not as it was when it was watched.
pub(super) async fn pass(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    // `None` cannot be: the semaphore is never closed.
    let slot = Arc::clone(&context.looks).acquire_owned().await.ok();
    let guarded: Api<Guarded> = Api::namespaced(context.client.clone(), &namespace);
    let current = found(call("read the DirectorySync", guarded.get(&name)).await)?;
    let Some(current) = current.filter(|current| current.meta().deletion_timestamp.is_none()) else {
        let uid = object.uid().unwrap_or_default();
        context.attempts.forget(&uid);
        context.shared_reads.forget(&uid);
        context.unwritten.forget(&uid);
        context.metrics.forget(&namespace, &name);
        context.metrics.in_backoff(context.attempts.failing());
        // What is kept for the resource goes with it by its owner references; people stay as they are.
        set_finalizer(&guarded, &name, false).await?;
        return Ok(Action::await_change());
    };
    if !current.finalizers().iter().any(|finalizer| finalizer == FINALIZER) && current.0.is_ok() {
        set_finalizer(&guarded, &name, true).await?;
    }
    let sync = match current.0 {
        Ok(sync) => sync,
        Err(invalid) => {
            undecodable::report(&context, &namespace, &name, &invalid).await?;
            return Ok(Action::await_change());
        }
    };
    let look = Look { api: Api::namespaced(context.client.clone(), &namespace), namespace, context: &context };
    let action = Box::pin(look.at(Box::new(sync), slot)).await;
    context.metrics.in_backoff(context.attempts.failing());
    action
}

/// What comes after a look that failed, which is not the same as a run that failed.
#[allow(clippy::needless_pass_by_value, reason = "the runtime passes it so")]
pub(super) fn after_error(_: Arc<Guarded>, error: &ReconcileError, context: Arc<Context>) -> Action {
    context.metrics.look_failed(error.reason());
    Action::requeue(context.pauses.after(3))
}

/// A look at a resource that was understood.
pub(super) struct Look<'l> {
    pub(super) context: &'l Context,
    pub(super) api: Api<DirectorySync>,
    pub(super) namespace: String,
}

impl Look<'_> {
    /// Looks, and gives the slot back before a run begins: there may be more runs than slots that wait for their turn.
    async fn at(&self, mut sync: Box<DirectorySync>, slot: Slot) -> Result<Action, ReconcileError> {
        let uid = sync.uid().unwrap_or_default();
        if let Some((status, tidings)) = self.context.unwritten.get(&uid) {
            sync = self.finish(sync, status, &tidings).await?;
        }
        self.context.metrics.resource(&sync, &sync.status.clone().unwrap_or_default());
        if sync.spec.suspend {
            self.context.attempts.forget(&uid);
            let mut status = report::failed(&sync, Outcome::Suspended, Default::default(), Timestamp::now());
            status.next_run_time = None;
            self.finish(sync, status, &Tidings::default()).await?;
            return Ok(Action::await_change());
        }
        Box::pin(self.decide(sync, &uid, slot)).await
    }

    /// Decides whether a run is due, and runs.
    async fn decide(&self, sync: Box<DirectorySync>, uid: &str, slot: Slot) -> Result<Action, ReconcileError> {
        let context = self.context;
        let approvals = Approvals::new(context.client.clone(), &self.namespace);
        // If they cannot be asked for, a run that is due for another cause says so in the status.
        let (approvals, blind): (Vec<_>, _) = match approvals.pending(&sync.name_any()).await {
            Ok(pending) => (pending.iter().filter_map(ResourceExt::uid).collect(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let requested = requested(&sync);
        let attempt = context.attempts.get(uid);
        let schedule = Schedule::of(&sync.spec.schedule, uid);
        let status = sync.status.as_ref();
        let now = Timestamp::now();
        let sight = Sight {
            now,
            generation: sync.metadata.generation.unwrap_or_default(),
            observed_generation: status.map_or(-1, |status| status.observed_generation),
            last_run: status.and_then(|status| status.last_run_time.as_ref()).map(|Time(at)| *at),
            last_run_was_good: status
                .and_then(|status| find(&status.conditions, READY))
                .is_some_and(|ready| ready.status == "True"),
            schedule: schedule.as_ref().ok(),
            requested: &requested,
            handled: status.and_then(|status| status.last_handled_reconcile_at.as_deref()),
            approvals: &approvals,
            attempt: attempt.as_ref(),
        };
        let cause = match (due(&sight), blind) {
            (Due::Now(cause), _) => cause.into(),
            (_, Some(error)) => return Err(error.into()),
            (Due::At(at), None) => return Ok(Action::requeue(until(now, at))),
            (Due::OnChange, None) => return Ok(Action::await_change()),
            (Due::IfMended(at), None) if at > now => return Ok(Action::requeue(until(now, at))),
            (Due::IfMended(_), None) => {
                if !self.is_mended(attempt.as_ref()).await {
                    context.attempts.recheck_later(uid, later(now, context.pauses.recheck));
                    return Ok(Action::requeue(context.pauses.recheck));
                }
                "Mended"
            }
        };
        tracing::info!(namespace = self.namespace, name = sync.name_any(), cause, "a run begins");
        let request = unseen(&sight);
        // Whoever asks, or approves, wants what is so now and not what somebody read before.
        let asked = (request.is_some() || !approvals.is_empty()).then(Instant::now);
        let handled = request.or(sight.handled).map(str::to_owned);
        let attempt = Attempt {
            generation: sight.generation,
            requested: requested.iter().cloned().collect(),
            approvals: approvals.into_iter().collect(),
            started: now,
            standing: attempt.map_or(Standing::Good, |attempt| attempt.standing),
        };
        drop(slot);
        Box::pin(self.run(sync, Attempting { attempt, schedule, handled, asked })).await
    }

    /// Writes the status if it says anything new, and tells of what changed. A status that cannot be written now is
    /// kept and written at the next look: what the target answered must not be lost. Gives the resource back as it is
    /// then.
    pub(super) async fn finish(
        &self,
        sync: Box<DirectorySync>,
        status: DirectorySyncStatus,
        tidings: &Tidings,
    ) -> Result<Box<DirectorySync>, ReconcileError> {
        let context = self.context;
        context.metrics.resource(&sync, &status);
        let uid = sync.uid().unwrap_or_default();
        let mut written = sync.clone();
        if sync.status.as_ref() != Some(&status) {
            match status::write(&self.api, &sync, &status).await {
                Ok(now) => written = Box::new(now),
                // The resource is gone, and with it whoever would read this.
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    context.unwritten.keep(&uid, status, tidings);
                    return Err(error.into());
                }
            }
        }
        context.unwritten.forget(&uid);
        let before = sync.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        context.events.tell(&sync, tidings, before, &status.conditions).await;
        Ok(written)
    }

    /// Whether one of the Secrets and ConfigMaps is another than when the resource stalled. What cannot be read is not.
    async fn is_mended(&self, attempt: Option<&Attempt>) -> bool {
        let Some(Attempt { standing: Standing::Stalled { versions, .. }, .. }) = attempt else { return false };
        let references = KubernetesReferences::new(self.context.client.clone(), &self.namespace);
        let mut now = Versions::default();
        for (kind, name) in versions.names() {
            match references.get(kind, name).await {
                Ok(found) => now.note(kind, name, found.map(|found| found.version)),
                Err(_) => return false,
            }
        }
        now != *versions
    }
}

/// The values of the annotations that ask for a run: ours, then Flux's.
fn requested(sync: &DirectorySync) -> Vec<String> {
    let values = [REQUESTED_AT, FLUX_REQUESTED_AT].into_iter().filter_map(|name| sync.annotations().get(name));
    values.map(|value| value.chars().take(LONGEST_REQUEST).collect()).collect()
}

/// How long to sleep until a time.
pub(super) fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default().clamp(Duration::from_millis(50), LONGEST_SLEEP)
}

/// Adds or takes away our finalizer, by metadata alone: that works whatever the rest of the resource looks like.
async fn set_finalizer(api: &Api<Guarded>, name: &str, wanted: bool) -> Result<(), ReconcileError> {
    let Some(current) = found(call("read the DirectorySync", api.get_metadata(name)).await)? else { return Ok(()) };
    let present = current.finalizers();
    if present.iter().any(|finalizer| finalizer == FINALIZER) == wanted {
        return Ok(());
    }
    let mut finalizers: Vec<_> = present.iter().filter(|&finalizer| finalizer != FINALIZER).cloned().collect();
    finalizers.extend(wanted.then(|| FINALIZER.to_owned()));
    let patch = Patch::Merge(serde_json::json!({
        "metadata": { "finalizers": finalizers, "resourceVersion": current.resource_version() },
    }));
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    found(call("change the finalizer", api.patch_metadata(name, &parameters, &patch)).await)?;
    Ok(())
}
