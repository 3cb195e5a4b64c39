//! Filling the columns.

use super::{
    ColumnFull, GroupColumns, GroupRecord, Member, MemberKind, Memberships, Reference, ReferenceIndex, Referencer,
    References, Skipped, Snapshot, UserColumns, UserRecord,
};

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Row of a person in the snapshot being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserRow(pub(super) u32);

/// Row of a group in the snapshot being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRow(pub(super) u32);

/// Takes people, groups and memberships in any order and makes a [`Snapshot`] of them.
///
/// An entry whose reference is already there is the same entry seen twice (overlapping searches) and is not added
/// again.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    users: UserColumns,
    groups: GroupColumns,
    /// Whether the members of a group could not be read, by row.
    members_unknown: Vec<bool>,
    references: ReferenceIndex,
    referencer: Referencer,
    skipped: Skipped,
    /// Memberships whose member is known by row already.
    resolved: Vec<(u32, Member)>,
    /// Memberships whose member may still come.
    pending: Vec<(u32, Reference)>,
}

impl SnapshotBuilder {
    /// The referencer for the names of this snapshot's entries.
    pub fn referencer(&self) -> &Referencer {
        &self.referencer
    }

    /// Counts of what was skipped so far, to be added to.
    pub fn skipped_mut(&mut self) -> &mut Skipped {
        &mut self.skipped
    }

    /// How many people and groups were taken so far.
    pub fn entry_count(&self) -> usize {
        self.users.ids.len() + self.groups.ids.len()
    }

    /// How many memberships were taken so far.
    pub fn membership_count(&self) -> usize {
        self.resolved.len() + self.pending.len()
    }

    /// Adds a person under the name by which groups refer to it.
    pub fn user(&mut self, reference: Reference, record: &UserRecord) -> Result<UserRow, ColumnFull> {
        if let Some(MemberKind::User(row)) = self.references.find(reference).map(Member::kind) {
            return Ok(UserRow(u32::try_from(row).map_err(|_| ColumnFull)?));
        }
        let row = UserRow(row_number(self.references.references.users.len())?);
        let columns = &mut self.users;
        columns.ids.push(&record.id)?;
        columns.external_ids.push(&record.external_id)?;
        columns.versions.push(&record.version)?;
        columns.addresses.push(&record.address)?;
        columns.aliases.push(record.aliases.iter().map(String::as_str))?;
        columns.given_names.push(&record.given_name)?;
        columns.family_names.push(&record.family_name)?;
        columns.display_names.push(&record.display_name)?;
        columns.org_units.push(&record.org_unit)?;
        columns.active.push(record.active);
        for (name, value) in &record.attributes {
            let symbol = columns.attribute_interner.intern(name)?;
            columns.attribute_names.push(symbol);
            columns.attribute_values.push(value)?;
        }
        columns.attribute_ends.push(row_number(columns.attribute_names.len())?);
        columns.fingerprints.push(fingerprint(record));
        columns.unknown.set(row.0 as usize, record.unknown);
        if let Some(Ok(password)) = &record.password {
            columns.passwords.resize(row.0 as usize, None);
            columns.passwords.push(Some(password.clone()));
        }
        self.skipped.other_addresses += u64::from(record.other_addresses);
        self.references.references.users.push(reference);
        self.index(reference, Member::user(row));
        Ok(row)
    }

    /// Adds a group under the name by which other groups refer to it.
    pub fn group(&mut self, reference: Reference, record: &GroupRecord) -> Result<GroupRow, ColumnFull> {
        if let Some(MemberKind::Group(row)) = self.references.find(reference).map(Member::kind) {
            return Ok(GroupRow(u32::try_from(row).map_err(|_| ColumnFull)?));
        }
        let row = GroupRow(row_number(self.references.references.groups.len())?);
        let columns = &mut self.groups;
        columns.ids.push(&record.id)?;
        columns.external_ids.push(&record.external_id)?;
        columns.versions.push(&record.version)?;
        columns.addresses.push(&record.address)?;
        columns.names.push(&record.name)?;
        columns.descriptions.push(&record.description)?;
        columns.unknown.set(row.0 as usize, record.unknown);
        self.members_unknown.push(false);
        self.references.references.groups.push(reference);
        self.index(reference, Member::group(row));
        Ok(row)
    }

    /// Adds a member to a group by the name the group uses for it; the member itself may come later.
    pub fn member(&mut self, group: GroupRow, member: Reference) -> Result<(), ColumnFull> {
        row_number(self.membership_count())?;
        match self.references.find(member) {
            Some(found) => self.resolved.push((group.0, found)),
            None => self.pending.push((group.0, member)),
        }
        Ok(())
    }

    /// Marks the members of a group as unknown: what is known of them is not the whole.
    pub fn members_unknown(&mut self, group: GroupRow) {
        if let Some(unknown) = self.members_unknown.get_mut(group.0 as usize) {
            *unknown = true;
        }
    }

    /// Puts the memberships into order and gives the snapshot out. References are kept where members may be looked up
    /// again.
    pub(crate) fn finish(mut self, keep_references: bool) -> Snapshot {
        let groups = self.references.references.groups.len();
        self.groups.unresolved = vec![0; groups];
        for (group, reference) in std::mem::take(&mut self.pending) {
            match self.references.find(reference) {
                Some(member) => self.resolved.push((group, member)),
                None => self.groups.unresolved[group as usize] += 1,
            }
        }
        let references = std::mem::take(&mut self.references).references;
        let references = if keep_references { references } else { References::default() };
        // Memberships mostly arrive in the order of the groups, and there are millions: sort only if they do not.
        let mut resolved = std::mem::take(&mut self.resolved);
        if !resolved.is_sorted() {
            resolved.sort_unstable();
        }
        resolved.dedup();
        let mut ends = vec![0; groups];
        for &(group, _) in &resolved {
            ends[group as usize] += 1;
        }
        let mut end = 0;
        for count in &mut ends {
            end += *count;
            *count = end;
        }
        let members = resolved.iter().map(|&(_, member)| member).collect();
        drop(resolved);
        for column in [
            &mut self.users.ids,
            &mut self.users.external_ids,
            &mut self.users.versions,
            &mut self.users.addresses,
            &mut self.users.display_names,
            &mut self.users.attribute_values,
        ] {
            column.shrink();
        }
        self.users.aliases.shrink();
        self.users.given_names.shrink();
        self.users.family_names.shrink();
        self.users.org_units.shrink();
        Snapshot {
            users: Arc::new(self.users),
            groups: Arc::new(self.groups),
            memberships: Arc::new(Memberships { ends, members, unknown: self.members_unknown }),
            references: Arc::new(references),
            referencer: self.referencer,
            skipped: self.skipped,
            nested: Arc::default(),
        }
    }

    fn index(&mut self, reference: Reference, member: Member) {
        let ReferenceIndex { references: References { users, groups }, table } = &mut self.references;
        table.insert_unique(reference.bucket(), member, |&member| {
            match member.kind() {
                MemberKind::User(row) => users[row],
                MemberKind::Group(row) => groups[row],
            }
            .bucket()
        });
    }
}

/// A hash over everything that is compared between two sides; a password is not, because no target tells it. The keys are fixed: both sides need the same, and nobody
/// gains by making two records of one person collide.
fn fingerprint(record: &UserRecord) -> u64 {
    let mut hasher = DefaultHasher::new();
    for text in [&record.address, &record.given_name, &record.family_name, &record.display_name, &record.org_unit] {
        text.hash(&mut hasher);
    }
    record.active.hash(&mut hasher);
    record.aliases.hash(&mut hasher);
    record.attributes.hash(&mut hasher);
    hasher.finish()
}

/// A row number below 2³¹, which leaves the top bit of a [`Member`] free.
fn row_number(count: usize) -> Result<u32, ColumnFull> {
    u32::try_from(count).ok().filter(|&row| row < 1 << 31).ok_or(ColumnFull)
}
