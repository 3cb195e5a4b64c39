//! Building SCIM bodies: what is wanted is laid over an object, and what differs is sent. Everything else that the
//! object holds stays as it is.

use super::attribute::{self, Object};
use super::discovery::{EmailPlaces, GROUP, Holder, Profile, USER, UserPlaces};
use super::read::primary_address;
use directory_sync_core::address;
use directory_sync_core::capabilities::{Field, Fields};
use directory_sync_core::gate::ApprovedOperation;
use directory_sync_core::operation::Verb;
use directory_sync_core::password::{Password, PasswordScheme};
use directory_sync_core::snapshot::{Group, User};
use serde_json::{Value, json};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// What is to be changed about one person; `None` is left alone, an empty text is removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UserEdit<'w> {
    pub external_id: Option<&'w str>,
    pub address: Option<&'w str>,
    pub given_name: Option<&'w str>,
    pub family_name: Option<&'w str>,
    pub display_name: Option<&'w str>,
    pub active: Option<bool>,
    pub attributes: Option<Vec<(&'w str, &'w str)>>,
    pub add_aliases: Vec<&'w str>,
    pub remove_aliases: Vec<&'w str>,
    pub password: Option<&'w Password>,
}

impl<'w> UserEdit<'w> {
    /// These fields of a person, as the source has them.
    fn fields(user: User<'w>, fields: Fields) -> Self {
        let has = |field| fields.contains(field);
        Self {
            external_id: has(Field::ExternalId).then(|| user.id()),
            address: has(Field::Email).then(|| user.address()),
            given_name: has(Field::GivenName).then(|| user.given_name()),
            family_name: has(Field::FamilyName).then(|| user.family_name()),
            display_name: has(Field::DisplayName).then(|| user.display_name()),
            active: has(Field::Active).then(|| user.active()),
            attributes: has(Field::Attributes).then(|| user.attributes().collect()),
            add_aliases: if has(Field::Aliases) { user.aliases().collect() } else { Vec::new() },
            remove_aliases: Vec::new(),
            password: user.password().filter(|_| has(Field::Password)),
        }
    }

    /// What all approved operations on one person ask for.
    pub(super) fn of(operations: &[ApprovedOperation<'w>]) -> Self {
        let mut fields = Fields::NONE;
        for operation in operations {
            match operation.verb() {
                Verb::AddAlias | Verb::RemoveAlias | Verb::SuspendUser | Verb::RestoreUser => continue,
                Verb::AdoptUser => fields = fields.with(Field::ExternalId),
                _ => {}
            }
            fields = operation.fields().iter().fold(fields, Fields::with);
        }
        let user = operations.iter().find_map(ApprovedOperation::source_user);
        let mut edit = user.map(|user| Self::fields(user, fields)).unwrap_or_default();
        for operation in operations {
            match operation.verb() {
                Verb::AddAlias => edit.add_aliases.extend(operation.alias()),
                Verb::RemoveAlias => edit.remove_aliases.extend(operation.alias()),
                Verb::SuspendUser => edit.active = Some(false),
                Verb::RestoreUser => edit.active = Some(true),
                _ => {}
            }
        }
        edit
    }

    /// Lays the edit over an object.
    pub(super) fn lay_over(&self, object: &mut Object, places: &UserPlaces) {
        set(object, "externalId", self.external_id);
        if let Some(emails) = places.emails {
            self.lay_emails(object, emails);
        }
        set(object, "userName", self.address);
        let given = self.given_name.filter(|_| places.given_name);
        let family = self.family_name.filter(|_| places.family_name);
        if given.is_some() || family.is_some() {
            let mut name = attribute::object(object, "name").cloned().unwrap_or_default();
            set(&mut name, "givenName", given);
            set(&mut name, "familyName", family);
            if places.formatted {
                let full = format!("{} {}", attribute::text(&name, "givenName"), attribute::text(&name, "familyName"));
                set(&mut name, "formatted", Some(full.trim()));
            }
            put(object, "name", if name.is_empty() { Value::Null } else { Value::Object(name) });
        }
        set(object, "displayName", self.display_name.filter(|_| places.display_name));
        if let Some(active) =
            self.active.filter(|&active| places.active && attribute::truth(object, "active").unwrap_or(true) != active)
        {
            put(object, "active", active.into());
        }
        // Services do not tell it, so that it always differs.
        if let Some(password) = self.password.filter(|it| places.password && it.scheme() == PasswordScheme::Clear) {
            put(object, "password", password.expose().into());
        }
        if let Some(attributes) = &self.attributes {
            for (name, holder) in &places.attributes {
                let value = attributes.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value);
                match holder {
                    Holder::Core => set(object, name, Some(value)),
                    Holder::Extension(urn) => set_in_extension(object, urn, name, value),
                }
            }
        }
    }

    /// The primary e-mail follows the address; aliases come and go; what else the service holds is kept.
    fn lay_emails(&self, object: &mut Object, places: EmailPlaces) {
        if self.address.is_none() && self.add_aliases.is_empty() && self.remove_aliases.is_empty() {
            return;
        }
        let before = primary_address(object).to_owned();
        let mut emails: Vec<Object> = attribute::objects(object, "emails").cloned().collect();
        let is = |email: &Object, address: &str| address::same(attribute::text(email, "value"), address);
        if let Some(address) = self.address.filter(|address| !address.is_empty()) {
            let marked = emails.iter().position(|email| attribute::truth(email, "primary") == Some(true));
            let mut primary = match marked.or_else(|| emails.iter().position(|email| is(email, &before))) {
                Some(at) => emails.remove(at),
                None => new_email("work", places),
            };
            put(&mut primary, "value", address.into());
            if places.primary {
                put(&mut primary, "primary", true.into());
            }
            emails.retain(|email| !is(email, address));
            emails.insert(0, primary);
        }
        let address = self.address.unwrap_or(&before);
        for alias in &self.remove_aliases {
            emails.retain(|email| !is(email, alias) || is(email, address));
        }
        for &alias in &self.add_aliases {
            if !emails.iter().any(|email| is(email, alias)) {
                let mut email = new_email("other", places);
                put(&mut email, "value", alias.into());
                emails.push(email);
            }
        }
        let emails: Vec<Value> = emails.into_iter().map(Value::Object).collect();
        put(object, "emails", if emails.is_empty() { Value::Null } else { Value::Array(emails) });
    }
}

/// What is to be changed about one group, its members aside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct GroupEdit<'w> {
    pub external_id: Option<&'w str>,
    pub name: Option<&'w str>,
    pub description: Option<&'w str>,
}

impl<'w> GroupEdit<'w> {
    /// These fields of a group, as the source has them.
    fn fields(group: Group<'w>, fields: Fields) -> Self {
        Self {
            external_id: fields.contains(Field::ExternalId).then(|| group.id()),
            name: fields.contains(Field::Name).then(|| group.name()),
            description: fields.contains(Field::Description).then(|| group.description()),
        }
    }

    /// What an approved operation asks for.
    pub(super) fn of(operation: &ApprovedOperation<'w>) -> Self {
        let fields = operation.fields();
        let marked = if operation.verb() == Verb::AdoptGroup { fields.with(Field::ExternalId) } else { fields };
        operation.source_group().map(|group| Self::fields(group, marked)).unwrap_or_default()
    }

    /// Lays the edit over an object.
    pub(super) fn lay_over(&self, object: &mut Object, profile: &Profile) {
        set(object, "externalId", self.external_id);
        set(object, "displayName", self.name);
        set(object, "description", self.description.filter(|_| profile.group_description));
    }
}

/// The body that creates a person with these fields, and with what no person can be without.
pub(super) fn new_user(user: User<'_>, fields: Fields, profile: &Profile) -> Value {
    let mut object = Object::from_iter([("schemas".to_owned(), json!([USER]))]);
    let fields = fields.with(Field::ExternalId).with(Field::Email);
    UserEdit::fields(user, fields).lay_over(&mut object, &profile.user);
    if profile.user.active {
        object.insert("active".to_owned(), user.active().into());
    }
    Value::Object(object)
}

/// The body that creates a group with these fields, still without members.
pub(super) fn new_group(group: Group<'_>, fields: Fields, profile: &Profile) -> Value {
    let mut object = Object::from_iter([("schemas".to_owned(), json!([GROUP]))]);
    GroupEdit::fields(group, fields.with(Field::ExternalId).with(Field::Name)).lay_over(&mut object, profile);
    Value::Object(object)
}

/// Adds or removes members in a whole group.
pub(super) fn lay_members(object: &mut Object, add: bool, members: &[(String, &'static str)]) {
    let is = |member: &Object, id: &str| attribute::text(member, "value") == id;
    let mut list: Vec<Object> = attribute::objects(object, "members").cloned().collect();
    for (id, kind) in members {
        if !add {
            list.retain(|member| !is(member, id));
        } else if !list.iter().any(|member| is(member, id)) {
            list.extend(member(id, kind).as_object().cloned());
        }
    }
    put(object, "members", Value::Array(list.into_iter().map(Value::Object).collect()));
}

/// The PATCH that adds or removes members (RFC 7644 §3.5.2.1, §3.5.2.2).
pub(super) fn patch_members(add: bool, members: &[(String, &'static str)]) -> Value {
    let operations: Vec<Value> = if add {
        let values: Vec<Value> = members.iter().map(|(id, kind)| member(id, kind)).collect();
        vec![json!({"op": "add", "path": "members", "value": values})]
    } else {
        let path = |id: &str| format!("members[value eq {}]", Value::from(id));
        members.iter().map(|(id, _)| json!({"op": "remove", "path": path(id)})).collect()
    };
    json!({"schemas": [PATCH], "Operations": operations})
}

/// The PATCH that turns one state of an object into another.
pub(super) fn patch(before: &Object, after: &Object) -> Value {
    let mut operations = Vec::new();
    difference(before, after, "", &mut operations);
    json!({"schemas": [PATCH], "Operations": operations})
}

fn difference(before: &Object, after: &Object, prefix: &str, operations: &mut Vec<Value>) {
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        operations.push(json!({"op": "remove", "path": format!("{prefix}{name}")}));
    }
    for (name, value) in after.iter().filter(|(name, value)| before.get(*name) != Some(value)) {
        let path = format!("{prefix}{name}");
        match value {
            // The service keeps the list of schemas itself when a value of an extension comes.
            _ if path == "schemas" => {}
            Value::Object(parts) => {
                let empty = Object::new();
                let had = before.get(name).and_then(Value::as_object).unwrap_or(&empty);
                // RFC 7644 §3.10: a dot before a sub-attribute, a colon before an attribute of an extension.
                let separator = if name.starts_with("urn:") { ':' } else { '.' };
                difference(had, parts, &format!("{path}{separator}"), operations);
            }
            // On an attribute without value, `replace` adds (RFC 7644 §3.5.2.3).
            _ => operations.push(json!({"op": "replace", "path": path, "value": value})),
        }
    }
}

/// Sets a text; an empty one removes the attribute, and an equal one leaves the object as it is.
fn set(object: &mut Object, name: &str, value: Option<&str>) {
    match value {
        Some(value) if value != attribute::text(object, name) => {
            put(object, name, if value.is_empty() { Value::Null } else { value.into() });
        }
        _ => {}
    }
}

/// Sets a value under the name the service writes; `null` removes it.
fn put(object: &mut Object, name: &str, value: Value) {
    let key = attribute::key(object, name).to_owned();
    if value.is_null() {
        object.remove(&key);
    } else {
        object.insert(key, value);
    }
}

fn set_in_extension(object: &mut Object, urn: &str, name: &str, value: &str) {
    let mut extension = attribute::object(object, urn).cloned().unwrap_or_default();
    if attribute::text(&extension, name) == value {
        return;
    }
    set(&mut extension, name, Some(value));
    if extension.is_empty() {
        put(object, urn, Value::Null);
        return;
    }
    put(object, urn, Value::Object(extension));
    if let Some(Value::Array(schemas)) = object.get_mut("schemas")
        && !schemas.iter().any(|schema| schema.as_str() == Some(urn))
    {
        schemas.push(urn.into());
    }
}

fn new_email(kind: &str, places: EmailPlaces) -> Object {
    let mut email = Object::new();
    if places.kind {
        email.insert("type".to_owned(), kind.into());
    }
    email
}

fn member(id: &str, kind: &str) -> Value {
    json!({"value": id, "type": kind})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn places() -> UserPlaces {
        UserPlaces {
            emails: Some(EmailPlaces { kind: true, primary: true }),
            given_name: true,
            family_name: true,
            formatted: false,
            display_name: true,
            active: true,
            password: true,
            attributes: BTreeMap::from([("department".to_owned(), Holder::Extension("urn:x:User".to_owned()))]),
        }
    }

    fn ada() -> Object {
        let ada = json!({
            "schemas": [USER], "id": "1", "userName": "ada@x.example", "active": true, "nickName": "A",
            "name": {"givenName": "Ada", "familyName": "B"},
            "emails": [{"value": "ada@x.example", "type": "work", "primary": true}, {"value": "al@x.example"}],
        });
        ada.as_object().cloned().unwrap()
    }

    fn operations(edit: &UserEdit<'_>) -> Value {
        let mut after = ada();
        edit.lay_over(&mut after, &places());
        patch(&ada(), &after)["Operations"].clone()
    }

    #[test]
    fn what_is_already_so_is_not_sent() {
        let edit = UserEdit {
            address: Some("ada@x.example"),
            given_name: Some("Ada"),
            active: Some(true),
            add_aliases: vec!["AL@x.example"],
            attributes: Some(vec![]),
            ..UserEdit::default()
        };
        assert_eq!(operations(&edit), json!([]));
    }

    #[test]
    fn only_what_differs_is_sent() {
        let edit = UserEdit { family_name: Some("L"), active: Some(false), ..UserEdit::default() };
        let expected = json!([
            {"op": "replace", "path": "active", "value": false},
            {"op": "replace", "path": "name.familyName", "value": "L"},
        ]);
        assert_eq!(operations(&edit), expected);
    }

    #[test]
    fn a_rename_keeps_the_old_address_only_where_that_is_an_approved_alias() {
        let mut edit = UserEdit { address: Some("ada@y.example"), ..UserEdit::default() };
        let mut after = ada();
        edit.lay_over(&mut after, &places());
        assert_eq!(after["userName"], "ada@y.example");
        assert_eq!(
            after["emails"],
            json!([{"value": "ada@y.example", "type": "work", "primary": true}, {"value": "al@x.example"}])
        );
        assert_eq!(after["nickName"], "A");
        edit.add_aliases = vec!["ada@x.example"];
        let mut after = ada();
        edit.lay_over(&mut after, &places());
        assert_eq!(after["emails"][2], json!({"value": "ada@x.example", "type": "other"}));
    }

    #[test]
    fn removing_an_alias_never_removes_the_primary_address() {
        let edit = UserEdit { remove_aliases: vec!["al@x.example", "ada@x.example"], ..UserEdit::default() };
        let mut after = ada();
        edit.lay_over(&mut after, &places());
        assert_eq!(after["emails"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_attribute_of_an_extension_is_set_by_its_urn_and_removed_again() {
        let edit = UserEdit { attributes: Some(vec![("department", "Sales")]), ..UserEdit::default() };
        assert_eq!(operations(&edit), json!([{"op": "replace", "path": "urn:x:User:department", "value": "Sales"}]));
        let mut with = ada();
        edit.lay_over(&mut with, &places());
        assert_eq!(with["schemas"], json!([USER, "urn:x:User"]));
        UserEdit { attributes: Some(vec![]), ..UserEdit::default() }.lay_over(&mut with, &places());
        assert!(!with.contains_key("urn:x:User"));
    }

    #[test]
    fn members_are_added_at_once_and_removed_one_by_one() {
        let members = [("1".to_owned(), "User"), ("a\"b".to_owned(), "Group")];
        assert_eq!(patch_members(true, &members)["Operations"][0]["value"].as_array().unwrap().len(), 2);
        assert_eq!(patch_members(false, &members)["Operations"][1]["path"], r#"members[value eq "a\"b"]"#);
        let mut group = Object::new();
        lay_members(&mut group, true, &members);
        lay_members(&mut group, true, &members);
        assert_eq!(group["members"].as_array().unwrap().len(), 2);
        lay_members(&mut group, false, &members[..1]);
        assert_eq!(group["members"], json!([{"value": "a\"b", "type": "Group"}]));
    }
}
