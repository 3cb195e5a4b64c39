//! `DirectorySyncPlan`: one part of a stored plan.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most bytes of compressed plan in one part, before base64.
pub const MAX_PART_BYTES: usize = 512 * 1024;

/// Most bytes of compressed plans kept for one [`DirectorySync`](crate::DirectorySync), all plans together.
pub const MAX_STORED_BYTES: usize = 16 * 1024 * 1024;

/// One part of a plan. Parts are written once and never changed.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[kube(
    group = "directorysync.dev",
    version = "v1alpha1",
    kind = "DirectorySyncPlan",
    plural = "directorysyncplans",
    shortname = "dsplan",
    category = "directory-sync",
    namespaced,
    derive = "PartialEq",
    doc = "One part of a plan, written by the operator and never changed. To read a plan, join the data of its parts in order, and unpack: base64, then gzip, then JSON.",
    selectable = ".spec.sync",
    selectable = ".spec.digest",
    printcolumn(
        name = "Sync",
        type_ = "string",
        json_path = ".spec.sync",
        description = "The DirectorySync that the plan belongs to"
    ),
    printcolumn(name = "Digest", type_ = "string", json_path = ".spec.digest", description = "What an approval names"),
    printcolumn(name = "Part", type_ = "integer", json_path = ".spec.part"),
    printcolumn(name = "Parts", type_ = "integer", json_path = ".spec.parts"),
    printcolumn(
        name = "Bytes",
        type_ = "integer",
        json_path = ".spec.bytes",
        description = "Compressed size of this part"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self == oldSelf", "a plan is never changed; the next run writes a new one"),
    validation = ("self.part <= self.parts", "part counts from 1 to parts")
)]
pub struct DirectorySyncPlanSpec {
    /// Name of the `DirectorySync` that the plan belongs to.
    #[schemars(length(min = 1, max = 253))]
    pub sync: String,
    /// Digest of the whole plan's content; an approval names it.
    #[schemars(length(max = 71), regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// Number of this part, from 1.
    #[schemars(range(min = 1, max = 64))]
    pub part: i32,
    /// Number of parts. The plan is stored when the last one is.
    #[schemars(range(min = 1, max = 64))]
    pub parts: i32,
    /// How the plan was packed before it was cut into parts.
    pub encoding: Encoding,
    /// This part of the packed plan, as base64.
    #[schemars(length(max = 700_000))]
    pub data: String,
    /// SHA-256 of this part before base64, in hexadecimal.
    #[schemars(length(max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
    /// Size of this part before base64, in bytes.
    #[schemars(range(min = 0, max = 524_288))]
    pub bytes: i64,
}

/// How stored data is packed.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// RFC 1952.
    #[default]
    Gzip,
}
