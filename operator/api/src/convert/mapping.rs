//! The mapping of a resource, compiled.

use directory_sync_core::mapping::{
    GroupMapping, GroupMappingSpec, ManagedFields, UserMapping, UserMappingSpec, Value,
};

use super::ConvertError;
use crate::{
    mapping::{self as api, FieldSource},
    sync::DirectorySyncSpec,
};

/// How entries become people and groups, with what the preset fills in.
///
/// # Errors
/// If a field is missing or cannot be used; the message names it and the place in an expression.
pub fn mapping(spec: &DirectorySyncSpec) -> Result<(UserMapping, GroupMapping), ConvertError> {
    let (user, group) = written(spec)?;
    Ok((UserMapping::compile(&user)?, GroupMapping::compile(&group)?))
}

/// The fields that the mapping fills.
pub(super) fn managed(spec: &DirectorySyncSpec) -> Result<ManagedFields, ConvertError> {
    let (user, group) = written(spec)?;
    Ok(ManagedFields::of(&user, &group))
}

/// The mapping with the preset, not compiled.
fn written(spec: &DirectorySyncSpec) -> Result<(UserMappingSpec, GroupMappingSpec), ConvertError> {
    let (written, preset) = (spec.mapping.clone().unwrap_or_default(), spec.preset());
    let api::Mapping { user, group } = spec.effective_mapping();
    let (user, group) = (user.unwrap_or_default(), group.unwrap_or_default());
    let user = UserMappingSpec {
        id: value("user.id", user.id)?,
        email: value("user.email", user.email)?,
        aliases: joined("user.aliases", written.user.and_then(|user| user.aliases), &preset.aliases)?,
        given_name: value("user.givenName", user.given_name)?,
        family_name: value("user.familyName", user.family_name)?,
        display_name: value("user.displayName", user.display_name)?,
        org_unit: value("user.orgUnit", user.org_unit)?,
        active: value("user.active", user.active)?,
        attributes: user
            .attributes
            .iter()
            .map(|named| {
                let path = format!("user.attributes[{}]", named.name);
                Ok((named.name.clone(), exactly_one(&path, named.source())?))
            })
            .collect::<Result<_, ConvertError>>()?,
        password: user.password.map(|password| password.attribute),
    };
    let group = GroupMappingSpec {
        id: value("group.id", group.id)?,
        email: value("group.email", group.email)?,
        name: value("group.name", group.name)?,
        description: value("group.description", group.description)?,
        members: joined("group.members", written.group.and_then(|group| group.members), &preset.members)?,
    };
    Ok((user, group))
}

/// What is written, or else every attribute of the preset.
fn joined(path: &str, written: Option<FieldSource>, preset: &[&str]) -> Result<Vec<Value>, ConvertError> {
    match written {
        Some(source) => Ok(vec![exactly_one(path, source)?]),
        None => Ok(preset.iter().map(|&name| Value::Attribute(name.to_owned())).collect()),
    }
}

fn value(path: &str, source: Option<FieldSource>) -> Result<Option<Value>, ConvertError> {
    source.map(|source| exactly_one(path, source)).transpose()
}

fn exactly_one(path: &str, source: FieldSource) -> Result<Value, ConvertError> {
    match source {
        FieldSource { attribute: Some(name), cel: None, value: None } => Ok(Value::Attribute(name)),
        FieldSource { attribute: None, cel: Some(text), value: None } => Ok(Value::Cel(text)),
        FieldSource { attribute: None, cel: None, value: Some(text) } => Ok(Value::Value(text)),
        _ => Err(ConvertError::Contradiction {
            path: format!("spec.mapping.{path}"),
            sentence: "take the field from exactly one of attribute, cel or value",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mapping: &api::Mapping) -> DirectorySyncSpec {
        let spec = serde_json::json!({
            "source": { "ldap": {
                "urls": ["ldaps://ldap.example.com"],
                "bind": { "simple": { "secretRef": { "name": "ldap-reader" } } },
                "schema": "OpenLDAP",
                "users": [{ "baseDN": "dc=example,dc=com", "filter": "(objectClass=person)" }],
            } },
            "mapping": mapping,
            "target": { "scim": {
                "url": "https://app.example.com/scim/v2",
                "auth": { "bearerTokenSecretRef": { "name": "scim-token", "key": "token" } },
            } },
        });
        serde_json::from_value(spec).unwrap()
    }

    fn org_unit(source: FieldSource) -> api::Mapping {
        api::Mapping { user: Some(api::UserMapping { org_unit: Some(source), ..Default::default() }), group: None }
    }

    #[test]
    fn the_preset_asks_for_what_every_openldap_has() {
        let (user, group) = mapping(&spec(&api::Mapping::default())).unwrap();
        let expected = ["entryUUID", "mail", "mailLocalAddress", "mailAlternateAddress", "givenName", "sn", "cn"];
        assert_eq!(user.attributes(), expected);
        let members: Vec<_> = group.member_attributes().collect();
        assert_eq!(members, ["member", "uniqueMember", "memberUid"]);
    }

    #[test]
    fn what_the_mapping_does_not_fill_is_not_managed() {
        use directory_sync_core::capabilities::{Capabilities, Field, Fields};
        let everything = Capabilities {
            target: "scim".to_owned(),
            user_fields: Fields::of(Field::ALL),
            group_fields: Fields::of(Field::ALL),
            attributes: ["title".to_owned()].into(),
            passwords: std::collections::BTreeSet::new(),
            nested_groups: true,
        };
        let compared = managed(&spec(&api::Mapping::default())).unwrap().narrow(&everything);
        assert!(compared.user_fields.contains(Field::DisplayName));
        assert!(!compared.user_fields.contains(Field::OrgUnit));
        assert!(compared.attributes.is_empty());
    }

    #[test]
    fn a_mistake_in_an_expression_is_named_with_its_field_and_place() {
        let wrong = FieldSource { cel: Some("'/' + entry.ou[0".into()), ..FieldSource::default() };
        let error = mapping(&spec(&org_unit(wrong))).unwrap_err().to_string();
        assert!(error.starts_with("spec.mapping.user.orgUnit.cel: line 1, column "), "{error}");
    }

    #[test]
    fn a_field_taken_from_two_places_is_refused_without_an_api_server_too() {
        let both = FieldSource { attribute: Some("ou".into()), value: Some("/Staff".into()), ..FieldSource::default() };
        let error = mapping(&spec(&org_unit(both))).unwrap_err().to_string();
        assert!(error.starts_with("spec.mapping.user.orgUnit: take the field from exactly one"), "{error}");
    }
}
