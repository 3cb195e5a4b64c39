//! People and groups as they are handed to a snapshot.

use crate::capabilities::Fields;
use crate::password::{Password, UnusablePassword};

/// One person, before it goes into the columns of a snapshot. Meant to be reused: [`UserRecord::clear`] keeps the
/// allocations. An empty text means that the directory has no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserRecord {
    /// Immutable id in the directory this person was read from (LDAP `entryUUID`, SCIM `id`).
    pub id: String,
    /// In a target: the id of the person in the source it came from (SCIM `externalId`). Empty in a source.
    pub external_id: String,
    /// In a target: the version for conditional requests (SCIM `meta.version`), where announced.
    pub version: String,
    /// Primary address, as written.
    pub address: String,
    /// Further addresses of the same mailbox.
    pub aliases: Vec<String>,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Name as shown.
    pub display_name: String,
    /// Org unit as a path that begins with `/`.
    pub org_unit: String,
    /// Whether the person may use the service.
    pub active: bool,
    /// Further attributes, name and value, sorted by name.
    pub attributes: Vec<(String, String)>,
    /// In a source: the password, or why what stands there is none that could be given to any target.
    pub password: Option<Result<Password, UnusablePassword>>,
    /// In a source: fields whose value could not be told. They are empty here and stay as they are in the target.
    pub unknown: Fields,
    /// In a source: how many further addresses were passed over because they are none of mail.
    pub other_addresses: u32,
}

impl UserRecord {
    /// Empties every field and makes the person active, keeping the memory.
    pub fn clear(&mut self) {
        for text in [
            &mut self.id,
            &mut self.external_id,
            &mut self.version,
            &mut self.address,
            &mut self.given_name,
            &mut self.family_name,
            &mut self.display_name,
            &mut self.org_unit,
        ] {
            text.clear();
        }
        self.aliases.clear();
        self.attributes.clear();
        self.password = None;
        self.active = true;
        self.unknown = Fields::NONE;
        self.other_addresses = 0;
    }
}

/// One group without its members, before it goes into the columns of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRecord {
    /// Immutable id in the directory this group was read from.
    pub id: String,
    /// In a target: the id of the group in the source it came from. Empty in a source.
    pub external_id: String,
    /// In a target: the version for conditional requests, where announced.
    pub version: String,
    /// Address of the mailing list, if it is one.
    pub address: String,
    /// Name as shown.
    pub name: String,
    /// Description.
    pub description: String,
    /// In a source: fields whose value could not be told. They are empty here and stay as they are in the target.
    pub unknown: Fields,
}

impl GroupRecord {
    /// Empties every field, keeping the memory.
    pub fn clear(&mut self) {
        for text in [
            &mut self.id,
            &mut self.external_id,
            &mut self.version,
            &mut self.address,
            &mut self.name,
            &mut self.description,
        ] {
            text.clear();
        }
        self.unknown = Fields::NONE;
    }
}
