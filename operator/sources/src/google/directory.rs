//! What is asked of the directory: people, groups and members, one function per call of the API.

use super::attribute::{Attributes, Object};
use super::client::{Call, Client, Page};
use super::config::GoogleConfig;
use super::error::GoogleError;
use serde_json::Value;

/// The most that Google gives per page, and so the fewest requests.
const USERS_PER_PAGE: &str = "500";
const GROUPS_PER_PAGE: &str = "200";
const MEMBERS_PER_PAGE: &str = "200";

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

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Immutable id of the user or group; of the customer if everybody is a member.
    pub(super) id: String,
    pub(super) kind: MemberKind,
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
}

impl Directory {
    pub(super) fn new(config: &GoogleConfig) -> Result<Self, GoogleError> {
        let (user_attributes, group_attributes) = config.validate()?;
        let scope = match &config.domain {
            Some(domain) => ("domain", domain.clone()),
            None => ("customer", config.customer.clone()),
        };
        Ok(Self {
            client: Client::new(config)?,
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
    pub(super) async fn users(&self, token: Option<&str>, address: Option<&str>) -> Result<Page, GoogleError> {
        let fields = format!("kind,nextPageToken,users({})", self.user_fields);
        let query = with_address(self.user_query.as_deref(), address);
        let mut parameters = vec![(self.scope.0, self.scope.1.as_str()), ("maxResults", USERS_PER_PAGE)];
        parameters.extend(query.as_deref().map(|query| ("query", query)));
        parameters.push(("fields", &fields));
        parameters.extend(self.projection());
        self.client
            .page(Call { path: &["users"], query: parameters, kind: "admin#directory#users" }, "users", token)
            .await
    }

    /// One person by immutable id (`users.get`); `None` if Google says that there is none.
    pub(super) async fn user(&self, id: &str) -> Result<Option<Object>, GoogleError> {
        let fields = format!("kind,{}", self.user_fields);
        let mut query = vec![("fields", fields.as_str())];
        query.extend(self.projection());
        found(self.client.get(&Call { path: &["users", id], query, kind: "admin#directory#user" }).await)
    }

    /// One page of the groups that the query selects (`groups.list`). With an `address`, only that group.
    pub(super) async fn groups(&self, token: Option<&str>, address: Option<&str>) -> Result<Page, GoogleError> {
        let fields = format!("kind,nextPageToken,groups({})", self.group_fields);
        let query = with_address(self.group_query.as_deref(), address);
        let mut parameters = vec![(self.scope.0, self.scope.1.as_str()), ("maxResults", GROUPS_PER_PAGE)];
        parameters.extend(query.as_deref().map(|query| ("query", query)));
        parameters.push(("fields", &fields));
        let call = Call { path: &["groups"], query: parameters, kind: "admin#directory#groups" };
        self.client.page(call, "groups", token).await
    }

    /// One group by address or immutable id (`groups.get`); `None` if Google says that there is none.
    pub(super) async fn group(&self, key: &str) -> Result<Option<Object>, GoogleError> {
        let fields = format!("kind,{}", self.group_fields);
        let query = vec![("fields", fields.as_str())];
        found(self.client.get(&Call { path: &["groups", key], query, kind: "admin#directory#group" }).await)
    }

    /// One page of a group's direct members (`members.list`).
    pub(super) async fn members(
        &self,
        group: &str,
        token: Option<&str>,
    ) -> Result<(Vec<Member>, Option<String>), GoogleError> {
        let call = Call {
            path: &["groups", group, "members"],
            query: vec![("maxResults", MEMBERS_PER_PAGE), ("fields", "kind,nextPageToken,members(id,type)")],
            kind: "admin#directory#members",
        };
        let Page { items, next } = self.client.page(call, "members", token).await?;
        Ok((items.iter().filter_map(member).collect(), next))
    }

    fn projection(&self) -> Vec<(&'static str, &str)> {
        if self.custom_schemas.is_empty() {
            return vec![("projection", "basic")];
        }
        vec![("projection", "custom"), ("customFieldMask", &self.custom_schemas)]
    }
}

/// A text of a resource; empty if there is none.
pub(super) fn text<'o>(object: &'o Object, field: &str) -> &'o str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The immutable id of a resource; empty if there is none, or what stands there cannot be one.
pub(super) fn id(object: &Object) -> &str {
    let id = text(object, "id");
    if id.len() <= ID_CAP { id } else { "" }
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

/// An absence in Google's own words is an answer.
fn found(answer: Result<Object, GoogleError>) -> Result<Option<Object>, GoogleError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(GoogleError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A member that has an id. One without (an address that belongs to nobody any more) cannot be anybody here.
pub(super) fn member(object: &Object) -> Option<Member> {
    let id = id(object);
    let kind = match text(object, "type") {
        "GROUP" => MemberKind::Group,
        "CUSTOMER" => MemberKind::Customer,
        _ => MemberKind::User,
    };
    (!id.is_empty()).then(|| Member { id: id.to_owned(), kind })
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
