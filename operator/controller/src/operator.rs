//! Watching the kinds, and bringing each resource to run when it is due.

use crate::backoff::{Attempt, Attempts, Pauses, Standing, later};
use crate::cluster::{ClusterError, FIELD_MANAGER, call, found};
use crate::connect::{KubernetesReferences, References, Versions};
use crate::due::{Due, Sight, due};
use crate::events::Events;
use crate::exclusive::Exclusive;
use crate::metrics::Metrics;
use crate::reconcile::{ReconcileError, Run, report};
use crate::schedule::Schedule;
use crate::status;
use crate::store::Approvals;
use directory_sync_api::conditions::{Outcome, READY, find};
use directory_sync_api::{
    DirectorySync, DirectorySyncApproval, DirectorySyncStatus, FINALIZER, FLUX_REQUESTED_AT, REQUESTED_AT,
};
use directory_sync_core::disposition::{Classified, Disposition};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Runs of different resources at the same time, in each watched namespace.
const CONCURRENCY: u16 = 4;

/// Never sleeps longer than this before it looks at the clock again.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

type Guarded = DeserializeGuard<DirectorySync>;

/// How the operator is set up.
#[derive(Debug, Clone)]
pub struct OperatorConfig {
    /// Namespaces that are watched; empty: all.
    pub namespaces: Vec<String>,
    /// Where metrics and probes are served.
    pub address: SocketAddr,
    /// How long to wait after failures.
    pub pauses: Pauses,
}

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The kinds are not there.
    #[error("the cluster does not know DirectorySync; install the kinds first: kubectl apply --server-side -f crds/")]
    KindsMissing,
    /// The cluster cannot be asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Nothing can be served.
    #[error("metrics and probes cannot be served at {address}: {source}")]
    Serve {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A metric is wrong.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Everything that the passes over resources share.
struct Context {
    client: Client,
    metrics: Arc<Metrics>,
    events: Events,
    attempts: Attempts,
    exclusive: Exclusive,
    pauses: Pauses,
    stop: CancellationToken,
}

/// Runs until `stop` is cancelled: then the request under way is finished, the state saved, and nothing begun.
pub async fn run(client: Client, config: OperatorConfig, stop: CancellationToken) -> Result<(), OperatorError> {
    let metrics = Arc::new(Metrics::new()?);
    let scopes: Vec<Option<&str>> = match config.namespaces.as_slice() {
        [] => vec![None],
        namespaces => namespaces.iter().map(|namespace| Some(namespace.as_str())).collect(),
    };
    for scope in &scopes {
        let syncs: Api<Guarded> = scoped(&client, *scope);
        match found(call("list DirectorySyncs", syncs.list(&ListParams::default().limit(1))).await)? {
            Some(_) => {}
            None => return Err(OperatorError::KindsMissing),
        }
    }
    let ready = Arc::new(AtomicBool::new(false));
    let context = Arc::new(Context {
        client: client.clone(),
        metrics: metrics.clone(),
        events: Events::new(client.clone()),
        attempts: Attempts::default(),
        exclusive: Exclusive::default(),
        pauses: config.pauses,
        stop: stop.clone(),
    });
    let controllers = scopes.iter().map(|scope| controller(&client, *scope, &context).boxed());
    let passes = futures::stream::select_all(controllers).for_each(|()| std::future::ready(()));
    ready.store(true, Ordering::Release);
    tracing::info!(namespaces = ?config.namespaces, "watching");
    let address = config.address;
    let server = crate::server::serve(address, metrics, ready, stop);
    let ((), end) = tokio::join!(passes, server);
    end.map_err(|source| OperatorError::Serve { address, source })
}

fn controller(
    client: &Client,
    scope: Option<&str>,
    context: &Arc<Context>,
) -> impl futures::Stream<Item = ()> + Send + use<> {
    let approvals: Api<DirectorySyncApproval> = scoped(client, scope);
    Controller::new(scoped::<Guarded>(client, scope), watcher::Config::default())
        .watches(approvals, watcher::Config::default(), |approval: DirectorySyncApproval| {
            let namespace = approval.namespace().unwrap_or_default();
            [ObjectRef::new(&approval.spec.sync).within(&namespace)]
        })
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(context.stop.clone().cancelled_owned())
        .run(pass, |_, _, _| Action::requeue(Duration::from_secs(30)), context.clone())
        .map(|result| {
            if let Err(error) = result {
                tracing::warn!(%error, "a pass over a resource failed");
            }
        })
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// One look at one resource, as it is now and not as it was when it was watched.
async fn pass(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    if let Err(invalid) = &object.0 {
        tracing::error!(namespace, name, error = %invalid, "the resource cannot be understood and is left alone");
        return Ok(Action::await_change());
    }
    let api: Api<DirectorySync> = Api::namespaced(context.client.clone(), &namespace);
    let sync = match found(call("read the DirectorySync", api.get(&name)).await)? {
        Some(sync) if sync.metadata.deletion_timestamp.is_none() => sync,
        gone => {
            context.attempts.forget(&object.uid().unwrap_or_default());
            context.metrics.forget(&namespace, &name);
            if let Some(sync) = gone {
                // What is kept for the resource goes with it by its owner references; people stay as they are.
                set_finalizer(&api, &sync, false).await?;
            }
            return Ok(Action::await_change());
        }
    };
    if !sync.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        set_finalizer(&api, &sync, true).await?;
    }
    if sync.spec.suspend {
        let health = Default::default();
        return finish(&context, &api, &sync, report::failed(&sync, Outcome::Suspended, health, Timestamp::now()))
            .await
            .map(|()| Action::await_change());
    }
    Box::pin(look(&context, &api, &sync)).await
}

/// Decides whether a run is due, and runs.
async fn look(context: &Context, api: &Api<DirectorySync>, sync: &DirectorySync) -> Result<Action, ReconcileError> {
    let (namespace, uid) = (sync.namespace().unwrap_or_default(), sync.uid().unwrap_or_default());
    let pending = Approvals::new(context.client.clone(), &namespace).pending(&sync.name_any()).await?;
    let approvals: Vec<String> = pending.iter().filter_map(ResourceExt::uid).collect();
    let requested = requested(sync);
    let attempt = context.attempts.get(&uid);
    let schedule = Schedule::of(&sync.spec.schedule, &uid);
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
        requested: requested.as_deref(),
        handled: status.and_then(|status| status.last_handled_reconcile_at.as_deref()),
        approvals: &approvals,
        attempt: attempt.as_ref(),
    };
    match due(&sight) {
        Due::Now(cause) => {
            let cause: &'static str = cause.into();
            tracing::info!(namespace, name = sync.name_any(), cause, "a run begins");
        }
        Due::At(at) => return Ok(Action::requeue(until(now, at))),
        Due::OnChange => return Ok(Action::await_change()),
        Due::IfMended(at) if at > now => return Ok(Action::requeue(until(now, at))),
        Due::IfMended(_) => {
            let Some(Attempt { standing: Standing::Stalled { versions, .. }, .. }) = &attempt else {
                return Ok(Action::await_change());
            };
            let references = KubernetesReferences::new(context.client.clone(), &namespace);
            if !is_mended(versions, &references).await {
                context.attempts.recheck_later(&uid, later(now, context.pauses.recheck));
                return Ok(Action::requeue(context.pauses.recheck));
            }
            tracing::info!(namespace, name = sync.name_any(), cause = "Mended", "a run begins");
        }
    }
    if sight.generation != sight.observed_generation {
        let message = "The first run for this spec is under way.".to_owned();
        let progress = report::failed(sync, Outcome::Progressing { message }, Default::default(), now);
        status::write(api, sync, DirectorySyncStatus { observed_generation: sight.generation, ..progress }).await?;
    }
    let attempt = Attempt {
        generation: sight.generation,
        requested: requested.clone(),
        approvals: approvals.into_iter().collect(),
        started: now,
        standing: attempt.map_or(Standing::Good, |attempt| attempt.standing),
    };
    Box::pin(run_now(context, api, sync, attempt, schedule)).await
}

async fn run_now(
    context: &Context,
    api: &Api<DirectorySync>,
    sync: &DirectorySync,
    mut attempt: Attempt,
    schedule: Result<Schedule, crate::schedule::ScheduleError>,
) -> Result<Action, ReconcileError> {
    let begun = Instant::now();
    let mut versions = Versions::default();
    let failures = attempt.failures() + 1;
    let run = Run::new(sync, context.client.clone(), context.metrics.clone(), context.stop.clone());
    let result = match &schedule {
        Ok(_) => run.perform(&mut versions, &context.exclusive).await,
        Err(error) => Err(error.clone().into()),
    };
    let now = Timestamp::now();
    let retry = |pause: Duration| Standing::Failing { failures, until: later(now, pause) };
    let (mut status, standing, outcome) = match result {
        Ok(status) => {
            let ready = find(&status.conditions, READY).map(|ready| (ready.status == "True", ready.reason.clone()));
            match ready {
                Some((false, reason)) => (status, retry(context.pauses.after(failures)), reason),
                _ => (status, Standing::Good, "Succeeded".to_owned()),
            }
        }
        Err(error) => {
            let cause = error.cause();
            tracing::warn!(namespace = sync.namespace(), name = sync.name_any(), reason = cause.reason, %error, "the run failed");
            let reason = cause.reason.to_owned();
            let (outcome, standing) = match error.disposition() {
                Disposition::Retry => (Outcome::Failed(cause), retry(context.pauses.after(failures))),
                Disposition::Wait(pause) => (Outcome::Failed(cause), retry(pause)),
                Disposition::Stall => {
                    let recheck_at = later(now, context.pauses.recheck);
                    (Outcome::Stalled(cause), Standing::Stalled { versions, recheck_at })
                }
            };
            (report::failed(sync, outcome, error.health(), now), standing, reason)
        }
    };
    context.metrics.run(&outcome, begun.elapsed());
    let next = match &standing {
        Standing::Good => schedule.ok().and_then(|schedule| schedule.next_after(attempt.started)),
        Standing::Failing { until, .. } => Some(*until),
        Standing::Stalled { .. } => None,
    };
    let wake = match &standing {
        Standing::Stalled { recheck_at, .. } => Some(*recheck_at),
        _ => next,
    };
    status.last_run_time = Some(Time(now));
    status.next_run_time = next.map(Time);
    status.last_handled_reconcile_at.clone_from(&attempt.requested);
    attempt.standing = standing;
    context.attempts.remember(&sync.uid().unwrap_or_default(), attempt);
    context.metrics.in_backoff(context.attempts.failing());
    finish(context, api, sync, status).await?;
    Ok(wake.map_or_else(Action::await_change, |at| Action::requeue(until(now, at))))
}

/// Writes the status if it says anything new, and tells of what changed.
async fn finish(
    context: &Context,
    api: &Api<DirectorySync>,
    sync: &DirectorySync,
    status: DirectorySyncStatus,
) -> Result<(), ReconcileError> {
    context.metrics.status(&sync.namespace().unwrap_or_default(), &sync.name_any(), &status);
    context.events.tell(sync, &status.conditions).await;
    if sync.status.as_ref() != Some(&status) {
        status::write(api, sync, status).await?;
    }
    Ok(())
}

/// Whether one of the Secrets and ConfigMaps is another than when the resource stalled. What cannot be read is not.
async fn is_mended(versions: &Versions, references: &dyn References) -> bool {
    let mut now = Versions::default();
    for (kind, name) in versions.names() {
        match references.get(kind, name).await {
            Ok(found) => now.note(kind, name, found.map(|found| found.version)),
            Err(_) => return false,
        }
    }
    now != *versions
}

/// The value of the annotation that asks for a run, ours before Flux's; the later of both would need a clock.
fn requested(sync: &DirectorySync) -> Option<String> {
    let values: Vec<_> =
        [REQUESTED_AT, FLUX_REQUESTED_AT].iter().filter_map(|name| sync.annotations().get(*name).cloned()).collect();
    (!values.is_empty()).then(|| values.join(" ").chars().take(1024).collect())
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default().clamp(Duration::from_millis(50), LONGEST_SLEEP)
}

async fn set_finalizer(api: &Api<DirectorySync>, sync: &DirectorySync, wanted: bool) -> Result<(), ReconcileError> {
    let mut finalizers: Vec<_> = sync.finalizers().iter().filter(|&name| name != FINALIZER).cloned().collect();
    if finalizers.len() == sync.finalizers().len() && !wanted {
        return Ok(());
    }
    finalizers.extend(wanted.then(|| FINALIZER.to_owned()));
    let patch = Patch::Merge(serde_json::json!({
        "metadata": { "finalizers": finalizers, "resourceVersion": sync.resource_version() },
    }));
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    found(call("change the finalizer", api.patch(&sync.name_any(), &parameters, &patch)).await)?;
    Ok(())
}
