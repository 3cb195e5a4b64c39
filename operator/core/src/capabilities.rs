//! What a target has a place for.

use crate::password::PasswordScheme;
use std::collections::BTreeSet;

/// A field of a person or a group.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::IntoStaticStr,
    strum::Display,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum Field {
    /// The mark by which a target remembers whose copy an object is.
    ExternalId,
    /// Primary address.
    Email,
    /// Further addresses.
    Aliases,
    /// Given name.
    GivenName,
    /// Family name.
    FamilyName,
    /// Name as shown (of a person).
    DisplayName,
    /// Org unit.
    OrgUnit,
    /// Whether the person may use the service.
    Active,
    /// Further attributes.
    Attributes,
    /// Password; written only, never read back.
    Password,
    /// Name of a group.
    Name,
    /// Description of a group.
    Description,
    /// Members of a group.
    Members,
}

impl Field {
    const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// Every field, in the order in which a plan shows them.
    pub const ALL: [Self; 13] = [
        Self::ExternalId,
        Self::Email,
        Self::Aliases,
        Self::GivenName,
        Self::FamilyName,
        Self::DisplayName,
        Self::OrgUnit,
        Self::Active,
        Self::Attributes,
        Self::Password,
        Self::Name,
        Self::Description,
        Self::Members,
    ];
}

/// A set of fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Vec<Field>", into = "Vec<Field>")]
pub struct Fields(u16);

impl From<Vec<Field>> for Fields {
    fn from(fields: Vec<Field>) -> Self {
        Self::of(fields)
    }
}

impl From<Fields> for Vec<Field> {
    fn from(fields: Fields) -> Self {
        fields.iter().collect()
    }
}

impl Fields {
    /// No field.
    pub const NONE: Self = Self(0);

    /// These fields.
    pub fn of(fields: impl IntoIterator<Item = Field>) -> Self {
        Self(fields.into_iter().fold(0, |bits, field| bits | field.bit()))
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | field.bit())
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the field is in the set.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The fields, in the order of [`Field::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |&field| self.contains(field))
    }
}

/// What a target can hold. Fields it has no place for are left out of the comparison and said once as a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Which target this is, stable over time (`scim https://scim.example.com/v2`): part of every plan's digest.
    pub target: String,
    /// Fields of people the target has a place for.
    pub user_fields: Fields,
    /// Fields of groups the target has a place for.
    pub group_fields: Fields,
    /// Names of further attributes the target has a place for.
    pub attributes: BTreeSet<String>,
    /// How passwords may be written, if there is a place for them ([`Field::Password`]).
    pub passwords: BTreeSet<PasswordScheme>,
    /// Whether a group may be a member of a group.
    pub nested_groups: bool,
}
