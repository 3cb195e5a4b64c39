//! Which fields a mapping fills.

use super::{GroupMappingSpec, UserMappingSpec};
use crate::capabilities::{Capabilities, Field, Fields};
use std::collections::BTreeSet;

/// The fields that a mapping fills. Everything else stays as it is in the target. By default that is every field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedFields {
    /// Fields of people.
    pub users: Fields,
    /// Fields of groups.
    pub groups: Fields,
    /// Names of further attributes of people; `None`: all that the target has a place for.
    pub attributes: Option<BTreeSet<String>>,
}

impl Default for ManagedFields {
    fn default() -> Self {
        Self { users: Fields::of(Field::ALL), groups: Fields::of(Field::ALL), attributes: None }
    }
}

impl ManagedFields {
    /// Those that these mappings fill. Ids, addresses and names are always among them.
    pub fn of(user: &UserMappingSpec, group: &GroupMappingSpec) -> Self {
        let mapped = |always: &[Field], optional: &[(Field, bool)]| {
            let optional = optional.iter().filter(|(_, mapped)| *mapped).map(|(field, _)| field);
            Fields::of(always.iter().chain(optional).copied())
        };
        Self {
            users: mapped(
                &[Field::ExternalId, Field::Email, Field::Active],
                &[
                    (Field::Aliases, !user.aliases.is_empty()),
                    (Field::GivenName, user.given_name.is_some()),
                    (Field::FamilyName, user.family_name.is_some()),
                    (Field::DisplayName, user.display_name.is_some()),
                    (Field::OrgUnit, user.org_unit.is_some()),
                    (Field::Attributes, !user.attributes.is_empty()),
                    (Field::Password, user.password.is_some()),
                ],
            ),
            groups: mapped(
                &[Field::ExternalId, Field::Name],
                &[
                    (Field::Email, group.email.is_some()),
                    (Field::Description, group.description.is_some()),
                    (Field::Members, !group.members.is_empty()),
                ],
            ),
            attributes: Some(user.attributes.iter().map(|(name, _)| name.clone()).collect()),
        }
    }

    /// What the target has a place for and the mapping fills: only that is compared and written.
    pub fn narrow(&self, capabilities: &Capabilities) -> Capabilities {
        let is_managed = |name: &&String| self.attributes.as_ref().is_none_or(|managed| managed.contains(*name));
        Capabilities {
            user_fields: capabilities.user_fields.and(self.users),
            group_fields: capabilities.group_fields.and(self.groups),
            attributes: capabilities.attributes.iter().filter(is_managed).cloned().collect(),
            ..capabilities.clone()
        }
    }
}
