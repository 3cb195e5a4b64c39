//! What the operator says about a [`DirectorySync`](crate::DirectorySync). Bounded by construction: counts, digests
//! and samples, never the directory.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    limits::LimitsSpec,
    removal::RemovalPolicy,
    sync::{Adoption, ApprovalMode},
};

/// Most changes that `status.plan.changes` shows.
pub const MAX_CHANGES: usize = 50;

/// Most holds, and most warnings, that `status.plan` shows.
pub const MAX_NOTES: usize = 20;

/// Most failures that `status.lastApplied.failures` shows.
pub const MAX_FAILURES: usize = 10;

/// Most entries of `status.history`.
pub const MAX_HISTORY: usize = 5;

/// What the last run found, what it did, and what comes next.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectorySyncStatus {
    /// The generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// `Ready`: the last run read both sides, planned, and sent all that it was allowed to send without a failure.
    /// `PlanHeld`: some of the plan waits for a person. `SourceHealthy`, `TargetHealthy`: that side was read.
    /// `Reconciling` and `Stalled` are there only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// What the last good read of the source found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SideStatus>,
    /// What the last good read of the target found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<SideStatus>,
    /// The current plan: what the last good run found to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// The current plan in a few characters: `+14 ~3 −0` creates 14, changes 3 and removes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub plan_summary: Option<String>,
    /// The last time something was sent, and what the target answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied: Option<AppliedStatus>,
    /// The last runs that planned or sent something new, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub history: Vec<HistoryEntry>,
    /// When the last run ended, well or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_time: Option<Time>,
    /// When the next run is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_time: Option<Time>,
    /// The value of the `requestedAt` annotation that was last acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_reconcile_at: Option<String>,
}

/// What a read of one side found.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SideStatus {
    /// People found.
    pub users: i64,
    /// Groups found.
    pub groups: i64,
    /// Memberships found, counted per group.
    pub memberships: i64,
    /// Of the people found, how many this resource manages. Only said of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_users: Option<i64>,
    /// Of the groups found, how many this resource manages. Only said of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_groups: Option<i64>,
    /// When the read ended.
    pub read_at: Time,
    /// How long it took, such as `1.9s`.
    #[schemars(length(max = 32))]
    pub duration: String,
    /// Name of the `DirectorySync` whose read this was: this one, or another of the namespace with the same source and
    /// mapping, as `spec.source.freshness` allows. Only said of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub read_by: Option<String>,
}

/// A plan in short. The whole plan is in `DirectorySyncPlan` objects.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Names the plan by its content: the same changes have the same digest, whenever they are found. An approval
    /// names it.
    #[schemars(length(max = 128))]
    pub digest: String,
    /// How many changes of which kind.
    pub summary: PlanSummary,
    /// Why some of it waits. Empty: nothing waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub held: Vec<Hold>,
    /// What was in force when the plan was judged. A misspelt field that a client dropped shows here by its absence.
    pub effective: EffectiveRules,
    /// What a person should know: addresses that two people share, people without an id, members that are nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 1024)))]
    pub warnings: Vec<String>,
    /// All warnings, shown or not.
    pub warning_count: i64,
    /// The most dangerous changes first. Empty with `planDetail: CountsOnly`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub changes: Vec<Change>,
    /// Where the whole plan is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredPlan>,
    /// When the plan was made.
    pub planned_at: Time,
}

/// Counts of the changes in a plan.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanSummary {
    /// Changes to people.
    pub users: UserCounts,
    /// Changes to groups.
    pub groups: GroupCounts,
    /// People's further addresses.
    pub aliases: AddRemoveCounts,
    /// Changes to memberships.
    pub memberships: AddRemoveCounts,
}

/// Counts of changes to people.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCounts {
    /// How many are created.
    pub create: i64,
    /// Taken over.
    pub adopt: i64,
    /// Changed in one or more fields.
    pub update: i64,
    /// Moved to another organizational unit.
    #[serde(rename = "move")]
    pub moved: i64,
    /// Allowed to sign in again.
    pub restore: i64,
    /// How many are suspended.
    pub suspend: i64,
    /// How many are deleted.
    pub delete: i64,
}

/// Counts of changes to groups.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupCounts {
    /// How many are created.
    pub create: i64,
    /// Taken over.
    pub adopt: i64,
    /// Changed in one or more fields.
    pub update: i64,
    /// How many are deleted.
    pub delete: i64,
}

/// Counts of what is added and removed.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddRemoveCounts {
    /// How many are added.
    pub add: i64,
    /// How many are removed.
    pub remove: i64,
}

/// One reason for which changes wait.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// The reason as one word, the same in conditions, events and metrics: `LimitExceeded`, `SourceShrunk`,
    /// `ApprovalRequired`, `NotApplied`, `Protected`, `Unconfirmed`.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// The field of `spec.limits` that holds, such as `users.removals`, where it is a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub limit: Option<String>,
    /// How many changes, or objects, there would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<i64>,
    /// How many are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<i64>,
    /// How many changes of the plan wait for this reason.
    pub waiting: i64,
}

/// The rules that were in force, as the operator understood them.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveRules {
    /// Number of exclusions, both sides together.
    pub exclusions: i64,
    /// Number of entries of `spec.protect`.
    pub protected: i64,
    /// Mail domains that belong to the organization; none: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 253)))]
    pub domains: Vec<String>,
    /// The fields that are managed, such as `user.email`; others stay as they are in the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 128)))]
    pub fields: Vec<String>,
    /// The limits, with the defaults of those that were left out.
    pub limits: LimitsSpec,
    /// What becomes of people whom the source no longer has.
    pub removal: RemovalPolicy,
    /// How long after that people and groups are deleted; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub delete_after: Option<String>,
    /// Who is taken over.
    pub adoption: Adoption,
    /// Whether every plan needs an approval.
    #[serde(default)]
    pub approval: ApprovalMode,
    /// Whether anything is sent at all.
    pub apply: bool,
}

/// One change of a plan.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What happens, such as `SuspendUser`.
    #[schemars(length(max = 32))]
    pub verb: String,
    /// Whom it happens to: an address, or a name where there is none.
    #[schemars(length(max = 512))]
    pub subject: String,
    /// What changes: fields with their old and new values, or the group of a membership.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub detail: Option<String>,
    /// Why, such as `GoneFromSource`.
    #[schemars(length(max = 64))]
    pub reason: String,
}

/// Where a whole plan is kept.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredPlan {
    /// Name that the `DirectorySyncPlan` objects begin with; the part's number follows.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Number of objects.
    pub parts: i32,
    /// Size of the compressed plan, in bytes.
    pub bytes: i64,
    /// Whether all of it is there. A plan too large to be kept whole can be approved only as a whole.
    pub complete: bool,
}

/// What was sent, told from the target's answers alone.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedStatus {
    /// The plan of which something was sent.
    #[schemars(length(max = 128))]
    pub digest: String,
    /// When the last answer came.
    pub at: Time,
    /// Changes that the target confirmed.
    pub succeeded: i64,
    /// Changes that the target refused, or whose outcome is not known.
    pub failed: i64,
    /// Those that succeeded in a few characters, as `planSummary`.
    #[schemars(length(max = 64))]
    pub summary: String,
    /// The approval that let it through, if one was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub approval: Option<String>,
    /// The first failures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub failures: Vec<Failure>,
}

/// One change that the target did not confirm.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What should have happened, such as `CreateUser`.
    #[schemars(length(max = 32))]
    pub verb: String,
    /// Whom it should have happened to; with `planDetail: CountsOnly` the id in the target alone.
    #[schemars(length(max = 512))]
    pub subject: String,
    /// Why it did not happen, as one word.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// What the target answered.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// One earlier run.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The plan of that run.
    #[schemars(length(max = 128))]
    pub digest: String,
    /// When the run ended.
    pub at: Time,
    /// What came of the plan.
    pub outcome: RunOutcome,
    /// The plan in a few characters, as `planSummary`.
    #[schemars(length(max = 64))]
    pub summary: String,
    /// Changes that the target confirmed.
    pub succeeded: i64,
    /// Changes that the target did not confirm.
    pub failed: i64,
}

/// What came of a plan.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum RunOutcome {
    /// Nothing was to be done.
    NothingToDo,
    /// Shown, and nothing sent.
    Planned,
    /// Some or all of it waits for a person.
    Held,
    /// All of it was sent and confirmed.
    Applied,
    /// Some of it failed.
    PartlyFailed,
}

fn not_observed() -> i64 {
    -1
}
