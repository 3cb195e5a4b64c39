//! People and groups as they are mapped, for people and for programs.

use std::fmt::Write as _;

use directory_sync_core::snapshot::{Group, User};
use serde::{Serialize, Serializer};

/// One person or group with the fields that have a value.
#[derive(Debug, Default)]
pub struct Mapped(Vec<(String, String)>);

impl Serialize for Mapped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, value)| (field, value)))
    }
}

impl Mapped {
    /// A person.
    pub fn user(user: User<'_>) -> Self {
        let mut mapped = Self::default();
        for (field, value) in [
            ("email", user.address()),
            ("id", user.id()),
            ("givenName", user.given_name()),
            ("familyName", user.family_name()),
            ("displayName", user.display_name()),
            ("orgUnit", user.org_unit()),
        ] {
            mapped.add(field, value);
        }
        mapped.add("aliases", &user.aliases().collect::<Vec<_>>().join(", "));
        if !user.active() {
            mapped.add("active", "false");
        }
        for (name, value) in user.attributes() {
            mapped.add(&format!("attributes.{name}"), value);
        }
        if let Some(password) = user.password() {
            mapped.add("password", &format!("hidden, {}", password.scheme()));
        }
        mapped.add_unknown(user.unknown());
        mapped
    }

    /// A group.
    pub fn group(group: Group<'_>) -> Self {
        let mut mapped = Self::default();
        for (field, value) in [
            ("name", group.name()),
            ("id", group.id()),
            ("email", group.address()),
            ("description", group.description()),
        ] {
            mapped.add(field, value);
        }
        let members = if group.members_unknown() {
            "could not be read whole".to_owned()
        } else {
            match (group.members().len(), group.unresolved_members()) {
                (read, 0) => read.to_string(),
                (read, others) => format!("{read}, and {others} who were not read"),
            }
        };
        mapped.add("members", &members);
        mapped.add_unknown(group.unknown());
        mapped
    }

    fn add(&mut self, field: &str, value: &str) {
        if !value.is_empty() {
            self.0.push((field.to_owned(), value.to_owned()));
        }
    }

    fn add_unknown(&mut self, unknown: directory_sync_core::capabilities::Fields) {
        let fields: Vec<String> = unknown.iter().map(|field| field.to_string()).collect();
        self.add("unknown", &fields.join(", "));
    }

    /// One line: the fields in their order.
    pub fn line(&self) -> String {
        let mut line = String::new();
        for (field, value) in &self.0 {
            let separator = if line.is_empty() { "" } else { "  " };
            let _ = write!(line, "{separator}{field}: {value}");
        }
        line
    }
}
