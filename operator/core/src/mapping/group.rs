//! From entries to groups.

use super::attribute::AttributeList;
use super::field::Field;
use super::user::required;
use super::{Entry, MappingError, Unmapped, Value};
use crate::capabilities::Field as Part;
use crate::snapshot::GroupRecord;

/// Where each field of a group comes from, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupMappingSpec {
    /// Immutable id. Required.
    pub id: Option<Value>,
    /// Address of the mailing list.
    pub email: Option<Value>,
    /// Name as shown. Required.
    pub name: Option<Value>,
    /// Description.
    pub description: Option<Value>,
    /// The attributes that name the members, people and groups; the values of all of them are joined.
    pub members: Vec<Value>,
}

/// A compiled mapping of groups.
#[derive(Debug)]
pub struct GroupMapping {
    requested: AttributeList,
    id: Field,
    email: Field,
    name: Field,
    description: Field,
    members: Vec<usize>,
}

impl GroupMapping {
    /// Compiles a mapping, or says what is wrong with it and where.
    pub fn compile(spec: &GroupMappingSpec) -> Result<Self, MappingError> {
        let mut requested = AttributeList::default();
        let id = required("group.id", spec.id.as_ref(), "entryUUID", &mut requested)?;
        let name = required("group.name", spec.name.as_ref(), "cn", &mut requested)?;
        let email = Field::compile("group.email", spec.email.as_ref(), &mut requested)?;
        let description = Field::compile("group.description", spec.description.as_ref(), &mut requested)?;
        let mut members = Vec::with_capacity(spec.members.len());
        for value in &spec.members {
            match Field::compile("group.members", Some(value), &mut requested)? {
                Field::Attribute(place) => members.push(place),
                _ => return Err(MappingError::MembersNotAttribute { field: "group.members".to_owned() }),
            }
        }
        Ok(Self { requested, id, email, name, description, members })
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

    /// Fills `record` from an entry. Values that cannot be used are left out and counted in `malformed`; a field that
    /// cannot be told at all is named in `record.unknown`.
    pub fn map(&self, entry: &Entry<'_>, record: &mut GroupRecord, malformed: &mut u64) -> Result<(), Unmapped> {
        record.clear();
        if self.id.write(entry, malformed, &mut record.id).is_err() || record.id.is_empty() {
            return Err(Unmapped);
        }
        for (part, outcome) in [
            (Part::Email, self.email.write_address(entry, malformed, &mut record.address)),
            (Part::Name, self.name.write(entry, malformed, &mut record.name)),
            (Part::Description, self.description.write(entry, malformed, &mut record.description)),
        ] {
            if outcome.is_err() {
                record.unknown = record.unknown.with(part);
            }
        }
        Ok(())
    }

    /// The attributes that name the members.
    pub fn member_attributes(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter_map(|&place| self.requested.names().get(place)).map(String::as_str)
    }

    /// The values that name the members, as the directory sent them, by attribute in the order of
    /// [`Self::member_attributes`].
    pub fn members<'e>(&self, entry: &Entry<'e>) -> impl Iterator<Item = (&str, &'e [&'e [u8]])> {
        self.members.iter().filter_map(|&place| {
            let values: &'e [Vec<&'e [u8]>] = entry.values;
            Some((self.requested.names().get(place)?.as_str(), values.get(place)?.as_slice()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_from_an_attribute_and_nothing_else() {
        let attribute = |name: &str| Some(Value::Attribute(name.to_owned()));
        let spec = GroupMappingSpec {
            id: attribute("entryUUID"),
            name: attribute("cn"),
            members: attribute("member").into_iter().chain(attribute("uniqueMember")).collect(),
            ..GroupMappingSpec::default()
        };
        let mapping = GroupMapping::compile(&spec).unwrap();
        let values: Vec<Vec<&[u8]>> = vec![vec![b"1"], vec![b"staff"], vec![b"uid=a", b"uid=b"], vec![b"uid=c"]];
        let entry = Entry { name: "cn=staff", values: &values };
        let mut record = GroupRecord::default();
        mapping.map(&entry, &mut record, &mut 0).unwrap();
        assert_eq!(record.name, "staff");
        let members: Vec<_> = mapping.members(&entry).map(|(attribute, values)| (attribute, values.len())).collect();
        assert_eq!(members, [("member", 2), ("uniqueMember", 1)]);

        let computed = GroupMappingSpec { members: vec![Value::Cel("entry.member".to_owned())], ..spec };
        assert!(matches!(GroupMapping::compile(&computed), Err(MappingError::MembersNotAttribute { .. })));
    }
}
