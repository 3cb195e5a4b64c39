//! Who is in the groups to which a source is limited, directly or through groups within them.

use super::config::{Scope, Search};
use super::directory::{Collector, Directory, Ranged, References};
use super::dn;
use super::error::LdapError;
use super::guard::EntrySink;
use super::names::{self, MemberName};
use super::ranges;
use directory_sync_core::mapping::{Entry, GroupMapping};
use directory_sync_core::read::{IncompleteRead, Next, Read, Section, SourceSide};
use directory_sync_core::snapshot::{Reference, Referencer};
use std::collections::{HashMap, HashSet};

/// Members of the groups that were named, by whatever groups know them by.
#[derive(Debug, Default)]
pub(super) struct Selection(HashSet<Reference>);

impl Selection {
    /// Whether one of these names is among the members.
    pub(super) fn holds(&self, names: impl IntoIterator<Item = Reference>) -> bool {
        names.into_iter().any(|name| self.0.contains(&name))
    }

    /// Reads the groups that were named, and all those among which others may be nested. Whatever cannot be read whole
    /// is an error: a missing member would look like a leaver.
    pub(super) async fn read(
        directory: &mut Directory<'_>,
        mapping: &GroupMapping,
        referencer: &Referencer,
    ) -> Result<Self, LdapError> {
        let config = directory.config;
        let mut attributes: Vec<String> = mapping.member_attributes().map(str::to_owned).collect();
        let members = attributes.len();
        let sid = config.primary_groups.then(|| names::place(&mut attributes, names::SID));
        let mut sink = GroupGraph {
            attributes,
            members,
            sid,
            referencer,
            read: Read::start(config.caps.read),
            section: Section::NONE,
            groups: HashMap::new(),
            count: 0,
            cap: config.caps.read.memberships,
            partial: Vec::new(),
            rows: Vec::new(),
            ranged: Vec::new(),
            references: References::default(),
        };
        for group in &config.only.groups {
            let filter = "(objectClass=*)".to_owned();
            let search = Search { base_dn: group.clone(), scope: Scope::Base, filter };
            match directory.search(&search, &mut sink).await {
                Ok(()) => {}
                Err(LdapError::BaseNotFound { .. } | LdapError::AccessDenied { .. }) => {
                    return Err(unreadable(directory, group));
                }
                Err(error) => return Err(error),
            }
        }
        for search in &config.groups {
            directory.search(search, &mut sink).await?;
        }
        let mut selection = HashSet::new();
        let mut open = Vec::new();
        for group in &config.only.groups {
            let reference = referencer.reference(&dn::normal_form(group.as_bytes()));
            if !sink.groups.contains_key(&reference) {
                return Err(unreadable(directory, group));
            }
            selection.insert(reference);
            open.push((reference, group));
        }
        while let Some((reference, named)) = open.pop() {
            // Most members are people.
            let Some(group) = sink.groups.get(&reference) else { continue };
            if group.unknown {
                return Err(unreadable(directory, named));
            }
            selection.extend(group.identifier);
            open.extend(
                group.members.iter().filter(|&&member| selection.insert(member)).map(|&member| (member, named)),
            );
        }
        Ok(Self(selection))
    }
}

fn unreadable(directory: &Directory<'_>, group: &str) -> LdapError {
    LdapError::GroupUnreadable { url: directory.connection.url().to_owned(), group: group.to_owned() }
}

#[derive(Debug, Default)]
struct Group {
    members: Vec<Reference>,
    /// By which people have it as primary group.
    identifier: Option<Reference>,
    unknown: bool,
}

/// Groups by name, with their members.
struct GroupGraph<'r> {
    attributes: Vec<String>,
    members: usize,
    sid: Option<usize>,
    referencer: &'r Referencer,
    /// Watches over the pages; takes no entries.
    read: Read<SourceSide>,
    section: Section,
    groups: HashMap<Reference, Group>,
    count: usize,
    cap: usize,
    /// Attributes of the next entry of which only a range came.
    partial: Vec<String>,
    rows: Vec<Reference>,
    ranged: Vec<Ranged>,
    references: References,
}

impl GroupGraph<'_> {
    fn add(&mut self, group: Reference, members: Vec<Reference>) -> Result<(), LdapError> {
        self.count += members.len();
        if self.count > self.cap {
            let section = "the groups of onlyGroups".to_owned();
            return Err(IncompleteRead::CapExceeded { section, what: "memberships", cap: self.cap }.into());
        }
        self.groups.entry(group).or_default().members.extend(members);
        Ok(())
    }
}

/// A member by whatever the group knows it by.
fn any_name(member: MemberName) -> Reference {
    match member {
        MemberName::Tree(reference) | MemberName::Login(reference) => reference,
    }
}

impl EntrySink for GroupGraph<'_> {
    fn attributes(&self) -> &[String] {
        &self.attributes
    }

    fn range(&mut self, description: &str, _: &[&[u8]]) {
        self.partial.extend(ranges::bounds(description).map(|(attribute, _)| attribute.to_owned()));
    }

    fn entry(&mut self, entry: &Entry<'_>, _: Option<&str>) -> Result<(), LdapError> {
        let partial = std::mem::take(&mut self.partial);
        let group = self.referencer.reference(&dn::normal_form(entry.name.as_bytes()));
        self.read.saw(self.section, group);
        let mut members = Vec::new();
        for (attribute, values) in self.attributes.iter().zip(entry.values).take(self.members) {
            members.extend(values.iter().map(|value| any_name(names::member(self.referencer, attribute, value))));
        }
        // The same group may be found by several searches.
        if self.groups.contains_key(&group) {
            return Ok(());
        }
        for attribute in partial {
            self.ranged.push(Ranged {
                entry: entry.name.to_owned(),
                attribute,
                referencer: self.referencer.clone(),
                place: self.rows.len(),
            });
            self.rows.push(group);
        }
        let identifier = self.sid.and_then(|place| entry.values.get(place)?.first());
        let identifier = identifier.and_then(|sid| std::str::from_utf8(sid).ok());
        let identifier = identifier.map(|sid| names::identifier(self.referencer, sid));
        self.add(group, members)?;
        if let Some(known) = self.groups.get_mut(&group) {
            known.identifier = identifier;
        }
        Ok(())
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references.add(targets);
        Ok(())
    }
}

impl Collector for GroupGraph<'_> {
    fn begin(&mut self, base: &str, url: &str) {
        self.section = self.read.open(format!("members of groups below {base} on {url}"));
    }

    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead> {
        self.read.page(self.section, next)
    }

    fn references(&mut self) -> &mut References {
        &mut self.references
    }

    fn take_ranged(&mut self) -> Vec<Ranged> {
        std::mem::take(&mut self.ranged)
    }

    fn ranged(&mut self, ranged: &Ranged, members: Option<Vec<MemberName>>) -> Result<(), LdapError> {
        let Some(&group) = self.rows.get(ranged.place) else { return Ok(()) };
        if let Some(members) = members {
            return self.add(group, members.into_iter().map(any_name).collect());
        }
        self.groups.entry(group).or_default().unknown = true;
        Ok(())
    }
}
