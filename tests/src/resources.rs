//! The resources of one namespace, handled as people handle them: changed, asked to run, approved, waited for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use directory_sync_api::sync::DirectorySyncSpec;
use directory_sync_api::{DirectorySync, DirectorySyncApproval, DirectorySyncStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

/// A run against servers on this machine takes about a second; a busy machine may take longer.
const LIMIT: Duration = Duration::from_secs(90);
const REQUESTED_AT: &str = "directorysync.dev/requestedAt";
/// Whoever approves has to name himself, and this is who the administrator's client is.
const ADMINISTRATOR: &str = "admin";

/// The resources of one namespace.
#[derive(Clone)]
pub struct Resources {
    syncs: Api<DirectorySync>,
    approvals: Api<DirectorySyncApproval>,
}

impl Resources {
    /// Those of a namespace, with the rights of the control plane's administrator.
    pub fn new(administrator: Client, namespace: &str) -> Self {
        Self {
            syncs: Api::namespaced(administrator.clone(), namespace),
            approvals: Api::namespaced(administrator, namespace),
        }
    }

    /// A resource as it is now.
    pub async fn get(&self, name: &str) -> Result<DirectorySync> {
        Ok(self.syncs.get(name).await?)
    }

    /// Merges something into a resource, and waits until a run has ended that knows of it.
    pub async fn change(&self, name: &str, patch: &Value) -> Result<DirectorySyncStatus> {
        self.syncs.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        self.settled(name).await
    }

    /// Replaces the spec of a resource, and waits until a run has ended that knows of it.
    pub async fn specify(&self, name: &str, spec: DirectorySyncSpec) -> Result<DirectorySyncStatus> {
        loop {
            let sync = DirectorySync { spec: spec.clone(), ..self.get(name).await? };
            match self.syncs.replace(name, &PostParams::default(), &sync).await {
                Ok(_) => return self.settled(name).await,
                // The operator wrote the status in between.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks for a run by annotation, and waits for its end.
    pub async fn run(&self, name: &str) -> Result<DirectorySyncStatus> {
        self.run_by(name, REQUESTED_AT).await
    }

    /// The same by an annotation of another tool.
    pub async fn run_by(&self, name: &str, annotation: &str) -> Result<DirectorySyncStatus> {
        static REQUESTS: AtomicUsize = AtomicUsize::new(0);
        let request = format!("request-{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
        self.syncs
            .patch(
                name,
                &PatchParams::default(),
                &Patch::Merge(json!({ "metadata": { "annotations": { annotation: request } } })),
            )
            .await?;
        self.until(name, "run on request", |_, status| {
            let handled = status.last_handled_reconcile_at.as_deref().unwrap_or_default();
            handled.split(' ').any(|handled| handled == request)
        })
        .await
    }

    /// Approves the current plan of a resource, and waits until what it showed was sent.
    pub async fn approve(&self, name: &str, approval: &str) -> Result<DirectorySyncStatus> {
        let plan = self.get(name).await?.status.and_then(|status| status.plan).map(|plan| plan.digest);
        let object: DirectorySyncApproval = serde_json::from_value(json!({
            "apiVersion": "directorysync.dev/v1alpha1",
            "kind": "DirectorySyncApproval",
            "metadata": { "name": approval },
            "spec": { "sync": name, "plan": plan, "approvedBy": ADMINISTRATOR },
        }))?;
        self.approvals.create(&PostParams::default(), &object).await?;
        self.until(name, "sent after approval", |_, status| {
            status.last_applied.as_ref().is_some_and(|applied| applied.approval.as_deref() == Some(approval))
        })
        .await
    }

    /// Waits until a run has ended that knows the spec as it is now.
    pub async fn settled(&self, name: &str) -> Result<DirectorySyncStatus> {
        self.until(name, "settled", |sync, status| {
            sync.metadata.generation == Some(status.observed_generation)
                && condition(status, "Ready").is_some_and(|ready| ready.reason != "Progressing")
        })
        .await
    }

    /// Waits until a resource and its status are as they should be; the error shows how they are.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&DirectorySync, &DirectorySyncStatus) -> bool,
    ) -> Result<DirectorySyncStatus> {
        let start = Instant::now();
        loop {
            let sync = self.get(name).await?;
            if let Some(status) = &sync.status
                && holds(&sync, status)
            {
                return Ok(status.clone());
            }
            if start.elapsed() > LIMIT {
                bail!("{} was never {what}: {:#?}", sync.name_any(), sync.status);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// A condition of a status.
pub fn condition<'s>(status: &'s DirectorySyncStatus, kind: &str) -> Option<&'s Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Status, reason and message of the condition `Ready`; empty where there is none.
pub fn ready(status: &DirectorySyncStatus) -> (&str, &str, &str) {
    condition(status, "Ready").map_or(("", "", ""), |ready| (&ready.status, &ready.reason, &ready.message))
}
