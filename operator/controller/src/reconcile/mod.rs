//! One run: read, plan, confirm, judge, send, report.

pub mod apply;
pub mod confirm;
mod error;
pub mod gate;
pub mod mapped;
pub mod read;
pub mod report;

pub use error::{ReconcileError, contained};

use crate::cluster::{call, found};
use crate::connect::{KubernetesReferences, Versions, connect, target_identity};
use crate::events::News;
use crate::exclusive::Exclusive;
use crate::metrics::Metrics;
use crate::shared_reads::{SharedReads, Wanted};
use crate::store::{Approvals, Plans, States};
use directory_sync_api::{DirectorySync, DirectorySyncStatus, convert};
use directory_sync_core::gate::judge;
use directory_sync_core::plan::plan;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, ResourceExt};
use report::Report;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::time::Instant as Moment;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the resource was changed, suspended or deleted while a run reads or sends.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The same while a run waits for its turn: there may be many of these.
const LOOK_WHILE_WAITING: Duration = Duration::from_secs(10);

/// What a run came to.
#[derive(Debug)]
pub struct Done {
    /// What to say about the resource.
    pub status: DirectorySyncStatus,
    /// What events tell, beside the changes of the status.
    pub news: Vec<News>,
    /// Whether an approval was settled, so that the next one can be judged.
    pub look_again: bool,
    /// How long the target asked to wait before anything more is sent, if it did.
    pub pause: Option<Duration>,
}

/// What people asked for that makes a run one that has to look anew.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// UIDs of the approvals that were there when the run became due; the run may use these and no others.
    pub approvals: BTreeSet<String>,
    /// When it was seen that somebody asked for the run or approved something, if somebody did: the source is read after
    /// that.
    pub seen: Option<Moment>,
}

/// What all runs share.
pub struct Common<'r> {
    /// Who may run.
    pub exclusive: &'r Exclusive,
    /// What was read of sources.
    pub shared_reads: &'r SharedReads,
}

/// One run of one resource, and what it works with.
pub struct Run<'r> {
    /// The resource as it was read when the run began.
    pub sync: &'r DirectorySync,
    /// When it began.
    pub now: Timestamp,
    /// What people asked for.
    pub asked: Asked,
    /// Cancelled when the operator is to end.
    pub stop: CancellationToken,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Where plans are kept.
    pub plans: Plans,
    /// Where the state is kept.
    pub states: States,
    /// Where approvals are found.
    pub approvals: Approvals,
    /// When its turn came.
    begun: OnceLock<Instant>,
    client: Client,
    namespace: String,
}

impl<'r> Run<'r> {
    /// A run that begins now.
    pub fn new(
        sync: &'r DirectorySync,
        asked: Asked,
        client: Client,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let namespace = sync.namespace().unwrap_or_default();
        Self {
            sync,
            now: Timestamp::now(),
            asked,
            stop,
            metrics,
            plans: Plans::new(client.clone(), &namespace),
            states: States::new(client.clone(), &namespace),
            approvals: Approvals::new(client.clone(), &namespace),
            begun: OnceLock::new(),
            client,
            namespace,
        }
    }

    /// How long it has taken since its turn came.
    pub fn took(&self) -> Duration {
        self.begun.get().map(Instant::elapsed).unwrap_or_default()
    }

    /// Goes through the six steps and gives the status that tells of them. `versions` become those of every Secret
    /// and `ConfigMap` that was looked at, also where the run fails.
    pub async fn perform(&self, versions: &mut Versions, common: Common<'_>) -> Result<Done, ReconcileError> {
        let spec = &self.sync.spec;
        let mut rules = convert::rules(spec, convert::principals(spec)?)?;
        let references = KubernetesReferences::new(self.client.clone(), &self.namespace);
        let connection = connect(spec, &references, versions, self.metrics.clone()).await?;
        rules.password_key.clone_from(&connection.password_key);
        let waiting = self.metrics.waiting();
        let _turn = self.unless_unwanted(LOOK_WHILE_WAITING, common.exclusive.turn(&target_identity(spec))).await?;
        drop(waiting);
        let _active = self.metrics.begin(self.sync);
        let _ = self.begun.set(Instant::now());
        // The turn may have been long in coming.
        self.unchanged().await?;

        let remembered = self.states.load(self.sync).await?;
        let wanted = Wanted {
            sync: self.sync,
            versions: &connection.source_versions,
            freshness: connection.freshness,
            after: self.asked.seen,
        };
        let source = common.shared_reads.read(wanted, Arc::clone(&connection.source));
        let world = self.unless_unwanted(LOOK_EVERY, read::both(&connection, source)).await??;
        self.metrics.target_read(connection.target.kind(), world.target_took);
        mapped::check(spec, &world.source)?;
        let state = &remembered.state;
        let plan = plan(&world.source, &world.target, &rules, &world.capabilities, state, self.now);
        let plan = self.unless_unwanted(LOOK_EVERY, confirm::removals(plan, &world)).await?;
        let approving = gate::approvals(self, &plan).await?;
        let mut judgement = judge(plan, &rules, state, approving.chosen.as_ref().map(|(_, judged)| judged), self.now);
        let stored = self.plans.store(self.sync, &judgement, &rules, &approving.awaited).await?;
        self.metrics.judged(self.sync, &judgement);
        let sent = apply::send(self, &mut judgement, &connection, &remembered, approving).await?;

        let report =
            Report { sync: self.sync, world: &world, rules: &rules, judgement: &judgement, sent: &sent, stored };
        let (status, news) = (report.status(Timestamp::now()), report.news());
        Ok(Done { status, news, look_again: sent.settled, pause: sent.applied.asked_to_wait() })
    }

    /// Waits for what may take long and changes nothing, unless the operator is to end, or the resource was changed,
    /// suspended or deleted meanwhile, which is looked at every so often.
    async fn unless_unwanted<T>(&self, every: Duration, waiting: impl Future<Output = T>) -> Result<T, ReconcileError> {
        tokio::select! {
            done = waiting => Ok(done),
            () = self.stop.cancelled() => Err(ReconcileError::Stopped),
            () = self.unwanted(every) => Err(ReconcileError::Superseded),
        }
    }

    /// Ends when the resource is no longer as it was when the run began.
    async fn unwanted(&self, every: Duration) {
        let (name, api) = (self.sync.name_any(), self.api());
        loop {
            tokio::time::sleep(every).await;
            match call("read the DirectorySync", api.get_metadata(&name)).await {
                Ok(current) if self.is_about(&current.metadata) => {}
                Err(error) if !error.is_not_found() => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// The resources of the namespace.
    pub fn api(&self) -> Api<DirectorySync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Whether the resource still asks for what this run is about: asked of the API server, not of a cache.
    pub async fn unchanged(&self) -> Result<(), ReconcileError> {
        if self.stop.is_cancelled() {
            return Err(ReconcileError::Stopped);
        }
        let current = found(call("read the DirectorySync", self.api().get_metadata(&self.sync.name_any())).await)?;
        if current.is_some_and(|current| self.is_about(&current.metadata)) {
            Ok(())
        } else {
            Err(ReconcileError::Superseded)
        }
    }

    /// Whether this is the resource that the run is about, as it was when the run began.
    fn is_about(&self, current: &ObjectMeta) -> bool {
        current.generation == self.sync.metadata.generation
            && current.uid == self.sync.metadata.uid
            && current.deletion_timestamp.is_none()
    }
}

/// A count as the API knows it.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
