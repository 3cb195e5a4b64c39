//! Reading all people and groups of a service.
//!
//! The primary address of a person is `userName` where that is an address, and the primary e-mail otherwise; the
//! other e-mails are the aliases. A person without `active` is active (RFC 7643 §4.1.1 gives no default; services
//! that leave it out have nobody suspended).

use super::attribute::{self, Object};
use super::client::{Call, Client};
use super::discovery::{Holder, Profile, UserPlaces};
use super::error::ScimError;
use super::list::List;
use directory_sync_core::address;
use directory_sync_core::disposition::Classified as _;
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, Section, TargetSide};
use directory_sync_core::snapshot::{Group, GroupRecord, GroupRow, User, UserRecord};
use serde_json::Value;

/// Longest text of one value that is taken, in bytes; a longer one counts as malformed.
const VALUE_CAP: usize = 16 << 10;

/// Reads everything.
pub(super) async fn read(client: &Client, profile: &Profile) -> Result<CompleteRead<TargetSide>, ScimError> {
    let mut read = Read::start(ReadCaps::default());
    users(client, profile, &mut read).await?;
    groups(client, profile, &mut read).await?;
    Ok(read.finish()?)
}

async fn users(client: &Client, profile: &Profile, read: &mut Read<TargetSide>) -> Result<(), ScimError> {
    let section = read.open(format!("the people of {}", client.url(&["Users"])));
    let mut list = List::new(client, profile, "Users", None);
    let mut record = UserRecord::default();
    while let Some(page) = list.page().await? {
        for resource in &page.resources {
            read.skipped_mut().malformed_values += user(resource, &profile.user, &mut record);
            let reference = read.referencer().reference(record.id.as_bytes());
            read.user(section, reference, &record)?;
        }
        read.page(section, next(page.next.as_deref()))?;
    }
    Ok(())
}

async fn groups(client: &Client, profile: &Profile, read: &mut Read<TargetSide>) -> Result<(), ScimError> {
    let section = read.open(format!("the groups of {}", client.url(&["Groups"])));
    let mut list = List::new(client, profile, "Groups", None);
    let mut record = GroupRecord::default();
    let mut lists_members = false;
    let mut without_members = Vec::new();
    while let Some(page) = list.page().await? {
        for resource in &page.resources {
            let id = attribute::text(resource, "id");
            group(resource, profile, &mut record);
            let reference = read.referencer().reference(id.as_bytes());
            let row = read.group(section, reference, &record)?;
            if attribute::get(resource, "members").is_some() {
                lists_members = true;
                members(read, section, row, resource)?;
            } else {
                without_members.push((row, id.to_owned()));
            }
        }
        if page.next.is_none() && !lists_members {
            // Either all groups are empty, or lists come without members here (they may: RFC 7643 §7, "returned").
            for (row, id) in std::mem::take(&mut without_members) {
                match client.send(&Call::get("get", &["Groups", &id])).await {
                    Ok(reply) => members(read, section, row, &reply.body)?,
                    Err(error) if error.refusal() == Some(404) => {
                        return Err(ScimError::ListIncomplete {
                            url: client.url(&["Groups"]).into(),
                            what: "a group disappeared while it was read".to_owned(),
                        });
                    }
                    Err(error) => {
                        tracing::warn!(reason = error.reason(), "the members of a group cannot be read");
                        tracing::debug!(%error, "the members of a group cannot be read");
                        read.members_unknown(row);
                    }
                }
            }
        }
        read.page(section, next(page.next.as_deref()))?;
    }
    Ok(())
}

fn next(position: Option<&str>) -> Next<'_> {
    position.map_or(Next::End, |position| Next::Page(position.as_bytes()))
}

fn members(read: &mut Read<TargetSide>, section: Section, row: GroupRow, group: &Object) -> Result<(), ScimError> {
    match attribute::get(group, "members") {
        None => {}
        Some(Value::Array(_)) => {
            for member in attribute::objects(group, "members") {
                let reference = read.referencer().reference(attribute::text(member, "value").as_bytes());
                read.member(section, row, reference)?;
            }
        }
        Some(_) => read.members_unknown(row),
    }
    Ok(())
}

/// Fills a record from a SCIM user and returns how many values could not be used.
fn user(resource: &Object, places: &UserPlaces, record: &mut UserRecord) -> u64 {
    record.clear();
    let mut malformed = 0;
    let mut take = |into: &mut String, value: &str| {
        if value.len() > VALUE_CAP {
            malformed += 1;
        } else {
            into.push_str(value);
        }
    };
    identity(resource, &mut record.id, &mut record.external_id, &mut record.version);
    take(&mut record.address, primary_address(resource));
    if let Some(name) = attribute::object(resource, "name") {
        take(&mut record.given_name, attribute::text(name, "givenName"));
        take(&mut record.family_name, attribute::text(name, "familyName"));
    }
    take(&mut record.display_name, attribute::text(resource, "displayName"));
    for (name, holder) in &places.attributes {
        let holder = match holder {
            Holder::Core => Some(resource),
            Holder::Extension(urn) => attribute::object(resource, urn),
        };
        let value = holder.map_or("", |holder| attribute::text(holder, name));
        if !value.is_empty() && value.len() <= VALUE_CAP {
            record.attributes.push((name.clone(), value.to_owned()));
        }
    }
    for email in attribute::objects(resource, "emails") {
        let value = attribute::text(email, "value");
        if value.is_empty() || address::same(value, &record.address) {
            continue;
        }
        if address::is_plausible(value) {
            if !record.aliases.iter().any(|alias| address::same(alias, value)) {
                record.aliases.push(value.to_owned());
            }
        } else {
            malformed += 1;
        }
    }
    record.active = attribute::truth(resource, "active").unwrap_or(true);
    malformed
}

/// The primary address of a SCIM user; empty where there is none.
pub(super) fn primary_address(user: &Object) -> &str {
    let name = attribute::text(user, "userName");
    if name.contains('@') {
        return name;
    }
    let marked = attribute::objects(user, "emails").find(|email| attribute::truth(email, "primary") == Some(true));
    let email = marked.or_else(|| attribute::objects(user, "emails").next());
    email.map_or("", |email| attribute::text(email, "value"))
}

fn group(resource: &Object, profile: &Profile, record: &mut GroupRecord) {
    record.clear();
    identity(resource, &mut record.id, &mut record.external_id, &mut record.version);
    record.name.push_str(attribute::text(resource, "displayName"));
    if profile.group_description {
        record.description.push_str(attribute::text(resource, "description"));
    }
}

/// Whether an object is still the person that was read, as far as people are compared.
pub(super) fn is_still_user(resource: &Object, places: &UserPlaces, read: User<'_>) -> bool {
    let mut record = UserRecord::default();
    user(resource, places, &mut record);
    let texts = [
        (&record.external_id, read.external_id()),
        (&record.address, read.address()),
        (&record.given_name, read.given_name()),
        (&record.family_name, read.family_name()),
        (&record.display_name, read.display_name()),
    ];
    texts.into_iter().all(|(now, then)| now == then)
        && record.active == read.active()
        && record.aliases.iter().eq(read.aliases())
        && record.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(read.attributes())
}

/// Whether an object is still the group that was read, its members aside.
pub(super) fn is_still_group(resource: &Object, profile: &Profile, read: Group<'_>) -> bool {
    let mut record = GroupRecord::default();
    group(resource, profile, &mut record);
    let texts = [
        (&record.external_id, read.external_id()),
        (&record.name, read.name()),
        (&record.description, read.description()),
    ];
    texts.into_iter().all(|(now, then)| now == then)
}

fn identity(resource: &Object, id: &mut String, external_id: &mut String, version: &mut String) {
    id.push_str(attribute::text(resource, "id"));
    external_id.push_str(attribute::text(resource, "externalId"));
    version.push_str(attribute::version(resource));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn record(resource: &Value) -> UserRecord {
        let places = UserPlaces {
            emails: None,
            given_name: true,
            family_name: true,
            formatted: false,
            display_name: true,
            active: true,
            password: true,
            attributes: BTreeMap::from([
                ("department".to_owned(), Holder::Extension("urn:x:User".to_owned())),
                ("title".to_owned(), Holder::Core),
            ]),
        };
        let mut record = UserRecord::default();
        user(resource.as_object().unwrap(), &places, &mut record);
        record
    }

    #[test]
    fn the_user_name_is_the_address_and_the_other_emails_are_aliases() {
        let record = record(&json!({
            "id": "1", "externalId": "e", "userName": "ada@example.com", "meta": {"version": "W/\"1\""},
            "name": {"givenName": "Ada", "familyName": "L"}, "displayName": "Ada L", "title": "Dr",
            "emails": [{"value": "ADA@example.com", "primary": true}, {"value": "al@example.com"},
                       {"value": "AL@example.com"}, {"value": "no address"}],
            "urn:x:User": {"department": "Sales"},
        }));
        assert_eq!((record.id.as_str(), record.external_id.as_str(), record.version.as_str()), ("1", "e", "W/\"1\""));
        assert_eq!(record.address, "ada@example.com");
        assert_eq!(record.aliases, ["al@example.com"]);
        assert_eq!((record.given_name.as_str(), record.display_name.as_str()), ("Ada", "Ada L"));
        assert_eq!(record.attributes[0], ("department".to_owned(), "Sales".to_owned()));
        assert!(record.active);
    }

    #[test]
    fn where_the_user_name_is_no_address_the_primary_email_is() {
        let record = record(&json!({
            "id": "1", "userName": "ada", "active": false,
            "emails": [{"value": "x@example.com"}, {"value": "ada@example.com", "primary": true}],
        }));
        assert_eq!(record.address, "ada@example.com");
        assert_eq!(record.aliases, ["x@example.com"]);
        assert!(!record.active);
    }
}
