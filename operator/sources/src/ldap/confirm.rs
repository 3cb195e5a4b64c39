//! Looking up people and groups by immutable id before they are removed.
//!
//! An absence counts only if this account can see at all: an account that lost its rights finds nobody.

use super::config::{LdapConfig, Scope, Search};
use super::connection::Request;
use super::directory::{Collector, Directory, Ranged, References};
use super::dn;
use super::error::LdapError;
use super::filter;
use super::guard::EntrySink;
use super::names::{self, MemberName, Names, PersonAttributes};
use super::ranges;
use super::read::is_in_domains;
use super::selection::Selection;
use directory_sync_core::capabilities::Field;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::mapping::Entry;
use directory_sync_core::read::{IncompleteRead, Next};
use directory_sync_core::snapshot::{GroupRecord, Reference, Referencer, UserRecord};
use std::collections::HashSet;

/// Most pages of a look-up, which finds one entry, or who has a group as primary group.
const PAGES: usize = 100_000;

/// One finding per look-up, in their order.
pub(super) async fn confirm(
    directory: &mut Directory<'_>,
    names: &Names,
    lookups: &[Lookup],
    referencer: &Referencer,
) -> Vec<Finding> {
    let config = directory.config;
    let mut confirmer =
        Confirmer { directory, config, names, referencer, selection: None, seen_people: false, seen_groups: false };
    let mut findings = Vec::with_capacity(lookups.len());
    for lookup in lookups {
        let finding = match lookup {
            Lookup::User { id } => confirmer.user(id).await,
            Lookup::Group { id } => confirmer.group(id).await,
        };
        findings.push(finding.unwrap_or_else(|error| Finding::Unreadable { message: error.to_string() }));
    }
    findings
}

struct Confirmer<'c, 'd> {
    directory: &'c mut Directory<'d>,
    config: &'c LdapConfig,
    names: &'c Names,
    referencer: &'c Referencer,
    /// Who is in the groups to which the source is limited, now.
    selection: Option<Selection>,
    /// That absences among people can be believed.
    seen_people: bool,
    /// That absences among groups can be believed.
    seen_groups: bool,
}

impl Confirmer<'_, '_> {
    async fn user(&mut self, id: &str) -> Result<Finding, LdapError> {
        let config = self.config;
        let (mapping, groups) = (&*config.user_mapping, config.group_mapping.as_deref());
        let Some(attribute) = mapping.id_attribute() else { return Ok(computed_id("user")) };
        let attributes = PersonAttributes::new(mapping, groups, config.primary_groups);
        let referencer = self.referencer;
        let mut record = UserRecord::default();
        let mut known_by = Vec::new();
        let mut found = Found::new(&attributes.all, |entry: &Entry<'_>| {
            // An entry found by its id has one.
            let _ = mapping.map(entry, &mut record, &mut 0);
            known_by = attributes.logins(referencer, entry);
            known_by.push(referencer.reference(&dn::normal_form(entry.name.as_bytes())));
            known_by.extend(attributes.primary_group(referencer, entry));
        });
        self.find(&config.users, attribute, id, &mut found).await?;
        let names = found.names;
        let Some(name) = names.first() else { return self.absent(false, attribute).await };
        if names.len() > 1 {
            return Ok(ambiguous(attribute));
        }
        if let Some(finding) = self.out_of_reach(&config.users, name).await? {
            return Ok(finding);
        }
        if record.unknown.contains(Field::Email) {
            return Ok(Finding::Unreadable {
                message: format!("the address of the entry with this {attribute} cannot be told"),
            });
        }
        if record.address.is_empty() {
            return Ok(Finding::LostAddress);
        }
        if !is_in_domains(config, &record.address) || !self.is_selected(known_by).await? {
            return Ok(Finding::NoLongerMatches);
        }
        Ok(if record.active { Finding::StillThere { members: None } } else { Finding::Disabled })
    }

    /// Whether the person is in the groups to which the source is limited.
    async fn is_selected(&mut self, known_by: Vec<Reference>) -> Result<bool, LdapError> {
        let Some(groups) = self.config.group_mapping.as_deref().filter(|_| !self.config.only.groups.is_empty()) else {
            return Ok(true);
        };
        let selection = match self.selection.take() {
            Some(selection) => selection,
            None => Selection::read(self.directory, groups, self.referencer).await?,
        };
        Ok(self.selection.insert(selection).holds(known_by))
    }

    async fn group(&mut self, id: &str) -> Result<Finding, LdapError> {
        let config = self.config;
        let Some(mapping) = config.group_mapping.as_deref() else { return Ok(computed_id("group")) };
        let Some(attribute) = mapping.id_attribute() else { return Ok(computed_id("group")) };
        let mut wanted = mapping.attributes().to_vec();
        let sid = config.primary_groups.then(|| names::place(&mut wanted, names::SID));
        let (referencer, known) = (self.referencer, self.names);
        let mut record = GroupRecord::default();
        let mut identifier = None;
        let mut direct = HashSet::new();
        let mut found = Found::new(&wanted, |entry: &Entry<'_>| {
            let _ = mapping.map(entry, &mut record, &mut 0);
            for (attribute, values) in mapping.members(entry) {
                let members = values.iter().map(|value| known.resolve(names::member(referencer, attribute, value)));
                direct.extend(members);
            }
            let sid = sid.and_then(|place| std::str::from_utf8(entry.values.get(place)?.first()?).ok());
            identifier = sid.map(str::to_owned);
        });
        found.referencer = Some(referencer.clone());
        self.find(&config.groups, attribute, id, &mut found).await?;
        let (names, further) = (found.names, found.further);
        let mut members = further.map(|further| {
            direct.extend(further.into_iter().map(|member| known.resolve(member)));
            direct
        });
        let Some(name) = names.first() else { return self.absent(true, attribute).await };
        if names.len() > 1 {
            return Ok(ambiguous(attribute));
        }
        if let Some(finding) = self.out_of_reach(&config.groups, name).await? {
            return Ok(finding);
        }
        if !is_in_domains(config, &record.address) {
            return Ok(if record.address.is_empty() { Finding::LostAddress } else { Finding::NoLongerMatches });
        }
        if let (Some(members), Some(identifier)) = (&mut members, identifier) {
            self.add_primary_members(&identifier, members).await?;
        }
        Ok(Finding::StillThere { members })
    }

    /// Adds who has the group of this identifier as primary group.
    async fn add_primary_members(&mut self, group: &str, members: &mut HashSet<Reference>) -> Result<(), LdapError> {
        let Some((domain, number)) = group.rsplit_once('-') else { return Ok(()) };
        let wanted = [names::SID.to_owned()];
        let referencer = self.referencer;
        for search in &self.config.users {
            let search =
                Search { filter: format!("(&{}({}={number}))", search.filter, names::PRIMARY_GROUP), ..search.clone() };
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

    /// Searches for the id everywhere, without the filter.
    async fn find<F: FnMut(&Entry<'_>) + Send>(
        &mut self,
        searches: &[Search],
        attribute: &str,
        id: &str,
        sink: &mut Found<'_, F>,
    ) -> Result<(), LdapError> {
        let Some(filter) = filter::equals(attribute, id) else { return Ok(()) };
        let contexts = self.directory.root().await?.naming_contexts;
        let bases = searches.iter().map(|search| search.base_dn.clone());
        let mut roots: Vec<String> = Vec::new();
        for base in bases {
            let form = dn::normal_form(base.as_bytes());
            let root = contexts.iter().find(|context| dn::is_within(&form, &dn::normal_form(context.as_bytes())));
            let root = root.cloned().unwrap_or(base);
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        for base_dn in roots {
            let search = Search { base_dn, scope: Scope::Subtree, filter: filter.clone() };
            match self.directory.search(&search, sink).await {
                // What other servers hold is of no interest once the entry is found.
                Err(LdapError::Referral { .. }) if !sink.names.is_empty() => {}
                ended => ended?,
            }
        }
        Ok(())
    }

    /// What no result means.
    async fn absent(&mut self, group: bool, attribute: &str) -> Result<Finding, LdapError> {
        let (searches, seen) =
            if group { (&self.config.groups, self.seen_groups) } else { (&self.config.users, self.seen_people) };
        if seen {
            return Ok(Finding::Gone);
        }
        for search in searches {
            let mut found = Found::new(&[], |_: &Entry<'_>| {});
            let filter = format!("({attribute}=*)");
            let base = &search.base_dn;
            let request = Request { base, scope: Scope::Subtree, filter: &filter, page: None, size_limit: 1 };
            self.directory.connection.search(&request, &mut found).await?;
            if found.names.is_empty() {
                let message = format!(
                    "{} shows no entry with {attribute} below {base}, so it cannot be said that this one is gone; \
                     check the rights of the account",
                    self.directory.connection.url()
                );
                return Ok(Finding::Unreadable { message });
            }
        }
        if group {
            self.seen_groups = true;
        } else {
            self.seen_people = true;
        }
        Ok(Finding::Gone)
    }

    /// Whether no configured search selects the entry any more, and why.
    async fn out_of_reach(&mut self, searches: &[Search], name: &str) -> Result<Option<Finding>, LdapError> {
        let form = dn::normal_form(name.as_bytes());
        let mut in_scope = false;
        for search in searches {
            let base = dn::normal_form(search.base_dn.as_bytes());
            let covered = match search.scope {
                Scope::Base => form == base,
                Scope::OneLevel => dn::is_directly_below(&form, &base),
                Scope::Subtree => dn::is_within(&form, &base),
            };
            if !covered {
                continue;
            }
            in_scope = true;
            let mut found = Found::new(&[], |_: &Entry<'_>| {});
            let search = Search { base_dn: name.to_owned(), scope: Scope::Base, filter: search.filter.clone() };
            self.directory.search(&search, &mut found).await?;
            if !found.names.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(if in_scope { Finding::NoLongerMatches } else { Finding::MovedOutOfScope }))
    }
}

fn computed_id(kind: &str) -> Finding {
    Finding::Unreadable {
        message: format!(
            "mapping.{kind}.id is not an attribute, so the directory cannot be asked for it; use `attribute`"
        ),
    }
}

fn ambiguous(attribute: &str) -> Finding {
    Finding::Unreadable { message: format!("several entries have the same {attribute}") }
}

/// Keeps the names of the entries found and hands each on.
struct Found<'w, F> {
    wanted: &'w [String],
    names: Vec<String>,
    /// Members that are named in ranges; `None` if they cannot be had whole.
    further: Option<Vec<MemberName>>,
    /// Makes references of them; `None`: they are not asked for.
    referencer: Option<Referencer>,
    partial: Vec<String>,
    ranged: Vec<Ranged>,
    references: References,
    pages: usize,
    take: F,
}

impl<'w, F: FnMut(&Entry<'_>) + Send> Found<'w, F> {
    fn new(wanted: &'w [String], take: F) -> Self {
        Self {
            wanted,
            names: Vec::new(),
            further: Some(Vec::new()),
            referencer: None,
            partial: Vec::new(),
            ranged: Vec::new(),
            references: References::default(),
            pages: 0,
            take,
        }
    }
}

impl<F: FnMut(&Entry<'_>) + Send> EntrySink for Found<'_, F> {
    fn attributes(&self) -> &[String] {
        self.wanted
    }

    fn range(&mut self, description: &str, _: &[&[u8]]) {
        self.partial.extend(ranges::bounds(description).map(|(attribute, _)| attribute.to_owned()));
    }

    fn entry(&mut self, entry: &Entry<'_>, _: Option<&str>) -> Result<(), LdapError> {
        (self.take)(entry);
        for attribute in std::mem::take(&mut self.partial) {
            if let Some(referencer) = self.referencer.clone() {
                self.ranged.push(Ranged { entry: entry.name.to_owned(), attribute, referencer, place: 0 });
            }
        }
        // Two are enough to know that it is not one.
        if self.names.len() < 2 && !self.names.iter().any(|name| name == entry.name) {
            self.names.push(entry.name.to_owned());
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
        std::mem::take(&mut self.ranged)
    }

    fn ranged(&mut self, _: &Ranged, members: Option<Vec<MemberName>>) -> Result<(), LdapError> {
        match (members, &mut self.further) {
            (Some(members), Some(further)) => further.extend(members),
            _ => self.further = None,
        }
        Ok(())
    }
}
