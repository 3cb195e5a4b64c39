//! `DirectorySync`: one directory kept in one service.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    exclusion::{Exclusions, PrincipalMatch},
    limits::LimitsSpec,
    mapping::Mapping,
    removal::Removal,
    schedule::Schedule,
    source::SourceSpec,
    status::DirectorySyncStatus,
    target::TargetSpec,
};

/// What is kept like what, how, when, and what may never happen by itself.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[kube(
    group = "directorysync.dev",
    version = "v1alpha1",
    kind = "DirectorySync",
    plural = "directorysyncs",
    shortname = "dsync",
    category = "directory-sync",
    namespaced,
    status = "DirectorySyncStatus",
    derive = "PartialEq",
    doc = "Keeps the people and groups of a service (the target) like those of a directory (the source). Every run reads both sides, shows the difference as a plan in status, and sends what the limits and approvals allow. With `apply: false`, the default, it only plans.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the last run did all that it was allowed to do"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Plan",
        type_ = "string",
        json_path = ".status.planSummary",
        description = "What the current plan creates (+), changes (~) and removes (−)"
    ),
    printcolumn(
        name = "Applied",
        type_ = "date",
        json_path = ".status.lastApplied.at",
        description = "When changes were last sent"
    ),
    printcolumn(
        name = "Last run",
        type_ = "date",
        json_path = ".status.lastRunTime",
        description = "When the last run ended"
    ),
    printcolumn(
        name = "Next run",
        type_ = "string",
        json_path = ".status.nextRunTime",
        description = "When the next run is due"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "The Ready condition in words",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "!has(self.source.ldap) || self.source.ldap.schema != 'Custom' || (has(self.mapping) && has(self.mapping.user) && has(self.mapping.user.id) && has(self.mapping.user.email))",
        "schema: Custom fills in nothing; write at least mapping.user.id and mapping.user.email, or choose a preset such as schema: OpenLDAP"
    ),
    validation = (
        "!has(self.source.ldap) || self.source.ldap.schema != 'Custom' || !has(self.source.ldap.groups) || size(self.source.ldap.groups) == 0 || (has(self.mapping) && has(self.mapping.group) && has(self.mapping.group.id) && has(self.mapping.group.name))",
        "schema: Custom fills in nothing; write at least mapping.group.id and mapping.group.name for the groups that are read, or remove source.ldap.groups"
    ),
    validation = (
        "!has(self.source.google) || !has(self.mapping) || !has(self.mapping.group) || !has(self.mapping.group.members)",
        "Google lists the members of its groups by itself; remove mapping.group.members"
    ),
    validation = (
        "has(self.source.ldap) || !has(self.mapping) || !has(self.mapping.user) || !has(self.mapping.user.password)",
        "only LDAP directories give passwords; remove mapping.user.password"
    ),
    validation = (
        "!has(self.mapping) || !has(self.mapping.user) || !has(self.mapping.user.password) || !has(self.source.ldap) || !has(self.source.ldap.tls) || !has(self.source.ldap.tls.plaintext)",
        "passwords are read over TLS only; remove source.ldap.tls.plaintext, or mapping.user.password"
    ),
    validation = (
        "!has(self.mapping) || !has(self.mapping.user) || !has(self.mapping.user.password) || !has(self.target.scim) || self.target.scim.url.startsWith('https://')",
        "passwords are sent over TLS only; write an https:// URL in target.scim.url, or remove mapping.user.password"
    )
)]
pub struct DirectorySyncSpec {
    /// The directory that is the truth. It is only read.
    pub source: SourceSpec,
    /// What each field of a person or group is taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    /// Who is left alone on either side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Exclusions>,
    /// Who may be changed, but is never suspended, deleted or removed from a group, not even by an
    /// approved plan. Judged by what the target says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub protect: Vec<PrincipalMatch>,
    /// The service that is kept like the source.
    pub target: TargetSpec,
    /// Whether people and groups that exist in the target already are taken over.
    #[serde(default)]
    pub adoption: Adoption,
    /// When runs happen.
    #[serde(default)]
    pub schedule: Schedule,
    /// What becomes of people and groups that the source no longer has.
    #[serde(default)]
    pub removal: Removal,
    /// What one run may change at most without an approval.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// Whether a plan within the limits is sent by itself.
    #[serde(default)]
    pub approval: ApprovalMode,
    /// An approval that was not used for this long is void.
    #[serde(default = "default_approval_expires_after")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub approval_expires_after: String,
    /// How much of a plan the status shows.
    #[serde(default)]
    pub plan_detail: PlanDetail,
    /// Mail domains that belong to the organization. Addresses in other domains are reported in the
    /// plan. Left out, every domain is taken for one's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253), regex(pattern = r"^[^\s@/]+$")))]
    pub domains: Vec<String>,
    /// Whether anything is sent at all. `false` plans and shows, whatever else is set or approved.
    #[serde(default)]
    pub apply: bool,
    /// Stop: no runs, and no connection to either side. A run under way ends after the request that
    /// is being answered.
    #[serde(default)]
    pub suspend: bool,
}

/// Which people and groups of the target are taken over.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum Adoption {
    /// None: only what this resource created is managed.
    None,
    /// Those whose external id in the target is the id of a person or group in the source.
    #[default]
    ByExternalId,
    /// Those, and those with the same address and no other external id.
    ByAddress,
}

/// Whether a plan needs a person's approval.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum ApprovalMode {
    /// A plan within the limits is sent; a plan that exceeds one waits for an approval.
    #[default]
    Automatic,
    /// Every plan waits for an approval.
    Manual,
}

/// How much of a plan the status shows.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum PlanDetail {
    /// The counts and up to 50 changes, the most dangerous first.
    #[default]
    Sample,
    /// The counts alone: the status holds no personal data.
    CountsOnly,
}

fn default_approval_expires_after() -> String {
    "24h".into()
}
