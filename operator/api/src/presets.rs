//! What common directories call their attributes.

use crate::{
    mapping::{FieldSource, GroupMapping, Mapping, UserMapping},
    source::LdapSchema,
    sync::DirectorySyncSpec,
};

impl DirectorySyncSpec {
    /// The mapping with the parts that were left out filled in by the source's preset.
    ///
    /// Further addresses, org units, the active flag and further attributes are in no preset: a field that is not
    /// mapped is not managed, and managing one by accident would empty it in the target.
    pub fn effective_mapping(&self) -> Mapping {
        let written = self.mapping.clone().unwrap_or_default();
        let (user, group) = (written.user.unwrap_or_default(), written.group.unwrap_or_default());
        let preset = self.source.ldap.as_ref().map(|ldap| preset(ldap.schema)).unwrap_or_default();
        let (user_preset, group_preset) = (preset.user.unwrap_or_default(), preset.group.unwrap_or_default());
        Mapping {
            user: Some(UserMapping {
                id: user.id.or(user_preset.id),
                email: user.email.or(user_preset.email),
                aliases: user.aliases,
                given_name: user.given_name.or(user_preset.given_name),
                family_name: user.family_name.or(user_preset.family_name),
                display_name: user.display_name.or(user_preset.display_name),
                org_unit: user.org_unit,
                active: user.active,
                attributes: user.attributes,
            }),
            group: Some(GroupMapping {
                id: group.id.or(group_preset.id),
                email: group.email.or(group_preset.email),
                name: group.name.or(group_preset.name),
                description: group.description.or(group_preset.description),
                members: group.members.or(group_preset.members),
            }),
        }
    }
}

fn preset(schema: LdapSchema) -> Mapping {
    match schema {
        LdapSchema::Custom => Mapping::default(),
        LdapSchema::OpenLDAP => Mapping {
            user: Some(UserMapping {
                // RFC 4530: assigned by the server, and never changed.
                id: Some(FieldSource::attribute("entryUUID")),
                email: Some(FieldSource::attribute("mail")),
                given_name: Some(FieldSource::attribute("givenName")),
                family_name: Some(FieldSource::attribute("sn")),
                // RFC 4519 §3.12: every person has one, which is not so of displayName.
                display_name: Some(FieldSource::attribute("cn")),
                ..UserMapping::default()
            }),
            group: Some(GroupMapping {
                id: Some(FieldSource::attribute("entryUUID")),
                email: Some(FieldSource::attribute("mail")),
                name: Some(FieldSource::attribute("cn")),
                description: Some(FieldSource::attribute("description")),
                members: Some(FieldSource::attribute("member")),
            }),
        },
    }
}
