//! What is asked of the directory: people, groups and members, one function per call of the API.

use super::attribute::{Attributes, Object};
use super::client::{Call, Client};
use super::config::GoogleConfig;
use super::error::GoogleError;
use super::page::{Kept, List, Page};
use serde_json::Value;
use std::borrow::Cow;

/// The most that Google gives per page, and so the fewest requests.
pub(super) const USERS: List = List { kind: "admin#directory#users", name: "users", most: 500 };
pub(super) const GROUPS: List = List { kind: "admin#directory#groups", name: "groups", most: 200 };
pub(super) const MEMBERS: List = List { kind: "admin#directory#members", name: "members", most: 200 };

/// Longest pages, in bytes. A page of 500 users with everything about them has a few megabytes. Of pages with members,
/// many are under way at once.
const USERS_CAP: usize = 32 << 20;
const GROUPS_CAP: usize = 8 << 20;
const MEMBERS_CAP: usize = 256 << 10;

/// Longest id that is one, in bytes. Google's have about twenty.
pub(super) const ID_CAP: usize = 128;

/// The directory with what is asked for of each person and group.
#[derive(Debug)]
pub(super) struct Directory {
    client: Client,
    pub(super) user_attributes: Attributes,
    pub(super) group_attributes: Attributes,
    /// `customer` or `domain`, whose people and groups are listed.
    scope: (&'static str, String),
    user_query: Option<String>,
    group_query: Option<String>,
    user_fields: String,
    group_fields: String,
    /// Custom schemas that the mapping needs; empty: none.
    custom_schemas: String,
}

/// A user or a group, as far as it is needed.
#[derive(Debug)]
pub(super) struct Entry {
    /// Immutable id, which is never empty.
    pub(super) id: String,
    /// Primary address; empty if there is none.
    pub(super) address: String,
    /// Immutable id of the customer; empty for groups, of which Google does not say it.
    pub(super) customer: String,
    /// That it was deleted and can still be restored.
    pub(super) is_deleted: bool,
    /// The values of each attribute in the mapping's order.
    pub(super) values: Vec<Vec<String>>,
}

impl Entry {
    /// The values as the mapping takes them.
    pub(super) fn borrowed(&self) -> Vec<Vec<&[u8]>> {
        self.values.iter().map(|values| values.iter().map(String::as_bytes).collect()).collect()
    }
}

impl Kept for Entry {
    fn size(&self) -> usize {
        let texts = self.values.iter().flatten().chain([&self.id, &self.address, &self.customer]);
        size_of::<Self>() + texts.map(|text| size_of::<String>() + 16 + text.len()).sum::<usize>()
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Immutable id of the user or group; of the customer if everybody is a member.
    pub(super) id: String,
    pub(super) kind: MemberKind,
}

impl Kept for Member {
    fn size(&self) -> usize {
        size_of::<Self>() + self.id.len()
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberKind {
    /// A user, of this customer or of another.
    User,
    /// A group.
    Group,
    /// Every user of a customer.
    Customer,
    /// An address elsewhere, which can be nobody here.
    Stranger,
    /// What of a member cannot be told, so that it is not known who the members are.
    Unclear,
}

impl Directory {
    pub(super) fn new(config: &GoogleConfig) -> Result<Self, GoogleError> {
        let (user_attributes, group_attributes) = config.validate()?;
        let scope = match &config.domain {
            Some(domain) => ("domain", domain.clone()),
            None => ("customer", config.customer.clone()),
        };
        Ok(Self {
            client: Client::new(config, &config.scopes())?,
            scope,
            user_query: config.user_query.clone(),
            group_query: config.groups.as_ref().and_then(|groups| groups.query.clone()),
            user_fields: user_attributes.fields(&["id", "customerId", "primaryEmail", "deletionTime"]),
            group_fields: group_attributes.fields(&["id", "email"]),
            custom_schemas: user_attributes.custom_schemas(),
            user_attributes,
            group_attributes,
        })
    }

    /// Where it is, for messages.
    pub(super) fn url(&self) -> &str {
        self.client.base()
    }

    /// One page of the people who are in scope of `userQuery` (`users.list`). With an `address`, only that person.
    pub(super) async fn users(&self, token: Option<&str>, address: Option<&str>) -> Result<Page<Entry>, GoogleError> {
        let fields = format!("kind,nextPageToken,users({})", self.user_fields);
        let (query, most) = (with_address(self.user_query.as_deref(), address), USERS.most.to_string());
        let mut parameters = vec![(self.scope.0, self.scope.1.as_str()), ("maxResults", &most)];
        parameters.extend(query.as_deref().map(|query| ("query", query)));
        parameters.push(("fields", &fields));
        parameters.extend(self.projection());
        let call = Call { path: &["users"], query: parameters };
        self.client.page(call, USERS, USERS_CAP, token, |user| self.user_entry(user)).await
    }

    /// One person by immutable id (`users.get`); `None` if Google says that there is none.
    pub(super) async fn user(&self, id: &str) -> Result<Option<Entry>, GoogleError> {
        let fields = format!("kind,{}", self.user_fields);
        let mut query = vec![("fields", fields.as_str())];
        query.extend(self.projection());
        let answer = self.client.get(&Call { path: &["users", id], query }, "admin#directory#user").await;
        self.found(answer, |user| self.user_entry(user))
    }

    /// One page of the groups that the query selects (`groups.list`). With an `address`, only that group.
    pub(super) async fn groups(&self, token: Option<&str>, address: Option<&str>) -> Result<Page<Entry>, GoogleError> {
        let fields = format!("kind,nextPageToken,groups({})", self.group_fields);
        let (query, most) = (with_address(self.group_query.as_deref(), address), GROUPS.most.to_string());
        let mut parameters = vec![(self.scope.0, self.scope.1.as_str()), ("maxResults", &most)];
        parameters.extend(query.as_deref().map(|query| ("query", query)));
        parameters.push(("fields", &fields));
        let call = Call { path: &["groups"], query: parameters };
        self.client.page(call, GROUPS, GROUPS_CAP, token, |group| self.group_entry(group)).await
    }

    /// One group by address or immutable id (`groups.get`); `None` if Google says that there is none.
    pub(super) async fn group(&self, key: &str) -> Result<Option<Entry>, GoogleError> {
        let fields = format!("kind,{}", self.group_fields);
        let query = vec![("fields", fields.as_str())];
        let answer = self.client.get(&Call { path: &["groups", key], query }, "admin#directory#group").await;
        self.found(answer, |group| self.group_entry(group))
    }

    /// One page of a group's direct members (`members.list`).
    pub(super) async fn members(&self, group: &str, token: Option<&str>) -> Result<Page<Member>, GoogleError> {
        let most = MEMBERS.most.to_string();
        let query = vec![("maxResults", most.as_str()), ("fields", "kind,nextPageToken,members(id,type)")];
        let call = Call { path: &["groups", group, "members"], query };
        self.client.page(call, MEMBERS, MEMBERS_CAP, token, |one| Ok(member(one))).await
    }

    pub(super) fn user_entry(&self, user: &Object) -> Result<Entry, String> {
        entry(user, "user", "primaryEmail", &self.user_attributes)
    }

    pub(super) fn group_entry(&self, group: &Object) -> Result<Entry, String> {
        entry(group, "group", "email", &self.group_attributes)
    }

    /// An absence in Google's own words is an answer.
    fn found(
        &self,
        answer: Result<Object, GoogleError>,
        entry: impl Fn(&Object) -> Result<Entry, String>,
    ) -> Result<Option<Entry>, GoogleError> {
        match answer {
            Ok(object) => {
                let not_google = |found| GoogleError::NotGoogle { url: self.url().to_owned(), found };
                entry(&object).map(Some).map_err(not_google)
            }
            Err(GoogleError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn projection(&self) -> Vec<(&'static str, &str)> {
        if self.custom_schemas.is_empty() {
            return vec![("projection", "basic")];
        }
        vec![("projection", "custom"), ("customFieldMask", &self.custom_schemas)]
    }
}

/// A text of a resource; empty if there is none.
fn text<'o>(object: &'o Object, field: &str) -> &'o str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The immutable id of a resource; empty if there is none, or what stands there cannot be one.
fn id(object: &Object) -> &str {
    let id = text(object, "id");
    if id.len() <= ID_CAP { id } else { "" }
}

/// What is needed of a resource. Google's always have an id, and one without would be missing from the read.
pub(super) fn entry(object: &Object, what: &str, address: &str, attributes: &Attributes) -> Result<Entry, String> {
    let id = id(object);
    if id.is_empty() {
        return Err(format!("a {what} without an id"));
    }
    let values = attributes.values(object).into_iter();
    Ok(Entry {
        id: id.to_owned(),
        address: text(object, address).to_owned(),
        customer: text(object, "customerId").to_owned(),
        is_deleted: object.contains_key("deletionTime"),
        values: values.map(|values| values.into_iter().map(Cow::into_owned).collect()).collect(),
    })
}

/// A query that selects one object of those that the query selects. Terms stand for "and".
fn with_address(query: Option<&str>, address: Option<&str>) -> Option<String> {
    match (query, address) {
        (query, None) => query.map(str::to_owned),
        (query, Some(address)) => {
            let address = address.replace('\\', "\\\\").replace('\'', "\\'");
            Some(format!("{} email='{address}'", query.unwrap_or_default()).trim_start().to_owned())
        }
    }
}

/// What a member is, as far as it can be told. Only somebody of whom Google says that they are elsewhere may be without
/// an id: everybody else could be one of the people here.
pub(super) fn member(object: &Object) -> Member {
    let id = id(object);
    let kind = match text(object, "type") {
        "EXTERNAL" if id.is_empty() => MemberKind::Stranger,
        _ if id.is_empty() => MemberKind::Unclear,
        "USER" | "EXTERNAL" => MemberKind::User,
        "GROUP" => MemberKind::Group,
        "CUSTOMER" => MemberKind::Customer,
        _ => MemberKind::Unclear,
    };
    Member { id: id.to_owned(), kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_narrowed_to_one_address() {
        assert_eq!(with_address(None, None), None);
        assert_eq!(with_address(Some("isAdmin=true"), None).unwrap(), "isAdmin=true");
        assert_eq!(with_address(None, Some("o'neil@x")).unwrap(), r"email='o\'neil@x'");
        assert_eq!(with_address(Some("isAdmin=true"), Some("a@x")).unwrap(), "isAdmin=true email='a@x'");
    }
}
