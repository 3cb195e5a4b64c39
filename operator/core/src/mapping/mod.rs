//! From the attributes of an entry to a person or a group.
//!
//! A field is filled from an attribute, by a CEL expression or with a fixed value. Mappings are compiled when the
//! resource is read; what is wrong with one is known then, with its place. What is wrong with an entry is known only
//! while reading, and costs that entry a field, never the read.
//!
//! How values become fields:
//!
//! - Values are text in UTF-8. A value that is not, or that is no address where one is needed, is left out and counted.
//! - A field is *unknown*, which is not the same as empty, if an attribute has values and none of them can be used, if
//!   it has more than [`VALUES_LIMIT`] or one longer than [`VALUE_LIMIT`], or if an expression comes to no result. What
//!   is unknown is left as it is in the target, and counted.
//! - Blanks around a text are cut off, as the matching rules of LDAP ignore them (RFC 4518 §2.6.1); a text of blanks
//!   alone is no value. Otherwise a text is kept as the directory sent it, without Unicode normalisation.
//! - A directory gives its values no order (RFC 4512 §2.2). Where a field holds one value and there are several, it
//!   takes the smallest by code points, so that two reads of the same entry give the same person.
//! - In CEL, `entry.name` is the list of an attribute's values in that same order. An attribute without values is
//!   absent: `has(entry.name)` is false and `entry.name[0]` has no result, so that the field is unknown; write
//!   `has(entry.name) ? entry.name[0] : ''` to leave it empty. `dn` is the name of the entry. Values given to CEL have
//!   at most 4 KiB each and 64 KiB together.
//! - An address may carry the `smtp:` of Active Directory's `proxyAddresses`; other kinds of address there (`sip:`,
//!   `x500:`) are no mail addresses and are passed over.

mod attribute;
mod entry;
mod error;
mod expression;
mod field;
mod group;
mod managed;
mod text;
mod user;

pub use attribute::same_attribute;
pub use entry::Entry;
pub use error::{MappingError, Unmapped};
pub use expression::ExpressionError;
pub(crate) use expression::{ATTRIBUTE_BYTES, Expression};
pub use group::{GroupMapping, GroupMappingSpec};
pub use managed::ManagedFields;
pub use text::{VALUE_LIMIT, VALUES_LIMIT};
pub use user::{UserMapping, UserMappingSpec};

/// Where the value of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The attribute of this name; upper and lower case are the same (RFC 4512 §2.5).
    Attribute(String),
    /// The result of this CEL expression.
    Cel(String),
    /// This text, the same for everybody.
    Value(String),
}
