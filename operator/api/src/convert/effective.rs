//! What is in force, as the status echoes it.

use crate::{
    mapping::{FieldSource, GroupMapping, UserMapping},
    status::EffectiveRules,
    sync::DirectorySyncSpec,
};

impl EffectiveRules {
    /// The rules of this spec, as the operator understands them. What a client dropped on the way is missing here.
    pub fn of(spec: &DirectorySyncSpec) -> Self {
        let exclude = spec.exclude.clone().unwrap_or_default();
        let mapping = spec.effective_mapping();
        let mut fields = user_fields(&mapping.user.unwrap_or_default());
        // Without a search for groups none is managed.
        let of_google = spec.source.google.as_ref().is_some_and(|google| google.groups.is_some());
        if of_google || spec.source.ldap.as_ref().is_some_and(|ldap| !ldap.groups.is_empty()) {
            fields.extend(group_fields(&mapping.group.unwrap_or_default()));
        }
        Self {
            exclusions: count(exclude.source.len() + exclude.target.len()),
            protected: count(spec.protect.len()),
            fields,
            limits: spec.limits.clone(),
            removal: spec.removal.policy,
            adoption: spec.adoption,
            apply: spec.apply,
        }
    }
}

fn user_fields(user: &UserMapping) -> Vec<String> {
    let attributes = user.attributes.iter().map(|attribute| format!("user.attributes.{}", attribute.name));
    let fields = [
        ("user.id", &user.id),
        ("user.email", &user.email),
        ("user.aliases", &user.aliases),
        ("user.givenName", &user.given_name),
        ("user.familyName", &user.family_name),
        ("user.displayName", &user.display_name),
        ("user.orgUnit", &user.org_unit),
        ("user.active", &user.active),
    ];
    let password = user.password.as_ref().map(|_| "user.password".to_owned());
    mapped(&fields).chain(attributes).chain(password).collect()
}

fn group_fields(group: &GroupMapping) -> Vec<String> {
    let fields = [
        ("group.id", &group.id),
        ("group.email", &group.email),
        ("group.name", &group.name),
        ("group.description", &group.description),
        ("group.members", &group.members),
    ];
    mapped(&fields).collect()
}

fn mapped(fields: &[(&str, &Option<FieldSource>)]) -> impl Iterator<Item = String> {
    fields.iter().filter(|(_, source)| source.is_some()).map(|(name, _)| (*name).to_owned())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
