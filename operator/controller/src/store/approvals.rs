//! Approvals that wait to be used, and what became of them.

use super::StoreError;
use crate::cluster::{FIELD_MANAGER, call};
use directory_sync_api::DirectorySyncApproval;
use directory_sync_api::approval::{ApprovalState, DirectorySyncApprovalStatus};
use directory_sync_api::convert::{ConvertError, positive_duration};
use directory_sync_core::gate::Approval;
use directory_sync_core::plan::Digest;
use jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use std::collections::HashSet;

/// The approvals of one namespace.
#[derive(Debug, Clone)]
pub struct Approvals(Api<DirectorySyncApproval>);

impl Approvals {
    /// Those of this namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// The approvals of a resource that were not used, did not expire and did not go stale, the newest first.
    pub async fn pending(&self, sync: &str) -> Result<Vec<DirectorySyncApproval>, StoreError> {
        let list = call("list approvals", self.0.list(&ListParams::default())).await?;
        let is_pending = |approval: &DirectorySyncApproval| {
            approval.spec.sync == sync
                && approval.status.as_ref().is_none_or(|status| status.state == ApprovalState::Pending)
        };
        let mut approvals: Vec<_> = list.items.into_iter().filter(is_pending).collect();
        approvals.sort_by_key(|approval| (approval.creation_timestamp().map(|created| created.0), approval.name_any()));
        approvals.reverse();
        Ok(approvals)
    }

    /// Says what became of an approval, and gives it back as it is now. It fails if somebody else said so first: an
    /// approval is used once.
    pub async fn mark(
        &self,
        approval: &DirectorySyncApproval,
        status: &DirectorySyncApprovalStatus,
    ) -> Result<DirectorySyncApproval, StoreError> {
        let patch = Patch::Merge(serde_json::json!({
            "metadata": { "resourceVersion": approval.resource_version() },
            "status": status,
        }));
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = approval.name_any();
        let patched = self.0.patch_status(&name, &params, &patch);
        Ok(call("write the status of an approval", patched).await?)
    }
}

/// How long an approval lasts, from `spec.approvalExpiresAfter`.
pub fn expires_after(text: &str) -> Result<SignedDuration, ConvertError> {
    positive_duration("spec.approvalExpiresAfter", text)
}

/// An approval as the gate judges it; `None` if what it names is no digest.
#[allow(clippy::implicit_hasher, reason = "the gate takes the standard set")]
pub fn judged(
    approval: &DirectorySyncApproval,
    operations: Option<HashSet<Digest>>,
    expires_after: SignedDuration,
) -> Option<Approval> {
    let created = approval.creation_timestamp().map_or(Timestamp::MIN, |created| created.0);
    Some(Approval {
        plan: approval.spec.plan.parse().ok()?,
        operations,
        expires_at: created.checked_add(expires_after).unwrap_or(Timestamp::MAX),
        used: false,
    })
}
