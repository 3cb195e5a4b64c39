//! Groups that are none of those to be synchronised, but pass their members on to the groups that they are in: without
//! them, people would drop out of a mailing list because they are in it through a group without an address.

use super::error::LdapError;
use super::names::Names;
use directory_sync_core::read::{IncompleteRead, Next, Read, SourceSide};
use directory_sync_core::snapshot::{GroupRow, Reference};
use std::collections::{HashMap, HashSet};

/// A group that passes its members on.
#[derive(Debug, Default)]
struct Through {
    name: String,
    members: Vec<Reference>,
    unknown: bool,
}

/// Such groups, and the members of others that may be among them.
#[derive(Debug)]
pub(super) struct PassingOn {
    groups: HashMap<Reference, Through>,
    /// Members of groups that are no people, which are settled when all groups are known.
    waiting: Vec<(GroupRow, Reference)>,
    count: usize,
    cap: usize,
}

impl PassingOn {
    /// None yet; at most so many memberships.
    pub(super) fn new(cap: usize) -> Self {
        Self { groups: HashMap::new(), waiting: Vec::new(), count: 0, cap }
    }

    /// Whether this group is known already.
    pub(super) fn knows(&self, group: Reference) -> bool {
        self.groups.contains_key(&group)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.values().map(|group| group.name.as_str())
    }

    /// Takes a group.
    pub(super) fn add(&mut self, group: Reference, name: &str) {
        self.groups.insert(group, Through { name: name.to_owned(), ..Through::default() });
    }

    /// It is one of those to be synchronised after all.
    pub(super) fn remove(&mut self, group: Reference) {
        self.groups.remove(&group);
    }

    /// Takes a member of such a group.
    pub(super) fn member(&mut self, group: Reference, member: Reference) -> Result<(), LdapError> {
        self.counted()?;
        if let Some(group) = self.groups.get_mut(&group) {
            group.members.push(member);
        }
        Ok(())
    }

    /// Not all members of such a group could be read.
    pub(super) fn unknown(&mut self, group: Reference) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.unknown = true;
        }
    }

    /// Takes a member of a group to be synchronised, which may be such a group.
    pub(super) fn wait(&mut self, group: GroupRow, member: Reference) -> Result<(), LdapError> {
        self.counted()?;
        self.waiting.push((group, member));
        Ok(())
    }

    /// Gives the members that waited to the read: those that are such groups are replaced by their members. The names of
    /// the groups are kept, to read them again.
    pub(super) fn settle(mut self, read: &mut Read<SourceSide>, names: &mut Names) -> Result<(), LdapError> {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            let section = read.open("groups within groups");
            let mut seen = HashSet::new();
            let mut row = None;
            for (group, member) in waiting {
                // Members come group by group.
                if row.replace(group) != Some(group) {
                    seen.clear();
                }
                let mut open = vec![member];
                while let Some(member) = open.pop() {
                    self.counted()?;
                    let Some(through) = self.groups.get(&member) else {
                        read.member(section, group, member)?;
                        continue;
                    };
                    if through.unknown {
                        read.members_unknown(group);
                    }
                    if seen.insert(member) {
                        open.extend(&through.members);
                    }
                }
            }
            read.page(section, Next::End)?;
        }
        names.passing_on = self.groups.into_iter().map(|(group, through)| (group, through.name)).collect();
        Ok(())
    }

    /// Counts memberships and steps through them.
    fn counted(&mut self) -> Result<(), LdapError> {
        self.count += 1;
        if self.count > self.cap {
            let section = "groups within groups".to_owned();
            return Err(IncompleteRead::CapExceeded { section, what: "memberships", cap: self.cap }.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use directory_sync_core::read::{CompleteRead, ReadCaps};
    use directory_sync_core::snapshot::{GroupRecord, UserRecord};

    /// Reads the people `ada` and `bob` and the group `list`, with these members, and settles what passes on.
    fn settled(
        cap: usize,
        members: &[&str],
        through: &[(&str, &[&str])],
    ) -> Result<CompleteRead<SourceSide>, LdapError> {
        let mut read = Read::<SourceSide>::start(ReadCaps::default());
        let section = read.open("all");
        let referencer = read.referencer().clone();
        let reference = |name: &str| referencer.reference(name.as_bytes());
        for name in ["ada", "bob"] {
            read.user(section, reference(name), &UserRecord { id: name.to_owned(), ..UserRecord::default() }).unwrap();
        }
        let row = read.group(section, reference("list"), &GroupRecord::default()).unwrap();
        let mut passing = PassingOn::new(cap);
        for member in members {
            passing.wait(row, reference(member))?;
        }
        for (name, members) in through {
            passing.add(reference(name), name);
            for member in *members {
                match *member {
                    "?" => passing.unknown(reference(name)),
                    member => passing.member(reference(name), reference(member))?,
                }
            }
        }
        read.page(section, Next::End).unwrap();
        passing.settle(&mut read, &mut Names::default())?;
        Ok(read.finish().unwrap())
    }

    #[test]
    fn members_are_passed_on_through_several_groups_and_in_circles() {
        let read = settled(100, &["one"], &[("one", &["ada", "two"]), ("two", &["bob", "one", "gone"])]).unwrap();
        let list = read.snapshot().group(0);
        assert_eq!((list.members().len(), list.unresolved_members(), list.members_unknown()), (2, 1, false));
    }

    #[test]
    fn what_cannot_be_passed_on_whole_is_unknown() {
        let read = settled(100, &["ada", "one"], &[("one", &["two"]), ("two", &["?"])]).unwrap();
        assert!(read.snapshot().group(0).members_unknown());
    }

    #[test]
    fn there_is_a_cap_on_the_steps() {
        let error = settled(5, &["one"], &[("one", &["ada", "bob", "two"]), ("two", &["ada"])]).unwrap_err();
        assert!(matches!(error, LdapError::Incomplete(IncompleteRead::CapExceeded { .. })), "{error}");
    }
}
