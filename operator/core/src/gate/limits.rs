//! Limits on changes, and the guard against a source that became smaller.

use super::hold::{Bound, Hold};
use crate::capabilities::Field;
use crate::operation::{Kind, Verb};
use crate::plan::{Clearing, Managed, PlanCounts, Summary};
use crate::rules::{KindLimits, Limit, Limits, ShrinkLimit};
use crate::snapshot::Counts;

/// Which bound an operation counts against.
pub(super) const fn bound(verb: Verb) -> Bound {
    match verb {
        Verb::CreateGroup | Verb::CreateUser | Verb::AddAlias | Verb::AddMember => Bound::Creates,
        Verb::AdoptGroup
        | Verb::UpdateGroup
        | Verb::AdoptUser
        | Verb::UpdateUser
        | Verb::MoveUser
        | Verb::RestoreUser => Bound::Updates,
        Verb::RemoveAlias | Verb::RemoveMember | Verb::SuspendUser | Verb::DeleteUser | Verb::DeleteGroup => {
            Bound::Removals
        }
    }
}

/// How many a limit allows; `None` if it does not count.
fn allowed(limit: Limit, population: u64) -> Option<u64> {
    let share = limit.percent.filter(|_| population >= limit.min_population);
    let share = share.map(|percent| percent_of(population, percent));
    limit.max.into_iter().chain(share).min()
}

fn percent_of(population: u64, percent: u8) -> u64 {
    u64::try_from(u128::from(population) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

/// The limits that a plan exceeds.
pub(super) fn exceeded(limits: &Limits, summary: &Summary, managed: Managed) -> Vec<Hold> {
    use strum::IntoEnumIterator;
    let kinds: [(Kind, KindLimits, u64); 4] = [
        (Kind::User, limits.users, managed.users),
        (Kind::Group, limits.groups, managed.groups),
        (Kind::Alias, limits.aliases, managed.aliases),
        (Kind::Membership, limits.memberships, managed.memberships),
    ];
    let mut holds = Vec::new();
    for (kind, limits, population) in kinds {
        let bounds =
            [(Bound::Creates, limits.creates), (Bound::Updates, limits.updates), (Bound::Removals, limits.removals)];
        for (which, limit) in bounds {
            let counted = Verb::iter().filter(|&verb| verb.kind() == kind && bound(verb) == which);
            let planned = counted.map(|verb| summary.count(verb)).sum();
            if let Some(allowed) = allowed(limit, population).filter(|&allowed| planned > allowed) {
                holds.push(Hold::LimitExceeded { kind, bound: which, planned, allowed, population });
            }
        }
    }
    holds
}

/// Where the source is smaller than it may have become. Without a baseline, what is ours in the target is it.
pub(super) fn shrunk(limit: ShrinkLimit, baseline: Option<Counts>, counts: &PlanCounts) -> Vec<Hold> {
    let baseline = baseline.unwrap_or(Counts {
        users: counts.managed.users,
        groups: counts.managed.groups,
        memberships: counts.managed.memberships,
    });
    let now = counts.usable;
    let mut holds = Vec::new();
    for (kind, before, now) in [(Kind::User, baseline.users, now.users), (Kind::Group, baseline.groups, now.groups)] {
        let counts = before >= limit.min_population;
        let allowed = if counts { percent_of(before, limit.percent) } else { before };
        if (now == 0 && before > 0) || before.saturating_sub(now) > allowed {
            holds.push(Hold::SourceShrunk {
                kind,
                before,
                now,
                allowed: if now == 0 && !counts { 0 } else { allowed },
            });
        }
    }
    // Members come and go, but that all of many are gone means that they can no longer be read.
    if now.memberships == 0 && baseline.memberships > 0 && baseline.memberships >= limit.min_population {
        holds.push(Hold::SourceShrunk { kind: Kind::Membership, before: baseline.memberships, now: 0, allowed: 0 });
    }
    holds
}

/// Fields of which the plan would take away more values than the source may lose. One value alone is an ordinary change;
/// of several, all are too many.
pub(super) fn vanished(limit: ShrinkLimit, clearings: &[Clearing]) -> Vec<Hold> {
    let hold = |clearing: &Clearing| {
        let &Clearing { kind, field, cleared, population, is_total } = clearing;
        let allowed = match field {
            _ if is_total => 1,
            // People become active again one by one; only that nobody is marked as inactive any more is suspicious.
            Field::Active => return None,
            _ if population >= limit.min_population => percent_of(population, limit.percent).max(1),
            _ => return None,
        };
        (cleared > allowed).then_some(Hold::ValuesVanished { kind, field, planned: cleared, allowed, population })
    };
    clearings.iter().filter_map(hold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_and_percent_are_both_limits_and_percent_is_rounded_down() {
        let limit = Limit { max: Some(50), percent: Some(5), min_population: 20 };
        assert_eq!(allowed(limit, 39), Some(1));
        assert_eq!(allowed(limit, 5000), Some(50));
        assert_eq!(allowed(limit, 19), Some(50), "below the minimal population percent does not count");
        assert_eq!(allowed(Limit::default(), 100), None);
    }

    #[test]
    fn a_source_that_became_empty_always_holds() {
        let counts = PlanCounts::default();
        let baseline = Counts { users: 3, groups: 0, memberships: 0 };
        let holds = shrunk(ShrinkLimit { percent: 100, min_population: 20 }, Some(baseline), &counts);
        assert!(matches!(holds[..], [Hold::SourceShrunk { kind: Kind::User, before: 3, now: 0, .. }]));
    }
}
