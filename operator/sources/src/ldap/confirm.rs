//! Looking up people and groups by immutable id before they are removed.
//!
//! An absence counts only if this account can see at all: an account that lost its rights finds nobody.

use super::config::{LdapConfig, Scope, Search};
use super::connection::{Connection, Request};
use super::dn;
use super::error::LdapError;
use super::filter;
use super::guard::EntrySink;
use directory_sync_core::capabilities::Field;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::mapping::Entry;
use directory_sync_core::snapshot::{Reference, Referencer, UserRecord};
use std::collections::HashSet;

/// One finding per look-up, in their order.
pub(super) async fn confirm(
    connection: &mut Connection,
    config: &LdapConfig,
    lookups: &[Lookup],
    referencer: &Referencer,
) -> Vec<Finding> {
    let mut confirmer =
        Confirmer { connection, config, referencer, roots: None, seen_people: false, seen_groups: false };
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

struct Confirmer<'c> {
    connection: &'c mut Connection,
    config: &'c LdapConfig,
    referencer: &'c Referencer,
    /// Where to look: the naming contexts that hold the bases.
    roots: Option<Vec<String>>,
    /// That absences among people can be believed.
    seen_people: bool,
    /// That absences among groups can be believed.
    seen_groups: bool,
}

impl Confirmer<'_> {
    async fn user(&mut self, id: &str) -> Result<Finding, LdapError> {
        let mapping = &*self.config.user_mapping;
        let Some(attribute) = mapping.id_attribute() else { return Ok(computed_id("user")) };
        let mut record = UserRecord::default();
        let mut found = Found::new(mapping.attributes(), |entry: &Entry<'_>, _| {
            // An entry found by its id has one.
            let _ = mapping.map(entry, &mut record, &mut 0);
        });
        self.find(&self.config.users, attribute, id, &mut found).await?;
        let (names, elsewhere) = (found.names, found.references);
        let Some(name) = names.first() else { return self.absent(false, attribute, elsewhere).await };
        if names.len() > 1 {
            return Ok(ambiguous(attribute));
        }
        if let Some(finding) = self.out_of_reach(&self.config.users, name).await? {
            return Ok(finding);
        }
        Ok(if record.unknown.contains(Field::Email) {
            Finding::Unreadable { message: format!("the address of {name} cannot be told from its values") }
        } else if record.address.is_empty() {
            Finding::LostAddress
        } else if record.active {
            Finding::StillThere { members: None }
        } else {
            Finding::Disabled
        })
    }

    async fn group(&mut self, id: &str) -> Result<Finding, LdapError> {
        let Some(mapping) = self.config.group_mapping.as_deref() else { return Ok(computed_id("group")) };
        let Some(attribute) = mapping.id_attribute() else { return Ok(computed_id("group")) };
        let referencer = self.referencer;
        let mut members: Option<HashSet<Reference>> = None;
        let mut found = Found::new(mapping.attributes(), |entry: &Entry<'_>, partial| {
            let all = mapping.members(entry).flat_map(|(_, values)| values);
            let all = all.map(|member| referencer.reference(&dn::member_normal_form(member)));
            members = (!partial).then(|| all.collect());
        });
        self.find(&self.config.groups, attribute, id, &mut found).await?;
        let (names, elsewhere) = (found.names, found.references);
        let Some(name) = names.first() else { return self.absent(true, attribute, elsewhere).await };
        if names.len() > 1 {
            return Ok(ambiguous(attribute));
        }
        if let Some(finding) = self.out_of_reach(&self.config.groups, name).await? {
            return Ok(finding);
        }
        Ok(Finding::StillThere { members })
    }

    /// Searches for the id everywhere, without the filter.
    async fn find(
        &mut self,
        searches: &[Search],
        attribute: &str,
        id: &str,
        sink: &mut dyn EntrySink,
    ) -> Result<(), LdapError> {
        let contexts = self.naming_contexts().await?;
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
        for base in &roots {
            let filter = filter::equals(attribute, id);
            let request = Request { base, scope: Scope::Subtree, filter: &filter, page: None, size_limit: 0 };
            self.connection.search(&request, sink).await?;
        }
        Ok(())
    }

    /// The naming contexts of the root DSE (RFC 4512 §5.1); none if the server does not say.
    async fn naming_contexts(&mut self) -> Result<Vec<String>, LdapError> {
        if let Some(roots) = &self.roots {
            return Ok(roots.clone());
        }
        let wanted = ["namingContexts".to_owned()];
        let mut contexts = Vec::new();
        let mut found = Found::new(&wanted, |entry: &Entry<'_>, _| {
            let values = entry.values.first().map(Vec::as_slice).unwrap_or_default();
            contexts.extend(values.iter().filter_map(|value| std::str::from_utf8(value).ok()).map(str::to_owned));
        });
        let request = Request { base: "", scope: Scope::Base, filter: "(objectClass=*)", page: None, size_limit: 0 };
        match self.connection.search(&request, &mut found).await {
            // Some servers hide it; then the bases themselves are searched.
            Ok(_) | Err(LdapError::BaseNotFound { .. } | LdapError::AccessDenied { .. }) => {}
            Err(error) => return Err(error),
        }
        self.roots = Some(contexts.clone());
        Ok(contexts)
    }

    /// What no result means.
    async fn absent(&mut self, group: bool, attribute: &str, elsewhere: usize) -> Result<Finding, LdapError> {
        if elsewhere > 0 {
            let message = "part of the directory is on other servers, which were not asked".to_owned();
            return Ok(Finding::Unreadable { message });
        }
        let (searches, seen) =
            if group { (&self.config.groups, self.seen_groups) } else { (&self.config.users, self.seen_people) };
        if seen {
            return Ok(Finding::Gone);
        }
        for search in searches {
            let mut found = Found::new(&[], |_: &Entry<'_>, _| {});
            let filter = format!("({attribute}=*)");
            let base = &search.base_dn;
            let request = Request { base, scope: Scope::Subtree, filter: &filter, page: None, size_limit: 1 };
            self.connection.search(&request, &mut found).await?;
            if found.names.is_empty() {
                let message = format!(
                    "{} shows no entry with {attribute} below {base}, so it cannot be said that this one is gone; \
                     check the rights of the account",
                    self.connection.url()
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
            let mut found = Found::new(&[], |_: &Entry<'_>, _| {});
            let request = Request { base: name, scope: Scope::Base, filter: &search.filter, page: None, size_limit: 0 };
            self.connection.search(&request, &mut found).await?;
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
    references: usize,
    take: F,
}

impl<'w, F: FnMut(&Entry<'_>, bool) + Send> Found<'w, F> {
    fn new(wanted: &'w [String], take: F) -> Self {
        Self { wanted, names: Vec::new(), references: 0, take }
    }
}

impl<F: FnMut(&Entry<'_>, bool) + Send> EntrySink for Found<'_, F> {
    fn attributes(&self) -> &[String] {
        self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>, partial: Option<&str>) -> Result<(), LdapError> {
        (self.take)(entry, partial.is_some());
        // Two are enough to know that it is not one.
        if self.names.len() < 2 && !self.names.iter().any(|name| name == entry.name) {
            self.names.push(entry.name.to_owned());
        }
        Ok(())
    }

    fn reference(&mut self, _: &str) -> Result<(), LdapError> {
        self.references += 1;
        Ok(())
    }
}
