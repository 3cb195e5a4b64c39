//! How entries of the source become people and groups.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::references::SecretKeyReference;

/// What each field of a person or group is taken from. The source's preset fills in what is left
/// out; a field that neither names is not managed, and stays as it is in the target.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// Fields of a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserMapping>,
    /// Fields of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupMapping>,
}

/// Fields of a person.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserMapping {
    /// What stays the same for as long as the person exists, whatever else changes; by it a person
    /// is recognised after a rename. An entry without it is reported and left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<FieldSource>,
    /// The primary address. An entry without it is reported and left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<FieldSource>,
    /// Further addresses, all values of the attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aliases: Option<FieldSource>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<FieldSource>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<FieldSource>,
    /// The name as shown to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<FieldSource>,
    /// Organizational unit, as a path such as `/Staff/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_unit: Option<FieldSource>,
    /// Whether the person may use the target: `true` or `false`. Left out, everybody found may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<FieldSource>,
    /// Further attributes by the target's name for them, such as `title` or `department`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub attributes: Vec<NamedFieldSource>,
    /// The password, for targets that take one. It is read and sent over TLS only, and shown nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordSource>,
}

/// Where the password of a person is taken from, and what is remembered of it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordSource {
    /// Name of the attribute. Taken are clear text, `{SHA}`, `{MD5}` and `{CRYPT}` with `$1$`, `$5$` or `$6$`, as far
    /// as the target takes them; other values, `{SSHA}` for instance, are counted in the plan and never sent.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9.;_-]*$"))]
    pub attribute: String,
    /// The key, at least 16 random bytes, under which a fingerprint of every password that was sent is remembered, so
    /// that a changed one is sent again. Another key sends every password once more. Left out, nothing is remembered,
    /// and a password is sent only when its person is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint_key_secret_ref: Option<SecretKeyReference>,
}

/// Fields of a group.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupMapping {
    /// What stays the same for as long as the group exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<FieldSource>,
    /// The address of the group, where the target has mailing lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<FieldSource>,
    /// The name as shown to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<FieldSource>,
    /// What the group is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<FieldSource>,
    /// The members, people and groups, as the directory refers to them: distinguished names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<FieldSource>,
}

/// What one field is taken from. Exactly one way is given.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.attribute), has(self.cel), has(self.value)].exists_one(x, x)",
    "take the field from exactly one of attribute, cel or value"
))]
pub struct FieldSource {
    /// Name of an attribute of the entry. The quickest way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9.;_-]*$"))]
    pub attribute: Option<String>,
    /// A CEL expression over `entry`, in which every attribute is a list of strings:
    /// `entry.givenName[0] + ' ' + entry.sn[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub cel: Option<String>,
    /// The same value for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
}

/// What one further attribute is taken from. Exactly one way is given.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.attribute), has(self.cel), has(self.value)].exists_one(x, x)",
    "take the attribute from exactly one of attribute, cel or value"
))]
pub struct NamedFieldSource {
    /// The target's name for the attribute.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub name: String,
    /// Name of an attribute of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9.;_-]*$"))]
    pub attribute: Option<String>,
    /// A CEL expression over `entry`, in which every attribute is a list of strings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub cel: Option<String>,
    /// The same value for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
}

impl FieldSource {
    /// Taken from the attribute of this name.
    pub fn attribute(name: impl Into<String>) -> Self {
        Self { attribute: Some(name.into()), ..Self::default() }
    }
}

impl NamedFieldSource {
    /// The source of the value, without the name.
    pub fn source(&self) -> FieldSource {
        FieldSource { attribute: self.attribute.clone(), cel: self.cel.clone(), value: self.value.clone() }
    }
}
