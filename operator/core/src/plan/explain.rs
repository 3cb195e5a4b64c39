//! Why a plan does with one person or group what it does, or does nothing.

use super::document::Line;
use super::matching::{Matches, rows};
use super::{Plan, Standing, groups, users};
use crate::address;
use crate::capabilities::Field;
use crate::gate::Judgement;
use crate::operation::{Kind, NO_ROW, Operation};
use crate::rules::{Adoption, Removal, Rules};
use crate::snapshot::{Group, Member, User};

/// One person or group, by its rows in both snapshots of a plan. At least one of them is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject {
    /// [`Kind::User`] or [`Kind::Group`].
    pub kind: Kind,
    /// Row in the source.
    pub source: Option<usize>,
    /// Row in the target.
    pub target: Option<usize>,
}

/// What an object of the target is to the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, strum::Display)]
#[serde(rename_all = "camelCase")]
pub enum Bond {
    /// Remembered from an earlier run, or bearing the id of the source where nothing is remembered at all.
    #[strum(to_string = "ours")]
    Ours,
    /// Not remembered; it bears the id of the source.
    #[strum(to_string = "bears the id of the source, and is not remembered as ours")]
    SameExternalId,
    /// Not remembered and without a mark; it has the same address, or name.
    #[strum(to_string = "has the same address, and bears no id")]
    SameAddress,
    /// Nothing of ours.
    #[strum(to_string = "not ours")]
    None,
}

/// Why nothing, or not all, is done with somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, strum::Display)]
#[serde(rename_all = "camelCase")]
pub enum Stop {
    /// A rule names them by what the source says.
    #[strum(to_string = "excluded by exclude.source: left as it is in the target")]
    ExcludedInSource,
    /// A rule names them by what the target says.
    #[strum(to_string = "excluded by exclude.target: left as it is in the target")]
    ExcludedInTarget,
    /// Another entry of the source has the id.
    #[strum(to_string = "another entry of the source has the same immutable id: neither is touched")]
    IdShared,
    /// Another person of the source has the address.
    #[strum(to_string = "another person of the source has the same primary address: neither is touched")]
    AddressShared,
    /// Another object of the target bears the id.
    #[strum(to_string = "another object of the target bears the same external id: neither is touched")]
    ExternalIdShared,
    /// The address cannot be told from its values.
    #[strum(to_string = "the address cannot be told from its values: left as it is in the target")]
    AddressUnknown,
    /// There is no address.
    #[strum(to_string = "it has no address in the source: nobody is created without one")]
    WithoutAddress,
    /// Inactive, and not there.
    #[strum(to_string = "inactive in the source, and not in the target: nobody is created to be suspended")]
    Inactive,
    /// Whether somebody is active cannot be told.
    #[strum(to_string = "whether it is active cannot be told, so it is not created")]
    ActiveUnknown,
    /// Somebody else has the address, or the name of a group.
    #[strum(to_string = "another object of the target has the address or name, and is left alone")]
    AddressTaken,
    /// Somebody has the address who is to get another one.
    #[strum(to_string = "the address still belongs to somebody who is to get another one: given away once it is free")]
    AddressNotYetFree,
    /// Whoever has the address waits for this one's.
    #[strum(to_string = "the address belongs to somebody who waits, directly or through others, for this one's: give \
                         one of them another address for a while")]
    AddressesInCircle,
    /// It bears the id and is not ours, and is not taken over.
    #[strum(to_string = "not taken over: adoption is None")]
    NotAdopted,
    /// An object of the target that is not ours.
    #[strum(to_string = "not in the source, and not ours: never touched")]
    NotOurs,
    /// No longer in the source, and kept by the policy.
    #[strum(to_string = "no longer in the source, and kept as removal.policy says")]
    Kept,
    /// A rule protects it from removal.
    #[strum(to_string = "protected: never suspended, deleted or taken out of groups")]
    Protected,
    /// No longer in the source, and suspended already.
    #[strum(to_string = "no longer in the source, and suspended already")]
    SuspendedAlready,
    /// Not in the read, and found when looked up.
    #[strum(to_string = "missing from the read, and still there when looked up: it stays")]
    StillThere,
    /// The members of the group could not be read.
    #[strum(to_string = "its members could not be read: its memberships stay as they are")]
    MembersUnknown,
}

/// What is known of one person or group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What the target's object is to the plan; absent where the target has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bond: Option<Bond>,
    /// Why nothing, or not all, is done.
    pub stops: Vec<Stop>,
    /// Whether `protect` names them. They may be changed all the same.
    pub protected: bool,
    /// What is planned for them, their memberships among it, and why it waits.
    pub operations: Vec<Line>,
    /// Why removals among them could not be confirmed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unconfirmed: Vec<String>,
}

impl Plan<'_> {
    /// Everybody known by this text: an id of either side, an external id, an address, an alias, or the name of a group.
    pub fn subjects(&self, text: &str) -> Vec<Subject> {
        let same_user = |user: User<'_>| {
            [user.id(), user.external_id()].contains(&text)
                || std::iter::once(user.address()).chain(user.aliases()).any(|known| address::same(known, text))
        };
        let same_group = |group: Group<'_>| {
            [group.id(), group.external_id(), group.name()].contains(&text) || address::same(group.address(), text)
        };
        let users = found(
            &self.users,
            self.source.users().filter(|user| same_user(*user)).map(User::row),
            self.target.users().filter(|user| same_user(*user)).map(User::row),
        );
        let groups = found(
            &self.groups,
            self.source.groups().filter(|group| same_group(*group)).map(Group::row),
            self.target.groups().filter(|group| same_group(*group)).map(Group::row),
        );
        let subject = |kind| move |(source, target)| Subject { kind, source, target };
        users.into_iter().map(subject(Kind::User)).chain(groups.into_iter().map(subject(Kind::Group))).collect()
    }
}

type Pair = (Option<usize>, Option<usize>);

/// Pairs of rows, each once.
fn found(matches: &Matches, source: impl Iterator<Item = usize>, target: impl Iterator<Item = usize>) -> Vec<Pair> {
    let narrow = |row: usize| u32::try_from(row).unwrap_or(NO_ROW);
    let wide = |row: Option<u32>| row.map(|row| row as usize);
    let mut pairs: Vec<Pair> = source.map(|row| (Some(row), wide(matches.target(narrow(row))))).collect();
    for row in target {
        let pair = (wide(matches.source(narrow(row))), Some(row));
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// Explains what a judged plan does with one person or group.
pub fn explain(judgement: &Judgement<'_>, rules: &Rules, subject: Subject) -> Explanation {
    let plan = judgement.plan().plan();
    let concerned =
        judgement.plan().operations().iter().enumerate().filter(|(_, operation)| concerns(operation, subject));
    let positions: Vec<usize> = concerned.map(|(position, _)| position).collect();
    let matches = if subject.kind == Kind::Group { &plan.groups } else { &plan.users };
    let row = |row: Option<usize>| row.and_then(|row| u32::try_from(row).ok());
    let (source, target) = (row(subject.source), row(subject.target));
    let mut stops = shared(matches, source, target);
    let protected = if subject.kind == Kind::Group {
        let from = subject.source.map(|row| plan.source.group(row));
        let to = subject.target.map(|row| plan.target.group(row));
        stops.extend(group_stops(plan, rules, from, to));
        groups::is_protected(&rules.protect, from, to)
    } else {
        let from = subject.source.map(|row| plan.source.user(row));
        let to = subject.target.map(|row| plan.target.user(row));
        stops.extend(user_stops(plan, rules, from, to));
        users::is_protected(&rules.protect, from, to)
    };
    let standing = target.map(|row| matches.standing(row));
    // Why somebody of ours who is gone is left, where nothing else says it.
    if source.is_none() && stops.is_empty() && positions.is_empty() {
        stops.push(match (standing, rules.removal) {
            (Some(Standing::Managed), _) if protected => Stop::Protected,
            (Some(Standing::Managed), Removal::Keep) => Stop::Kept,
            (Some(Standing::Managed), Removal::Suspend { .. }) if subject.kind == Kind::Group => Stop::Kept,
            (Some(Standing::Managed), Removal::Suspend { .. }) if is_suspended(plan, subject) => Stop::SuspendedAlready,
            (Some(Standing::Managed), _) => Stop::StillThere,
            _ => Stop::NotOurs,
        });
    }
    if standing == Some(Standing::Marked) && rules.adoption == Adoption::None {
        stops.push(Stop::NotAdopted);
    }
    let line = |&position: &usize| {
        let operation = *judgement.plan().operations().get(position)?;
        let digest = *judgement.plan().operation_digests().get(position)?;
        Some(Line { digest, operation: plan.describe(operation), waiting: judgement.waiting(position) })
    };
    Explanation {
        bond: standing.map(|standing| match standing {
            Standing::Managed => Bond::Ours,
            Standing::Marked => Bond::SameExternalId,
            Standing::Addressed => Bond::SameAddress,
            Standing::Unmanaged => Bond::None,
        }),
        stops,
        protected,
        operations: positions.iter().filter_map(line).collect(),
        unconfirmed: positions.iter().filter_map(|&at| judgement.plan().unconfirmed(at)).map(str::to_owned).collect(),
    }
}

fn is_suspended(plan: &Plan<'_>, subject: Subject) -> bool {
    subject.target.is_some_and(|row| !plan.target.user(row).active())
}

/// Whether an operation changes this person or group, or their place in another group.
fn concerns(operation: &Operation, subject: Subject) -> bool {
    let is = |row: u32, of: Option<usize>| row != NO_ROW && Some(row as usize) == of;
    let is_member = |raw: u32, of: Option<usize>| {
        let member = Member::from_raw(raw);
        raw != NO_ROW && member.is_group() == (subject.kind == Kind::Group) && is(member.row(), of)
    };
    let itself = operation.verb.object() == subject.kind
        && (is(operation.source, subject.source) || is(operation.target, subject.target));
    let member = operation.verb.kind() == Kind::Membership
        && (is_member(operation.member_source, subject.source) || is_member(operation.member_target, subject.target));
    itself || member
}

fn shared(matches: &Matches, source: Option<u32>, target: Option<u32>) -> Vec<Stop> {
    let mut stops = Vec::new();
    if source.is_some_and(|row| matches.shared_ids.contains(&row)) {
        stops.push(Stop::IdShared);
    }
    if target.is_some_and(|row| matches.shared_marks.contains(&row)) {
        stops.push(Stop::ExternalIdShared);
    }
    stops
}

fn user_stops(plan: &Plan<'_>, rules: &Rules, source: Option<User<'_>>, target: Option<User<'_>>) -> Vec<Stop> {
    let mut stops = Vec::new();
    let judged = source.or(target);
    if judged.is_some_and(|user| rules.exclude_source.matches_user(&user)) {
        stops.push(Stop::ExcludedInSource);
    }
    if target.is_some_and(|user| rules.exclude_target.matches_user(&user)) {
        stops.push(Stop::ExcludedInTarget);
    }
    let Some(user) = source else { return stops };
    if user.unknown().contains(Field::Email) {
        stops.push(Stop::AddressUnknown);
        return stops;
    }
    if user.address().is_empty() {
        stops.push(Stop::WithoutAddress);
        return stops;
    }
    let same = |other: User<'_>| address::same(other.address(), user.address());
    if plan.source.users().any(|other| other.row() != user.row() && same(other)) {
        stops.push(Stop::AddressShared);
    }
    let holder = plan.target.users().find(|other| target.is_none_or(|own| own.row() != other.row()) && same(*other));
    match (target, holder) {
        (None, _) if !user.active() => stops.push(Stop::Inactive),
        (_, Some(holder)) => stops.push(stop_of_holder(plan, target, holder)),
        (None, _) if user.unknown().contains(Field::Active) => stops.push(Stop::ActiveUnknown),
        _ => {}
    }
    stops
}

/// What it means that somebody else of the target has the address.
fn stop_of_holder(plan: &Plan<'_>, own: Option<User<'_>>, holder: User<'_>) -> Stop {
    /// Circles of more people than this are not looked for.
    const LONGEST_CIRCLE: usize = 100;
    if next_address(plan, holder).is_none() {
        return Stop::AddressTaken;
    }
    let after = |at: &User<'_>| {
        let next = next_address(plan, *at)?;
        plan.target.users().find(|other| other.row() != at.row() && address::same(other.address(), next))
    };
    let mut chain = std::iter::successors(Some(holder), after).take(LONGEST_CIRCLE);
    let in_circle = own.is_some_and(|own| chain.any(|at| at.row() == own.row()));
    if in_circle { Stop::AddressesInCircle } else { Stop::AddressNotYetFree }
}

/// The address that somebody of the target is to get in place of the present one.
fn next_address<'w>(plan: &Plan<'w>, holder: User<'_>) -> Option<&'w str> {
    let row = rows(plan.target.user_count()).nth(holder.row())?;
    let user = plan.source.user(plan.users.source(row)? as usize);
    (!user.address().is_empty() && !address::same(user.address(), holder.address())).then(|| user.address())
}

fn group_stops(plan: &Plan<'_>, rules: &Rules, source: Option<Group<'_>>, target: Option<Group<'_>>) -> Vec<Stop> {
    let mut stops = Vec::new();
    if source.or(target).is_some_and(|group| rules.exclude_source.matches_group(&group)) {
        stops.push(Stop::ExcludedInSource);
    }
    if target.is_some_and(|group| rules.exclude_target.matches_group(&group)) {
        stops.push(Stop::ExcludedInTarget);
    }
    let Some(group) = source else { return stops };
    if group.members_unknown() {
        stops.push(Stop::MembersUnknown);
    }
    let has_addresses = plan.capabilities.group_fields.contains(Field::Email);
    let known = |group: Group<'_>| if has_addresses { group.address().to_owned() } else { group.name().to_owned() };
    let own = known(group);
    if target.is_none() && !own.is_empty() && plan.target.groups().any(|other| address::same(&known(other), &own)) {
        stops.push(Stop::AddressTaken);
    }
    stops
}
