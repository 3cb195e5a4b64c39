//! `DirectorySyncApproval`: a person's consent to one plan.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Consent to one plan. It is used once, and expires after the sync's `approvalExpiresAfter`.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[kube(
    group = "directorysync.dev",
    version = "v1alpha1",
    kind = "DirectorySyncApproval",
    plural = "directorysyncapprovals",
    shortname = "dsapproval",
    category = "directory-sync",
    namespaced,
    status = "DirectorySyncApprovalStatus",
    derive = "PartialEq",
    doc = "Consent to one plan of a DirectorySync, given by whoever may create this object. It lifts the limits for the changes in that plan. Before anything is sent the plan is made again: what is sent was in the approved plan and is still wanted. It does not override apply: false, suspend, or protection.",
    selectable = ".spec.sync",
    selectable = ".status.state",
    printcolumn(name = "Sync", type_ = "string", json_path = ".spec.sync"),
    printcolumn(name = "Plan", type_ = "string", json_path = ".spec.plan"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.approvedBy", description = "Who approved"),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "What became of the approval"
    ),
    printcolumn(
        name = "Sent",
        type_ = "integer",
        json_path = ".status.sent",
        description = "Changes sent on the strength of it"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self == oldSelf", "an approval is never changed; delete it, or create another"))]
pub struct DirectorySyncApprovalSpec {
    /// Name of the `DirectorySync` whose plan is approved.
    #[schemars(length(min = 1, max = 253))]
    pub sync: String,
    /// Digest of the plan, as `status.plan.digest` of the `DirectorySync` shows it.
    #[schemars(length(max = 71), regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub plan: String,
    /// Who approves: the name of the user who creates this object, as the API server knows it. An admission policy
    /// refuses any other.
    #[schemars(length(min = 1, max = 512))]
    pub approved_by: String,
}

/// What became of an approval.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectorySyncApprovalStatus {
    /// Where the approval stands.
    #[serde(default)]
    pub state: ApprovalState,
    /// The state in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Time>,
    /// Changes sent on the strength of it that the target confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<i64>,
    /// Changes sent on the strength of it that the target did not confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<i64>,
    /// Approved changes that were no longer wanted when it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<i64>,
}

/// Where an approval stands.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum ApprovalState {
    /// Not used yet.
    #[default]
    Pending,
    /// Used; it has no further effect.
    Used,
    /// Not used in time.
    Expired,
    /// Names a plan that is not kept any more, or that no current change belongs to.
    Stale,
}
