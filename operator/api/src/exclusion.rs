//! Who is left alone, and who may be changed but never removed.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is left alone. An excluded person or group is neither created, changed nor removed, and keeps
/// its memberships.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exclusions {
    /// Judged by what the source says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub source: Vec<PrincipalMatch>,
    /// Judged by what the target says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub target: Vec<PrincipalMatch>,
}

/// Names people or groups by one field, or by an expression over all of them. Text is compared
/// without regard to upper and lower case.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "[has(self.exact), has(self.glob), has(self.regex), has(self.cel)].exists_one(x, x)",
        "compare in exactly one way: exact, glob, regex or cel"
    ),
    validation = (
        "has(self.field) != has(self.cel)",
        "exact, glob and regex need a field, such as field: email; a cel expression sees every field, so leave field out beside it"
    ),
    validation = (
        "!has(self.field) || self.kind != 'Group' || self.field in ['id', 'email', 'name', 'description']",
        "a Group has the fields id, email, name and description; choose one of them, or write kind: User"
    ),
    validation = (
        "!has(self.field) || self.kind != 'User' || !(self.field in ['name', 'description'])",
        "a User has no field name or description; write displayName, or kind: Group"
    )
)]
pub struct PrincipalMatch {
    /// Whether this names people or groups.
    #[serde(default)]
    pub kind: PrincipalKind,
    /// The field that is compared: `id`, `email`, `aliases`, `givenName`, `familyName`,
    /// `displayName`, `orgUnit` or `attributes.NAME` of a person; `id`, `email`, `name` or
    /// `description` of a group. One matching value of several suffices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 80),
        regex(
            pattern = r"^(id|email|aliases|givenName|familyName|displayName|orgUnit|name|description|attributes\.[A-Za-z][A-Za-z0-9_-]*)$"
        )
    )]
    pub field: Option<String>,
    /// The whole value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub exact: Option<String>,
    /// The whole value with `*` for any run of characters and `?` for one: `svc-*@example.com`. Behind a backslash, a
    /// character stands for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub glob: Option<String>,
    /// A regular expression (RE2 syntax) found anywhere in the value; anchor it with `^` and `$`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub regex: Option<String>,
    /// A CEL expression over `user` or `group` that is true for whom it names:
    /// `user.orgUnit.startsWith('/Board')`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub cel: Option<String>,
}

/// A person or a group.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum PrincipalKind {
    /// A person, or an account that is used like one.
    #[default]
    User,
    /// A group.
    Group,
}
