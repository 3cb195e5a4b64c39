//! What a service says about itself: `ServiceProviderConfig` and `Schemas` (RFC 7644 §4), read with mistrust.

use super::attribute::{self, Object};
use super::client::{Call, Client};
use super::config::{PagingChoice, ScimConfig, UpdateChoice};
use super::error::ScimError;
use directory_sync_core::capabilities::{Capabilities, Field, Fields};
use directory_sync_core::password::PasswordScheme;
use std::collections::BTreeMap;

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// How a service is used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent answers of one service")]
pub(super) struct Profile {
    /// Whether objects are changed by PATCH; otherwise by PUT.
    pub patch: bool,
    /// Whether lists can be filtered.
    pub filter: bool,
    /// Whether objects have versions for conditional requests.
    pub etag: bool,
    /// Whether pages are asked for by cursor; otherwise by index.
    pub cursor: bool,
    /// Objects asked for per page.
    pub page_size: u64,
    /// Where the fields of people go.
    pub user: UserPlaces,
    /// Whether groups have a description.
    pub group_description: bool,
    /// Whether groups can be members.
    pub nested_groups: bool,
}

/// Which fields of a person the service has a place for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent answers of one service")]
pub(super) struct UserPlaces {
    /// `emails`, with the sub-attributes that are there.
    pub emails: Option<EmailPlaces>,
    /// `name.givenName`.
    pub given_name: bool,
    /// `name.familyName`.
    pub family_name: bool,
    /// `name.formatted`.
    pub formatted: bool,
    /// `displayName`.
    pub display_name: bool,
    /// `active`.
    pub active: bool,
    /// `password` (RFC 7643 §4.1.1): clear text, which goes over TLS only.
    pub password: bool,
    /// Further attributes that the mapping uses: name, and the schema that holds it.
    pub attributes: BTreeMap<String, Holder>,
}

/// Sub-attributes of `emails` that a service knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EmailPlaces {
    /// `type`.
    pub kind: bool,
    /// `primary`.
    pub primary: bool,
}

/// Where an attribute stands in the JSON of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// At the top.
    Core,
    /// In the object of an extension, under its URN (RFC 7643 §3.3).
    Extension(String),
}

/// Asks the service.
pub(super) async fn discover(client: &Client, config: &ScimConfig) -> Result<Profile, ScimError> {
    let provider = client.send(&Call::get("discover", &["ServiceProviderConfig"])).await?.body;
    let schemas = match client.send(&Call::get("discover", &["Schemas"])).await {
        Ok(reply) => Schemas::of(&reply.body),
        // Services that do not tell are taken to have what the RFC describes.
        Err(ScimError::Forbidden { .. } | ScimError::ServerError { status: 501, .. }) => Schemas::default(),
        Err(error) if error.refusal().is_some() => Schemas::default(),
        Err(error) => return Err(error),
    };
    let places = ["patch", "filter", "etag", "bulk", "sort", "authenticationSchemes"];
    if !places.iter().any(|name| attribute::get(&provider, name).is_some()) {
        let url = client.url(&["ServiceProviderConfig"]).into();
        return Err(ScimError::NotScim { url, found: "JSON that describes no SCIM service".to_owned() });
    }
    Ok(profile(&provider, &schemas, config))
}

fn profile(provider: &Object, schemas: &Schemas, config: &ScimConfig) -> Profile {
    let supported = |name| attribute::object(provider, name).and_then(|it| attribute::truth(it, "supported"));
    let pagination = attribute::object(provider, "pagination");
    let announced = pagination.and_then(|it| attribute::truth(it, "cursor")) == Some(true);
    let bounds = [
        attribute::object(provider, "filter").and_then(|it| attribute::count(it, "maxResults")),
        pagination.and_then(|it| attribute::count(it, "maxPageSize")),
    ];
    let bound = bounds.into_iter().flatten().filter(|&bound| bound > 0).min().unwrap_or(u64::MAX);
    Profile {
        patch: match config.update_method {
            UpdateChoice::Auto => supported("patch") == Some(true),
            UpdateChoice::Patch => true,
            UpdateChoice::Put => false,
        },
        filter: supported("filter") == Some(true),
        etag: supported("etag") == Some(true),
        cursor: match config.paging {
            PagingChoice::Auto => announced,
            PagingChoice::Index => false,
            PagingChoice::Cursor => true,
        },
        page_size: bound.min(u64::from(config.page_size.get())),
        user: schemas.user_places(config),
        group_description: schemas.attribute(GROUP, "description").is_some_and(writable),
        nested_groups: schemas.nested_groups(),
    }
}

impl Profile {
    /// What the plan may use of the service with this identity.
    pub(super) fn capabilities(&self, target: String) -> Capabilities {
        let user = &self.user;
        let user_fields = [
            (Field::ExternalId, true),
            (Field::Email, true),
            (Field::Aliases, user.emails.is_some()),
            (Field::GivenName, user.given_name),
            (Field::FamilyName, user.family_name),
            (Field::DisplayName, user.display_name),
            (Field::Active, user.active),
            (Field::Attributes, !user.attributes.is_empty()),
            (Field::Password, user.password),
        ];
        let group_fields = [
            (Field::ExternalId, true),
            (Field::Name, true),
            (Field::Description, self.group_description),
            (Field::Members, true),
        ];
        let present = |fields: &[(Field, bool)]| {
            Fields::of(fields.iter().filter(|(_, present)| *present).map(|(field, _)| *field))
        };
        Capabilities {
            target,
            user_fields: present(&user_fields),
            group_fields: present(&group_fields),
            attributes: user.attributes.keys().cloned().collect(),
            passwords: user.password.then_some(PasswordScheme::Clear).into_iter().collect(),
            nested_groups: self.nested_groups,
        }
    }
}

/// The schemas of a service by URN (RFC 7643 §7); empty where it does not tell.
#[derive(Debug, Default)]
struct Schemas(Vec<(String, Object)>);

impl Schemas {
    fn of(list: &Object) -> Self {
        let schemas = attribute::objects(list, "Resources");
        Self(schemas.map(|schema| (attribute::text(schema, "id").to_owned(), schema.clone())).collect())
    }

    fn schema(&self, urn: &str) -> Option<&Object> {
        self.0.iter().find(|(id, _)| id.eq_ignore_ascii_case(urn)).map(|(_, schema)| schema)
    }

    fn attribute(&self, urn: &str, name: &str) -> Option<&Object> {
        named(attribute::objects(self.schema(urn)?, "attributes"), name)
    }

    fn user_places(&self, config: &ScimConfig) -> UserPlaces {
        let known = self.schema(USER).is_some();
        let has = |name: &str, sub: Option<&str>| {
            !known
                || self.attribute(USER, name).is_some_and(|attribute| match sub {
                    None => writable(attribute),
                    Some(sub) => sub_attribute(attribute, sub).is_some_and(writable),
                })
        };
        let emails = has("emails", None)
            .then(|| EmailPlaces { kind: has("emails", Some("type")), primary: has("emails", Some("primary")) });
        UserPlaces {
            emails,
            given_name: has("name", Some("givenName")),
            family_name: has("name", Some("familyName")),
            formatted: known && has("name", Some("formatted")),
            display_name: has("displayName", None),
            active: has("active", None),
            password: has("password", None) && config.url.scheme() == "https",
            attributes: config
                .attributes
                .iter()
                .filter_map(|name| Some((name.clone(), self.place_of_attribute(name)?)))
                .collect(),
        }
    }

    /// The schema that holds a further attribute of people.
    fn place_of_attribute(&self, name: &str) -> Option<Holder> {
        const CORE: [&str; 6] = ["title", "nickName", "userType", "preferredLanguage", "locale", "timezone"];
        const EXTENSION: [&str; 5] = ["employeeNumber", "costCenter", "organization", "division", "department"];
        if self.schema(USER).is_none() {
            if CORE.contains(&name) {
                return Some(Holder::Core);
            }
            return EXTENSION.contains(&name).then(|| Holder::Extension(ENTERPRISE.to_owned()));
        }
        if self.attribute(USER, name).is_some_and(plain_text) {
            // The fields of the model have their own place and are not written a second time.
            return (!["userName", "displayName", "password"].contains(&name)).then_some(Holder::Core);
        }
        let extensions = self.0.iter().filter(|(urn, _)| ![USER, GROUP].contains(&urn.as_str()));
        extensions
            .filter(|(urn, _)| urn.contains(":extension:") && urn.ends_with(":User") || urn == ENTERPRISE)
            .find(|(_, schema)| named(attribute::objects(schema, "attributes"), name).is_some_and(plain_text))
            .map(|(urn, _)| Holder::Extension(urn.clone()))
    }

    fn nested_groups(&self) -> bool {
        let Some(members) = self.attribute(GROUP, "members") else { return self.schema(GROUP).is_none() };
        let lists = |sub: &str, list: &str| {
            let values = sub_attribute(members, sub).and_then(|sub| attribute::get(sub, list)?.as_array());
            values.map(|values| values.iter().any(|value| value.as_str() == Some("Group")))
        };
        lists("$ref", "referenceTypes").or_else(|| lists("type", "canonicalValues")).unwrap_or(true)
    }
}

fn named<'o>(mut attributes: impl Iterator<Item = &'o Object>, name: &str) -> Option<&'o Object> {
    attributes.find(|attribute| attribute::text(attribute, "name").eq_ignore_ascii_case(name))
}

fn sub_attribute<'o>(attribute: &'o Object, name: &str) -> Option<&'o Object> {
    named(attribute::objects(attribute, "subAttributes"), name)
}

fn writable(attribute: &Object) -> bool {
    attribute::text(attribute, "mutability") != "readOnly"
}

fn plain_text(attribute: &Object) -> bool {
    let kind = attribute::text(attribute, "type");
    writable(attribute)
        && (kind == "string" || kind.is_empty())
        && attribute::truth(attribute, "multiValued") != Some(true)
        && attribute::text(attribute, "mutability") != "writeOnly"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use url::Url;

    fn config(attributes: &[&str]) -> ScimConfig {
        let mut config = ScimConfig::new(Url::parse("https://example.com").unwrap(), "t".into());
        config.attributes = attributes.iter().map(|&name| name.to_owned()).collect();
        config
    }

    fn object(value: &Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_service_that_says_nothing_is_used_by_put_index_and_without_filter() {
        let profile = profile(&Object::new(), &Schemas::default(), &config(&["title", "department", "shoeSize"]));
        assert!(!profile.patch && !profile.filter && !profile.etag && !profile.cursor);
        assert_eq!(profile.page_size, 100);
        let capabilities = profile.capabilities("scim https://example.com".to_owned());
        assert_eq!(capabilities.attributes.iter().collect::<Vec<_>>(), ["department", "title"]);
        assert_eq!(capabilities.target, "scim https://example.com");
        assert!(!capabilities.user_fields.contains(Field::OrgUnit));
    }

    #[test]
    fn what_is_announced_is_used_within_its_bounds() {
        let provider = object(&json!({
            "patch": {"supported": true}, "filter": {"supported": true, "maxResults": 50}, "etag": {"supported": true},
            "pagination": {"cursor": true, "index": true, "maxPageSize": 20},
        }));
        let profile = profile(&provider, &Schemas::default(), &config(&[]));
        assert!(profile.patch && profile.filter && profile.etag && profile.cursor);
        assert_eq!(profile.page_size, 20);
    }

    #[test]
    fn the_resource_may_overrule_what_is_announced() {
        let provider = object(&json!({"patch": {"supported": true}, "pagination": {"cursor": true}}));
        let mut config = config(&[]);
        config.update_method = UpdateChoice::Put;
        config.paging = PagingChoice::Index;
        let profile = profile(&provider, &Schemas::default(), &config);
        assert!(!profile.patch && !profile.cursor);
    }

    #[test]
    fn schemas_decide_which_fields_have_a_place() {
        let schemas = Schemas::of(&object(&json!({"Resources": [
            {"id": USER, "attributes": [
                {"name": "userName", "type": "string"},
                {"name": "active", "type": "boolean", "mutability": "readOnly"},
                {"name": "emails", "multiValued": true, "subAttributes": [{"name": "value"}, {"name": "type"}]},
                {"name": "name", "subAttributes": [{"name": "familyName"}]},
            ]},
            {"id": ENTERPRISE, "attributes": [{"name": "department", "type": "string"}]},
            {"id": GROUP, "attributes": [{"name": "members", "subAttributes": [
                {"name": "$ref", "referenceTypes": ["User"]}]}]},
        ]})));
        let profile = profile(&Object::new(), &schemas, &config(&["department", "title", "userName"]));
        assert_eq!(profile.user.emails, Some(EmailPlaces { kind: true, primary: false }));
        assert!(!profile.user.active && !profile.user.given_name && profile.user.family_name);
        assert!(!profile.nested_groups);
        assert_eq!(
            profile.user.attributes.into_iter().collect::<Vec<_>>(),
            [("department".to_owned(), Holder::Extension(ENTERPRISE.to_owned()))]
        );
    }
}
