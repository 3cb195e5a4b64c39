//! Who is meant by `onlyGroups`: everybody who is a member of one of these groups, at any depth.

use super::attribute::Object;
use super::directory::{Directory, Member, MemberKind, id};
use super::error::GoogleError;
use super::members::{CONCURRENT, all_members};
use directory_sync_core::read::{IncompleteRead, ReadCaps};
use futures::{StreamExt, TryStreamExt};
use std::collections::HashSet;

/// The groups of `onlyGroups` with those nested in them, and their people.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Every group once, with its direct members.
    pub(super) groups: Vec<(Object, Vec<Member>)>,
    group_ids: HashSet<String>,
    people: HashSet<String>,
    /// Customers all of whose users are members.
    customers: HashSet<String>,
}

impl Scope {
    /// Follows memberships from the named groups downwards. A group that cannot be read leaves it unknown who is
    /// meant, so that there is no scope then.
    pub(super) async fn read(
        directory: &Directory,
        only_groups: &[String],
        caps: ReadCaps,
    ) -> Result<Self, GoogleError> {
        let mut scope = Self::default();
        let mut level: Vec<String> = only_groups.to_vec();
        let mut memberships = 0;
        // Groups may be nested in circles, so each is read once.
        while !level.is_empty() {
            let groups: Vec<_> = futures::stream::iter(level.drain(..).map(|key| read_group(directory, key, caps)))
                .buffered(CONCURRENT)
                .try_collect()
                .await?;
            for (group, members) in groups {
                memberships += members.len();
                for (what, count, cap) in
                    [("groups", scope.groups.len(), caps.entries), ("memberships", memberships, caps.memberships)]
                {
                    if count > cap {
                        let section = "onlyGroups".to_owned();
                        return Err(IncompleteRead::CapExceeded { section, what, cap }.into());
                    }
                }
                // Two keys of one level may name one group: by address and by id.
                if scope.group_ids.insert(id(&group).to_owned()) {
                    scope.groups.push((group, members));
                }
            }
            let nested = scope.groups.iter().flat_map(|(_, members)| members);
            let nested = nested.filter(|member| member.kind == MemberKind::Group).map(|member| &member.id);
            let new: HashSet<&String> = nested.filter(|id| !scope.group_ids.contains(*id)).collect();
            level.extend(new.into_iter().cloned());
        }
        for member in scope.groups.iter().flat_map(|(_, members)| members) {
            match member.kind {
                MemberKind::User => scope.people.insert(member.id.clone()),
                MemberKind::Customer => scope.customers.insert(member.id.clone()),
                MemberKind::Group => false,
            };
        }
        Ok(scope)
    }

    /// Whether this person is meant.
    pub(super) fn has_person(&self, id: &str, customer: &str) -> bool {
        self.people.contains(id) || self.customers.contains(customer)
    }

    /// Whether this group is meant.
    pub(super) fn has_group(&self, id: &str) -> bool {
        self.group_ids.contains(id)
    }
}

async fn read_group(directory: &Directory, key: String, caps: ReadCaps) -> Result<(Object, Vec<Member>), GoogleError> {
    let unknown = |cause: GoogleError| GoogleError::ScopeUnknown { group: key.clone(), cause: Box::new(cause) };
    let group = directory.group(&key).await.map_err(unknown)?.ok_or_else(|| {
        unknown(GoogleError::Config {
            field: "source.google.onlyGroups".to_owned(),
            problem: format!("there is no group {key}; correct the address, or take it out of what it is nested in"),
        })
    })?;
    if id(&group).is_empty() {
        let found = "a group without an id".to_owned();
        return Err(unknown(GoogleError::NotGoogle { url: directory.url().to_owned(), found }));
    }
    let members = all_members(directory, id(&group), caps).await.map_err(unknown)?;
    Ok((group, members))
}
