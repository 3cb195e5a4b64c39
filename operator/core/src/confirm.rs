//! Confirmation of removals: what has to be looked up in the source, and what was found.

use crate::snapshot::Reference;
use std::collections::HashSet;

/// Something to be looked up in the source, by immutable id and without the filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// A person who is about to be suspended or deleted.
    User {
        /// Immutable id in the source.
        id: String,
    },
    /// A group that is about to be deleted or to lose members.
    Group {
        /// Immutable id in the source.
        id: String,
    },
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// No entry has this id.
    Gone,
    /// The entry lies outside the configured base DNs.
    MovedOutOfScope,
    /// The entry is below a base DN, but its filter does not select it.
    NoLongerMatches,
    /// The entry has no value for the address.
    LostAddress,
    /// The person is inactive.
    Disabled,
    /// The entry is there, selected, and (if a person) active and with an address.
    StillThere {
        /// Of a group: the references of its members now, made with the referencer of the read. `None` if they could
        /// not be read whole, or for people.
        members: Option<HashSet<Reference>>,
    },
    /// The source could not say.
    Unreadable {
        /// One sentence: why not.
        message: String,
    },
}
