//! People: who is created, taken over, changed, moved, restored or suspended, and whose aliases change.

use super::addresses::Addresses;
use super::draft::{Draft, World, number};
use super::index::shared_addresses;
use super::matching::{self, Matches, Rows, Standing, rows};
use super::values::Values;
use super::warning::WarningKind;
use crate::address;
use crate::capabilities::{Field, Fields};
use crate::operation::{Kind, NO_ROW, Operation, Reason, Verb};
use crate::rules::{Adoption, Removal};
use crate::snapshot::User;

/// What memberships have to know of the people.
pub(super) struct People {
    pub(super) matches: Matches,
    /// By row of the source: neither created nor changed nor removed, nor are their memberships.
    pub(super) frozen: Vec<bool>,
    /// By row of the target.
    pub(super) frozen_target: Vec<bool>,
    /// Rows of the source that the target will have after this plan, by creation.
    pub(super) created: Vec<bool>,
}

pub(super) fn set(flags: &mut [bool], row: u32) {
    if let Some(flag) = flags.get_mut(row as usize) {
        *flag = true;
    }
}

pub(super) fn is_set(flags: &[bool], row: u32) -> bool {
    flags.get(row as usize).copied().unwrap_or_default()
}

/// Text to show for a person.
pub(super) fn label(user: User<'_>) -> &str {
    [user.address(), user.display_name()].into_iter().find(|text| !text.is_empty()).unwrap_or(user.id())
}

/// Plans everything about people but their memberships.
pub(super) fn plan(world: World<'_, '_>, draft: &mut Draft) -> People {
    let mut people = match_people(world, draft);
    let fields = compared(world, &people, draft);
    let addresses = Addresses::new(world);
    adopt_by_address(world, &mut people, &addresses);
    count_managed(world, &people, draft);
    let compare = Compare { world, addresses: &addresses, fields };
    for row in rows(world.source.user_count()) {
        if is_set(&people.frozen, row) {
            continue;
        }
        let user = world.source.user(row as usize);
        if user.address().is_empty() {
            draft.warn(WarningKind::WithoutAddress, Kind::User, label(user));
            if people.matches.target(row).is_some_and(|target| people.matches.standing(target) == Standing::Managed) {
                let target = people.matches.target(row).unwrap_or(NO_ROW);
                remove(world, &people, row, target, None, draft);
            }
            continue;
        }
        if !domain_accepted(world, user.address()) {
            draft.warn(WarningKind::ForeignDomain, Kind::User, user.address());
        }
        let comes = people.matches.target(row).is_none() && user.active();
        if comes && let Some(obstacle) = addresses.obstacle(user.address(), NO_ROW, &people) {
            draft.warn(obstacle, Kind::User, user.address());
            continue;
        }
        match people.matches.target(row) {
            Some(target) => compare.pair(row, target, &people, draft),
            None if !user.active() => draft.warn(WarningKind::DisabledNotCreated, Kind::User, user.address()),
            // Whether they may use the service cannot be told.
            None if user.unknown().contains(Field::Active) => {}
            None => {
                set(&mut people.created, row);
                let mut fields = fields.with(Field::Email).without(user.unknown());
                if !compare.takes_password(user, draft) {
                    fields = fields.without(Fields::of([Field::Password]));
                }
                draft.add(Verb::CreateUser, Reason::NewInSource, fields, row, NO_ROW);
            }
        }
    }
    for &(target, position) in &people.matches.missing {
        if !is_set(&people.frozen_target, target) {
            remove(world, &people, NO_ROW, target, Some(position), draft);
        }
    }
    people
}

fn match_people(world: World<'_, '_>, draft: &mut Draft) -> People {
    let (source, target) = (world.source, world.target);
    let matches = matching::by_identity(
        Rows { count: source.user_count(), id: &|row| source.user(row as usize).id(), external_id: &|_| "" },
        Rows {
            count: target.user_count(),
            id: &|row| target.user(row as usize).id(),
            external_id: &|row| target.user(row as usize).external_id(),
        },
        world.state.users(),
        world.state.is_new(),
    );
    let mut people = People {
        frozen: vec![false; source.user_count()],
        frozen_target: vec![false; target.user_count()],
        created: vec![false; source.user_count()],
        matches,
    };
    let rules = world.rules;
    for &row in &people.matches.shared_ids {
        draft.warn(WarningKind::IdShared, Kind::User, source.user(row as usize).id());
        set(&mut people.frozen, row);
    }
    for &row in &people.matches.shared_marks {
        let user = target.user(row as usize);
        draft.warn(WarningKind::ExternalIdShared, Kind::User, label(user));
        set(&mut people.frozen_target, row);
    }
    freeze_shared_addresses(world, &mut people, draft);
    for user in source.users().filter(|user| !user.unknown().is_empty()) {
        draft.unknown(user.unknown().and(world.capabilities.user_fields), Kind::User, label(user));
        // Who they are cannot be told, so they are neither there nor gone.
        if user.unknown().contains(Field::Email) {
            set(&mut people.frozen, number(user.row()));
        }
    }
    if !rules.exclude_source.is_empty() {
        for row in rows(source.user_count()) {
            if rules.exclude_source.matches_user(&source.user(row as usize)) {
                set(&mut people.frozen, row);
            }
        }
        // Whoever left the source cannot be judged there any more, so the copy is.
        for at in 0..people.matches.missing.len() {
            let (row, _) = people.matches.missing[at];
            if rules.exclude_source.matches_user(&target.user(row as usize)) {
                set(&mut people.frozen_target, row);
            }
        }
    }
    if !rules.exclude_target.is_empty() {
        for row in rows(target.user_count()) {
            if rules.exclude_target.matches_user(&target.user(row as usize)) {
                set(&mut people.frozen_target, row);
            }
        }
    }
    spread(&people.matches, &mut people.frozen, &mut people.frozen_target);
    people
}

/// Whoever is frozen on one side is frozen on the other.
pub(super) fn spread(matches: &Matches, frozen: &mut [bool], frozen_target: &mut [bool]) {
    for (source, &target) in rows(matches.target_of.len()).zip(&matches.target_of) {
        if target != NO_ROW && (is_set(frozen, source) || is_set(frozen_target, target)) {
            set(frozen, source);
            set(frozen_target, target);
        }
    }
}

fn freeze_shared_addresses(world: World<'_, '_>, people: &mut People, draft: &mut Draft) {
    let source = world.source;
    let text = |row: u32| source.user(row as usize).address();
    for row in shared_addresses(source.user_count(), text) {
        draft.warn(WarningKind::AddressShared, Kind::User, text(row));
        set(&mut people.frozen, row);
    }
}

fn adopt_by_address(world: World<'_, '_>, people: &mut People, addresses: &Addresses<'_, '_>) {
    if world.rules.adoption != Adoption::ByAddress {
        return;
    }
    for row in rows(world.source.user_count()) {
        let address = world.source.user(row as usize).address();
        if people.matches.target(row).is_some() || is_set(&people.frozen, row) || address.is_empty() {
            continue;
        }
        let Some(target) = addresses.find(address) else { continue };
        let unmarked = world.target.user(target as usize).external_id().is_empty();
        if unmarked && people.matches.standing(target) == Standing::Unmanaged && !is_set(&people.frozen_target, target)
        {
            people.matches.pair(row, target, Standing::Addressed);
        }
    }
}

fn count_managed(world: World<'_, '_>, people: &People, draft: &mut Draft) {
    for row in rows(world.target.user_count()) {
        if people.matches.standing(row) == Standing::Managed {
            draft.managed.users += 1;
            draft.managed.aliases += world.target.user(row as usize).aliases().len() as u64;
        }
    }
}

/// The fields that are compared.
fn compared(world: World<'_, '_>, people: &People, draft: &mut Draft) -> Fields {
    let places = world.capabilities.user_fields;
    let values = Values {
        kind: Kind::User,
        fields: &[
            Field::Email,
            Field::Aliases,
            Field::GivenName,
            Field::FamilyName,
            Field::DisplayName,
            Field::OrgUnit,
            Field::Attributes,
            Field::Password,
        ],
        places,
        seen: world.state.seen().users,
        in_source: &|field, bound| world.source.users().filter(|user| user.has(field)).take(bound).count(),
        in_target: &|field| {
            let ours = |row: &u32| people.matches.standing(*row) == Standing::Managed;
            let users = rows(world.target.user_count()).filter(ours).map(|row| world.target.user(row as usize));
            users.filter(|user| user.has(field)).count() as u64
        },
    };
    let (mut compared, mut seen) = values.compared(draft);
    // That everybody is active is a value too; that somebody is not is what can vanish.
    compared = compared.with(Field::Active).and(places);
    if world.source.users().any(|user| user.has(Field::Active)) {
        seen = seen.with(Field::Active);
    }
    draft.seen.users = seen;
    compared
}

fn domain_accepted(world: World<'_, '_>, address: &str) -> bool {
    let accepted = &world.rules.accepted_domains;
    accepted.is_empty()
        || address::domain(address)
            .is_some_and(|domain| accepted.iter().any(|one| address::domain_key(one) == address::domain_key(domain)))
}

/// Whether a rule protects this person, by either side's record.
pub(crate) fn is_protected(
    protect: &crate::matcher::Matchers,
    source: Option<User<'_>>,
    target: Option<User<'_>>,
) -> bool {
    !protect.is_empty() && source.into_iter().chain(target).any(|user| protect.matches_user(&user))
}

/// What becomes of a person of ours who is no longer in the source, or has no address there any more.
fn remove(world: World<'_, '_>, people: &People, source: u32, target: u32, position: Option<usize>, draft: &mut Draft) {
    let user = world.target.user(target as usize);
    let origin = (source != NO_ROW).then(|| world.source.user(source as usize));
    let position = position.or_else(|| world.state.users().find(origin?.id()));
    let times = position.map(|position| world.state.users().times(position)).unwrap_or_default();
    let reason = if source == NO_ROW { Reason::MissingFromRead } else { Reason::LostAddress };
    let can_suspend = world.capabilities.user_fields.contains(Field::Active);
    debug_assert!(!is_set(&people.frozen_target, target));
    let verb = match world.rules.removal {
        Removal::Keep => None,
        Removal::Delete => Some((Verb::DeleteUser, reason)),
        Removal::Suspend { .. } if can_suspend && user.active() => Some((Verb::SuspendUser, reason)),
        Removal::Suspend { delete_after } => {
            // The later of both: whoever was suspended long before leaving gets the whole time too.
            let since = times.suspended_at.max(times.missing_since).filter(|_| times.missing_since.is_some());
            match delete_after {
                Some(after) if since.is_some_and(|since| world.now.duration_since(since) >= after) => {
                    Some((Verb::DeleteUser, Reason::GraceOver))
                }
                _ if can_suspend => return,
                _ => None,
            }
        }
    };
    match verb {
        None => draft.warn(WarningKind::UserKept, Kind::User, label(user)),
        Some(_) if is_protected(&world.rules.protect, origin, Some(user)) => {
            draft.warn(WarningKind::ProtectedKept, Kind::User, label(user));
        }
        Some((verb, reason)) => draft.add(verb, reason, Fields::NONE, source, target),
    }
}

/// What an update or adoption writes; other fields have operations of their own.
const WRITTEN: [Field; 7] = [
    Field::ExternalId,
    Field::Email,
    Field::GivenName,
    Field::FamilyName,
    Field::DisplayName,
    Field::Attributes,
    Field::Password,
];

/// Compares pairs.
struct Compare<'p, 'w> {
    world: World<'p, 'w>,
    addresses: &'p Addresses<'p, 'w>,
    fields: Fields,
}

impl Compare<'_, '_> {
    fn pair(&self, row: u32, target: u32, people: &People, draft: &mut Draft) {
        let (from, to) = (self.world.source.user(row as usize), self.world.target.user(target as usize));
        let standing = people.matches.standing(target);
        let is_marked = people.matches.is_marked(target)
            || !self.fields.contains(Field::ExternalId)
            || from.id() == to.external_id();
        if standing == Standing::Marked && self.world.rules.adoption == Adoption::None {
            draft.warn(WarningKind::NotAdopted, Kind::User, label(to));
            return;
        }
        let sets_password = self.takes_password(from, draft) && self.has_new_password(from);
        if standing == Standing::Managed && is_marked && from.fingerprint() == to.fingerprint() && !sets_password {
            return;
        }
        let mut fields = self.fields.without(from.unknown());
        if !sets_password {
            fields = fields.without(Fields::of([Field::Password]));
        }
        let mut changed = self.changed(from, to, fields);
        if changed.contains(Field::Email)
            && let Some(obstacle) = self.addresses.obstacle(from.address(), target, people)
        {
            if self.addresses.is_in_circle(target, people) {
                let both = format!("{} → {}", to.address(), from.address());
                draft.warn(WarningKind::AddressesInCircle, Kind::User, &both);
            } else {
                draft.warn(obstacle, Kind::User, from.address());
            }
            changed = Fields::of(changed.iter().filter(|&field| field != Field::Email));
        }
        match standing {
            Standing::Marked => draft.add(Verb::AdoptUser, Reason::SameExternalId, changed, row, target),
            Standing::Addressed => draft.add(Verb::AdoptUser, Reason::SameAddress, changed, row, target),
            _ if changed.is_empty() => {}
            _ => draft.add(Verb::UpdateUser, Reason::ChangedInSource, changed, row, target),
        }
        if fields.contains(Field::OrgUnit) && from.org_unit() != to.org_unit() {
            let fields = Fields::of([Field::OrgUnit]);
            draft.add(Verb::MoveUser, Reason::ChangedInSource, fields, row, target);
        }
        if fields.contains(Field::Aliases) {
            self.aliases(row, target, people, draft);
        }
        if fields.contains(Field::Active) && from.active() != to.active() {
            let fields = Fields::of([Field::Active]);
            if from.active() {
                draft.add(Verb::RestoreUser, Reason::ActiveInSource, fields, row, target);
            } else if is_protected(&self.world.rules.protect, Some(from), Some(to)) {
                draft.warn(WarningKind::ProtectedKept, Kind::User, label(to));
            } else {
                draft.add(Verb::SuspendUser, Reason::DisabledInSource, fields, row, target);
            }
        }
    }

    /// Whether there is a password that the target takes. Warns of one that it does not.
    fn takes_password(&self, user: User<'_>, draft: &mut Draft) -> bool {
        let Some(password) = user.password().filter(|_| self.fields.contains(Field::Password)) else { return false };
        let is_taken = self.world.capabilities.passwords.contains(&password.scheme());
        if !is_taken {
            draft.warn(WarningKind::PasswordNotTaken(password.scheme()), Kind::User, label(user));
        }
        is_taken
    }

    /// Whether the password is not the one that was last sent. The target does not tell what it has; without a key
    /// nothing is remembered, and a password of somebody who exists is not sent.
    fn has_new_password(&self, user: User<'_>) -> bool {
        let Some((key, password)) = self.world.rules.password_key.as_ref().zip(user.password()) else { return false };
        let users = self.world.state.users();
        let remembered = users.find(user.id()).and_then(|position| users.password(position));
        remembered != Some(key.fingerprint(user.id(), password))
    }

    /// Which of these fields that an update writes differ.
    fn changed(&self, from: User<'_>, to: User<'_>, fields: Fields) -> Fields {
        let wanted = &self.world.capabilities.attributes;
        let attributes = |user: User<'_>| {
            let mut of: Vec<_> = Vec::new();
            of.extend(
                user.attributes().filter(|(name, _)| wanted.contains(*name)).map(|(n, v)| (n.to_owned(), v.to_owned())),
            );
            of
        };
        let differs = |field| match field {
            Field::ExternalId => from.id() != to.external_id(),
            Field::Email => !address::same(from.address(), to.address()),
            Field::GivenName => from.given_name() != to.given_name(),
            Field::FamilyName => from.family_name() != to.family_name(),
            Field::DisplayName => from.display_name() != to.display_name(),
            // It is among the fields only where it is a new one.
            Field::Password => from.password().is_some(),
            Field::Attributes => {
                (from.attributes().len() > 0 || to.attributes().len() > 0) && attributes(from) != attributes(to)
            }
            _ => false,
        };
        Fields::of(WRITTEN.into_iter().filter(|&field| fields.contains(field) && differs(field)))
    }

    fn aliases(&self, row: u32, target: u32, people: &People, draft: &mut Draft) {
        let (from, to) = (self.world.source.user(row as usize), self.world.target.user(target as usize));
        if from.aliases().len() == to.aliases().len() && from.aliases().zip(to.aliases()).all(|(a, b)| a == b) {
            return;
        }
        let wanted: Vec<_> = from.aliases().map(address::key).collect();
        let present: Vec<_> = to.aliases().map(address::key).collect();
        let primary = address::key(from.address());
        let mut alias = |verb, member_source, member_target| {
            draft.operations.push(Operation {
                verb,
                reason: Reason::ChangedInSource,
                fields: Fields::of([Field::Aliases]),
                source: row,
                target,
                member_source,
                member_target,
            });
        };
        let mut taken = Vec::new();
        for (at, (key, text)) in wanted.iter().zip(from.aliases()).enumerate() {
            let again = wanted.get(..at).is_some_and(|before| before.contains(key));
            if again || *key == primary || present.contains(key) {
                continue;
            }
            match self.addresses.obstacle(text, target, people) {
                Some(obstacle) => taken.push((obstacle, text)),
                None => alias(Verb::AddAlias, number(at), NO_ROW),
            }
        }
        for (at, key) in present.iter().enumerate() {
            let again = present.get(..at).is_some_and(|before| before.contains(key));
            if !again && *key != primary && !wanted.contains(key) {
                alias(Verb::RemoveAlias, NO_ROW, number(at));
            }
        }
        for (obstacle, text) in taken {
            draft.warn(obstacle, Kind::Alias, text);
        }
    }
}
