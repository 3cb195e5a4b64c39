//! Groups: which are created, taken over, changed or deleted.

use super::draft::{Draft, World};
use super::index::AddressIndex;
use super::matching::{self, Matches, Rows, Standing, rows};
use super::users::{self, is_set, spread};
use super::values::Values;
use super::warning::WarningKind;
use crate::address;
use crate::capabilities::{Field, Fields};
use crate::matcher::Matchers;
use crate::operation::{Kind, NO_ROW, Reason, Verb};
use crate::rules::{Adoption, Removal};
use crate::snapshot::{Group, Member, MemberKind, Snapshot};

/// What memberships have to know of the groups.
pub(super) struct Groups {
    pub(super) matches: Matches,
    pub(super) frozen: Vec<bool>,
    pub(super) frozen_target: Vec<bool>,
    /// Rows of the source that the target will have after this plan, by creation.
    pub(super) created: Vec<bool>,
}

/// Text to show for a group.
pub(crate) fn label(group: Group<'_>) -> &str {
    [group.address(), group.name()].into_iter().find(|text| !text.is_empty()).unwrap_or(group.id())
}

/// Whether a rule protects this group, by either side's record.
pub(crate) fn is_protected(protect: &Matchers, source: Option<Group<'_>>, target: Option<Group<'_>>) -> bool {
    !protect.is_empty() && source.into_iter().chain(target).any(|group| protect.matches_group(&group))
}

/// Who is who on both sides.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'p> {
    pub(crate) source: &'p Snapshot,
    pub(crate) target: &'p Snapshot,
    pub(crate) users: &'p Matches,
    pub(crate) groups: &'p Matches,
}

/// Whether deleting this group of the target would take somebody protected out of it. Where its members are not known,
/// it might.
pub(crate) fn holds_protected(protect: &Matchers, sides: Sides<'_>, group: Group<'_>) -> bool {
    let Sides { source, target, users, groups } = sides;
    let is_protected = |member: &Member| match member.kind() {
        MemberKind::User(row) => {
            let origin = u32::try_from(row).ok().and_then(|row| users.source(row)).map(|row| source.user(row as usize));
            users::is_protected(protect, origin, Some(target.user(row)))
        }
        MemberKind::Group(row) => {
            let origin =
                u32::try_from(row).ok().and_then(|row| groups.source(row)).map(|row| source.group(row as usize));
            is_protected(protect, origin, Some(target.group(row)))
        }
    };
    !protect.is_empty() && (group.members_unknown() || group.members().iter().any(is_protected))
}

/// By what a group is known where it bears no mark: its address, or its name where the target has no addresses of
/// groups.
#[derive(Clone, Copy)]
struct Known(bool);

impl Known {
    fn of(self, group: Group<'_>) -> &str {
        if self.0 { group.address() } else { group.name() }
    }
}

/// Plans everything about groups but their members.
pub(super) fn plan(world: World<'_, '_>, people: &Matches, draft: &mut Draft) -> Groups {
    let mut groups = match_groups(world, draft);
    let known = Known(world.capabilities.group_fields.contains(Field::Email));
    let text = |row: u32| known.of(world.target.group(row as usize));
    let mut index = AddressIndex::with_capacity(world.target.group_count());
    for row in rows(world.target.group_count()) {
        if !text(row).is_empty() && groups.matches.standing(row) != Standing::Managed {
            index.insert(row, text);
        }
        if groups.matches.standing(row) == Standing::Managed {
            draft.managed.groups += 1;
        }
    }
    let fields = compared(world, &groups, draft);
    for row in rows(world.source.group_count()) {
        if is_set(&groups.frozen, row) {
            continue;
        }
        let group = world.source.group(row as usize);
        if let Some(target) = groups.matches.target(row) {
            pair(world, fields, row, target, groups.matches.standing(target), draft);
            continue;
        }
        let holder = Some(known.of(group)).filter(|key| !key.is_empty()).and_then(|key| index.find(key, text));
        match holder.map(|holder| (holder, world.target.group(holder as usize).external_id().is_empty())) {
            Some((holder, true))
                if world.rules.adoption == Adoption::ByAddress
                    && groups.matches.standing(holder) == Standing::Unmanaged
                    && !is_set(&groups.frozen_target, holder) =>
            {
                groups.matches.pair(row, holder, Standing::Addressed);
                pair(world, fields, row, holder, Standing::Addressed, draft);
            }
            Some(_) => draft.warn(WarningKind::AddressTaken, Kind::Group, label(group)),
            // Whether it is another's cannot be told.
            None if !group.unknown().and(Fields::of([Field::Name, Field::Email])).is_empty() => {}
            None => {
                if let Some(created) = groups.created.get_mut(row as usize) {
                    *created = true;
                }
                let fields = fields.without(group.unknown());
                draft.add(Verb::CreateGroup, Reason::NewInSource, fields, row, NO_ROW);
            }
        }
    }
    for &(target, position) in &groups.matches.missing {
        if !is_set(&groups.frozen_target, target) {
            remove(world, people, &groups.matches, (target, position), draft);
        }
    }
    groups
}

fn match_groups(world: World<'_, '_>, draft: &mut Draft) -> Groups {
    let (source, target, rules) = (world.source, world.target, world.rules);
    let matches = matching::by_identity(
        Rows { count: source.group_count(), id: &|row| source.group(row as usize).id(), external_id: &|_| "" },
        Rows {
            count: target.group_count(),
            id: &|row| target.group(row as usize).id(),
            external_id: &|row| target.group(row as usize).external_id(),
        },
        world.state.groups(),
        world.state.is_new(),
    );
    let mut frozen = vec![false; source.group_count()];
    let mut frozen_target = vec![false; target.group_count()];
    for &row in &matches.shared_ids {
        draft.warn(WarningKind::IdShared, Kind::Group, source.group(row as usize).id());
        frozen[row as usize] = true;
    }
    for &row in &matches.shared_marks {
        draft.warn(WarningKind::ExternalIdShared, Kind::Group, label(target.group(row as usize)));
        frozen_target[row as usize] = true;
    }
    for group in source.groups().filter(|group| !group.unknown().is_empty()) {
        draft.unknown(group.unknown().and(world.capabilities.group_fields), Kind::Group, label(group));
    }
    if !rules.exclude_source.is_empty() {
        for (flag, group) in frozen.iter_mut().zip(source.groups()) {
            *flag |= rules.exclude_source.matches_group(&group);
        }
        for &(row, _) in &matches.missing {
            frozen_target[row as usize] |= rules.exclude_source.matches_group(&target.group(row as usize));
        }
    }
    if !rules.exclude_target.is_empty() {
        for (flag, group) in frozen_target.iter_mut().zip(target.groups()) {
            *flag |= rules.exclude_target.matches_group(&group);
        }
    }
    spread(&matches, &mut frozen, &mut frozen_target);
    Groups { created: vec![false; source.group_count()], matches, frozen, frozen_target }
}

/// The fields that are compared.
fn compared(world: World<'_, '_>, groups: &Groups, draft: &mut Draft) -> Fields {
    let values = Values {
        kind: Kind::Group,
        fields: &[Field::Email, Field::Name, Field::Description],
        places: world.capabilities.group_fields,
        seen: world.state.seen().groups,
        in_source: &|field, bound| world.source.groups().filter(|group| group.has(field)).take(bound).count(),
        in_target: &|field| {
            let ours = |row: &u32| groups.matches.standing(*row) == Standing::Managed;
            let all = rows(world.target.group_count()).filter(ours).map(|row| world.target.group(row as usize));
            all.filter(|group| group.has(field)).count() as u64
        },
    };
    let (compared, seen) = values.compared(draft);
    draft.seen.groups = seen;
    if !world.capabilities.group_fields.contains(Field::Members) {
        let count = (values.in_source)(Field::Members, usize::MAX) as u64;
        draft.warnings.count(WarningKind::NoPlaceFor(Field::Members), Kind::Group, count, "");
    }
    compared
}

fn pair(world: World<'_, '_>, fields: Fields, row: u32, target: u32, standing: Standing, draft: &mut Draft) {
    let (from, to) = (world.source.group(row as usize), world.target.group(target as usize));
    if standing == Standing::Marked && world.rules.adoption == Adoption::None {
        draft.warn(WarningKind::NotAdopted, Kind::Group, label(to));
        return;
    }
    let differs = |field| match field {
        Field::ExternalId => from.id() != to.external_id(),
        Field::Email => !address::same(from.address(), to.address()),
        Field::Name => from.name() != to.name(),
        Field::Description => from.description() != to.description(),
        _ => false,
    };
    let changed = Fields::of(fields.without(from.unknown()).iter().filter(|&field| differs(field)));
    match standing {
        Standing::Marked => draft.add(Verb::AdoptGroup, Reason::SameExternalId, changed, row, target),
        Standing::Addressed => draft.add(Verb::AdoptGroup, Reason::SameAddress, changed, row, target),
        _ if changed.is_empty() => {}
        _ => draft.add(Verb::UpdateGroup, Reason::ChangedInSource, changed, row, target),
    }
}

/// What becomes of a group of ours that is no longer in the source. Groups have no suspended state.
fn remove(
    world: World<'_, '_>,
    users: &Matches,
    groups: &Matches,
    (target, position): (u32, usize),
    draft: &mut Draft,
) {
    let group = world.target.group(target as usize);
    let since = world.state.groups().times(position).missing_since;
    let reason = match world.rules.removal {
        Removal::Delete => Reason::MissingFromRead,
        Removal::Suspend { delete_after: Some(after) }
            if since.is_some_and(|since| world.now.duration_since(since) >= after) =>
        {
            Reason::GraceOver
        }
        Removal::Keep | Removal::Suspend { .. } => {
            draft.warn(WarningKind::GroupKept, Kind::Group, label(group));
            return;
        }
    };
    let (protect, sides) = (&world.rules.protect, Sides { source: world.source, target: world.target, users, groups });
    if is_protected(protect, None, Some(group)) || holds_protected(protect, sides, group) {
        draft.warn(WarningKind::ProtectedKept, Kind::Group, label(group));
    } else {
        draft.add(Verb::DeleteGroup, reason, Fields::NONE, NO_ROW, target);
    }
}
