//! Approvals: one plan, once, for a time.

use crate::confirm::ConfirmedPlan;
use crate::plan::Digest;
use jiff::Timestamp;
use std::collections::HashSet;

/// Somebody's approval of one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Digest of the approved plan.
    pub plan: Digest,
    /// Digests of its operations, read from the stored plan. `None`: the plan was not stored whole, so that it can only
    /// be approved as a whole.
    pub operations: Option<HashSet<Digest>>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it was used before.
    pub used: bool,
}

/// What became of an approval in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ApprovalUse {
    /// It was used up.
    Used {
        /// Operations of the approved plan that are still wanted.
        current: u64,
        /// Operations of the approved plan that are no longer wanted.
        fell_away: u64,
        /// Operations that were not in the approved plan: they become the next plan.
        new: u64,
    },
    /// It was used before.
    AlreadyUsed,
    /// It ended.
    Expired,
    /// Nothing of the approved plan is wanted any more, or the plan differs and could be approved only as a whole.
    Stale,
}

impl ApprovalUse {
    /// The stable name for conditions and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Used { .. } => "ApprovalUsed",
            Self::AlreadyUsed => "ApprovalAlreadyUsed",
            Self::Expired => "ApprovalExpired",
            Self::Stale => "ApprovalStale",
        }
    }
}

/// What an approval covers of a plan.
pub(super) enum Coverage {
    /// There is no approval, or none that counts.
    None(Option<ApprovalUse>),
    /// By position, whether the operation was approved; `whole` if all were.
    Some { approved: Vec<bool>, whole: bool, result: ApprovalUse },
}

pub(super) fn coverage(plan: &ConfirmedPlan<'_>, approval: Option<&Approval>, now: Timestamp) -> Coverage {
    let Some(approval) = approval else { return Coverage::None(None) };
    if approval.used {
        return Coverage::None(Some(ApprovalUse::AlreadyUsed));
    }
    if now >= approval.expires_at {
        return Coverage::None(Some(ApprovalUse::Expired));
    }
    let same = plan.digest() == approval.plan;
    let current = plan.operation_digests();
    let approved: Vec<bool> = match &approval.operations {
        _ if same => vec![true; current.len()],
        Some(operations) => current.iter().map(|digest| operations.contains(digest)).collect(),
        None => Vec::new(),
    };
    let count = approved.iter().filter(|approved| **approved).count() as u64;
    if count == 0 && !same {
        return Coverage::None(Some(ApprovalUse::Stale));
    }
    let all = approval.operations.as_ref().map_or(current.len(), HashSet::len) as u64;
    let new = current.len() as u64 - count;
    let result = ApprovalUse::Used { current: count, fell_away: all.saturating_sub(count), new };
    Coverage::Some { approved, whole: new == 0, result }
}
