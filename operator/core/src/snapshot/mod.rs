//! A directory in columns: what one complete read of a source or a target found.
//!
//! A directory is large and boring, so nothing here is an object per person: every field is one arena with an
//! offset per row, repeated values are interned, and a membership is one integer. A [`User`] or [`Group`] is a row
//! number with a reference to the columns.
//!
//! A clone shares the columns, so that one read can be planned from for several targets and is held once. What a plan
//! may replace, the memberships, stands apart from the rest.

mod builder;
mod nesting;
mod record;
mod reference;
mod text;

pub use builder::{GroupRow, SnapshotBuilder, UserRow};
pub use record::{GroupRecord, UserRecord};
pub use reference::{Reference, Referencer};
pub use text::{ColumnFull, InternedColumn, Interner, ListColumn, TextColumn};

use crate::capabilities::{Field, Fields};
use crate::password::Password;
use hashbrown::HashTable;
use std::sync::Arc;

/// People and groups of one directory, in columns, which clones share.
#[derive(Debug, Clone)]
pub struct Snapshot {
    users: Arc<UserColumns>,
    groups: Arc<GroupColumns>,
    memberships: Arc<Memberships>,
    /// Of people and groups, in a source only: nobody asks for those of a target once its members are rows.
    references: Arc<References>,
    referencer: Referencer,
    skipped: Skipped,
    /// Groups within groups, as they were before they were flattened.
    nested: Arc<nesting::Edges>,
}

#[derive(Debug, Default)]
struct UserColumns {
    ids: TextColumn,
    external_ids: TextColumn,
    versions: TextColumn,
    addresses: TextColumn,
    aliases: ListColumn,
    given_names: InternedColumn,
    family_names: InternedColumn,
    display_names: TextColumn,
    org_units: InternedColumn,
    active: Vec<bool>,
    attribute_names: Vec<u32>,
    attribute_values: TextColumn,
    attribute_ends: Vec<u32>,
    attribute_interner: Interner,
    /// As long as the last row that has one.
    passwords: Vec<Option<Password>>,
    /// Of everything but ids and versions.
    fingerprints: Vec<u64>,
    unknown: UnknownFields,
}

#[derive(Debug, Default)]
struct GroupColumns {
    ids: TextColumn,
    external_ids: TextColumn,
    versions: TextColumn,
    addresses: TextColumn,
    names: TextColumn,
    descriptions: TextColumn,
    /// Members that are nobody in this snapshot, per group.
    unresolved: Vec<u32>,
    unknown: UnknownFields,
}

/// Who is in which group.
#[derive(Debug, Default)]
struct Memberships {
    /// Where the members of each group end in `members`.
    ends: Vec<u32>,
    members: Vec<Member>,
    /// Whether the members of a group could not be read.
    unknown: Vec<bool>,
}

/// Which fields of which rows could not be told; as long as the last row that has any.
#[derive(Debug, Default)]
struct UnknownFields(Vec<Fields>);

impl UnknownFields {
    fn set(&mut self, row: usize, fields: Fields) {
        if !fields.is_empty() {
            self.0.resize(row, Fields::NONE);
            self.0.push(fields);
        }
    }

    fn get(&self, row: usize) -> Fields {
        self.0.get(row).copied().unwrap_or_default()
    }
}

/// References of users and groups, by row.
#[derive(Debug, Default)]
struct References {
    users: Vec<Reference>,
    groups: Vec<Reference>,
}

/// The way from references back to rows, while a snapshot is built.
#[derive(Debug, Default)]
struct ReferenceIndex {
    references: References,
    table: HashTable<Member>,
}

/// A member of a group: a row of the users or of the groups of the same snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(u32);

/// What a [`Member`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A person, by row.
    User(usize),
    /// A nested group, by row.
    Group(usize),
}

impl Member {
    const GROUP: u32 = 1 << 31;

    /// The number an operation carries for this member.
    pub(crate) const fn raw(self) -> u32 {
        self.0
    }

    /// The member of a number made by [`Member::raw`].
    pub(crate) const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The person of this row.
    pub fn user(row: UserRow) -> Self {
        Self(row.0)
    }

    /// The nested group of this row.
    pub fn group(row: GroupRow) -> Self {
        Self(row.0 | Self::GROUP)
    }

    /// The member with this row, a group or a person.
    pub(crate) const fn of(is_group: bool, row: u32) -> Self {
        Self(if is_group { row | Self::GROUP } else { row })
    }

    /// The number, well mixed (the finaliser of `SplitMix64`).
    pub(crate) const fn mixed(self) -> u64 {
        let mixed = (self.0 as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whether this is a nested group.
    pub const fn is_group(self) -> bool {
        self.0 & Self::GROUP != 0
    }

    /// The row among the people, or among the groups.
    pub(crate) const fn row(self) -> u32 {
        self.0 & !Self::GROUP
    }

    /// Person or group, with the row.
    pub fn kind(self) -> MemberKind {
        if self.0 & Self::GROUP == 0 {
            MemberKind::User(self.0 as usize)
        } else {
            MemberKind::Group((self.0 & !Self::GROUP) as usize)
        }
    }
}

/// Entries that were read but could not become a person or a group, counted while reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// People without their immutable id.
    pub users_without_id: u64,
    /// Groups without their immutable id.
    pub groups_without_id: u64,
    /// Entries with a value that is not text, not an address, or longer than the cap, by field.
    pub malformed_values: u64,
    /// Further addresses of people that are none of mail.
    pub other_addresses: u64,
}

/// How much a snapshot holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// People.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships, direct ones only.
    pub memberships: u64,
}

impl Snapshot {
    /// How many people, groups and memberships there are.
    pub fn counts(&self) -> Counts {
        Counts {
            users: self.users.ids.len() as u64,
            groups: self.groups.ids.len() as u64,
            memberships: self.memberships.members.len() as u64,
        }
    }

    /// How many people there are; their rows are `0..user_count()`.
    pub fn user_count(&self) -> usize {
        self.users.ids.len()
    }

    /// How many groups there are; their rows are `0..group_count()`.
    pub fn group_count(&self) -> usize {
        self.groups.ids.len()
    }

    /// The person of a row. A row that does not exist has empty fields.
    pub fn user(&self, row: usize) -> User<'_> {
        User { snapshot: self, row }
    }

    /// The group of a row. A row that does not exist has empty fields and no members.
    pub fn group(&self, row: usize) -> Group<'_> {
        Group { snapshot: self, row }
    }

    /// All people.
    pub fn users(&self) -> impl ExactSizeIterator<Item = User<'_>> {
        (0..self.user_count()).map(|row| self.user(row))
    }

    /// All groups.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = Group<'_>> {
        (0..self.group_count()).map(|row| self.group(row))
    }

    /// The referencer with which this snapshot's references were made.
    pub fn referencer(&self) -> &Referencer {
        &self.referencer
    }

    /// What was read but could not be used.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }
}

impl References {
    fn of(&self, member: Member) -> Option<Reference> {
        match member.kind() {
            MemberKind::User(row) => self.users.get(row).copied(),
            MemberKind::Group(row) => self.groups.get(row).copied(),
        }
    }
}

impl ReferenceIndex {
    fn find(&self, reference: Reference) -> Option<Member> {
        self.table.find(reference.bucket(), |&member| self.references.of(member) == Some(reference)).copied()
    }
}

/// One person of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct User<'s> {
    snapshot: &'s Snapshot,
    row: usize,
}

impl<'s> User<'s> {
    fn columns(self) -> &'s UserColumns {
        &self.snapshot.users
    }

    /// Row in the snapshot.
    pub fn row(self) -> usize {
        self.row
    }

    /// Immutable id in the directory that was read.
    pub fn id(self) -> &'s str {
        self.columns().ids.get(self.row)
    }

    /// In a target: the source's id of this person; empty where it bears no mark.
    pub fn external_id(self) -> &'s str {
        self.columns().external_ids.get(self.row)
    }

    /// In a target: the version for conditional requests; empty where there is none.
    pub fn version(self) -> &'s str {
        self.columns().versions.get(self.row)
    }

    /// Primary address, as written.
    pub fn address(self) -> &'s str {
        self.columns().addresses.get(self.row)
    }

    /// Aliases, as written.
    pub fn aliases(self) -> impl ExactSizeIterator<Item = &'s str> + Clone {
        self.columns().aliases.get(self.row)
    }

    /// Given name.
    pub fn given_name(self) -> &'s str {
        self.columns().given_names.get(self.row)
    }

    /// Family name.
    pub fn family_name(self) -> &'s str {
        self.columns().family_names.get(self.row)
    }

    /// Name as shown.
    pub fn display_name(self) -> &'s str {
        self.columns().display_names.get(self.row)
    }

    /// Org unit path.
    pub fn org_unit(self) -> &'s str {
        self.columns().org_units.get(self.row)
    }

    /// Whether the person may use the service.
    pub fn active(self) -> bool {
        self.columns().active.get(self.row).copied().unwrap_or_default()
    }

    /// Further attributes, sorted by name.
    pub fn attributes(self) -> impl ExactSizeIterator<Item = (&'s str, &'s str)> + Clone {
        let columns = self.columns();
        let end = columns.attribute_ends.get(self.row).copied().unwrap_or_default() as usize;
        let start = match self.row.checked_sub(1) {
            None => 0,
            Some(before) => columns.attribute_ends.get(before).map_or(end, |&start| start as usize),
        };
        (start..end).map(|at| {
            let name = columns.attribute_names.get(at).map_or("", |&symbol| columns.attribute_interner.get(symbol));
            (name, columns.attribute_values.get(at))
        })
    }

    /// In a source: the password.
    pub fn password(self) -> Option<&'s Password> {
        self.columns().passwords.get(self.row)?.as_ref()
    }

    /// Fields whose value could not be told: empty here, and not to be taken for empty.
    pub fn unknown(self) -> Fields {
        self.columns().unknown.get(self.row)
    }

    /// Whether there is a value of this field. Of [`Field::Active`]: whether the person is inactive.
    pub fn has(self, field: Field) -> bool {
        match field {
            Field::ExternalId => !self.external_id().is_empty(),
            Field::Email => !self.address().is_empty(),
            Field::Aliases => self.aliases().len() > 0,
            Field::GivenName => !self.given_name().is_empty(),
            Field::FamilyName => !self.family_name().is_empty(),
            Field::DisplayName => !self.display_name().is_empty(),
            Field::OrgUnit => !self.org_unit().is_empty(),
            Field::Active => !self.active(),
            Field::Attributes => self.attributes().len() > 0,
            Field::Password => self.password().is_some(),
            Field::Name | Field::Description | Field::Members => false,
        }
    }

    /// A hash over everything but ids and versions: people with one fingerprint have the same values (but for a chance
    /// below 10⁻¹⁹).
    pub(crate) fn fingerprint(self) -> Option<u64> {
        self.columns().fingerprints.get(self.row).copied()
    }

    /// The name by which groups of the same directory refer to this person; kept of a source only.
    pub fn reference(self) -> Option<Reference> {
        self.snapshot.references.users.get(self.row).copied()
    }
}

/// One group of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Group<'s> {
    snapshot: &'s Snapshot,
    row: usize,
}

impl<'s> Group<'s> {
    fn columns(self) -> &'s GroupColumns {
        &self.snapshot.groups
    }

    /// Row in the snapshot.
    pub fn row(self) -> usize {
        self.row
    }

    /// Immutable id in the directory that was read.
    pub fn id(self) -> &'s str {
        self.columns().ids.get(self.row)
    }

    /// In a target: the source's id of this group; empty where it bears no mark.
    pub fn external_id(self) -> &'s str {
        self.columns().external_ids.get(self.row)
    }

    /// In a target: the version for conditional requests; empty where there is none.
    pub fn version(self) -> &'s str {
        self.columns().versions.get(self.row)
    }

    /// Address of the mailing list; empty where it is none.
    pub fn address(self) -> &'s str {
        self.columns().addresses.get(self.row)
    }

    /// Name as shown.
    pub fn name(self) -> &'s str {
        self.columns().names.get(self.row)
    }

    /// Description.
    pub fn description(self) -> &'s str {
        self.columns().descriptions.get(self.row)
    }

    /// Fields whose value could not be told: empty here, and not to be taken for empty.
    pub fn unknown(self) -> Fields {
        self.columns().unknown.get(self.row)
    }

    /// Whether there is a value of this field.
    pub fn has(self, field: Field) -> bool {
        match field {
            Field::ExternalId => !self.external_id().is_empty(),
            Field::Email => !self.address().is_empty(),
            Field::Name => !self.name().is_empty(),
            Field::Description => !self.description().is_empty(),
            Field::Members => !self.members().is_empty(),
            _ => false,
        }
    }

    /// Direct members, sorted, each once.
    pub fn members(self) -> &'s [Member] {
        let memberships = &*self.snapshot.memberships;
        let end = memberships.ends.get(self.row).copied().unwrap_or_default() as usize;
        let start = match self.row.checked_sub(1) {
            None => 0,
            Some(before) => memberships.ends.get(before).map_or(end, |&start| start as usize),
        };
        memberships.members.get(start..end).unwrap_or_default()
    }

    /// Whether the members could not be read: they are unknown then, not empty.
    pub fn members_unknown(self) -> bool {
        self.snapshot.memberships.unknown.get(self.row).copied().unwrap_or_default()
    }

    /// How many members were named that are nobody in this snapshot.
    pub fn unresolved_members(self) -> u32 {
        self.columns().unresolved.get(self.row).copied().unwrap_or_default()
    }

    /// The name by which groups of the same directory refer to this group; kept of a source only.
    pub fn reference(self) -> Option<Reference> {
        self.snapshot.references.groups.get(self.row).copied()
    }
}
