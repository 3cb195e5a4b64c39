//! Writing the status: whole, and smaller where the API server refuses it.

use crate::cluster::{ClusterError, FIELD_MANAGER, call};
use crate::events::Tidings;
use directory_sync_api::{DirectorySync, DirectorySyncStatus};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Writes the status of a resource, and gives the resource back as it is then. If it is refused, what is only
/// convenient is left out and it is written again: the conditions, the plan's digest and where the plan is kept are
/// never lost.
pub async fn write(
    api: &Api<DirectorySync>,
    sync: &DirectorySync,
    status: &DirectorySyncStatus,
) -> Result<DirectorySync, ClusterError> {
    match apply(api, sync, status).await {
        Err(error) if error.is_rejected() => {
            tracing::warn!(%error, "the status was refused and is written without samples");
            apply(api, sync, &smaller(status.clone())).await
        }
        written => written,
    }
}

async fn apply(
    api: &Api<DirectorySync>,
    sync: &DirectorySync,
    status: &DirectorySyncStatus,
) -> Result<DirectorySync, ClusterError> {
    let patch = Patch::Apply(serde_json::json!({
        "apiVersion": DirectorySync::api_version(&()),
        "kind": DirectorySync::kind(&()),
        // With the uid nothing is said about another resource that has taken the name since.
        "metadata": { "name": sync.name_any(), "uid": sync.uid() },
        "status": status,
    }));
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    call("write the status", api.patch_status(&sync.name_any(), &parameters, &patch)).await
}

fn smaller(mut status: DirectorySyncStatus) -> DirectorySyncStatus {
    if let Some(plan) = &mut status.plan {
        plan.changes.clear();
        plan.warnings.clear();
    }
    if let Some(applied) = &mut status.last_applied {
        applied.failures.clear();
    }
    status.history.clear();
    status
}

/// What could not be written yet, with what events are to tell of it, by the UID of the resource.
#[derive(Debug, Default)]
pub struct Unwritten {
    by_uid: Mutex<HashMap<String, (DirectorySyncStatus, Tidings)>>,
}

impl Unwritten {
    /// Keeps what could not be written.
    pub fn keep(&self, uid: &str, status: DirectorySyncStatus, tidings: &Tidings) {
        self.lock().insert(uid.to_owned(), (status, tidings.clone()));
    }

    /// What is still to be written.
    pub fn get(&self, uid: &str) -> Option<(DirectorySyncStatus, Tidings)> {
        self.lock().get(uid).cloned()
    }

    /// It was written, or there is nothing more to write about.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (DirectorySyncStatus, Tidings)>> {
        // Every entry is written at once, so a panic elsewhere cannot have left half of one.
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
