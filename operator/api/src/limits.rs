//! How much one run may change without a person having looked at it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one run may change at most without an approval. A limit that is written replaces its default
/// as a whole; a limit that is left out keeps its default.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsSpec {
    /// Limits on people. By default at most 500 are created, and at most 50 or 5 % are removed.
    #[serde(default)]
    pub users: UserLimits,
    /// Limits on groups. By default at most 100 are created, and at most 10 or 10 % are removed.
    #[serde(default)]
    pub groups: GroupLimits,
    /// Limits on people's further addresses. By default at most 10 % are removed.
    #[serde(default)]
    pub aliases: AliasLimits,
    /// Limits on memberships. By default at most 10 % are removed.
    #[serde(default)]
    pub memberships: MembershipLimits,
    /// How much smaller the source may be than at the last good read.
    #[serde(default)]
    pub source_shrink: SourceShrink,
    /// What waits when a limit is exceeded.
    #[serde(default)]
    pub on_exceeded: OnExceeded,
}

/// Limits on people.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserLimits {
    /// People created.
    #[serde(default = "user_creates")]
    pub creates: Limit,
    /// People changed: renamed, moved, restored, taken over. Left out, there is no such limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<Limit>,
    /// People suspended or deleted, whatever the cause.
    #[serde(default = "user_removals")]
    pub removals: Limit,
}

/// Limits on groups.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupLimits {
    /// Groups created.
    #[serde(default = "group_creates")]
    pub creates: Limit,
    /// Groups changed or taken over. Left out, there is no such limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<Limit>,
    /// Groups deleted.
    #[serde(default = "group_removals")]
    pub removals: Limit,
}

/// Limits on people's further addresses.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AliasLimits {
    /// Addresses removed.
    #[serde(default = "alias_removals")]
    pub removals: Limit,
}

/// Limits on memberships.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MembershipLimits {
    /// Members added to groups. Left out, there is no such limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creates: Option<Limit>,
    /// Members removed from groups.
    #[serde(default = "membership_removals")]
    pub removals: Limit,
}

/// A limit as a number, as a share, or both; each alone holds.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "has(self.max) || has(self.percent)",
        "a limit needs max or percent; to allow everything write percent: 100"
    ),
    validation = (
        "!has(self.minPopulation) || has(self.percent)",
        "minPopulation says from which size percent counts; write percent beside it, or remove it"
    )
)]
pub struct Limit {
    /// Most changes of this kind in one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max: Option<i64>,
    /// Most changes of this kind in one run, in percent of the managed objects of that kind in the
    /// target before the run, rounded down.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i32>,
    /// `percent` counts only where the target holds at least this many managed objects of that kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub min_population: Option<i64>,
}

/// How much smaller the source may be than at the last good read.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceShrink {
    /// Most people, and most groups, by which the source may be smaller than at the last read whose
    /// plan was not held, in percent. A source that became empty is always held.
    #[serde(default = "default_shrink_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: i32,
    /// `percent` counts only where that read had at least this many people, or groups.
    #[serde(default = "default_shrink_min_population")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub min_population: i64,
}

/// What waits when a limit is exceeded.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum OnExceeded {
    /// Nothing is sent.
    #[default]
    HoldAll,
    /// Removals wait, the rest is sent.
    HoldRemovals,
}

impl Default for UserLimits {
    fn default() -> Self {
        Self { creates: user_creates(), updates: None, removals: user_removals() }
    }
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { creates: group_creates(), updates: None, removals: group_removals() }
    }
}

impl Default for AliasLimits {
    fn default() -> Self {
        Self { removals: alias_removals() }
    }
}

impl Default for MembershipLimits {
    fn default() -> Self {
        Self { creates: None, removals: membership_removals() }
    }
}

impl Default for SourceShrink {
    fn default() -> Self {
        Self { percent: default_shrink_percent(), min_population: default_shrink_min_population() }
    }
}

fn user_creates() -> Limit {
    Limit { max: Some(500), ..Limit::default() }
}

fn user_removals() -> Limit {
    Limit { max: Some(50), percent: Some(5), min_population: Some(20) }
}

fn group_creates() -> Limit {
    Limit { max: Some(100), ..Limit::default() }
}

fn group_removals() -> Limit {
    Limit { max: Some(10), percent: Some(10), min_population: Some(20) }
}

fn alias_removals() -> Limit {
    Limit { max: None, percent: Some(10), min_population: Some(50) }
}

fn membership_removals() -> Limit {
    Limit { max: None, percent: Some(10), min_population: Some(50) }
}

fn default_shrink_percent() -> i32 {
    10
}

fn default_shrink_min_population() -> i64 {
    20
}
