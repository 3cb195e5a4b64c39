//! What a resource asks for, checked and compiled: the rules of one synchronisation.

use crate::mapping::ManagedFields;
use crate::matcher::Matchers;
use crate::password::FingerprintKey;
use jiff::SignedDuration;

/// Everything the plan and the gate have to go by.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The fields that the mapping fills.
    pub managed: ManagedFields,
    /// The key under which passwords are remembered; without it they are sent with creations alone.
    pub password_key: Option<FingerprintKey>,
    /// People and groups of the source that are left as they are.
    pub exclude_source: Matchers,
    /// People and groups of the target that are left as they are.
    pub exclude_target: Matchers,
    /// People and groups that are never suspended, deleted or taken out of groups.
    pub protect: Matchers,
    /// Whether people and groups that exist in the target without being ours are taken over.
    pub adoption: Adoption,
    /// What becomes of people who are no longer in the source.
    pub removal: Removal,
    /// How much one run may change.
    pub limits: Limits,
    /// Whether a plan needs somebody's approval.
    pub approval: ApprovalMode,
    /// Whether anything may be sent at all.
    pub apply: bool,
    /// Domains that addresses are expected in; empty: any. Others are warned of.
    pub accepted_domains: Vec<String>,
}

/// Whether objects that exist in the target without being ours are taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Adoption {
    /// Never.
    None,
    /// If they bear the source's immutable id.
    #[default]
    ByExternalId,
    /// If they bear the source's immutable id or, without any mark, have the same primary address.
    ByAddress,
}

/// What becomes of people and groups that are no longer in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Removal {
    /// They stay as they are.
    Keep,
    /// They are suspended and, if a time is given, deleted that long after we suspended them (groups: after they
    /// were first found missing).
    Suspend {
        /// From suspension to deletion; `None`: never deleted.
        delete_after: Option<SignedDuration>,
    },
    /// They are deleted at once.
    Delete,
}

impl Default for Removal {
    fn default() -> Self {
        Self::Suspend { delete_after: None }
    }
}

/// Whether a plan needs somebody's approval before it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ApprovalMode {
    /// Plans within the limits are sent; others need approval.
    #[default]
    Automatic,
    /// Every plan needs approval.
    Manual,
}

/// A bound on one kind of change. `max` and `percent` are both limits, each alone holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// Not more than this many.
    pub max: Option<u64>,
    /// Not more than this share of the managed objects of the kind in the target before the run, rounded down.
    pub percent: Option<u8>,
    /// `percent` does not count below this many managed objects.
    pub min_population: u64,
}

/// Bounds on the changes of one kind of object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KindLimits {
    /// Creations (of memberships and aliases: additions).
    pub creates: Limit,
    /// Updates, moves and restorations.
    pub updates: Limit,
    /// Suspensions, deletions and removals.
    pub removals: Limit,
}

/// How much one run may change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// People.
    pub users: KindLimits,
    /// Groups.
    pub groups: KindLimits,
    /// Aliases.
    pub aliases: KindLimits,
    /// Memberships.
    pub memberships: KindLimits,
    /// By how much the source may be smaller than at the last read whose plan was not held, per kind.
    pub source_shrink: ShrinkLimit,
    /// What waits when a limit is exceeded.
    pub on_exceeded: OnExceeded,
}

/// By how much the source may shrink between two reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShrinkLimit {
    /// Share of the baseline, rounded down, that may be missing.
    pub percent: u8,
    /// `percent` does not count below this many objects in the baseline; a source that became empty always holds.
    pub min_population: u64,
}

impl Default for ShrinkLimit {
    fn default() -> Self {
        Self { percent: 10, min_population: 20 }
    }
}

/// What waits when a limit is exceeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum OnExceeded {
    /// Nothing is sent.
    #[default]
    HoldAll,
    /// Only removals wait.
    HoldRemovals,
}
