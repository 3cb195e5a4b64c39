//! The mappings of the tests of reading.

use std::sync::Arc;

use directory_sync_core::mapping::{GroupMapping, GroupMappingSpec, UserMapping, UserMappingSpec, Value};

fn attribute(name: &str) -> Value {
    Value::Attribute(name.to_owned())
}

/// People of the company in the peers' directory.
pub(crate) fn people() -> Arc<UserMapping> {
    let active = "!has(entry.employeeType) || entry.employeeType[0] != 'disabled'";
    let mapping = UserMapping::compile(&UserMappingSpec {
        id: Some(attribute("entryUUID")),
        email: Some(attribute("mail")),
        given_name: Some(attribute("givenName")),
        family_name: Some(attribute("sn")),
        display_name: Some(attribute("cn")),
        active: Some(Value::Cel(active.to_owned())),
        ..UserMappingSpec::default()
    });
    Arc::new(mapping.unwrap())
}

/// The same people, by other names of the same attributes.
#[allow(dead_code, reason = "not every test crate reads them")]
pub(crate) fn people_by_other_names() -> Arc<UserMapping> {
    let mapping = UserMapping::compile(&UserMappingSpec {
        id: Some(attribute("ENTRYUUID")),
        email: Some(attribute("rfc822Mailbox")),
        family_name: Some(attribute("surname")),
        display_name: Some(attribute("2.5.4.3")),
        ..UserMappingSpec::default()
    });
    Arc::new(mapping.unwrap())
}

/// Groups of the company in the peers' directory.
pub(crate) fn groups() -> Arc<GroupMapping> {
    let mapping = GroupMapping::compile(&GroupMappingSpec {
        id: Some(attribute("entryUUID")),
        email: Some(attribute("mail")),
        name: Some(attribute("cn")),
        description: Some(attribute("description")),
        members: vec![attribute("member")],
    });
    Arc::new(mapping.unwrap())
}
