//! Groups with their members, by what groups know each of them by.

use super::config::LdapConfig;
use super::directory::{Collector, References};
use super::dn;
use super::error::LdapError;
use super::guard::EntrySink;
use super::names::{self, MemberName};
use super::ranged::{Ranged, RangedMembers};
use directory_sync_core::mapping::{Entry, GroupMapping};
use directory_sync_core::read::{IncompleteRead, Next, Read, Section, SourceSide};
use directory_sync_core::snapshot::{Reference, Referencer};
use std::collections::HashMap;

const CLASS: &str = "objectClass";

/// Classes of entries that have members, in the servers that there are schemas for. One without any member is a group all
/// the same, of which nothing is shown.
const GROUP_CLASSES: [&str; 7] =
    ["group", "groupOfNames", "groupOfUniqueNames", "groupOfMembers", "groupOfEntries", "posixGroup", "ipaUserGroup"];

/// A group and whom it names.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Its name as the server writes it.
    pub(super) name: String,
    /// Members by their names in the tree.
    pub(super) members: Vec<Reference>,
    /// Members by login.
    pub(super) logins: Vec<Reference>,
    /// By which people have it as primary group.
    pub(super) identifier: Option<Reference>,
    /// Not all members could be read.
    pub(super) unknown: bool,
}

/// Groups by name.
pub(super) struct Graph {
    attributes: Vec<String>,
    /// How many of the attributes name members; they come first.
    members: usize,
    sid: Option<usize>,
    class: usize,
    referencer: Referencer,
    /// Watches over the pages; takes no entries.
    read: Read<SourceSide>,
    section: Section,
    groups: HashMap<Reference, Group>,
    /// Whether an entry that neither has members nor is of a class of groups is a group, because a search for groups
    /// found it.
    all_are_groups: bool,
    /// The entry that came last, whether it is a group or not.
    last: Option<Reference>,
    count: usize,
    entries_cap: usize,
    cap: usize,
    ranged: RangedMembers<Reference>,
    references: References,
}

impl Graph {
    /// Without groups yet.
    pub(super) fn new(config: &LdapConfig, mapping: &GroupMapping, referencer: &Referencer) -> Self {
        let mut attributes: Vec<String> = mapping.member_attributes().map(str::to_owned).collect();
        let members = attributes.len();
        let sid = config.primary_groups.then(|| names::place(&mut attributes, names::SID));
        let class = names::place(&mut attributes, CLASS);
        Self {
            attributes,
            members,
            sid,
            class,
            referencer: referencer.clone(),
            read: Read::start(config.caps.read),
            section: Section::NONE,
            groups: HashMap::new(),
            all_are_groups: false,
            last: None,
            count: 0,
            entries_cap: config.caps.read.entries,
            cap: config.caps.read.memberships,
            ranged: RangedMembers::default(),
            references: References::default(),
        }
    }

    /// From here on, whatever comes is a group, or is one only if it looks like one.
    pub(super) fn expect_groups(&mut self, all_are_groups: bool) {
        self.all_are_groups = all_are_groups;
    }

    /// The group of this name.
    pub(super) fn group(&self, name: Reference) -> Option<&Group> {
        self.groups.get(&name)
    }

    /// The names of all groups, as the server writes them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.values().map(|group| group.name.as_str())
    }

    /// The attributes that name members.
    pub(super) fn member_attributes(&self) -> &[String] {
        self.attributes.get(..self.members).unwrap_or_default()
    }

    /// The entry that came last, since the last call.
    pub(super) fn take_last(&mut self) -> Option<Reference> {
        self.last.take()
    }

    fn exceeded(what: &'static str, cap: usize) -> LdapError {
        IncompleteRead::CapExceeded { section: "the groups of onlyGroups".to_owned(), what, cap }.into()
    }

    fn add(&mut self, group: Reference, members: Vec<MemberName>) -> Result<(), LdapError> {
        self.count += members.len();
        if self.count > self.cap {
            return Err(Self::exceeded("memberships", self.cap));
        }
        let group = self.groups.entry(group).or_default();
        for member in members {
            match member {
                MemberName::Tree(reference) => group.members.push(reference),
                MemberName::Login(reference) => group.logins.push(reference),
            }
        }
        Ok(())
    }

    fn looks_like_a_group(&self, entry: &Entry<'_>) -> bool {
        let classes = entry.values.get(self.class).map(Vec::as_slice).unwrap_or_default();
        let is_of_groups =
            |class: &&[u8]| GROUP_CLASSES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(class));
        classes.iter().any(is_of_groups)
    }
}

impl EntrySink for Graph {
    fn attributes(&self) -> &[String] {
        &self.attributes
    }

    fn range(&mut self, description: &str, _: &[&[u8]]) -> bool {
        self.ranged.came(description, self.attributes.iter().take(self.members))
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let partial = self.ranged.take_attributes();
        let group = self.referencer.reference(&dn::normal_form(entry.name.as_bytes()));
        self.read.saw(self.section, group);
        self.last = Some(group);
        // The same group may be found by several searches.
        if self.groups.contains_key(&group) {
            return Ok(());
        }
        let mut members = Vec::new();
        for (attribute, values) in self.attributes.iter().zip(entry.values).take(self.members) {
            let member = names::members(&self.referencer, attribute);
            members.extend(values.iter().map(|value| member(value)));
        }
        if !self.all_are_groups && members.is_empty() && partial.is_empty() && !self.looks_like_a_group(entry) {
            return Ok(());
        }
        if self.groups.len() >= self.entries_cap {
            return Err(Self::exceeded("groups", self.entries_cap));
        }
        self.ranged.add(entry.name, partial, &self.referencer, group);
        let identifier = self.sid.and_then(|place| entry.values.get(place)?.first());
        let identifier = identifier.and_then(|sid| std::str::from_utf8(sid).ok());
        let identifier = identifier.map(|sid| names::identifier(&self.referencer, sid));
        let name = entry.name.to_owned();
        self.groups.insert(group, Group { name, identifier, ..Group::default() });
        self.add(group, members)
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references.add(targets);
        Ok(())
    }
}

impl Collector for Graph {
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
        self.ranged.take()
    }

    fn ranged(&mut self, ranged: &Ranged, members: Option<Vec<MemberName>>) -> Result<(), LdapError> {
        let Some(group) = self.ranged.group(ranged) else { return Ok(()) };
        if let Some(members) = members {
            return self.add(group, members);
        }
        self.groups.entry(group).or_default().unknown = true;
        Ok(())
    }
}
