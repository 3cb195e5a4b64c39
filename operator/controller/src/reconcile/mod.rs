//! One run: read, plan, confirm, judge, send, report.

pub mod apply;
pub mod confirm;
mod error;
pub mod gate;
pub mod read;
pub mod report;

pub use error::ReconcileError;

use crate::cluster::call;
use crate::connect::{KubernetesReferences, Versions, connect, target_identity};
use crate::exclusive::Exclusive;
use crate::metrics::Metrics;
use crate::store::{Approvals, Plans, States};
use directory_sync_api::{DirectorySync, DirectorySyncStatus, convert};
use directory_sync_core::gate::judge;
use directory_sync_core::plan::plan;
use jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use report::Report;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One run of one resource, and what it works with.
pub struct Run<'r> {
    /// The resource as it was read when the run began.
    pub sync: &'r DirectorySync,
    /// When it began.
    pub now: Timestamp,
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
    client: Client,
    namespace: String,
}

impl<'r> Run<'r> {
    /// A run that begins now.
    pub fn new(sync: &'r DirectorySync, client: Client, metrics: Arc<Metrics>, stop: CancellationToken) -> Self {
        let namespace = sync.namespace().unwrap_or_default();
        Self {
            sync,
            now: Timestamp::now(),
            stop,
            metrics,
            plans: Plans::new(client.clone(), &namespace),
            states: States::new(client.clone(), &namespace),
            approvals: Approvals::new(client.clone(), &namespace),
            client,
            namespace,
        }
    }

    /// Goes through the six steps and gives the status that tells of them. `versions` become those of every Secret
    /// and `ConfigMap` that was looked at, also where the run fails.
    pub async fn perform(
        &self,
        versions: &mut Versions,
        exclusive: &Exclusive,
    ) -> Result<DirectorySyncStatus, ReconcileError> {
        let spec = &self.sync.spec;
        let rules = convert::rules(spec, convert::principals(spec)?)?;
        let references = KubernetesReferences::new(self.client.clone(), &self.namespace);
        let connection = connect(spec, &references, versions, self.metrics.clone()).await?;
        let _turn = exclusive.turn(&target_identity(spec)).await;

        let remembered = self.states.load(self.sync).await?;
        let world = read::both(&connection).await?;
        let state = &remembered.state;
        let plan = plan(&world.source, &world.target, &rules, &world.capabilities, state, self.now);
        let plan = confirm::removals(plan, connection.source.as_ref(), &world).await;
        let approval = gate::approval(self.sync, &plan, &self.approvals, &self.plans).await?;
        let (approval, judged) = approval.map_or((None, None), |(object, judged)| (Some(object), Some(judged)));
        let mut judgement = judge(plan, &rules, state, judged.as_ref(), self.now);
        let stored = self.plans.store(self.sync, &judgement, &rules).await?;
        let used = approval.as_ref().map(|approval| (approval.name_any(), approval.spec.plan.clone()));
        let applied = apply::send(self, &mut judgement, &connection, &remembered, approval).await?;
        let mut keep = vec![judgement.plan().digest().to_string()];
        keep.extend(used.iter().map(|(_, plan)| plan.clone()));
        self.plans.prune(&self.sync.name_any(), &keep).await?;

        let used = used.map(|(name, _)| name);
        let report = Report { sync: self.sync, world: &world, judgement: &judgement, applied: &applied, stored, used };
        Ok(report.status(Timestamp::now()))
    }

    /// The resources of the namespace.
    pub fn api(&self) -> Api<DirectorySync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Whether the resource still asks for what this run is about: asked of the API server, not of a cache.
    pub async fn unchanged(&self) -> Result<(), ReconcileError> {
        let current = call("read the DirectorySync", self.api().get(&self.sync.name_any())).await?;
        let same = current.metadata.generation == self.sync.metadata.generation
            && current.uid() == self.sync.uid()
            && current.metadata.deletion_timestamp.is_none();
        if same && !self.stop.is_cancelled() { Ok(()) } else { Err(ReconcileError::Superseded) }
    }
}

/// A count as the API knows it.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
