//! Reading everything, page by page, into columns. Groups come first, because they may decide who counts.

use super::attribute::Object;
use super::client::Page;
use super::config::GoogleConfig;
use super::customer::Customer;
use super::directory::{Directory, Member, MemberKind, id, text};
use super::error::GoogleError;
use super::members::{CONCURRENT, all_members, are_withheld};
use super::scope::Scope;
use directory_sync_core::mapping::Entry;
use directory_sync_core::read::{CompleteRead, Next, Read, Section, SourceSide};
use directory_sync_core::snapshot::{GroupRecord, GroupRow, Reference, UserRecord};
use futures::{StreamExt, stream};
use std::borrow::Cow;
use std::pin::pin;

/// Longest part of a group's address in messages, in characters.
const NAME_CAP: usize = 100;

/// Reads groups and people. Only when every list came to the end that Google announces is there a snapshot.
pub(super) async fn read(
    directory: &Directory,
    config: &GoogleConfig,
    customer: &Customer,
) -> Result<CompleteRead<SourceSide>, GoogleError> {
    let read = Read::start(config.caps);
    let mut reader = Reader { directory, config, customer, read, everybody: Vec::new() };
    if config.only_groups.is_empty() {
        let groups = if config.groups.is_some() { reader.groups().await? } else { Vec::new() };
        reader.members_and_people(groups, None).await?;
    } else {
        let mut scope = Scope::read(directory, &config.only_groups, config.caps).await?;
        let groups = std::mem::take(&mut scope.groups);
        if config.groups.is_some() {
            reader.groups_in_scope(groups)?;
        }
        reader.members_and_people(Vec::new(), Some(&scope)).await?;
    }
    Ok(reader.read.finish()?)
}

/// A group whose members are to be read.
struct Listed {
    row: GroupRow,
    name: String,
    id: String,
}

/// What comes of several requests at once.
enum Part {
    Members(Listed, Result<Vec<Member>, GoogleError>),
    People(Result<Page, GoogleError>),
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

    /// Takes all groups that the query selects, without their members.
    async fn groups(&mut self) -> Result<Vec<Listed>, GoogleError> {
        let section = self.read.open("the groups");
        let mut groups = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self.directory.groups(token.as_deref(), None).await?;
            for group in &page.items {
                let id = id(group).to_owned();
                groups.extend(self.group(section, group)?.map(|(row, name)| Listed { row, name, id }));
            }
            let Some(next) = page.next else { break };
            self.read.page(section, Next::Page(next.as_bytes()))?;
            token = Some(next);
        }
        self.read.page(section, Next::End)?;
        Ok(groups)
    }

    /// Takes the members of these groups, several groups at a time, and meanwhile all people who are in scope: their
    /// pages come one after the other, and most of the time for each is spent waiting.
    async fn members_and_people(&mut self, groups: Vec<Listed>, scope: Option<&Scope>) -> Result<(), GoogleError> {
        let (directory, caps) = (self.directory, self.config.caps);
        let members = stream::iter(groups)
            .map(|group| async move {
                let members = all_members(directory, &group.id, caps).await;
                Part::Members(group, members)
            })
            .buffer_unordered(CONCURRENT);
        let people = stream::unfold(Some(None::<String>), |token| async move {
            let page = directory.users(token?.as_deref(), None).await;
            let next = page.as_ref().ok().and_then(|page| page.next.clone());
            Some((Part::People(page), next.map(Some)))
        });
        let mut parts = pin!(stream::select(members, people));
        let section = self.read.open("the users");
        let mut record = UserRecord::default();
        let mut everybody: Vec<Reference> = Vec::new();
        while let Some(part) = parts.next().await {
            match part {
                Part::Members(group, Ok(members)) => self.members(group.row, &group.name, Some(members))?,
                Part::Members(group, Err(error)) if are_withheld(&error) => {
                    tracing::debug!(%error, "the members of a group are unknown");
                    self.members(group.row, &group.name, None)?;
                }
                Part::Members(_, Err(error)) | Part::People(Err(error)) => return Err(error),
                Part::People(Ok(page)) => {
                    for user in &page.items {
                        self.customer.check(text(user, "customerId"))?;
                        if scope.is_none_or(|scope| scope.has_person(id(user), text(user, "customerId"))) {
                            everybody.extend(self.person(section, user, &mut record)?);
                        }
                    }
                    let next = page.next.as_deref().map_or(Next::End, |next| Next::Page(next.as_bytes()));
                    self.read.page(section, next)?;
                }
            }
        }
        self.everybody_in_groups(&everybody)
    }

    /// Takes one group; `None` if it has no id.
    fn group(&mut self, section: Section, group: &Object) -> Result<Option<(GroupRow, String)>, GoogleError> {
        let name = text(group, "email");
        let values = self.directory.group_attributes.values(group);
        let values = borrowed(&values);
        let mut record = GroupRecord::default();
        let malformed = &mut self.read.skipped_mut().malformed_values;
        let mapped = self.config.group_mapping.map(&Entry { name, values: &values }, &mut record, malformed);
        if mapped.is_err() || id(group).is_empty() {
            self.read.skipped_mut().groups_without_id += 1;
            return Ok(None);
        }
        let reference = self.read.referencer().reference(record.id.as_bytes());
        Ok(Some((self.read.group(section, reference, &record)?, name.to_owned())))
    }

    /// Takes the members of a group; `None` if they are withheld.
    fn members(&mut self, group: GroupRow, name: &str, members: Option<Vec<Member>>) -> Result<(), GoogleError> {
        let name: String = name.chars().take(NAME_CAP).collect();
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

    /// Takes one person; gives the reference if some group may have everybody as members.
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
        Ok(self.config.groups.is_some().then_some(reference))
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
