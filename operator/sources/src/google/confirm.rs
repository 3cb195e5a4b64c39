//! Looking up people and groups by immutable id before they are removed.
//!
//! An absence counts only in Google's own words, and only if this administrator can see at all.

use super::config::GoogleConfig;
use super::customer::Customer;
use super::directory::{Directory, Entry};
use super::error::GoogleError;
use super::members::{MemberReader, are_withheld};
use super::scope::Scope;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::mapping;
use directory_sync_core::snapshot::{Reference, Referencer, UserRecord};
use std::collections::HashSet;

/// One finding per look-up, in their order.
pub(super) async fn confirm(
    directory: &Directory,
    config: &GoogleConfig,
    customer: &Customer,
    lookups: &[Lookup],
    referencer: &Referencer,
) -> Vec<Finding> {
    let mut confirmer =
        Confirmer { directory, config, customer, referencer, scope: None, sees_people: false, sees_groups: false };
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
    directory: &'c Directory,
    config: &'c GoogleConfig,
    customer: &'c Customer,
    referencer: &'c Referencer,
    /// Who is meant by `onlyGroups` now; read when first needed.
    scope: Option<Scope>,
    /// That absences among people can be believed.
    sees_people: bool,
    /// That absences among groups can be believed.
    sees_groups: bool,
}

impl Confirmer<'_> {
    async fn user(&mut self, id: &str) -> Result<Finding, GoogleError> {
        let user = match self.directory.user(id).await? {
            Some(user) if !user.is_deleted => user,
            _ => return self.no_such_person().await,
        };
        if user.id != id {
            return Ok(another(id));
        }
        self.customer.check(&user.customer)?;
        let address = user.address.as_str();
        if self.is_of_another_domain(address) {
            return Ok(Finding::MovedOutOfScope);
        }
        if let Some(scope) = self.scope().await?
            && !scope.has_person(id, &user.customer)
        {
            return Ok(Finding::MovedOutOfScope);
        }
        if self.config.user_query.is_some() && !address.is_empty() {
            let selected = self.directory.users(None, Some(address)).await?;
            if !has_id(&selected.items, id) {
                return Ok(Finding::NoLongerMatches);
            }
        }
        let mut record = UserRecord::default();
        let entry = mapping::Entry { name: address, values: &user.borrowed() };
        // A user found by its id has one.
        let _ = self.config.user_mapping.map(&entry, &mut record, &mut 0);
        Ok(if record.address.is_empty() {
            Finding::LostAddress
        } else if record.active {
            Finding::StillThere { members: None }
        } else {
            Finding::Disabled
        })
    }

    async fn group(&mut self, id: &str) -> Result<Finding, GoogleError> {
        let Some(group) = self.directory.group(id).await? else { return self.no_such_group().await };
        if group.id != id {
            return Ok(another(id));
        }
        let address = group.address.as_str();
        if self.is_of_another_domain(address) {
            return Ok(Finding::MovedOutOfScope);
        }
        if let Some(scope) = self.scope().await?
            && !scope.has_group(id)
        {
            return Ok(Finding::MovedOutOfScope);
        }
        if self.config.groups.as_ref().is_some_and(|groups| groups.query.is_some()) {
            let selected = self.directory.groups(None, Some(address)).await?;
            if !has_id(&selected.items, id) {
                return Ok(Finding::NoLongerMatches);
            }
        }
        Ok(Finding::StillThere { members: self.members(id).await? })
    }

    /// References of the members now; `None` if they are withheld, or are everybody.
    async fn members(&self, id: &str) -> Result<Option<HashSet<Reference>>, GoogleError> {
        let members = match self.reader().all(id).await {
            Ok(members) => members,
            Err(error) if are_withheld(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let groups = members.groups.iter().map(|id| self.referencer.reference(id.as_bytes()));
        Ok(members.customers.is_empty().then(|| groups.chain(members.people.iter().copied()).collect()))
    }

    fn reader(&self) -> MemberReader<'_> {
        MemberReader::new(self.directory, self.referencer.clone(), self.config.caps)
    }

    async fn no_such_person(&mut self) -> Result<Finding, GoogleError> {
        self.sees_people = self.sees_people || !self.directory.users(None, None).await?.items.is_empty();
        Ok(if self.sees_people { Finding::Gone } else { blind("user") })
    }

    async fn no_such_group(&mut self) -> Result<Finding, GoogleError> {
        // With `onlyGroups`, the groups named there have just been read, or there is no scope.
        let seen = match self.scope().await? {
            Some(_) => true,
            None => self.sees_groups || !self.directory.groups(None, None).await?.items.is_empty(),
        };
        self.sees_groups = seen;
        Ok(if seen { Finding::Gone } else { blind("group") })
    }

    fn is_of_another_domain(&self, address: &str) -> bool {
        let of = |domain: &String| address.rsplit_once('@').is_none_or(|(_, of)| !of.eq_ignore_ascii_case(domain));
        self.config.domain.as_ref().is_some_and(of)
    }

    async fn scope(&mut self) -> Result<Option<&Scope>, GoogleError> {
        if self.config.only_groups.is_empty() {
            return Ok(None);
        }
        if self.scope.is_none() {
            self.scope = Some(Scope::read(&self.reader(), &self.config.only_groups, |_, _| Ok(())).await?);
        }
        Ok(self.scope.as_ref())
    }
}

fn has_id(items: &[Entry], id: &str) -> bool {
    items.iter().any(|item| item.id == id)
}

fn another(id: &str) -> Finding {
    Finding::Unreadable { message: format!("Google answered with another object than the one with the id {id}") }
}

fn blind(kind: &str) -> Finding {
    let message = format!(
        "Google shows this administrator no {kind} at all, so it cannot be said that this one is gone; check the role \
         of delegatedAdmin"
    );
    Finding::Unreadable { message }
}
