//! Approvals that wait to be used, and what became of them.

use super::StoreError;
use crate::cluster::{FIELD_MANAGER, call};
use directory_sync_api::DirectorySyncApproval;
use directory_sync_api::approval::{ApprovalState, DirectorySyncApprovalStatus};
use directory_sync_api::convert::{ConvertError, positive_duration};
use directory_sync_core::gate::Approval;
use jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};

/// The approvals of one namespace.
#[derive(Debug, Clone)]
pub struct Approvals(Api<DirectorySyncApproval>);

impl Approvals {
    /// Those of this namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// The approvals of a resource that were not used, did not expire and did not go stale, the newest first. The
    /// others, which stay as a record, are left out by the API server, however many there are.
    pub async fn pending(&self, sync: &str) -> Result<Vec<DirectorySyncApproval>, StoreError> {
        let list = call("list approvals", self.0.list(&ListParams::default().fields(&waiting(sync)))).await?;
        let is_pending = |approval: &DirectorySyncApproval| {
            approval.spec.sync == sync
                && approval.status.as_ref().is_none_or(|status| status.state == ApprovalState::Pending)
        };
        let mut approvals: Vec<_> = list.items.into_iter().filter(is_pending).collect();
        approvals.sort_by_key(|approval| (approval.creation_timestamp().map(|created| created.0), approval.name_any()));
        approvals.reverse();
        Ok(approvals)
    }

    /// Says what became of an approval. It fails if somebody else said so first: an approval is used once.
    pub async fn settle(
        &self,
        approval: &DirectorySyncApproval,
        status: &DirectorySyncApprovalStatus,
    ) -> Result<(), StoreError> {
        let patch = serde_json::json!({
            "metadata": { "resourceVersion": approval.resource_version() },
            "status": status,
        });
        self.patch(approval, patch).await
    }

    /// Says of a used approval what was sent on the strength of it.
    pub async fn count(&self, approval: &DirectorySyncApproval, sent: i64, failed: i64) -> Result<(), StoreError> {
        self.patch(approval, serde_json::json!({ "status": { "sent": sent, "failed": failed } })).await
    }

    async fn patch(&self, approval: &DirectorySyncApproval, patch: serde_json::Value) -> Result<(), StoreError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let (name, patch) = (approval.name_any(), Patch::Merge(patch));
        let patched = self.0.patch_status(&name, &params, &patch);
        call("write the status of an approval", patched).await?;
        Ok(())
    }
}

/// Selects the approvals of a resource that wait. One that nobody has settled may have no status yet.
fn waiting(sync: &str) -> String {
    let settled = [ApprovalState::Used, ApprovalState::Expired, ApprovalState::Stale];
    let settled = settled.map(|state| format!(",status.state!={state:?}"));
    format!("spec.sync={sync}{}", settled.concat())
}

/// How long an approval lasts, from `spec.approvalExpiresAfter`.
pub fn expires_after(text: &str) -> Result<SignedDuration, ConvertError> {
    positive_duration("spec.approvalExpiresAfter", text)
}

/// An approval as the gate judges it, still without the operations of its plan; `None` if what it names is no digest.
pub fn judged(approval: &DirectorySyncApproval, expires_after: SignedDuration) -> Option<Approval> {
    let created = approval.creation_timestamp().map_or(Timestamp::MIN, |created| created.0);
    Some(Approval {
        plan: approval.spec.plan.parse().ok()?,
        operations: None,
        expires_at: created.checked_add(expires_after).unwrap_or(Timestamp::MAX),
        used: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_were_settled_are_not_asked_for() {
        let selector = "spec.sync=staff,status.state!=Used,status.state!=Expired,status.state!=Stale";
        assert_eq!(waiting("staff"), selector);
    }
}
