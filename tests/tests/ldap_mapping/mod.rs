//! The simplest mapping there is, for tests of reading alone.

use directory_sync_core::mapping::Entry;
use directory_sync_core::snapshot::{GroupRecord, UserRecord};
use directory_sync_sources::ldap::{GroupMapping, PersonMapping};

/// Takes `entryUUID`, `mail`, `givenName`, `sn`, `cn` and `employeeType` of people (`disabled` is inactive), and
/// `entryUUID`, `mail`, `cn`, `description` and `member` of groups.
#[derive(Debug, Clone)]
pub(crate) struct AttributeMapping {
    user: Vec<String>,
    group: Vec<String>,
}

impl Default for AttributeMapping {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            user: names(&["entryUUID", "mail", "givenName", "sn", "cn", "employeeType"]),
            group: names(&["entryUUID", "mail", "cn", "description", "member"]),
        }
    }
}

fn take(entry: &Entry<'_>, place: usize, field: &mut String, malformed: &mut u64) {
    let Some(value) = entry.values.get(place).and_then(|values| values.first()) else { return };
    match std::str::from_utf8(value) {
        Ok(text) => field.push_str(text),
        Err(_) => *malformed += 1,
    }
}

impl PersonMapping for AttributeMapping {
    fn attributes(&self) -> &[String] {
        &self.user
    }

    fn id_attribute(&self) -> Option<&str> {
        Some("entryUUID")
    }

    fn map(&self, entry: &Entry<'_>, record: &mut UserRecord, malformed: &mut u64) -> bool {
        let mut kind = String::new();
        let fields = [
            &mut record.id,
            &mut record.address,
            &mut record.given_name,
            &mut record.family_name,
            &mut record.display_name,
        ];
        for (place, field) in fields.into_iter().chain([&mut kind]).enumerate() {
            take(entry, place, field, malformed);
        }
        record.active = kind != "disabled";
        !record.id.is_empty()
    }
}

impl GroupMapping for AttributeMapping {
    fn attributes(&self) -> &[String] {
        &self.group
    }

    fn id_attribute(&self) -> Option<&str> {
        Some("entryUUID")
    }

    fn map(&self, entry: &Entry<'_>, record: &mut GroupRecord, malformed: &mut u64) -> bool {
        let fields = [&mut record.id, &mut record.address, &mut record.name, &mut record.description];
        for (place, field) in fields.into_iter().enumerate() {
            take(entry, place, field, malformed);
        }
        !record.id.is_empty()
    }

    fn members<'e>(&self, entry: &Entry<'e>) -> &'e [&'e [u8]] {
        entry.values.get(4).map(Vec::as_slice).unwrap_or_default()
    }
}
