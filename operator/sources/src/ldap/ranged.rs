//! Member attributes of which only a range came with their entry, until the others are asked for.

use super::ranges;
use directory_sync_core::mapping::same_attribute;
use directory_sync_core::snapshot::Referencer;

/// A member attribute of which only a range came.
pub(super) struct Ranged {
    /// The entry.
    pub(super) entry: String,
    /// The attribute.
    pub(super) attribute: String,
    /// Makes references of the values.
    pub(super) referencer: Referencer,
    place: usize,
}

/// Those that one search found; a collector knows the group of each by `G`.
pub(super) struct RangedMembers<G> {
    /// Of the next entry.
    attributes: Vec<String>,
    groups: Vec<G>,
    open: Vec<Ranged>,
}

impl<G> Default for RangedMembers<G> {
    fn default() -> Self {
        Self { attributes: Vec::new(), groups: Vec::new(), open: Vec::new() }
    }
}

impl<G: Copy> RangedMembers<G> {
    /// Notes a range of an attribute of the next entry, if this is one of those that name members.
    pub(super) fn came(&mut self, description: &str, mut of_members: impl Iterator<Item = impl AsRef<str>>) -> bool {
        let Some((attribute, _)) = ranges::bounds(description) else { return false };
        let names_members = of_members.any(|known| same_attribute(known.as_ref(), attribute));
        if names_members {
            self.attributes.push(attribute.to_owned());
        }
        names_members
    }

    /// The attributes of the entry that came now.
    pub(super) fn take_attributes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.attributes)
    }

    /// Has the others asked for: those attributes of this entry are of this group.
    pub(super) fn add(&mut self, entry: &str, attributes: Vec<String>, referencer: &Referencer, group: G) {
        for attribute in attributes {
            let (entry, referencer, place) = (entry.to_owned(), referencer.clone(), self.groups.len());
            self.open.push(Ranged { entry, attribute, referencer, place });
            self.groups.push(group);
        }
    }

    /// What is to be asked for, since the last call.
    pub(super) fn take(&mut self) -> Vec<Ranged> {
        std::mem::take(&mut self.open)
    }

    /// Whose attribute it is.
    pub(super) fn group(&self, ranged: &Ranged) -> Option<G> {
        self.groups.get(ranged.place).copied()
    }
}
