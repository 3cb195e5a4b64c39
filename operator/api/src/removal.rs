//! What becomes of people and groups that the source no longer has.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of people and groups that the source no longer has. Each is looked up in the source
/// once more before anything happens to it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "!has(self.deleteAfter) || self.policy != 'Keep'",
        "deleteAfter deletes people some time after they were suspended, and policy: Keep suspends nobody; write policy: Suspend, or remove deleteAfter"
    ),
    validation = (
        "!has(self.deleteAfter) || self.policy != 'Delete'",
        "policy: Delete deletes at once, so deleteAfter has no meaning; write policy: Suspend to delete later, or remove deleteAfter"
    )
)]
pub struct Removal {
    /// What happens first.
    #[serde(default)]
    pub policy: RemovalPolicy,
    /// Delete this long after the operator suspended a person, or found a group missing for the
    /// first time; for example `720h`. Left out, nobody is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub delete_after: Option<String>,
}

/// What happens to someone whom the source no longer has.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum RemovalPolicy {
    /// Nothing; they are counted.
    Keep,
    /// People can no longer sign in, and keep what they have. Groups stay.
    #[default]
    Suspend,
    /// People and groups are deleted at once.
    Delete,
}
