//! Who is in the groups to which a source is limited, directly or through groups within them.
//!
//! Whoever is missing here looks like a leaver, and is confirmed as one. So whatever these groups depend on has to be
//! seen whole: a group that shows no member has to be empty by other evidence, and a member that is neither a person nor
//! a group that the searches found is looked up.

use super::config::{LdapConfig, Scope, Search};
use super::directory::{Collector, Directory, References};
use super::dn;
use super::error::LdapError;
use super::filter;
use super::graph::{Graph, Group};
use super::guard::EntrySink;
use super::names::{self, Names};
use super::ranges;
use super::referral::Target;
use directory_sync_core::mapping::{Entry, GroupMapping, same_attribute};
use directory_sync_core::read::{IncompleteRead, Next};
use directory_sync_core::snapshot::{Reference, Referencer};
use std::collections::{HashMap, HashSet};

/// Most members that are looked up one by one.
const LOOKUPS: usize = 100_000;

/// Members of the groups that were named, by whatever groups know them by.
pub(super) struct Selection {
    chosen: HashSet<Reference>,
    graph: Graph,
    referencer: Referencer,
    /// Members that are no group that was found, each with a group that has it.
    outside: HashMap<Reference, Reference>,
    lookups: usize,
}

impl Selection {
    /// Whether one of these names is among the members.
    pub(super) fn holds(&self, names: impl IntoIterator<Item = Reference>) -> bool {
        names.into_iter().any(|name| self.chosen.contains(&name))
    }

    /// Reads the groups that were named, and all those that the searches for groups find.
    pub(super) async fn read(
        directory: &mut Directory<'_>,
        mapping: &GroupMapping,
        referencer: &Referencer,
    ) -> Result<Self, LdapError> {
        let config = directory.config;
        let mut graph = Graph::new(config, mapping, referencer);
        graph.expect_groups(true);
        let mut named = Vec::with_capacity(config.only.groups.len());
        for group in &config.only.groups {
            match directory.search(&entry(group), &mut graph).await {
                Ok(()) | Err(LdapError::BaseNotFound { .. } | LdapError::AccessDenied { .. }) => {}
                Err(error) => return Err(error),
            }
            named.push(graph.take_last().ok_or_else(|| unreadable(directory, group))?);
        }
        for search in &config.groups {
            directory.search(search, &mut graph).await?;
        }
        graph.expect_groups(false);
        let mut selection = Self {
            chosen: named.iter().copied().collect(),
            graph,
            referencer: referencer.clone(),
            outside: HashMap::new(),
            lookups: 0,
        };
        selection.follow(directory, named).await?;
        Ok(selection)
    }

    /// Looks up the members that neither the searches for groups nor those for people found, and follows the groups
    /// among them. Says whether the members became more. If it fails, it is not known who is chosen, so nothing is left.
    pub(super) async fn complete(
        mut self,
        directory: &mut Directory<'_>,
        names: &Names,
    ) -> Result<(Self, bool), LdapError> {
        let mut grew = false;
        let mut not_shown = Vec::new();
        loop {
            let mut outside = std::mem::take(&mut self.outside);
            outside.retain(|&member, _| !names.is_person(member));
            if outside.is_empty() {
                // Judged when all groups are known.
                self.judge(directory, &not_shown)?;
                return Ok((self, grew));
            }
            let mut found = Vec::new();
            for (member, group) in self.written(directory, &outside).await? {
                self.lookups += 1;
                if self.lookups > LOOKUPS {
                    let url = directory.connection.url().to_owned();
                    return Err(LdapError::MembersElsewhere { url, cap: LOOKUPS });
                }
                let reference = match self.look_up(directory, &member).await? {
                    Shown::As(reference) => reference,
                    Shown::Not => {
                        not_shown.push((member, group));
                        continue;
                    }
                    Shown::NoName => continue,
                };
                // An alias leads to an entry of another name.
                grew |= self.chosen.insert(reference);
                if self.graph.group(reference).is_some() {
                    grew = true;
                    found.push(reference);
                }
            }
            self.follow(directory, found).await?;
        }
    }

    /// Takes the members of these groups, and of the groups within them.
    async fn follow(&mut self, directory: &mut Directory<'_>, mut open: Vec<Reference>) -> Result<(), LdapError> {
        while let Some(reference) = open.pop() {
            let Some(group) = self.graph.group(reference) else { continue };
            if group.unknown {
                return Err(unreadable(directory, &group.name));
            }
            if group.members.is_empty()
                && group.logins.is_empty()
                && emptiness(directory, &group.name).await? != Emptiness::Empty
            {
                let url = directory.connection.url().to_owned();
                return Err(LdapError::GroupShowsNobody { url, group: group.name.clone() });
            }
            self.chosen.extend(group.identifier);
            self.chosen.extend(&group.logins);
            for &member in &group.members {
                if !self.chosen.insert(member) {
                    continue;
                }
                if self.graph.group(member).is_some() {
                    open.push(member);
                } else {
                    self.outside.insert(member, reference);
                }
            }
        }
        Ok(())
    }

    /// The names of these members as their groups write them, each with the group. Only hashes of names are kept of
    /// the members of all groups, because there are millions.
    async fn written(
        &self,
        directory: &mut Directory<'_>,
        members: &HashMap<Reference, Reference>,
    ) -> Result<Vec<(String, Reference)>, LdapError> {
        let groups: HashSet<Reference> = members.values().copied().collect();
        let mut written = Vec::with_capacity(members.len());
        for reference in groups {
            let Some(Group { name, .. }) = self.graph.group(reference) else { continue };
            let mut sink = Written {
                attributes: self.graph.member_attributes(),
                referencer: &self.referencer,
                members,
                group: reference,
                found: Vec::new(),
                partial: Vec::new(),
                references: References::default(),
            };
            directory.search(&entry(name), &mut sink).await?;
            let (mut found, partial) = (sink.found, sink.partial);
            for attribute in partial {
                let wanted = |value: &[u8]| text(&self.referencer, value, members, reference);
                let cap = directory.config.caps.read.memberships;
                let values = ranges::values(&mut directory.connection, name, &attribute, cap, &wanted).await?;
                found.extend(values.ok_or_else(|| unreadable(directory, name))?.into_iter().flatten());
            }
            written.extend(found.into_iter().map(|member| (member, reference)));
        }
        Ok(written)
    }

    /// Reads one member.
    async fn look_up(&mut self, directory: &mut Directory<'_>, member: &str) -> Result<Shown, LdapError> {
        self.graph.take_last();
        let above = || dn::above(member).to_owned();
        match directory.search(&entry(member), &mut self.graph).await {
            Ok(()) | Err(LdapError::BaseNotFound { .. } | LdapError::AccessDenied { .. }) => {
                Ok(self.graph.take_last().map_or(Shown::Not, Shown::As))
            }
            Err(LdapError::BaseInvalid { .. }) => Ok(Shown::NoName),
            // The name of the member, and what its server makes of it, may be those of a person.
            Err(LdapError::Referral { url, targets, .. }) => {
                let hosts = targets.iter().filter_map(|target| Some(format!("ldap://{}", Target::parse(target)?.host)));
                Err(LdapError::Referral { url, base: above(), targets: hosts.collect() })
            }
            Err(LdapError::Refused { url, result, .. }) => Err(LdapError::Refused { url, base: above(), result }),
            Err(LdapError::LimitExceeded { url, limit, .. }) => {
                Err(LdapError::LimitExceeded { url, base: above(), limit })
            }
            Err(error) => Err(error),
        }
    }

    /// An error if one of these members, each with its group, may be a group that is hidden. Whoever is deleted often
    /// stays a member: where there are people alone, it was a person.
    fn judge(&self, directory: &Directory<'_>, not_shown: &[(String, Reference)]) -> Result<(), LdapError> {
        if not_shown.is_empty() {
            return Ok(());
        }
        let places = self.places_of_people(directory.config);
        for (member, group) in not_shown {
            let form = dn::normal_form(member.as_bytes());
            if !places.iter().any(|place| dn::is_within(&form, place)) {
                let name = self.graph.group(*group).map(|group| group.name.clone()).unwrap_or_default();
                let url = directory.connection.url().to_owned();
                return Err(LdapError::MemberHidden { url, group: name, above: dn::above(member).to_owned() });
            }
        }
        Ok(())
    }

    /// The bases of people below which there is no group, in normal form.
    fn places_of_people(&self, config: &LdapConfig) -> Vec<Vec<u8>> {
        let groups: Vec<Vec<u8>> = self.graph.names().map(|name| dn::normal_form(name.as_bytes())).collect();
        let searched: Vec<Vec<u8>> =
            config.groups.iter().map(|search| dn::normal_form(search.base_dn.as_bytes())).collect();
        let bases = config.users.iter().map(|search| dn::normal_form(search.base_dn.as_bytes()));
        bases
            .filter(|base| !groups.iter().any(|group| dn::is_within(group, base)))
            // Groups that were searched for there may all be hidden.
            .filter(|base| !searched.iter().any(|search| dn::is_within(search, base) || dn::is_within(base, search)))
            .collect()
    }
}

/// How a server shows a member that is looked up.
enum Shown {
    /// As the entry of this name.
    As(Reference),
    /// Not: it is gone or hidden.
    Not,
    /// It is no name in the tree, so it can be no group.
    NoName,
}

/// The search for this entry alone.
fn entry(name: &str) -> Search {
    Search { base_dn: name.to_owned(), scope: Scope::Base, filter: "(objectClass=*)".to_owned() }
}

fn unreadable(directory: &Directory<'_>, group: &str) -> LdapError {
    LdapError::GroupUnreadable { url: directory.connection.url().to_owned(), group: group.to_owned() }
}

/// What entries say of a group that shows no member, where the server keeps their groups in `memberOf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptiness {
    /// None of them says that it is in this group, and there are some that say such things.
    Empty,
    /// One says that it is in this group.
    HasMembers,
    /// None says of any group that it is in it.
    Untold,
}

/// Asks the entries in the trees of the searches whether they are in a group that shows no member.
pub(super) async fn emptiness(directory: &mut Directory<'_>, group: &str) -> Result<Emptiness, LdapError> {
    let config = directory.config;
    let Some(in_this) = filter::equals(&directory.syntaxes(), "memberOf", group) else { return Ok(Emptiness::Untold) };
    let searches: Vec<Search> = config.users.iter().chain(&config.groups).cloned().collect();
    let mut is_told = false;
    for top in directory.tops(&searches).await? {
        if directory.finds(&top, &in_this).await? {
            return Ok(Emptiness::HasMembers);
        }
        is_told = is_told || directory.finds(&top, "(memberOf=*)").await?;
    }
    Ok(if is_told { Emptiness::Empty } else { Emptiness::Untold })
}

/// The value as text, if it names one of these members of the group.
fn text(
    referencer: &Referencer,
    value: &[u8],
    members: &HashMap<Reference, Reference>,
    group: Reference,
) -> Option<String> {
    let reference = referencer.reference(&dn::member_normal_form(value));
    (members.get(&reference) == Some(&group))
        .then(|| std::str::from_utf8(dn::member_name(value)).ok().map(str::to_owned))?
}

/// Takes the names of some members as the group writes them.
struct Written<'m> {
    attributes: &'m [String],
    referencer: &'m Referencer,
    members: &'m HashMap<Reference, Reference>,
    group: Reference,
    found: Vec<String>,
    partial: Vec<String>,
    references: References,
}

impl EntrySink for Written<'_> {
    fn attributes(&self) -> &[String] {
        self.attributes
    }

    fn range(&mut self, description: &str, _: &[&[u8]]) -> bool {
        let attribute = ranges::bounds(description).map(|(attribute, _)| attribute);
        let known = attribute.filter(|name| self.attributes.iter().any(|known| same_attribute(known, name)));
        self.partial.extend(known.map(str::to_owned));
        known.is_some()
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let in_tree = self.attributes.iter().zip(entry.values).filter(|(attribute, _)| !names::names_logins(attribute));
        for value in in_tree.flat_map(|(_, values)| values) {
            self.found.extend(text(self.referencer, value, self.members, self.group));
        }
        Ok(())
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references.add(targets);
        Ok(())
    }
}

impl Collector for Written<'_> {
    fn begin(&mut self, _: &str, _: &str) {}

    fn page(&mut self, _: Next<'_>) -> Result<(), IncompleteRead> {
        Ok(())
    }

    fn references(&mut self) -> &mut References {
        &mut self.references
    }
}
