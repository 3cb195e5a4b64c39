//! From Google's JSON to the values of attributes.
//!
//! An attribute is a path into the resource: `name.givenName`, `customSchemas.Employment.costCenter`. A list on the way
//! gives the values of all its elements. Where a path ends at an object that has a `value` (external ids, phones,
//! fields of custom schemas with several values), that is taken. An option picks elements of a list:
//! `organizations.title;primary` those that are marked as primary, `externalIds.value;organization` those of that
//! `type`.
//!
//! Two attributes are computed: a person's `active` is `true` unless the account is suspended or archived, and a
//! group's `members` stands for the list of members, which is a resource of its own.

use super::config::invalid;
use super::error::GoogleError;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Group,
}

/// The fields of a user that can be mapped, from `User` in the discovery document of `directory_v1`.
const USER_FIELDS: &[&str] = &[
    "addresses",
    "agreedToTerms",
    "aliases",
    "archivalTime",
    "archived",
    "changePasswordAtNextLogin",
    "creationTime",
    "customSchemas",
    "customerId",
    "deletionTime",
    "emails",
    "etag",
    "externalIds",
    "gender",
    "guestAccountInfo",
    "id",
    "ims",
    "includeInGlobalAddressList",
    "ipWhitelisted",
    "isAdmin",
    "isDelegatedAdmin",
    "isEnforcedIn2Sv",
    "isEnrolledIn2Sv",
    "isGuestUser",
    "isMailboxSetup",
    "keywords",
    "languages",
    "lastLoginTime",
    "locations",
    "name",
    "nonEditableAliases",
    "notes",
    "orgUnitPath",
    "organizations",
    "phones",
    "posixAccounts",
    "primaryEmail",
    "recoveryEmail",
    "recoveryPhone",
    "relations",
    "sshPublicKeys",
    "suspended",
    "suspensionReason",
    "suspensionTime",
    "thumbnailPhotoUrl",
    "websites",
];

/// The parts of a user's name, from `UserName` in the same document.
const NAME_FIELDS: [&str; 4] = ["displayName", "familyName", "fullName", "givenName"];

/// The fields of a group that can be mapped, from `Group` in the same document.
const GROUP_FIELDS: &[&str] = &[
    "adminCreated",
    "aliases",
    "description",
    "directMembersCount",
    "email",
    "etag",
    "externalIds",
    "id",
    "name",
    "nonEditableAliases",
];

impl Kind {
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::User => USER_FIELDS,
            Self::Group => GROUP_FIELDS,
        }
    }

    const fn computed(self) -> &'static str {
        match self {
            Self::User => "active",
            Self::Group => "members",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// The attributes that a mapping needs, in its order.
#[derive(Debug, Clone)]
pub(super) struct Attributes(Vec<Attribute>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Attribute {
    Active,
    Members,
    Path { path: Vec<String>, only: Option<String> },
}

impl Attributes {
    /// Reads the names of a mapping; what Google does not have is refused.
    pub(super) fn parse(kind: Kind, names: &[String]) -> Result<Self, GoogleError> {
        names.iter().map(|name| attribute(kind, name)).collect::<Result<_, _>>().map(Self)
    }

    /// The fields of a resource to ask for (`fields`, partial response), with those that are needed besides.
    pub(super) fn fields(&self, besides: &[&str]) -> String {
        let mut fields: BTreeSet<String> = besides.iter().map(|&field| field.to_owned()).collect();
        for attribute in &self.0 {
            match attribute {
                Attribute::Active => fields.extend(["archived".to_owned(), "suspended".to_owned()]),
                Attribute::Members => {}
                // Whether an element counts, and what its value is, may stand beside what is mapped.
                Attribute::Path { path, .. } => fields.extend(path.first().cloned()),
            }
        }
        fields.into_iter().collect::<Vec<_>>().join(",")
    }

    /// The custom schemas that the mapping needs, for `customFieldMask`; empty: none.
    pub(super) fn custom_schemas(&self) -> String {
        let schemas: BTreeSet<&str> = self
            .0
            .iter()
            .filter_map(|attribute| match attribute {
                Attribute::Path { path, .. } if path.first().is_some_and(|root| root == "customSchemas") => path.get(1),
                _ => None,
            })
            .map(String::as_str)
            .collect();
        schemas.into_iter().collect::<Vec<_>>().join(",")
    }

    /// The values of each attribute in the mapping's order.
    pub(super) fn values<'v>(&self, object: &'v Object) -> Vec<Vec<Cow<'v, str>>> {
        self.0
            .iter()
            .map(|attribute| match attribute {
                Attribute::Active => vec![Cow::Borrowed(if is_active(object) { "true" } else { "false" })],
                Attribute::Members => Vec::new(),
                Attribute::Path { path, only } => {
                    let mut values = Vec::new();
                    if let Some((first, rest)) = path.split_first()
                        && let Some(value) = object.get(first)
                    {
                        collect(value, rest, only.as_deref(), &mut values);
                    }
                    values
                }
            })
            .collect()
    }
}

/// Neither suspended nor archived: the person can sign in.
fn is_active(user: &Object) -> bool {
    !["suspended", "archived"].iter().any(|state| user.get(*state) == Some(&Value::Bool(true)))
}

fn attribute(kind: Kind, name: &str) -> Result<Attribute, GoogleError> {
    let refused = |problem: String| Err(invalid(format!("mapping.{}", kind.name()), problem));
    if name == kind.computed() {
        return Ok(if kind == Kind::User { Attribute::Active } else { Attribute::Members });
    }
    let (path, only) = match name.split_once(';') {
        Some((_, options)) if options.contains(';') => {
            return refused(format!("`{name}` picks elements twice; write one option, such as `;primary`"));
        }
        Some((path, only)) => (path, Some(only.to_owned())),
        None => (name, None),
    };
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    let root = path.first().map_or("", String::as_str);
    if !kind.fields().contains(&root) {
        let known = kind.fields().iter().find(|known| known.eq_ignore_ascii_case(root));
        let advice = match known {
            Some(known) => format!("write `{known}`, in which capital letters count"),
            None if kind == Kind::User => "write a field of the Directory API, such as `name.givenName`, or \
                 `customSchemas.SCHEMA.FIELD` for one of your own"
                .to_owned(),
            None => "write a field of the Directory API, such as `description`".to_owned(),
        };
        return refused(format!("Google's {}s have no `{root}`; {advice}", kind.name()));
    }
    if root == "customSchemas" && path.len() != 3 {
        return refused(format!("`{name}` is no field of a custom schema; write `customSchemas.SCHEMA.FIELD`"));
    }
    if root == "name" && kind == Kind::User && !matches!(&path[..], [_, part] if NAME_FIELDS.contains(&&**part)) {
        return refused(format!(
            "`{name}` is no part of a name; write one of {}",
            NAME_FIELDS.map(|part| format!("`name.{part}`")).join(", ")
        ));
    }
    Ok(Attribute::Path { path, only })
}

/// Follows a path. The depth is that of the JSON, which its parser bounds.
fn collect<'v>(value: &'v Value, path: &[String], only: Option<&str>, values: &mut Vec<Cow<'v, str>>) {
    match (value, path.split_first()) {
        (Value::Array(list), _) => {
            for element in list.iter().filter(|element| only.is_none_or(|only| is_picked(element, only))) {
                collect(element, path, only, values);
            }
        }
        (Value::Object(object), Some((name, rest))) => {
            if let Some(value) = object.get(name) {
                collect(value, rest, only, values);
            }
        }
        (Value::Object(object), None) => {
            if let Some(value) = object.get("value").filter(|value| !value.is_object()) {
                collect(value, path, only, values);
            }
        }
        (Value::String(text), None) => values.push(Cow::Borrowed(text)),
        (Value::Bool(truth), None) => values.push(Cow::Borrowed(if *truth { "true" } else { "false" })),
        (Value::Number(number), None) => values.push(Cow::Owned(number.to_string())),
        _ => {}
    }
}

fn is_picked(element: &Value, only: &str) -> bool {
    if only.eq_ignore_ascii_case("primary") {
        return element.get("primary") == Some(&Value::Bool(true));
    }
    ["type", "customType"]
        .iter()
        .any(|name| element.get(*name).and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(only)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(names: &[&str], user: &Value) -> Vec<Vec<String>> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let attributes = Attributes::parse(Kind::User, &names).unwrap();
        let values = attributes.values(user.as_object().unwrap());
        values.into_iter().map(|values| values.into_iter().map(Cow::into_owned).collect()).collect()
    }

    fn refusal(name: &str) -> String {
        Attributes::parse(Kind::User, &[name.to_owned()]).unwrap_err().to_string()
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let user = json!({
            "name": { "givenName": "Ada" },
            "aliases": ["a@example.com", "b@example.com"],
            "organizations": [{ "title": "Head" }, { "title": "Fellow", "primary": true }],
            "externalIds": [{ "value": "7", "type": "account" }, { "value": "42", "type": "organization" }],
            "customSchemas": { "Employment": {
                "costCenter": "CC-1", "grade": 7, "sites": [{ "type": "work", "value": "Berlin" }, { "value": "Kiel" }],
            } },
        });
        let names = [
            "name.givenName",
            "aliases",
            "organizations.title",
            "organizations.title;primary",
            "externalIds.value;organization",
            "externalIds",
            "customSchemas.Employment.costCenter",
            "customSchemas.Employment.grade",
            "customSchemas.Employment.sites",
            "customSchemas.Other.sites",
            "name.familyName",
        ];
        let found: [&[&str]; 11] = [
            &["Ada"],
            &["a@example.com", "b@example.com"],
            &["Head", "Fellow"],
            &["Fellow"],
            &["42"],
            &["7", "42"],
            &["CC-1"],
            &["7"],
            &["Berlin", "Kiel"],
            &[],
            &[],
        ];
        assert_eq!(values(&names, &user), found);
    }

    #[test]
    fn whoever_is_suspended_or_archived_is_not_active() {
        for (user, active) in [
            (json!({}), "true"),
            (json!({ "suspended": false, "archived": false }), "true"),
            (json!({ "suspended": true }), "false"),
            (json!({ "suspended": false, "archived": true }), "false"),
        ] {
            assert_eq!(values(&["active"], &user), [[active]], "{user}");
        }
    }

    #[test]
    fn what_google_does_not_have_is_refused_with_what_to_write() {
        assert!(refusal("mail").starts_with("mapping.user: Google's users have no `mail`; write a field"));
        assert!(refusal("primaryemail").contains("write `primaryEmail`, in which capital letters count"));
        assert!(refusal("name.given").contains("write one of `name.displayName`, `name.familyName`"));
        assert!(refusal("customSchemas.Employment").contains("customSchemas.SCHEMA.FIELD"));
        assert!(refusal("phones.value;work;primary").contains("picks elements twice"));
    }

    #[test]
    fn only_what_is_mapped_is_asked_for() {
        let names = ["id", "primaryEmail", "active", "customSchemas.A.x", "customSchemas.B.y", "customSchemas.A.z"];
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let attributes = Attributes::parse(Kind::User, &names).unwrap();
        assert_eq!(
            attributes.fields(&["customerId", "id"]),
            "archived,customSchemas,customerId,id,primaryEmail,suspended"
        );
        assert_eq!(attributes.custom_schemas(), "A,B");
    }
}
