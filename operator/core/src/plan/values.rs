//! Which fields are compared, and which values a plan would take away.
//!
//! A field that nobody in the source has a value of looks the same whether it is not used there, misspelt in the
//! mapping, or hidden from the account since yesterday. So it is left as it is in the target, unless somebody had a
//! value at the last read whose plan was not held: then all those values would go, and the gate holds that.

use super::draft::{Draft, World};
use super::matching::{Matches, Standing, rows};
use super::warning::WarningKind;
use crate::capabilities::{Field, Fields};
use crate::operation::{Kind, Operation, Verb};
use crate::snapshot::{Snapshot, User};
use crate::state::SeenFields;
use std::collections::{BTreeMap, HashSet};

/// How many objects of ours would lose their value of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clearing {
    pub(crate) kind: Kind,
    pub(crate) field: Field,
    /// How many would lose it.
    pub(crate) cleared: u64,
    /// How many have it in the target.
    pub(crate) population: u64,
    /// Whether nobody in the source has a value any more.
    pub(crate) is_total: bool,
}

/// What is asked about the fields of one kind.
pub(super) struct Values<'f> {
    pub(super) kind: Kind,
    /// Fields that may be empty.
    pub(super) fields: &'static [Field],
    /// Fields that the target has a place for.
    pub(super) places: Fields,
    /// Fields that somebody had a value of before.
    pub(super) seen: Fields,
    /// How many of the source have a value, counted up to a bound.
    pub(super) in_source: &'f dyn Fn(Field, usize) -> usize,
    /// How many of ours in the target have a value.
    pub(super) in_target: &'f dyn Fn(Field) -> u64,
}

impl Values<'_> {
    /// The fields that are compared, and those that the source has values of. Says what is left out and why.
    pub(super) fn compared(&self, draft: &mut Draft) -> (Fields, Fields) {
        let mut compared = self.places.and(Fields::of([Field::ExternalId]));
        let mut seen = Fields::NONE;
        for &field in self.fields {
            let has_place = self.places.contains(field);
            let count = (self.in_source)(field, if has_place { 1 } else { usize::MAX });
            if count > 0 {
                seen = seen.with(field);
            }
            if has_place && (count > 0 || self.seen.contains(field)) {
                compared = compared.with(field);
            } else if has_place {
                draft.warnings.count(WarningKind::FieldVanished(field), self.kind, (self.in_target)(field), "");
            } else {
                draft.warnings.count(WarningKind::NoPlaceFor(field), self.kind, count as u64, "");
            }
        }
        (compared, seen)
    }
}

/// Counts, by field, who would lose a value. `now` is what the source has values of.
pub(super) fn clearings(
    world: World<'_, '_>,
    operations: &[Operation],
    people: &Matches,
    groups: &Matches,
    now: SeenFields,
) -> Vec<Clearing> {
    let (source, target) = (world.source, world.target);
    let has = |kind: Kind, snapshot: &Snapshot, row: u32, field: Field| match kind {
        Kind::Group => snapshot.group(row as usize).has(field),
        _ => snapshot.user(row as usize).has(field),
    };
    let mut losers: BTreeMap<(Kind, Field), HashSet<u32>> = BTreeMap::new();
    let mut losers_of_attribute: BTreeMap<&str, HashSet<u32>> = BTreeMap::new();
    for operation in operations {
        let kind = operation.verb.object();
        match operation.verb {
            Verb::AdoptGroup
            | Verb::UpdateGroup
            | Verb::AdoptUser
            | Verb::UpdateUser
            | Verb::MoveUser
            | Verb::RemoveAlias => {}
            // Whoever was missing and is there again was not suspended for being inactive.
            Verb::RestoreUser if !was_missing(world, operation.source) => {}
            _ => continue,
        }
        for field in operation.fields.iter() {
            if field == Field::Attributes {
                let left = source.user(operation.source as usize).attributes();
                for (name, _) in target.user(operation.target as usize).attributes() {
                    let is_place = world.capabilities.attributes.contains(name);
                    if is_place && !left.clone().any(|(known, _)| known == name) {
                        losers_of_attribute.entry(name).or_default().insert(operation.target);
                    }
                }
            } else if has(kind, target, operation.target, field) && !has(kind, source, operation.source, field) {
                losers.entry((kind, field)).or_default().insert(operation.target);
            }
        }
    }
    let population = |matches: &Matches, count: usize, has: &dyn Fn(u32) -> bool| {
        rows(count).filter(|&row| matches.standing(row) == Standing::Managed && has(row)).count() as u64
    };
    let mut clearings = Vec::new();
    for ((kind, field), losers) in losers {
        let (matches, count, before, now) = if kind == Kind::Group {
            (groups, target.group_count(), world.state.seen().groups, now.groups)
        } else {
            (people, target.user_count(), world.state.seen().users, now.users)
        };
        clearings.push(Clearing {
            kind,
            field,
            cleared: losers.len() as u64,
            population: population(matches, count, &|row| has(kind, target, row, field)),
            is_total: before.contains(field) && !now.contains(field),
        });
    }
    for (name, losers) in losers_of_attribute {
        let has = |user: User<'_>| user.attributes().any(|(known, _)| known == name);
        clearings.push(Clearing {
            kind: Kind::User,
            field: Field::Attributes,
            cleared: losers.len() as u64,
            population: population(people, target.user_count(), &|row| has(target.user(row as usize))),
            is_total: !source.users().any(has),
        });
    }
    clearings
}

fn was_missing(world: World<'_, '_>, source: u32) -> bool {
    let users = world.state.users();
    let position = users.find(world.source.user(source as usize).id());
    position.is_some_and(|position| users.times(position).missing_since.is_some())
}
