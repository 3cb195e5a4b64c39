//! Reading everything, page by page, into columns.

use super::config::LdapConfig;
use super::directory::{Collector, Directory, References};
use super::dn;
use super::error::LdapError;
use super::guard::EntrySink;
use super::names::{self, MemberName, Names, PersonAttributes};
use super::passing::PassingOn;
use super::ranged::{Ranged, RangedMembers};
use super::selection::Selection;
use directory_sync_core::mapping::{Entry, GroupMapping, UserMapping};
use directory_sync_core::operation::Kind;
use directory_sync_core::plan::WarningKind;
use directory_sync_core::read::{CompleteRead, IncompleteRead, Next, Read, Section, SourceSide};
use directory_sync_core::snapshot::{GroupRecord, GroupRow, Reference, UserRecord};
use std::collections::HashSet;

/// Reads people, then groups. Only when every search came to the server's own end is there a snapshot. With it comes by
/// what groups know the people.
pub(super) async fn read(directory: &mut Directory<'_>) -> Result<(CompleteRead<SourceSide>, Names), LdapError> {
    let config = directory.config;
    let mut read = Read::start(config.caps.read);
    read.served_by(directory.server().await?);
    for place in config.filters_on_mapped() {
        read.warn(WarningKind::FilterOnMapped, Kind::User, &place);
    }
    let groups = config.group_mapping.as_deref();
    let chosen = groups.filter(|_| !config.only.groups.is_empty());
    let mut names = match chosen {
        None => people(directory, &mut read, None).await?,
        Some(mapping) => {
            let referencer = read.referencer().clone();
            let selection = Selection::read(directory, mapping, &referencer).await?;
            let names = people(directory, &mut read, Some(&selection)).await?;
            match selection.complete(directory, &names).await? {
                (_, false) => names,
                // There are more of them than were known when the people were read.
                (selection, true) => {
                    let skipped = *read.skipped_mut();
                    let names = people(directory, &mut read, Some(&selection)).await?;
                    *read.skipped_mut() = skipped;
                    names
                }
            }
        }
    };
    if let Some(mapping) = groups {
        self::groups(directory, &mut read, mapping, &mut names).await?;
    }
    Ok((read.finish()?, names))
}

async fn people(
    directory: &mut Directory<'_>,
    read: &mut Read<SourceSide>,
    selection: Option<&Selection>,
) -> Result<Names, LdapError> {
    let config = directory.config;
    let groups = config.group_mapping.as_deref();
    let mut people = People {
        attributes: PersonAttributes::new(&config.user_mapping, groups, config.primary_groups),
        read,
        section: Section::NONE,
        mapping: &config.user_mapping,
        config,
        selection,
        names: Names::new(selection.is_some() || (groups.is_some() && config.passes_members_on())),
        record: UserRecord::default(),
        references: References::default(),
    };
    for search in &config.users {
        directory.search(search, &mut people).await?;
    }
    Ok(people.names)
}

async fn groups(
    directory: &mut Directory<'_>,
    read: &mut Read<SourceSide>,
    mapping: &GroupMapping,
    names: &mut Names,
) -> Result<(), LdapError> {
    let config = directory.config;
    let mut attributes = mapping.attributes().to_vec();
    let sid = config.primary_groups.then(|| names::place(&mut attributes, names::SID));
    let mut groups = Groups {
        attributes,
        sid,
        read: &mut *read,
        section: Section::NONE,
        mapping,
        config,
        filter: "",
        names,
        record: GroupRecord::default(),
        taken: HashSet::new(),
        passing_on: config.passes_members_on().then(|| PassingOn::new(config.caps.read.memberships)),
        ranged: RangedMembers::default(),
        references: References::default(),
    };
    for search in &config.groups {
        groups.filter = &search.filter;
        directory.search(search, &mut groups).await?;
    }
    let Some(passing_on) = groups.passing_on else { return Ok(()) };
    let mut names_passed_on: Vec<&str> = passing_on.names().collect();
    names_passed_on.sort_unstable();
    for name in names_passed_on {
        read.warn(WarningKind::GroupPassesOn, Kind::Group, name);
    }
    passing_on.settle(read, names)
}

struct People<'r> {
    attributes: PersonAttributes,
    read: &'r mut Read<SourceSide>,
    section: Section,
    mapping: &'r UserMapping,
    config: &'r LdapConfig,
    selection: Option<&'r Selection>,
    names: Names,
    record: UserRecord,
    references: References,
}

impl EntrySink for People<'_> {
    fn attributes(&self) -> &[String] {
        &self.attributes.all
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let reference = self.read.referencer().reference(&dn::normal_form(entry.name.as_bytes()));
        self.read.saw(self.section, reference);
        self.names.saw(reference);
        if self.mapping.map(entry, &mut self.record, &mut self.read.skipped_mut().malformed_values).is_err() {
            self.read.skipped_mut().users_without_id += 1;
            return Ok(());
        }
        // Whoever has no address stays, to be reported as such.
        if !self.record.address.is_empty() && !self.config.is_in_domains(&self.record.address) {
            return Ok(());
        }
        let logins = self.attributes.logins(self.read.referencer(), entry);
        let primary_group = self.attributes.primary_group(self.read.referencer(), entry);
        if let Some(selection) = self.selection
            && !selection.holds(logins.iter().copied().chain([reference]).chain(primary_group))
        {
            return Ok(());
        }
        self.read.user(self.section, reference, &self.record)?;
        self.names.add(reference, logins, primary_group);
        // A person has a login or two.
        let cap = self.config.caps.read.entries.saturating_mul(2);
        if self.names.count() > cap {
            let section = "the logins of people".to_owned();
            return Err(IncompleteRead::CapExceeded { section, what: "logins", cap }.into());
        }
        Ok(())
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references.add(targets);
        Ok(())
    }
}

impl Collector for People<'_> {
    fn begin(&mut self, base: &str, url: &str) {
        self.section = self.read.open(format!("people below {base} on {url}"));
    }

    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead> {
        self.read.page(self.section, next)
    }

    fn references(&mut self) -> &mut References {
        &mut self.references
    }
}

/// A group that is being read.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// One of those to be synchronised.
    Row(GroupRow),
    /// One that only passes its members on.
    PassingOn(Reference),
}

struct Groups<'r> {
    attributes: Vec<String>,
    /// Where the security identifier stands, if primary groups count.
    sid: Option<usize>,
    read: &'r mut Read<SourceSide>,
    section: Section,
    mapping: &'r GroupMapping,
    config: &'r LdapConfig,
    /// That of the search under way.
    filter: &'r str,
    names: &'r Names,
    record: GroupRecord,
    /// The groups that were taken, each of which may be found by several searches.
    taken: HashSet<Reference>,
    passing_on: Option<PassingOn>,
    ranged: RangedMembers<Place>,
    references: References,
}

impl Groups<'_> {
    /// What becomes of the group in `self.record`; `None`: nothing more than is known.
    fn place(&mut self, reference: Reference, name: &str) -> Result<Option<Place>, LdapError> {
        if self.taken.contains(&reference) {
            return Ok(None);
        }
        match &mut self.passing_on {
            Some(passing_on) if !self.config.counts(self.filter, &self.record) => {
                if passing_on.knows(reference) {
                    return Ok(None);
                }
                let cap = self.config.caps.read.entries;
                if passing_on.len() >= cap {
                    let section = "groups within groups".to_owned();
                    return Err(IncompleteRead::CapExceeded { section, what: "groups", cap }.into());
                }
                passing_on.add(reference, name);
                return Ok(Some(Place::PassingOn(reference)));
            }
            Some(passing_on) => passing_on.remove(reference),
            None => {}
        }
        self.taken.insert(reference);
        Ok(Some(Place::Row(self.read.group(self.section, reference, &self.record)?)))
    }

    fn member(&mut self, place: Place, member: Reference) -> Result<(), LdapError> {
        match (place, &mut self.passing_on) {
            (Place::PassingOn(group), Some(passing_on)) => passing_on.member(group, member),
            (Place::Row(group), Some(passing_on)) if !self.names.is_person(member) => passing_on.wait(group, member),
            (Place::Row(group), _) => Ok(self.read.member(self.section, group, member)?),
            (Place::PassingOn(_), None) => Ok(()),
        }
    }
}

impl EntrySink for Groups<'_> {
    fn attributes(&self) -> &[String] {
        &self.attributes
    }

    fn range(&mut self, description: &str, _: &[&[u8]]) -> bool {
        self.ranged.came(description, self.mapping.member_attributes())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let partial = self.ranged.take_attributes();
        let reference = self.read.referencer().reference(&dn::normal_form(entry.name.as_bytes()));
        self.read.saw(self.section, reference);
        if self.mapping.map(entry, &mut self.record, &mut self.read.skipped_mut().malformed_values).is_err() {
            self.read.skipped_mut().groups_without_id += 1;
            return Ok(());
        }
        let Some(place) = self.place(reference, entry.name)? else { return Ok(()) };
        let mapping = self.mapping;
        let referencer = self.read.referencer().clone();
        for (attribute, values) in mapping.members(entry) {
            let member = names::members(&referencer, attribute);
            for value in values {
                let member = self.names.resolve(member(value));
                self.member(place, member)?;
            }
        }
        let sid = self.sid.and_then(|place| std::str::from_utf8(entry.values.get(place)?.first()?).ok());
        if let Some(sid) = sid {
            let identifier = names::identifier(self.read.referencer(), sid);
            let names = self.names;
            for &member in names.with_primary_group(identifier) {
                self.member(place, member)?;
            }
        }
        self.ranged.add(entry.name, partial, self.read.referencer(), place);
        Ok(())
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references.add(targets);
        Ok(())
    }
}

impl Collector for Groups<'_> {
    fn begin(&mut self, base: &str, url: &str) {
        self.section = self.read.open(format!("groups below {base} on {url}"));
    }

    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead> {
        self.read.page(self.section, next)
    }

    fn references(&mut self) -> &mut References {
        &mut self.references
    }

    fn take_ranged(&mut self) -> Vec<Ranged> {
        self.ranged.take()
    }

    fn ranged(&mut self, ranged: &Ranged, members: Option<Vec<MemberName>>) -> Result<(), LdapError> {
        let Some(place) = self.ranged.group(ranged) else { return Ok(()) };
        match (members, place) {
            (Some(members), place) => {
                for member in members {
                    self.member(place, self.names.resolve(member))?;
                }
            }
            (None, Place::Row(group)) => self.read.members_unknown(group),
            (None, Place::PassingOn(group)) => {
                if let Some(passing_on) = &mut self.passing_on {
                    passing_on.unknown(group);
                }
            }
        }
        Ok(())
    }
}
