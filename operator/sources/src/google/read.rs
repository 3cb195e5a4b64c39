//! Reading everything, page by page, into columns: groups first, because they may decide who counts, then people.

use super::attribute::Object;
use super::config::GoogleConfig;
use super::customer::Customer;
use super::directory::{Directory, Member, MemberKind, text};
use super::error::GoogleError;
use super::members::{CONCURRENT, all_members, are_withheld};
use super::scope::Scope;
use directory_sync_core::mapping::Entry;
use directory_sync_core::read::{CompleteRead, Next, Read, Section, SourceSide};
use directory_sync_core::snapshot::{GroupRecord, GroupRow, Reference, UserRecord};
use futures::StreamExt;
use std::borrow::Cow;

/// Reads groups and people. Only when every list came to the end that Google announces is there a snapshot.
pub(super) async fn read(
    directory: &Directory,
    config: &GoogleConfig,
    customer: &Customer,
) -> Result<CompleteRead<SourceSide>, GoogleError> {
    let read = Read::start(config.caps);
    let mut reader = Reader { directory, config, customer, read, everybody: Vec::new() };
    let mut scope = None;
    if !config.only_groups.is_empty() {
        let mut found = Scope::read(directory, &config.only_groups, config.caps).await?;
        let groups = std::mem::take(&mut found.groups);
        if config.groups.is_some() {
            reader.groups_in_scope(groups)?;
        }
        scope = Some(found);
    } else if config.groups.is_some() {
        reader.all_groups().await?;
    }
    reader.people(scope.as_ref()).await?;
    Ok(reader.read.finish()?)
}

struct Reader<'r> {
    directory: &'r Directory,
    config: &'r GoogleConfig,
    customer: &'r Customer,
    read: Read<SourceSide>,
    /// Groups that have every user of a customer as members, who are known only when all people are.
    everybody: Vec<Everybody>,
}

struct Everybody {
    section: Section,
    group: GroupRow,
    customer: String,
}

impl Reader<'_> {
    /// Takes the groups of `onlyGroups`, which were read to find out who counts.
    fn groups_in_scope(&mut self, groups: Vec<(Object, Vec<Member>)>) -> Result<(), GoogleError> {
        let section = self.read.open("the groups of onlyGroups");
        for (group, members) in groups {
            if let Some((row, name)) = self.group(section, &group)? {
                self.members(row, &name, Some(members))?;
            }
        }
        Ok(self.read.page(section, Next::End)?)
    }

    /// Takes all groups that the query selects, and then the members of each, several at a time.
    async fn all_groups(&mut self) -> Result<(), GoogleError> {
        let section = self.read.open("the groups");
        let mut groups = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self.directory.groups(token.as_deref(), None).await?;
            for group in &page.items {
                groups.extend(self.group(section, group)?.map(|(row, name)| (row, name, text(group, "id").to_owned())));
            }
            let Some(next) = page.next else { break };
            self.read.page(section, Next::Page(next.as_bytes()))?;
            token = Some(next);
        }
        self.read.page(section, Next::End)?;
        let (directory, caps) = (self.directory, self.config.caps);
        let mut found = futures::stream::iter(groups)
            .map(|(row, name, id)| async move { (row, name, all_members(directory, &id, caps).await) })
            .buffer_unordered(CONCURRENT);
        while let Some((row, name, members)) = found.next().await {
            match members {
                Ok(members) => self.members(row, &name, Some(members))?,
                Err(error) if are_withheld(&error) => {
                    tracing::warn!(%error, "the members of a group are unknown");
                    self.members(row, &name, None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes one group; `None` if it has no id.
    fn group(&mut self, section: Section, group: &Object) -> Result<Option<(GroupRow, String)>, GoogleError> {
        let name = text(group, "email");
        let values = self.directory.group_attributes.values(group);
        let values = borrowed(&values);
        let mut record = GroupRecord::default();
        let malformed = &mut self.read.skipped_mut().malformed_values;
        if self.config.group_mapping.map(&Entry { name, values: &values }, &mut record, malformed).is_err() {
            self.read.skipped_mut().groups_without_id += 1;
            return Ok(None);
        }
        let reference = self.read.referencer().reference(record.id.as_bytes());
        Ok(Some((self.read.group(section, reference, &record)?, name.to_owned())))
    }

    /// Takes the members of a group; `None` if they are withheld.
    fn members(&mut self, group: GroupRow, name: &str, members: Option<Vec<Member>>) -> Result<(), GoogleError> {
        let section = self.read.open(format!("the members of {name}"));
        let before = self.everybody.len();
        match members {
            Some(members) => {
                for Member { id, kind } in members {
                    if kind == MemberKind::Customer {
                        self.everybody.push(Everybody { section, group, customer: id });
                    } else {
                        let member = self.read.referencer().reference(id.as_bytes());
                        self.read.member(section, group, member)?;
                    }
                }
            }
            None => self.read.members_unknown(group),
        }
        if self.everybody.len() == before {
            self.read.page(section, Next::End)?;
        }
        Ok(())
    }

    /// Takes all people who are in scope.
    async fn people(&mut self, scope: Option<&Scope>) -> Result<(), GoogleError> {
        let section = self.read.open("the users");
        let mut everybody: Vec<Reference> = Vec::new();
        let mut record = UserRecord::default();
        let mut token: Option<String> = None;
        loop {
            let page = self.directory.users(token.as_deref(), None).await?;
            for user in &page.items {
                self.customer.check(text(user, "customerId"))?;
                if scope.is_none_or(|scope| scope.has_person(text(user, "id"), text(user, "customerId"))) {
                    everybody.extend(self.person(section, user, &mut record)?);
                }
            }
            let Some(next) = page.next else { break };
            self.read.page(section, Next::Page(next.as_bytes()))?;
            token = Some(next);
        }
        self.read.page(section, Next::End)?;
        self.everybody_in_groups(&everybody)
    }

    fn person(
        &mut self,
        section: Section,
        user: &Object,
        record: &mut UserRecord,
    ) -> Result<Option<Reference>, GoogleError> {
        let values = self.directory.user_attributes.values(user);
        let values = borrowed(&values);
        let entry = Entry { name: text(user, "primaryEmail"), values: &values };
        if self.config.user_mapping.map(&entry, record, &mut self.read.skipped_mut().malformed_values).is_err() {
            self.read.skipped_mut().users_without_id += 1;
            return Ok(None);
        }
        let reference = self.read.referencer().reference(record.id.as_bytes());
        self.read.user(section, reference, record)?;
        // Only where some group needs it: people are many.
        Ok((!self.everybody.is_empty()).then_some(reference))
    }

    fn everybody_in_groups(&mut self, people: &[Reference]) -> Result<(), GoogleError> {
        let mut sections = Vec::new();
        for Everybody { section, group, customer } in std::mem::take(&mut self.everybody) {
            // Of another customer's people nobody is here; so many members are just not known by name.
            if self.customer.is(&customer) {
                for &person in people {
                    self.read.member(section, group, person)?;
                }
            }
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        sections.into_iter().try_for_each(|section| Ok(self.read.page(section, Next::End)?))
    }
}

/// The values as the mapping takes them.
pub(super) fn borrowed<'v>(values: &'v [Vec<Cow<'_, str>>]) -> Vec<Vec<&'v [u8]>> {
    values.iter().map(|values| values.iter().map(|value| value.as_bytes()).collect()).collect()
}
