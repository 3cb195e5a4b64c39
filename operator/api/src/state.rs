//! `DirectorySyncState`: what a [`DirectorySync`](crate::DirectorySync) must remember between runs.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::plan::Encoding;

/// Version of the state's format that this operator writes.
pub const STATE_VERSION: i32 = 1;

/// One object of a state: the head, which says which parts are valid, or one part. New parts are written first, then
/// the head is switched to them, then the old parts are deleted; so the state is always whole.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[kube(
    group = "directorysync.dev",
    version = "v1alpha1",
    kind = "DirectorySyncState",
    plural = "directorysyncstates",
    category = "directory-sync",
    namespaced,
    derive = "PartialEq",
    doc = "What the operator remembers between runs of a DirectorySync: which objects of the target are its own, since when people are suspended, and what the last good read found. Written by the operator alone. If it is lost, the operator recognises its objects by their external id.",
    selectable = ".spec.sync",
    printcolumn(name = "Sync", type_ = "string", json_path = ".spec.sync"),
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".spec.head.revision",
        description = "Counts the times the state was written; empty on a part"
    ),
    printcolumn(name = "Parts", type_ = "integer", json_path = ".spec.head.parts"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "[has(self.head), has(self.part)].exists_one(x, x)",
        "a state object is exactly one of head and part"
    ),
    validation = ("self.sync == oldSelf.sync", "a state belongs to one sync for ever"),
    validation = (
        "!has(oldSelf.part) || (has(self.part) && self.part == oldSelf.part)",
        "a part is never changed; a new revision has new parts"
    )
)]
pub struct DirectorySyncStateSpec {
    /// Name of the `DirectorySync` that remembers this.
    #[schemars(length(min = 1, max = 253))]
    pub sync: String,
    /// Says which parts are valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<StateHead>,
    /// One part of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<StatePart>,
}

/// Says which parts are valid.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateHead {
    /// Version of the format. An operator that does not know it changes nothing.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub version: i32,
    /// Counts the times the state was written. The parts of this revision are valid.
    #[schemars(range(min = 0))]
    pub revision: i64,
    /// Number of parts.
    #[schemars(range(min = 0, max = 1024))]
    pub parts: i32,
    /// How the data was packed before it was cut into parts.
    pub encoding: Encoding,
    /// SHA-256 over all parts in order before base64, in hexadecimal.
    #[schemars(length(max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub checksum: String,
    /// Size of the packed data, in bytes.
    #[schemars(range(min = 0))]
    pub bytes: i64,
}

/// One part of the data.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatePart {
    /// The revision that the part belongs to.
    #[schemars(range(min = 0))]
    pub revision: i64,
    /// Number of this part, from 0.
    #[schemars(range(min = 0, max = 1023))]
    pub index: i32,
    /// This part of the packed data, as base64.
    #[schemars(length(max = 700_000))]
    pub data: String,
}
