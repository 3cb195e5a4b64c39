//! Which approval a plan is judged by, and what became of it.
//!
//! Only those count that were there when the run became due, so that everything was read after the approval. Of several
//! that wait, one that names the current plan comes first, then the newest. Those whose time is over are said to be so,
//! whichever is chosen. One approval is judged per run; if that settles it and others still wait, the
//! next run follows at once and judges the next one.

use super::{ReconcileError, Run};
use crate::events::News;
use crate::store::StoreError;
use crate::store::approvals::{expires_after, judged};
use directory_sync_api::DirectorySyncApproval;
use directory_sync_api::approval::{ApprovalState, DirectorySyncApprovalStatus};
use directory_sync_core::confirm::ConfirmedPlan;
use directory_sync_core::gate::{Approval, ApprovalUse};
use kube::ResourceExt;

/// The approvals that wait, and the one to judge by.
pub struct Approving {
    /// As the cluster and as the gate knows it.
    pub chosen: Option<(DirectorySyncApproval, Approval)>,
    /// Digests of the plans that approvals name and that have to be kept for them.
    pub awaited: Vec<String>,
    /// Approvals that were not used in time.
    pub expired: Vec<DirectorySyncApproval>,
}

/// Finds the approvals of this resource.
pub async fn approvals(run: &Run<'_>, plan: &ConfirmedPlan<'_>) -> Result<Approving, ReconcileError> {
    let name = run.sync.name_any();
    let lasts = expires_after(&run.sync.spec.approval_expires_after)?;
    let pending = run.approvals.pending(&name).await?.into_iter();
    // What names no digest cannot be stored; the schema demands one.
    let pending = pending.filter_map(|approval| judged(&approval, lasts).map(|judged| (approval, judged)));
    let (expired, mut waiting): (Vec<_>, Vec<_>) = pending.partition(|(_, judged)| run.now >= judged.expires_at);
    let awaited = waiting.iter().map(|(approval, _)| approval.spec.plan.clone()).collect();
    let expired = expired.into_iter().map(|(approval, _)| approval).collect();
    // What came during the run makes the next one due at once.
    waiting.retain(|(approval, _)| approval.uid().is_some_and(|uid| run.asked.approvals.contains(&uid)));
    let chosen = position(waiting.iter().map(|(_, judged)| judged), plan);
    let mut chosen = chosen.map(|position| waiting.swap_remove(position));
    if let Some((approval, judged)) = &mut chosen {
        let document = match run.plans.load(run.sync, &approval.spec.plan).await {
            // What another version of the operator wrote, or what is damaged, is as good as not kept: the approval then
            // holds for the whole plan or not at all, and the run goes on.
            Err(error @ StoreError::Plan { .. }) => {
                tracing::warn!(namespace = run.sync.namespace(), name, %error, "a stored plan is taken for not kept");
                None
            }
            loaded => loaded?,
        };
        judged.operations = document.filter(|plan| plan.header.complete).map(|plan| plan.operation_digests());
    }
    Ok(Approving { chosen, awaited, expired })
}

/// Which of the approvals, the newest first, to judge by.
fn position<'a>(mut waiting: impl ExactSizeIterator<Item = &'a Approval>, plan: &ConfirmedPlan<'_>) -> Option<usize> {
    let newest = (waiting.len() > 0).then_some(0);
    waiting.position(|approval| approval.plan == plan.digest()).or(newest)
}

/// What an approval's status says once it was judged; `None` if it still waits for its use.
pub fn verdict(used: ApprovalUse) -> Option<DirectorySyncApprovalStatus> {
    let (state, message, dropped) = match used {
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

/// What an event tells of an approval that was settled.
pub fn news(approval: &DirectorySyncApproval, used: ApprovalUse) -> News {
    let name = approval.name_any();
    let message = match used {
        ApprovalUse::Used { current, fell_away, new } => format!(
            "The approval {name} was used: {current} approved changes are sent, {fell_away} are no longer wanted, and \
             {new} that it did not show wait."
        ),
        ApprovalUse::AlreadyUsed => format!("The approval {name} was used before."),
        ApprovalUse::Expired => format!("The approval {name} was not used in time; approve the current plan."),
        ApprovalUse::Stale => {
            format!("No current change belongs to the plan that the approval {name} names; approve the current plan.")
        }
    };
    let warning = !matches!(used, ApprovalUse::Used { .. });
    News { warning, reason: used.reason(), message }
}
