//! Writing the status: whole, and smaller where the API server refuses it.

use crate::cluster::{ClusterError, FIELD_MANAGER, call};
use directory_sync_api::{DirectorySync, DirectorySyncStatus};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};

/// Writes the status of a resource. If it is refused, what is only convenient is left out and it is written again:
/// the conditions, the plan's digest and where the plan is kept are never lost.
pub async fn write(
    api: &Api<DirectorySync>,
    sync: &DirectorySync,
    status: DirectorySyncStatus,
) -> Result<(), ClusterError> {
    match apply(api, sync, &status).await {
        Err(error) if error.is_rejected() => {
            tracing::warn!(%error, "the status was refused and is written without samples");
            apply(api, sync, &smaller(status)).await
        }
        written => written,
    }
}

async fn apply(
    api: &Api<DirectorySync>,
    sync: &DirectorySync,
    status: &DirectorySyncStatus,
) -> Result<(), ClusterError> {
    let patch = Patch::Apply(serde_json::json!({
        "apiVersion": DirectorySync::api_version(&()),
        "kind": DirectorySync::kind(&()),
        "metadata": { "name": sync.name_any() },
        "status": status,
    }));
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    call("write the status", api.patch_status(&sync.name_any(), &parameters, &patch)).await.map(drop)
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
