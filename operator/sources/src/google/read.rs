//! Reading everything, page by page, into columns. Groups come first, because they may decide who counts.

use super::config::GoogleConfig;
use super::customer::Customer;
use super::directory::{Directory, Entry};
use super::error::GoogleError;
use super::members::{CONCURRENT, MemberReader, Members, are_withheld};
use super::page::Page;
use super::scope::Scope;
use directory_sync_core::mapping;
use directory_sync_core::read::{CompleteRead, Next, Read, Section, SourceSide};
use directory_sync_core::snapshot::{GroupRecord, GroupRow, Reference, UserRecord};
use futures::{StreamExt, stream};
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
    let members = MemberReader::new(directory, read.referencer().clone(), config.caps);
    let mut reader = Reader { directory, config, customer, read, everybody: Vec::new() };
    if config.only_groups.is_empty() {
        let groups = if config.groups.is_some() { reader.groups().await? } else { Vec::new() };
        reader.members_and_people(groups, &members, None).await?;
    } else {
        let scope = reader.scope(&members).await?;
        reader.members_and_people(Vec::new(), &members, Some(&scope)).await?;
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
    Members(Listed, Result<Members, GoogleError>),
    People(Result<Page<Entry>, GoogleError>),
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
    /// Finds out who counts, and takes the groups of `onlyGroups` on the way if groups are read.
    async fn scope(&mut self, members: &MemberReader<'_>) -> Result<Scope, GoogleError> {
        let only_groups = &self.config.only_groups;
        if self.config.groups.is_none() {
            return Scope::read(members, only_groups, |_, _| Ok(())).await;
        }
        let section = self.read.open("the groups of onlyGroups");
        let scope = Scope::read(members, only_groups, |group, members| {
            if let Some(row) = self.group(section, &group)? {
                self.members(row, &group.address, Some(members))?;
            }
            Ok(())
        });
        let scope = scope.await?;
        self.read.page(section, Next::End)?;
        Ok(scope)
    }

    /// Takes all groups that the query selects, without their members.
    async fn groups(&mut self) -> Result<Vec<Listed>, GoogleError> {
        let section = self.read.open("the groups");
        let mut groups = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self.directory.groups(token.as_deref(), None).await?;
            for group in page.items {
                if let Some(row) = self.group(section, &group)? {
                    groups.push(Listed { row, name: group.address, id: group.id });
                }
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
    async fn members_and_people(
        &mut self,
        groups: Vec<Listed>,
        members: &MemberReader<'_>,
        scope: Option<&Scope>,
    ) -> Result<(), GoogleError> {
        let directory = self.directory;
        let members = stream::iter(groups)
            .map(|group| async move {
                let members = members.all(&group.id).await;
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
                Part::Members(group, Ok(members)) => self.members(group.row, &group.name, Some(&members))?,
                Part::Members(group, Err(error)) if are_withheld(&error) => {
                    tracing::debug!(%error, "the members of a group are unknown");
                    self.members(group.row, &group.name, None)?;
                }
                Part::Members(_, Err(error)) | Part::People(Err(error)) => return Err(error),
                Part::People(Ok(page)) => {
                    for user in &page.items {
                        self.customer.check(&user.customer)?;
                        if scope.is_none_or(|scope| scope.has_person(&user.id, &user.customer)) {
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

    /// Takes one group; `None` if the mapping finds no id.
    fn group(&mut self, section: Section, group: &Entry) -> Result<Option<GroupRow>, GoogleError> {
        let entry = mapping::Entry { name: &group.address, values: &group.borrowed() };
        let mut record = GroupRecord::default();
        let malformed = &mut self.read.skipped_mut().malformed_values;
        if self.config.group_mapping.map(&entry, &mut record, malformed).is_err() {
            self.read.skipped_mut().groups_without_id += 1;
            return Ok(None);
        }
        let reference = self.read.referencer().reference(record.id.as_bytes());
        Ok(Some(self.read.group(section, reference, &record)?))
    }

    /// Takes the members of a group; `None` if they are withheld.
    fn members(&mut self, group: GroupRow, name: &str, members: Option<&Members>) -> Result<(), GoogleError> {
        let name: String = name.chars().take(NAME_CAP).collect();
        let section = self.read.open(format!("the members of {name}"));
        let before = self.everybody.len();
        match members {
            Some(Members { people, groups, customers }) => {
                for &person in people {
                    self.read.member(section, group, person)?;
                }
                for id in groups {
                    let nested = self.read.referencer().reference(id.as_bytes());
                    self.read.member(section, group, nested)?;
                }
                let everybody = |customer: &String| Everybody { section, group, customer: customer.clone() };
                self.everybody.extend(customers.iter().map(everybody));
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
        user: &Entry,
        record: &mut UserRecord,
    ) -> Result<Option<Reference>, GoogleError> {
        let entry = mapping::Entry { name: &user.address, values: &user.borrowed() };
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
