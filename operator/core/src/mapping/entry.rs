//! An entry as a source hands it to the mapping.

/// One entry of a directory: its name and the values of the attributes that the mapping asked for.
///
/// `values` has one list per attribute in the order of the mapping's `attributes()`; an attribute the entry lacks has
/// an empty list.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'e> {
    /// Name of the entry (its DN in LDAP), for messages and CEL (`entry.dn`).
    pub name: &'e str,
    /// Values by attribute, as the directory sent them.
    pub values: &'e [Vec<&'e [u8]>],
}
