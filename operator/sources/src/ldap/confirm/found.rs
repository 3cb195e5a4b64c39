//! What a look-up finds.

use crate::ldap::directory::{Collector, References};
use crate::ldap::error::LdapError;
use crate::ldap::guard::EntrySink;
use crate::ldap::names::MemberName;
use crate::ldap::ranged::{Ranged, RangedMembers};
use directory_sync_core::mapping::Entry;
use directory_sync_core::read::{IncompleteRead, Next};
use directory_sync_core::snapshot::Referencer;

/// Most pages of a look-up, which finds one entry, or who has a group as primary group.
const PAGES: usize = 100_000;

/// Keeps the names of the entries found and hands each on.
pub(super) struct Found<'w, F> {
    wanted: &'w [String],
    /// Names of the first two entries.
    pub(super) names: Vec<String>,
    /// Members that are named in ranges; `None` if they cannot be had whole.
    pub(super) further: Option<Vec<MemberName>>,
    /// Attributes that name members, and what makes references of their values; `None`: they are not asked for.
    members: Option<(Vec<String>, Referencer)>,
    ranged: RangedMembers<()>,
    references: References,
    pages: usize,
    take: F,
}

impl<'w, F: FnMut(&Entry<'_>) + Send> Found<'w, F> {
    /// Asks for these attributes, and gives every entry to `take`.
    pub(super) fn new(wanted: &'w [String], take: F) -> Self {
        Self {
            wanted,
            names: Vec::new(),
            further: Some(Vec::new()),
            members: None,
            ranged: RangedMembers::default(),
            references: References::default(),
            pages: 0,
            take,
        }
    }

    /// The same, with the members that come in ranges.
    pub(super) fn with_members<'a>(self, attributes: impl Iterator<Item = &'a str>, referencer: &Referencer) -> Self {
        Self { members: Some((attributes.map(str::to_owned).collect(), referencer.clone())), ..self }
    }
}

impl<F: FnMut(&Entry<'_>) + Send> EntrySink for Found<'_, F> {
    fn attributes(&self) -> &[String] {
        self.wanted
    }

    fn range(&mut self, description: &str, _: &[&[u8]]) -> bool {
        self.ranged.came(description, self.members.iter().flat_map(|(known, _)| known))
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let partial = self.ranged.take_attributes();
        // The same entry may be found by several searches.
        if self.names.iter().any(|name| name == entry.name) {
            return Ok(());
        }
        // Two are enough to know that it is not one.
        if self.names.len() < 2 {
            self.names.push(entry.name.to_owned());
        }
        (self.take)(entry);
        if let Some((_, referencer)) = &self.members {
            self.ranged.add(entry.name, partial, referencer, ());
        }
        Ok(())
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references.add(targets);
        Ok(())
    }
}

impl<F: FnMut(&Entry<'_>) + Send> Collector for Found<'_, F> {
    fn begin(&mut self, _: &str, _: &str) {}

    fn page(&mut self, _: Next<'_>) -> Result<(), IncompleteRead> {
        self.pages += 1;
        if self.pages <= PAGES {
            return Ok(());
        }
        Err(IncompleteRead::CapExceeded { section: "a look-up".to_owned(), what: "pages", cap: PAGES })
    }

    fn references(&mut self) -> &mut References {
        &mut self.references
    }

    fn take_ranged(&mut self) -> Vec<Ranged> {
        self.ranged.take()
    }

    fn ranged(&mut self, _: &Ranged, members: Option<Vec<MemberName>>) -> Result<(), LdapError> {
        match (members, &mut self.further) {
            (Some(members), Some(further)) => further.extend(members),
            _ => self.further = None,
        }
        Ok(())
    }
}
