//! Who is meant by `onlyGroups`: everybody who is a member of one of these groups, at any depth.

use super::directory::Entry;
use super::error::GoogleError;
use super::members::{CONCURRENT, MemberReader, Members};
use directory_sync_core::read::IncompleteRead;
use directory_sync_core::snapshot::{Reference, Referencer};
use futures::{StreamExt, stream};
use std::collections::{BTreeSet, HashSet};
use std::pin::pin;

/// The groups of `onlyGroups` with those nested in them, and their people.
#[derive(Debug)]
pub(super) struct Scope {
    referencer: Referencer,
    groups: HashSet<String>,
    people: HashSet<Reference>,
    /// Customers all of whose users are members.
    customers: HashSet<String>,
}

impl Scope {
    /// Follows memberships from the named groups downwards, and gives every group once to `take`, with its direct
    /// members. A group that cannot be read leaves it unknown who is meant, so that there is no scope then.
    pub(super) async fn read(
        reader: &MemberReader<'_>,
        only_groups: &[String],
        mut take: impl FnMut(Entry, &Members) -> Result<(), GoogleError> + Send,
    ) -> Result<Self, GoogleError> {
        let mut scope = Self {
            referencer: reader.referencer.clone(),
            groups: HashSet::new(),
            people: HashSet::new(),
            customers: HashSet::new(),
        };
        let mut level: Vec<String> = only_groups.to_vec();
        let mut nested = false;
        // Groups may be nested in circles, so each is read once.
        while !level.is_empty() {
            let mut below = BTreeSet::new();
            let groups = level.into_iter().map(move |key| read_group(reader, key, nested));
            let mut groups = pin!(stream::iter(groups).buffered(CONCURRENT));
            while let Some(found) = groups.next().await {
                let (group, members) = found?;
                // Two keys of one level may name one group: by address and by id.
                if !scope.groups.insert(group.id.clone()) {
                    continue;
                }
                let cap = reader.caps().entries;
                if scope.groups.len() + below.len() > cap {
                    let section = "onlyGroups".to_owned();
                    return Err(IncompleteRead::CapExceeded { section, what: "groups", cap }.into());
                }
                take(group, &members)?;
                scope.people.extend(members.people);
                scope.customers.extend(members.customers);
                below.extend(members.groups);
            }
            level = below.into_iter().filter(|id| !scope.groups.contains(id)).collect();
            nested = true;
        }
        Ok(scope)
    }

    /// Whether this person is meant.
    pub(super) fn has_person(&self, id: &str, customer: &str) -> bool {
        self.people.contains(&self.referencer.reference(id.as_bytes())) || self.customers.contains(customer)
    }

    /// Whether this group is meant.
    pub(super) fn has_group(&self, id: &str) -> bool {
        self.groups.contains(id)
    }
}

/// A group by its address, or by its id where it is `nested` in another.
async fn read_group(reader: &MemberReader<'_>, key: String, nested: bool) -> Result<(Entry, Members), GoogleError> {
    let unknown = |cause: GoogleError| GoogleError::ScopeUnknown { group: key.clone(), cause: Box::new(cause) };
    let group = reader.directory.group(&key).await.map_err(unknown)?;
    // Google's lists lag behind each other: whatever does not exist now may have been deleted, or created, just now.
    let Some(group) = group else {
        let advice = if nested {
            "it was nested in another a moment ago; if that stays so, take it out of the group that it is nested in"
        } else {
            "correct the address, or take it out; one that was just created is found by itself"
        };
        return Err(GoogleError::GroupMissing { group: key, advice });
    };
    if nested && group.id != key {
        let found = "another group than the one that was asked for".to_owned();
        return Err(unknown(GoogleError::NotGoogle { url: reader.directory.url().to_owned(), found }));
    }
    let members = reader.all(&group.id).await.map_err(unknown)?;
    Ok((group, members))
}
