//! Memberships: two sorted lists of rows per group, compared after translation.

use super::draft::{Draft, World};
use super::groups::{self, Groups};
use super::matching::{Standing, rows};
use super::users::{self, People, is_set};
use super::warning::WarningKind;
use crate::capabilities::{Field, Fields};
use crate::operation::{Kind, NO_ROW, Operation, Reason, Verb};
use crate::snapshot::{Group, Member, MemberKind};

/// Where a member of the source is in the target.
#[derive(Clone, Copy)]
enum Seat {
    There(Member),
    Coming,
    /// Frozen, or not in the target after this plan either.
    Nowhere,
}

/// What a member of the target is.
enum Origin {
    /// Somebody of ours whom the source has: the row there.
    Ours(Member),
    Unmanaged,
    /// Frozen, or no longer in the source: the membership goes with the person, if at all.
    Kept,
}

/// Plans the members of all groups.
pub(super) fn plan(world: World<'_, '_>, people: &People, groups: &Groups, draft: &mut Draft) {
    let compare = Compare { world, people, groups };
    let seats: Vec<Seat> = rows(world.source.user_count()).map(|row| compare.seat(Member::of(false, row))).collect();
    for row in rows(world.target.group_count()) {
        if groups.matches.standing(row) == Standing::Managed {
            let members = world.target.group(row as usize).members();
            draft.managed.memberships +=
                members.iter().filter(|&&member| compare.standing(member) == Standing::Managed).count() as u64;
        }
    }
    if !world.capabilities.group_fields.contains(Field::Members) {
        return;
    }
    let mut wanted = Vec::new();
    for row in rows(world.source.group_count()) {
        if is_set(&groups.frozen, row) {
            continue;
        }
        let group = world.source.group(row as usize);
        let unresolved = u64::from(group.unresolved_members());
        draft.warnings.count(WarningKind::UnresolvedMembers, Kind::Membership, unresolved, groups::label(group));
        let target = groups.matches.target(row);
        if target.is_none() && !is_set(&groups.created, row) {
            continue;
        }
        if let Some(target) = target
            && groups.matches.standing(target) == Standing::Marked
            && world.rules.adoption == crate::rules::Adoption::None
        {
            continue;
        }
        if group.members_unknown() || target.is_some_and(|target| world.target.group(target as usize).members_unknown())
        {
            draft.warn(WarningKind::MembersUnknown, Kind::Group, groups::label(group));
            continue;
        }
        compare.members(row, group, target, &seats, &mut wanted, draft);
    }
}

/// A number that two lists of the same members share in any order, and other lists of the same length do not (but for a
/// chance of 2⁻⁶⁴): most groups are unchanged and need no sorting.
fn checksum(members: &[Member]) -> u64 {
    members.iter().fold(0, |sum, member| sum.wrapping_add(member.mixed()))
}

struct Compare<'p, 'w> {
    world: World<'p, 'w>,
    people: &'p People,
    groups: &'p Groups,
}

impl<'w> Compare<'_, 'w> {
    fn standing(&self, member: Member) -> Standing {
        match member.kind() {
            MemberKind::User(_) => self.people.matches.standing(member.row()),
            MemberKind::Group(_) => self.groups.matches.standing(member.row()),
        }
    }

    /// `seats` are those of the people of the source; `wanted` is memory to be reused.
    fn members(
        &self,
        row: u32,
        group: Group<'w>,
        target: Option<u32>,
        seats: &[Seat],
        wanted: &mut Vec<Member>,
        draft: &mut Draft,
    ) {
        wanted.clear();
        let present = target.map(|target| self.world.target.group(target as usize).members()).unwrap_or_default();
        let mut nested = 0;
        let operation = |verb, reason, member_source: u32, member_target: u32| Operation {
            verb,
            reason,
            fields: Fields::of([Field::Members]),
            source: row,
            target: target.unwrap_or(NO_ROW),
            member_source,
            member_target,
        };
        for &member in group.members() {
            if member.is_group() && !self.world.capabilities.nested_groups {
                nested += 1;
                continue;
            }
            let seat = if member.is_group() {
                self.seat(member)
            } else {
                seats.get(member.row() as usize).copied().unwrap_or(Seat::Nowhere)
            };
            match seat {
                Seat::There(there) => wanted.push(there),
                Seat::Coming => {
                    draft.operations.push(operation(Verb::AddMember, Reason::NewInSource, member.raw(), NO_ROW));
                }
                Seat::Nowhere => {}
            }
        }
        draft.warnings.count(WarningKind::NestedGroupsLeftOut, Kind::Membership, nested, groups::label(group));
        if wanted.len() == present.len() && checksum(wanted) == checksum(present) {
            return;
        }
        wanted.sort_unstable();
        for &there in wanted.iter() {
            if present.binary_search(&there).is_err()
                && let Origin::Ours(member) = self.origin(there)
            {
                draft.operations.push(operation(Verb::AddMember, Reason::ChangedInSource, member.raw(), there.raw()));
            }
        }
        let mut unmanaged = 0;
        for &there in present {
            if wanted.binary_search(&there).is_ok() || (there.is_group() && !self.world.capabilities.nested_groups) {
                continue;
            }
            match self.origin(there) {
                Origin::Unmanaged => unmanaged += 1,
                Origin::Kept => {}
                Origin::Ours(_) if self.protects(there) => {
                    draft.warn(WarningKind::ProtectedKept, Kind::Membership, self.label(there));
                }
                Origin::Ours(member) => {
                    draft.operations.push(operation(Verb::RemoveMember, Reason::LeftGroup, member.raw(), there.raw()));
                }
            }
        }
        draft.warnings.count(WarningKind::UnmanagedMembersKept, Kind::Membership, unmanaged, groups::label(group));
    }

    fn seat(&self, member: Member) -> Seat {
        let row = member.row();
        let (matches, frozen, created) = if member.is_group() {
            (&self.groups.matches, &self.groups.frozen, &self.groups.created)
        } else {
            (&self.people.matches, &self.people.frozen, &self.people.created)
        };
        if is_set(frozen, row) {
            // Frozen members stay as they are; `present` keeps them because their origin is `Kept`.
            return Seat::Nowhere;
        }
        match matches.target(row) {
            Some(target) if self.left_alone(matches.standing(target)) => Seat::Nowhere,
            Some(target) => Seat::There(Member::of(member.is_group(), target)),
            None if is_set(created, row) => Seat::Coming,
            None => Seat::Nowhere,
        }
    }

    /// Whether an object that bears our id is not to be taken over.
    fn left_alone(&self, standing: Standing) -> bool {
        standing == Standing::Marked && self.world.rules.adoption == crate::rules::Adoption::None
    }

    fn origin(&self, member: Member) -> Origin {
        let row = member.row();
        let (matches, frozen) = if member.is_group() {
            (&self.groups.matches, &self.groups.frozen_target)
        } else {
            (&self.people.matches, &self.people.frozen_target)
        };
        if is_set(frozen, row) {
            return Origin::Kept;
        }
        let standing = matches.standing(row);
        match matches.source(row) {
            None if standing == Standing::Managed => Origin::Kept,
            None => Origin::Unmanaged,
            Some(_) if self.left_alone(standing) => Origin::Unmanaged,
            Some(source) if !member.is_group() && self.world.source.user(source as usize).address().is_empty() => {
                Origin::Kept
            }
            Some(source) => Origin::Ours(Member::of(member.is_group(), source)),
        }
    }

    fn protects(&self, member: Member) -> bool {
        let protect = &self.world.rules.protect;
        let row = member.row();
        if member.is_group() {
            let source = self.groups.matches.source(row).map(|row| self.world.source.group(row as usize));
            groups::is_protected(protect, source, Some(self.world.target.group(row as usize)))
        } else {
            let source = self.people.matches.source(row).map(|row| self.world.source.user(row as usize));
            users::is_protected(protect, source, Some(self.world.target.user(row as usize)))
        }
    }

    fn label(&self, member: Member) -> &'w str {
        match member.kind() {
            MemberKind::User(row) => users::label(self.world.target.user(row)),
            MemberKind::Group(row) => groups::label(self.world.target.group(row)),
        }
    }
}
