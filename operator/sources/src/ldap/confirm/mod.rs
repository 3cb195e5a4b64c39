//! Looking up people and groups by immutable id before they are removed.
//!
//! First with the searches that are configured, because an entry that comes through an alias or a referral is not where
//! its name says; then without the filter wherever it may have gone. An absence counts only if this account can see at
//! all: an account that lost its rights finds nobody.

mod found;
mod group;

use super::config::{LdapConfig, Scope, Search};
use super::connection::Request;
use super::directory::Directory;
use super::dn;
use super::error::LdapError;
use super::filter;
use super::names::{Names, PersonAttributes};
use super::selection::Selection;
use directory_sync_core::capabilities::Field;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::mapping::Entry;
use directory_sync_core::snapshot::{Reference, Referencer, UserRecord};
use found::Found;

/// One finding per look-up, in their order.
pub(super) async fn confirm(
    directory: &mut Directory<'_>,
    names: &Names,
    lookups: &[Lookup],
    referencer: &Referencer,
) -> Vec<Finding> {
    let config = directory.config;
    let chosen = Chosen::Unread;
    let mut confirmer =
        Confirmer { directory, config, names, referencer, chosen, seen_people: false, seen_groups: false };
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

/// Who is in the groups to which the source is limited, now.
enum Chosen {
    Unread,
    Known(Box<Selection>),
    /// It cannot be known, and why.
    Unknown(String),
}

struct Confirmer<'c, 'd> {
    directory: &'c mut Directory<'d>,
    config: &'c LdapConfig,
    names: &'c Names,
    referencer: &'c Referencer,
    chosen: Chosen,
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
        let mut has_id = false;
        let mut found = Found::new(&attributes.all, |entry: &Entry<'_>| {
            has_id = mapping.map(entry, &mut record, &mut 0).is_ok();
            known_by = attributes.logins(referencer, entry);
            known_by.push(referencer.reference(&dn::normal_form(entry.name.as_bytes())));
            known_by.extend(attributes.primary_group(referencer, entry));
        });
        let selected = self.find(&config.users, attribute, id, &mut found).await?;
        let names = found.names;
        let Some(name) = names.first() else { return self.absent(false, attribute).await };
        if names.len() > 1 {
            return Ok(ambiguous(attribute));
        }
        if selected.is_none()
            && let Err(finding) = self.selecting(&config.users, name).await?
        {
            return Ok(finding);
        }
        if !has_id || record.unknown.contains(Field::Email) {
            let what = if has_id { "address" } else { "id" };
            return Ok(Finding::Unreadable {
                message: format!("the {what} of the entry with this {attribute} cannot be told"),
            });
        }
        if record.address.is_empty() {
            return Ok(Finding::LostAddress);
        }
        if !config.is_in_domains(&record.address) {
            return Ok(Finding::NoLongerMatches);
        }
        match self.is_chosen(known_by).await {
            Ok(true) => {}
            Ok(false) => return Ok(Finding::NoLongerMatches),
            Err(message) => return Ok(Finding::Unreadable { message }),
        }
        Ok(if record.active { Finding::StillThere { members: None } } else { Finding::Disabled })
    }

    /// Whether the person is in the groups to which the source is limited; an error says why that cannot be known.
    async fn is_chosen(&mut self, known_by: Vec<Reference>) -> Result<bool, String> {
        let Some(groups) = self.config.group_mapping.as_deref().filter(|_| !self.config.only.groups.is_empty()) else {
            return Ok(true);
        };
        if matches!(self.chosen, Chosen::Unread) {
            let selection = match Selection::read(self.directory, groups, self.referencer).await {
                Ok(selection) => selection.complete(self.directory, self.names).await,
                Err(error) => Err(error),
            };
            self.chosen = match selection {
                Ok((selection, _)) => Chosen::Known(Box::new(selection)),
                Err(error) => Chosen::Unknown(error.to_string()),
            };
        }
        match &self.chosen {
            Chosen::Known(selection) => Ok(selection.holds(known_by)),
            Chosen::Unknown(why) => Err(why.clone()),
            Chosen::Unread => Ok(true),
        }
    }

    /// Looks for the id: where the searches look, then everywhere, without their filters. Gives the first search that
    /// selects an entry with it.
    async fn find<'s, F: FnMut(&Entry<'_>) + Send>(
        &mut self,
        searches: &'s [Search],
        attribute: &str,
        id: &str,
        sink: &mut Found<'_, F>,
    ) -> Result<Option<&'s Search>, LdapError> {
        let Some(has_id) = filter::equals(&self.directory.syntaxes(), attribute, id) else { return Ok(None) };
        let mut selecting = None;
        for search in searches {
            let narrowed = Search { filter: filter::both(&search.filter, &has_id), ..search.clone() };
            self.directory.search(&narrowed, sink).await?;
            if selecting.is_none() && !sink.names.is_empty() {
                selecting = Some(search);
            }
        }
        if selecting.is_some() {
            return Ok(selecting);
        }
        for base_dn in self.directory.tops(searches).await? {
            let search = Search { base_dn, scope: Scope::Subtree, filter: has_id.clone() };
            match self.directory.search(&search, sink).await {
                // What other servers hold is of no interest once the entry is found.
                Err(LdapError::Referral { .. }) if !sink.names.is_empty() => {}
                ended => ended?,
            }
        }
        Ok(None)
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
            // The base alone says nothing: it may be all that is shown.
            let filter = filter::both(&search.filter, &format!("({attribute}=*)"));
            let base = &search.base_dn;
            let request = Request { base, scope: search.scope, filter: &filter, page: None, size_limit: 1 };
            self.directory.connection.search(&request, &mut found).await?;
            if found.names.is_empty() {
                let message = format!(
                    "{} shows no entry with {attribute} below {base}, so it cannot be said that this one is gone; \
                     check the rights of the account, or remove this search if nobody is there",
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

    /// The search that selects the entry now; or why none does any more.
    async fn selecting<'s>(
        &mut self,
        searches: &'s [Search],
        name: &str,
    ) -> Result<Result<&'s Search, Finding>, LdapError> {
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
            let itself = Search { base_dn: name.to_owned(), scope: Scope::Base, filter: search.filter.clone() };
            self.directory.search(&itself, &mut found).await?;
            if !found.names.is_empty() {
                return Ok(Ok(search));
            }
        }
        Ok(Err(if in_scope { Finding::NoLongerMatches } else { Finding::MovedOutOfScope }))
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
