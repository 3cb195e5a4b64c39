//! What the reader asks of a mapping: which attributes to request, and what to make of them.

use directory_sync_core::mapping::Entry;
use directory_sync_core::snapshot::{GroupRecord, UserRecord};

/// Makes people of entries.
pub trait PersonMapping: Send + Sync {
    /// The attributes to request; an entry's values come in this order.
    fn attributes(&self) -> &[String];

    /// The attribute that is the immutable id; `None` if the id is computed and cannot be searched for.
    fn id_attribute(&self) -> Option<&str>;

    /// Fills `record`, which is empty. Values that cannot be used are left out and counted in `malformed`. `false` if
    /// the entry has no immutable id and so cannot become a person.
    fn map(&self, entry: &Entry<'_>, record: &mut UserRecord, malformed: &mut u64) -> bool;
}

/// Makes groups of entries.
pub trait GroupMapping: Send + Sync {
    /// The attributes to request; an entry's values come in this order.
    fn attributes(&self) -> &[String];

    /// The attribute that is the immutable id; `None` if the id is computed and cannot be searched for.
    fn id_attribute(&self) -> Option<&str>;

    /// Fills `record`, which is empty, as [`PersonMapping::map`] does.
    fn map(&self, entry: &Entry<'_>, record: &mut GroupRecord, malformed: &mut u64) -> bool;

    /// The values that name the members.
    fn members<'e>(&self, entry: &Entry<'e>) -> &'e [&'e [u8]];
}
