//! From entries to people.

use super::attribute::{AttributeList, is_attribute, same_attribute};
use super::field::{Field, Unknown};
use super::text::{Use, boolean, mail_address, set_org_unit, sort_addresses};
use super::{Entry, MappingError, Unmapped, Value};
use crate::capabilities::{Field as Part, Fields};
use crate::password::Password;
use crate::snapshot::UserRecord;

/// Where each field of a person comes from, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserMappingSpec {
    /// Immutable id. Required.
    pub id: Option<Value>,
    /// Primary address. Required.
    pub email: Option<Value>,
    /// Further addresses; those of all of these are joined.
    pub aliases: Vec<Value>,
    /// Given name.
    pub given_name: Option<Value>,
    /// Family name.
    pub family_name: Option<Value>,
    /// Name as shown.
    pub display_name: Option<Value>,
    /// Org unit.
    pub org_unit: Option<Value>,
    /// Whether the person may use the service; everybody may where it is not mapped or has no value.
    pub active: Option<Value>,
    /// Further attributes by the name they get.
    pub attributes: Vec<(String, Value)>,
    /// The attribute that holds the password. Its values go nowhere else: no expression sees them.
    pub password: Option<String>,
}

/// A compiled mapping of people.
#[derive(Debug)]
pub struct UserMapping {
    requested: AttributeList,
    id: Field,
    email: Field,
    aliases: Vec<Field>,
    given_name: Field,
    family_name: Field,
    display_name: Field,
    org_unit: Field,
    active: Field,
    /// Sorted by name.
    attributes: Vec<(String, Field)>,
    /// Where the password stands.
    password: Option<usize>,
}

impl UserMapping {
    /// Compiles a mapping, or says what is wrong with it and where.
    pub fn compile(spec: &UserMappingSpec) -> Result<Self, MappingError> {
        let mut requested = AttributeList::default();
        let id = required("user.id", spec.id.as_ref(), "entryUUID", &mut requested)?;
        let email = required("user.email", spec.email.as_ref(), "mail", &mut requested)?;
        if let Some(Value::Value(text)) = &spec.active
            && boolean(text.trim()).is_none()
        {
            return Err(MappingError::NotBoolean { field: "user.active".to_owned(), value: text.clone() });
        }
        let mut attributes = Vec::with_capacity(spec.attributes.len());
        for (name, value) in &spec.attributes {
            let path = format!("user.attributes[{name}]");
            if attributes.iter().any(|(known, _)| known == name) {
                return Err(MappingError::Duplicate { field: path });
            }
            attributes.push((name.clone(), Field::compile(&path, Some(value), &mut requested)?));
        }
        attributes.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let compile = |value| Field::compile("user.aliases", Some(value), &mut requested);
        let aliases = spec.aliases.iter().map(compile).collect::<Result<_, _>>()?;
        let mut field = |path: &str, value: &Option<Value>| Field::compile(path, value.as_ref(), &mut requested);
        let given_name = field("user.givenName", &spec.given_name)?;
        let family_name = field("user.familyName", &spec.family_name)?;
        let display_name = field("user.displayName", &spec.display_name)?;
        let org_unit = field("user.orgUnit", &spec.org_unit)?;
        let active = field("user.active", &spec.active)?;
        // Last, when it is known which attributes everything else needs.
        let password = spec.password.as_deref().map(|name| password(name, &mut requested)).transpose()?;
        Ok(Self {
            requested,
            id,
            email,
            aliases,
            given_name,
            family_name,
            display_name,
            org_unit,
            active,
            attributes,
            password,
        })
    }

    /// The attributes to ask the directory for; an entry's values come in this order.
    pub fn attributes(&self) -> &[String] {
        self.requested.names()
    }

    /// The attribute that is the immutable id; `None` if the id is computed and cannot be searched for.
    pub fn id_attribute(&self) -> Option<&str> {
        match self.id {
            Field::Attribute(place) => self.requested.names().get(place).map(String::as_str),
            _ => None,
        }
    }

    /// The names of the further attributes that are mapped.
    pub fn managed_attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(name, _)| name.as_str())
    }

    /// The attribute that holds passwords, if they are read. Its values are needed as they are, whatever their syntax.
    pub fn password_attribute(&self) -> Option<&str> {
        self.requested.names().get(self.password?).map(String::as_str)
    }

    /// Fills `record` from an entry. Values that cannot be used are left out and counted in `malformed`; a field that
    /// cannot be told at all is named in `record.unknown`.
    pub fn map(&self, entry: &Entry<'_>, record: &mut UserRecord, malformed: &mut u64) -> Result<(), Unmapped> {
        record.clear();
        if self.id.write(entry, malformed, &mut record.id).is_err() || record.id.is_empty() {
            return Err(Unmapped);
        }
        let mut unknown = Fields::NONE;
        let mut told = |part: Part, outcome: Result<(), Unknown>| {
            if outcome.is_err() {
                unknown = unknown.with(part);
            }
        };
        told(Part::Email, self.email.write_address(entry, malformed, &mut record.address));
        let (aliases, others) = (&mut record.aliases, &mut record.other_addresses);
        for field in &self.aliases {
            let outcome = field.each(entry, malformed, |text| match mail_address(text) {
                Ok(alias) => {
                    aliases.push(alias.to_owned());
                    Use::Taken
                }
                Err(used) => {
                    *others += u32::from(used == Use::PassedOver);
                    used
                }
            });
            told(Part::Aliases, outcome);
        }
        sort_addresses(aliases, &record.address);
        told(Part::GivenName, self.given_name.write(entry, malformed, &mut record.given_name));
        told(Part::FamilyName, self.family_name.write(entry, malformed, &mut record.family_name));
        told(Part::DisplayName, self.display_name.write(entry, malformed, &mut record.display_name));
        let mut org_unit = String::new();
        told(Part::OrgUnit, self.org_unit.write(entry, malformed, &mut org_unit));
        if !org_unit.is_empty() {
            set_org_unit(&org_unit, &mut record.org_unit);
        }
        let active = &mut record.active;
        let outcome = self.active.each(entry, malformed, |text| match boolean(text) {
            // Of several values, one that says no is enough, whatever their order.
            Some(truth) => {
                *active &= truth;
                Use::Taken
            }
            None => Use::Malformed,
        });
        told(Part::Active, outcome);
        for (name, field) in &self.attributes {
            let mut value = String::new();
            told(Part::Attributes, field.write(entry, malformed, &mut value));
            if !value.is_empty() {
                record.attributes.push((name.clone(), value));
            }
        }
        if let Some(values) = self.password.and_then(|place| entry.values.get(place)) {
            record.password = Password::choose(values.iter().copied());
        }
        record.unknown = unknown;
        Ok(())
    }
}

/// The place of the attribute that holds passwords, which nothing else may be made of.
fn password(name: &str, attributes: &mut AttributeList) -> Result<usize, MappingError> {
    let field = "user.password".to_owned();
    if !is_attribute(name) {
        return Err(MappingError::AttributeName { field, name: name.to_owned() });
    }
    if attributes.names().iter().any(|known| same_attribute(known, name)) {
        return Err(MappingError::SecretAttribute { field: "user".to_owned(), name: name.to_owned() });
    }
    Ok(attributes.place(name))
}

/// Compiles a field that every object needs and that differs between them.
pub(super) fn required(
    path: &str,
    value: Option<&Value>,
    example: &'static str,
    attributes: &mut AttributeList,
) -> Result<Field, MappingError> {
    match value {
        None => Err(MappingError::Missing { field: path.to_owned(), example }),
        Some(Value::Value(_)) => Err(MappingError::FixedValue { field: path.to_owned() }),
        value => Field::compile(path, value, attributes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::VALUES_LIMIT;
    use crate::mapping::expression::{ATTRIBUTE_BYTES, VALUE_BYTES};
    use proptest::prelude::*;

    fn attribute(name: &str) -> Value {
        Value::Attribute(name.to_owned())
    }

    fn cel(text: &str) -> Value {
        Value::Cel(text.to_owned())
    }

    fn minimal() -> UserMappingSpec {
        UserMappingSpec {
            id: Some(attribute("entryUUID")),
            email: Some(attribute("mail")),
            ..UserMappingSpec::default()
        }
    }

    /// Maps an entry with these attributes.
    fn map(spec: &UserMappingSpec, entry: &[(&str, &[&[u8]])]) -> (Result<UserRecord, Unmapped>, u64) {
        let mapping = UserMapping::compile(spec).unwrap();
        let values: Vec<Vec<&[u8]>> = mapping
            .attributes()
            .iter()
            .map(|name| {
                entry.iter().find(|(known, _)| known == name).map(|(_, values)| values.to_vec()).unwrap_or_default()
            })
            .collect();
        let mut record = UserRecord::default();
        let mut malformed = 0;
        let outcome = mapping.map(&Entry { name: "uid=ada", values: &values }, &mut record, &mut malformed);
        (outcome.map(|()| record), malformed)
    }

    #[test]
    fn plain_attributes_become_fields() {
        let spec = UserMappingSpec {
            given_name: Some(attribute("givenName")),
            aliases: vec![attribute("alias")],
            org_unit: Some(attribute("ou")),
            attributes: vec![("title".to_owned(), Value::Attribute("title".to_owned()))],
            ..minimal()
        };
        let (person, malformed) = map(
            &spec,
            &[
                ("entryUUID", &[b"1"]),
                ("mail", &[b"ada@example.com"]),
                ("alias", &[b"Z@example.com", b"ADA@example.com", b"smtp:a@example.com", b"no address"]),
                ("givenName", &[b" Ada "]),
                ("ou", &[b"Research/"]),
                ("title", &[b"Countess"]),
            ],
        );
        let person = person.unwrap();
        assert_eq!(person.aliases, ["a@example.com", "Z@example.com"]);
        assert_eq!((person.given_name.as_str(), person.org_unit.as_str()), ("Ada", "/Research"));
        assert_eq!(person.attributes, [("title".to_owned(), "Countess".to_owned())]);
        assert!(person.active);
        assert_eq!(malformed, 1);
    }

    #[test]
    fn further_addresses_of_other_kinds_are_counted_and_are_not_malformed() {
        let spec = UserMappingSpec { aliases: vec![attribute("proxyAddresses")], ..minimal() };
        let addresses: &[&[u8]] =
            &[b"SMTP:a@x", b"smtp:b@x", b"sip:a@x", b"X400:c=DE;a= ;", b"x500:/o=Example", b"no address"];
        let entry: &[(&str, &[&[u8]])] = &[("entryUUID", &[b"1"]), ("mail", &[b"a@x"]), ("proxyAddresses", addresses)];
        let (person, malformed) = map(&spec, entry);
        let person = person.unwrap();
        assert_eq!((person.aliases.as_slice(), person.other_addresses, malformed), (&["b@x".to_owned()][..], 3, 1));
    }

    #[test]
    fn an_entry_without_its_id_is_nobody() {
        assert_eq!(map(&minimal(), &[("mail", &[b"a@example.com"])]).0, Err(Unmapped));
    }

    #[test]
    fn of_several_values_the_smallest_is_taken_whatever_their_order() {
        for values in [[b"b@x".as_slice(), b"a@x"], [b"a@x", b"b@x"]] {
            let (person, _) = map(&minimal(), &[("entryUUID", &[b"1"]), ("mail", &values)]);
            assert_eq!(person.unwrap().address, "a@x");
        }
    }

    #[test]
    fn a_field_that_cannot_be_told_is_unknown_and_not_empty() {
        let unit = |text: &str| UserMappingSpec { org_unit: Some(cel(text)), ..minimal() };
        let entry: &[(&str, &[&[u8]])] = &[("entryUUID", &[b"1"]), ("mail", &[b"a@x"])];
        let (person, malformed) = map(&unit("'/' + entry.ou[0]"), entry);
        assert_eq!((person.unwrap().unknown, malformed), (Fields::of([Part::OrgUnit]), 1));
        let (person, malformed) = map(&unit("has(entry.ou) ? entry.ou[0] : ''"), entry);
        assert_eq!((person.unwrap().unknown, malformed), (Fields::NONE, 0), "no value, and that is known");
        assert_eq!(map(&unit("1.5"), entry).0.unwrap().unknown, Fields::of([Part::OrgUnit]), "no text");
    }

    #[test]
    fn values_over_the_caps_make_a_field_unknown_whatever_their_order() {
        let many: Vec<Vec<u8>> = (0..=VALUES_LIMIT).map(|at| format!("a{at}@x").into_bytes()).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        let long = vec![b'a'; VALUE_BYTES + 1];
        let longer = vec![b'a'; super::super::VALUE_LIMIT + 1];
        let wide = vec![vec![b'a'; VALUE_BYTES]; ATTRIBUTE_BYTES / VALUE_BYTES + 1];
        let wide: Vec<&[u8]> = wide.iter().map(Vec::as_slice).collect();
        let plain = UserMappingSpec { aliases: vec![attribute("x")], given_name: Some(attribute("y")), ..minimal() };
        let by_cel = UserMappingSpec { given_name: Some(cel("string(size(entry.y))")), ..minimal() };
        let unknown = |spec: &UserMappingSpec, x: &[&[u8]], y: &[&[u8]]| {
            map(spec, &[("entryUUID", &[b"1"]), ("mail", &[b"a@x"]), ("x", x), ("y", y)]).0.unwrap().unknown
        };
        assert_eq!(unknown(&plain, &many, &[]), Fields::of([Part::Aliases]));
        assert_eq!(unknown(&plain, &many[1..], &[]), Fields::NONE);
        assert_eq!(unknown(&plain, &[], &[&longer, b"a"]), Fields::of([Part::GivenName]));
        for too_much in [&many[..], &[b"a", &long], &wide] {
            assert_eq!(unknown(&by_cel, &[], too_much), Fields::of([Part::GivenName]));
        }
    }

    #[test]
    fn an_address_or_a_state_that_is_none_is_unknown() {
        let spec = UserMappingSpec { active: Some(attribute("active")), ..minimal() };
        let unknown = |mail: &[&[u8]], active: &[&[u8]]| {
            map(&spec, &[("entryUUID", &[b"1"]), ("mail", mail), ("active", active)]).0.unwrap().unknown
        };
        assert_eq!(unknown(&[b"no address"], &[b"perhaps"]), Fields::of([Part::Email, Part::Active]));
        assert_eq!(unknown(&[b"no address", b"a@x"], &[b"TRUE"]), Fields::NONE);
        assert_eq!(unknown(&[], &[]), Fields::NONE, "no value is known to be none");
    }

    #[test]
    fn whoever_is_marked_as_disabled_is_inactive() {
        let spec = UserMappingSpec {
            active: Some(cel("!('employeeType' in entry && entry.employeeType[0] == 'disabled')")),
            ..minimal()
        };
        let with = |kind: &[u8]| {
            map(&spec, &[("entryUUID", &[b"1"]), ("mail", &[b"a@x"]), ("employeeType", &[kind])]).0.unwrap().active
        };
        assert!(!with(b"disabled"));
        assert!(with(b"staff"));
        assert!(map(&spec, &[("entryUUID", &[b"1"]), ("mail", &[b"a@x"])]).0.unwrap().active);
    }

    #[test]
    fn mistakes_in_a_mapping_are_named_with_their_field() {
        let error = |spec: &UserMappingSpec| UserMapping::compile(spec).unwrap_err().to_string();
        assert!(error(&UserMappingSpec { id: None, ..minimal() }).starts_with("user.id has no mapping"));
        assert!(
            error(&UserMappingSpec { email: Some(attribute("no such")), ..minimal() })
                .starts_with("user.email.attribute")
        );
        assert!(
            error(&UserMappingSpec { org_unit: Some(cel("'/' +")), ..minimal() })
                .starts_with("user.orgUnit.cel: line 1")
        );
        let fixed = Some(Value::Value("a@x".to_owned()));
        assert!(error(&UserMappingSpec { email: fixed, ..minimal() }).starts_with("user.email.value"));
    }

    #[test]
    fn a_password_is_taken_from_its_attribute_and_shown_by_nothing() {
        let spec = UserMappingSpec { password: Some("userPassword".to_owned()), ..minimal() };
        let values: &[&[u8]] = &[b"{SSHA}x", b"hunter2"];
        let entry = [("entryUUID", &[&b"1"[..]][..]), ("mail", &[b"a@x"]), ("userPassword", values)];
        let (record, malformed) = map(&spec, &entry);
        let record = record.unwrap();
        assert_eq!(record.password.as_ref().unwrap().as_ref().unwrap().expose(), "hunter2");
        assert_eq!(malformed, 0);
        assert!(!format!("{record:?}").contains("hunter2"));
    }

    #[test]
    fn no_other_field_is_made_of_what_holds_passwords() {
        let error = |spec: &UserMappingSpec| UserMapping::compile(spec).unwrap_err().to_string();
        let by_name = UserMappingSpec { display_name: Some(attribute("USERPASSWORD;x-new")), ..minimal() };
        assert!(error(&by_name).starts_with("user.displayName: `USERPASSWORD;x-new` holds passwords"));
        let computed = UserMappingSpec { org_unit: Some(cel("entry.unicodePwd[0]")), ..minimal() };
        assert!(error(&computed).starts_with("user.orgUnit: `unicodePwd` holds passwords"));
        let twice =
            UserMappingSpec { password: Some("title".to_owned()), org_unit: Some(attribute("title")), ..minimal() };
        assert!(error(&twice).contains("`title` holds passwords"));
    }

    proptest! {
        #[test]
        fn the_fast_path_and_cel_agree(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..4)) {
            let plain = UserMappingSpec { given_name: Some(attribute("x")), ..minimal() };
            let by_cel = UserMappingSpec { given_name: Some(cel("has(entry.x) ? entry.x[0] : ''")), ..minimal() };
            let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            let entry: &[(&str, &[&[u8]])] = &[("entryUUID", &[b"1"]), ("mail", &[b"a@x"]), ("x", &values)];
            prop_assert_eq!(map(&plain, entry).0, map(&by_cel, entry).0);
        }
    }
}
