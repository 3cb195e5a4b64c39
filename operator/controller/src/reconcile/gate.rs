//! Judging a confirmed plan with the approval that fits it.

use super::ReconcileError;
use crate::store::approvals::{expires_after, judged};
use crate::store::{Approvals, Plans};
use directory_sync_api::approval::{ApprovalState, DirectorySyncApprovalStatus};
use directory_sync_api::{DirectorySync, DirectorySyncApproval};
use directory_sync_core::confirm::ConfirmedPlan;
use directory_sync_core::gate::{Approval, ApprovalUse};
use kube::ResourceExt;

/// The approval to judge by, as the cluster and as the gate knows it: one of this very plan, else the newest.
pub async fn approval(
    sync: &DirectorySync,
    plan: &ConfirmedPlan<'_>,
    approvals: &Approvals,
    plans: &Plans,
) -> Result<Option<(DirectorySyncApproval, Approval)>, ReconcileError> {
    let name = sync.name_any();
    let mut pending = approvals.pending(&name).await?;
    if pending.is_empty() {
        return Ok(None);
    }
    let digest = plan.digest().to_string();
    let chosen = pending.iter().position(|approval| approval.spec.plan == digest).unwrap_or(0);
    let chosen = pending.swap_remove(chosen);
    let operations = plans.load(&name, &chosen.spec.plan).await?.map(|document| document.operation_digests());
    let expires_after = expires_after(&sync.spec.approval_expires_after)?;
    Ok(judged(&chosen, operations, expires_after).map(|approval| (chosen, approval)))
}

/// What an approval's status says once it was judged; `None` if it still waits for its use.
pub fn verdict(used: Option<ApprovalUse>) -> Option<DirectorySyncApprovalStatus> {
    let (state, message, dropped) = match used? {
        ApprovalUse::Used { fell_away, .. } => {
            (ApprovalState::Used, "It was used; what is approved and still wanted is sent.", Some(fell_away))
        }
        ApprovalUse::AlreadyUsed => return None,
        ApprovalUse::Expired => (ApprovalState::Expired, "It was not used in time; approve the current plan.", None),
        ApprovalUse::Stale => {
            (ApprovalState::Stale, "No current change belongs to the plan it names; approve the current plan.", None)
        }
    };
    Some(DirectorySyncApprovalStatus {
        state,
        message: Some(message.to_owned()),
        dropped: dropped.map(super::number),
        ..DirectorySyncApprovalStatus::default()
    })
}
