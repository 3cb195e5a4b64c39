//! From the attributes of an entry to a person or a group.

mod entry;

pub use entry::Entry;
