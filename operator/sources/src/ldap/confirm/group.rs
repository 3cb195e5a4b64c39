//! Looking up a group with the members that it has now.

use super::{Confirmer, Found, ambiguous, computed_id};
use crate::ldap::config::{Scope, Search};
use crate::ldap::dn;
use crate::ldap::error::LdapError;
use crate::ldap::filter;
use crate::ldap::names;
use crate::ldap::selection::{self, Emptiness};
use directory_sync_core::confirm::Finding;
use directory_sync_core::mapping::{Entry, GroupMapping};
use directory_sync_core::snapshot::{GroupRecord, Reference};
use std::collections::HashSet;

/// What one look-up of a group gives.
struct Seen {
    /// Names of the first two entries found.
    names: Vec<String>,
    record: GroupRecord,
    /// Whom the entry names; `None` if that could not be read whole.
    members: Option<HashSet<Reference>>,
    /// By which people have it as primary group.
    identifier: Option<String>,
}

impl Confirmer<'_, '_> {
    pub(super) async fn group(&mut self, id: &str) -> Result<Finding, LdapError> {
        let config = self.config;
        let Some(mapping) = config.group_mapping.as_deref() else { return Ok(computed_id("group")) };
        let Some(attribute) = mapping.id_attribute() else { return Ok(computed_id("group")) };
        let (seen, selected) = self.look_up(mapping, Which::Id(attribute, id)).await?;
        let Some(name) = seen.names.first() else { return self.absent(true, attribute).await };
        if seen.names.len() > 1 {
            return Ok(ambiguous(attribute));
        }
        let selecting = match selected {
            Some(search) => search,
            None => match self.selecting(&config.groups, name).await? {
                Ok(search) => search,
                Err(finding) => return Ok(finding),
            },
        };
        if !config.counts(&selecting.filter, &seen.record) {
            let lost = seen.record.address.is_empty();
            return Ok(if lost { Finding::LostAddress } else { Finding::NoLongerMatches });
        }
        Ok(Finding::StillThere { members: self.members(mapping, seen).await? })
    }

    /// The members of a group, with those of the groups within it that pass theirs on; `None` if they cannot be told.
    async fn members(&mut self, mapping: &GroupMapping, group: Seen) -> Result<Option<HashSet<Reference>>, LdapError> {
        let mut members = HashSet::new();
        let (mut through, mut open) = (HashSet::new(), vec![group]);
        while let Some(group) = open.pop() {
            let Some(name) = group.names.first() else { continue };
            let Some(mut direct) = group.members else { return Ok(None) };
            if direct.is_empty() && !self.may_be_empty(mapping, name).await? {
                return Ok(None);
            }
            if let Some(identifier) = group.identifier {
                self.add_primary_members(&identifier, &mut direct).await?;
            }
            let names = self.names;
            for member in direct {
                let passing_on = names.passing_on.get(&member).filter(|_| through.insert(member));
                if let Some(name) = passing_on {
                    match self.look_up(mapping, Which::Name(name)).await {
                        Ok((group, _)) => open.push(group),
                        Err(LdapError::BaseNotFound { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                members.insert(member);
            }
        }
        Ok(Some(members))
    }

    async fn look_up<'s>(
        &mut self,
        mapping: &GroupMapping,
        which: Which<'_>,
    ) -> Result<(Seen, Option<&'s Search>), LdapError>
    where
        Self: 's,
    {
        let config = self.config;
        let mut wanted = mapping.attributes().to_vec();
        let sid = config.primary_groups.then(|| names::place(&mut wanted, names::SID));
        let (referencer, known) = (self.referencer, self.names);
        let mut record = GroupRecord::default();
        let mut identifier = None;
        let mut members = HashSet::new();
        let mut found = Found::new(&wanted, |entry: &Entry<'_>| {
            let _ = mapping.map(entry, &mut record, &mut 0);
            for (attribute, values) in mapping.members(entry) {
                let member = names::members(referencer, attribute);
                members.extend(values.iter().map(|value| known.resolve(member(value))));
            }
            let sid = sid.and_then(|place| std::str::from_utf8(entry.values.get(place)?.first()?).ok());
            identifier = sid.map(str::to_owned);
        })
        .with_members(mapping.member_attributes(), referencer);
        let selected = match which {
            Which::Id(attribute, id) => self.find(&config.groups, attribute, id, &mut found).await?,
            Which::Name(name) => {
                let filter = "(objectClass=*)".to_owned();
                let search = Search { base_dn: name.to_owned(), scope: Scope::Base, filter };
                self.directory.search(&search, &mut found).await?;
                None
            }
        };
        let (names, further) = (found.names, found.further);
        let members = further.map(|further| {
            members.extend(further.into_iter().map(|member| known.resolve(member)));
            members
        });
        Ok((Seen { names, record, members, identifier }, selected))
    }

    /// Whether a group that shows no member can be believed to have none: its members say so, or else other groups show
    /// theirs.
    async fn may_be_empty(&mut self, mapping: &GroupMapping, name: &str) -> Result<bool, LdapError> {
        match selection::emptiness(self.directory, name).await? {
            Emptiness::Empty => return Ok(true),
            Emptiness::HasMembers => return Ok(false),
            Emptiness::Untold => {}
        }
        let shows: Vec<String> = mapping.member_attributes().map(|attribute| format!("({attribute}=*)")).collect();
        let shows = format!("(|{})", shows.concat());
        for search in &self.config.groups {
            let shows = filter::both(&search.filter, &shows);
            if self.directory.finds(&search.base_dn, &shows).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds who has the group of this identifier as primary group.
    async fn add_primary_members(&mut self, group: &str, members: &mut HashSet<Reference>) -> Result<(), LdapError> {
        let Some((domain, number)) = group.rsplit_once('-') else { return Ok(()) };
        let wanted = [names::SID.to_owned()];
        let referencer = self.referencer;
        let has_group = format!("({}={number})", names::PRIMARY_GROUP);
        for search in &self.config.users {
            let search = Search { filter: filter::both(&search.filter, &has_group), ..search.clone() };
            let mut found = Found::new(&wanted, |entry: &Entry<'_>| {
                let sid = entry.values.first().and_then(|values| std::str::from_utf8(values.first()?).ok());
                if sid.and_then(|sid| sid.rsplit_once('-')).is_some_and(|(own, _)| own == domain) {
                    members.insert(referencer.reference(&dn::normal_form(entry.name.as_bytes())));
                }
            });
            self.directory.search(&search, &mut found).await?;
        }
        Ok(())
    }
}

/// Which group is looked up.
enum Which<'w> {
    /// The one in which this attribute has this value.
    Id(&'w str, &'w str),
    /// The one of this name.
    Name(&'w str),
}
