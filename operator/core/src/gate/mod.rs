//! The gate: which operations of a confirmed plan may be sent, and which wait and why.

mod approval;
mod approved;
mod hold;
mod limits;

pub use approval::{Approval, ApprovalUse};
pub use approved::{Approved, ApprovedOperation};
pub use hold::{Bound, Hold, Waiting};

use crate::confirm::ConfirmedPlan;
use crate::operation::{NO_ROW, Operation, Verb};
use crate::plan::{self, Plan, Sides};
use crate::rules::{ApprovalMode, OnExceeded, Rules};
use crate::snapshot::{Counts, Member, MemberKind};
use crate::state::State;
use approval::Coverage;
use jiff::Timestamp;
use std::collections::HashSet;

/// What the gate decided about one plan.
#[derive(Debug)]
pub struct Judgement<'w> {
    plan: ConfirmedPlan<'w>,
    approved: Vec<(u32, Operation)>,
    /// By position; `None`: approved.
    waiting: Vec<Option<Waiting>>,
    holds: Vec<Hold>,
    approval: Option<ApprovalUse>,
    baseline: Option<Counts>,
}

/// Decides which operations may be sent.
///
/// An approval that counts replaces limits, shrink guard and the need for approval: what it covers is sent, whatever
/// else is planned waits. It changes nothing about `apply: false`, protection and confirmation.
pub fn judge<'w>(
    plan: ConfirmedPlan<'w>,
    rules: &Rules,
    state: &State,
    approval: Option<&Approval>,
    now: Timestamp,
) -> Judgement<'w> {
    let coverage = approval::coverage(&plan, approval, now);
    let mut holds = Vec::new();
    let is_covered = matches!(coverage, Coverage::Some { whole: true, .. });
    let exceeded = limits::exceeded(&rules.limits, &plan.summary(), plan.counts().managed);
    let shrunk = limits::shrunk(rules.limits.source_shrink, state.baseline(), &plan.counts());
    let vanished = limits::vanished(rules.limits.source_shrink, &plan.plan().clearings);
    let guards: Vec<Hold> = exceeded.into_iter().chain(shrunk).chain(vanished).collect();
    if !is_covered {
        holds.extend(&guards);
    }
    let mut needs_approval = false;
    let mut waiting: Vec<Option<Waiting>> = Vec::with_capacity(plan.operations().len());
    for (position, operation) in plan.operations().iter().enumerate() {
        let unapproved = match &coverage {
            Coverage::Some { approved, .. } => {
                let is_approved = approved.get(position).copied().unwrap_or_default();
                (!is_approved).then_some(Waiting::NotInApprovedPlan)
            }
            Coverage::None(_) if rules.approval == ApprovalMode::Manual => Some(Waiting::ApprovalRequired),
            Coverage::None(_) => None,
        };
        let gate = if operation.verb.is_removal() && is_protected(plan.plan(), operation, rules) {
            Some(Waiting::Protected)
        } else if plan.unconfirmed(position).is_some() {
            Some(Waiting::Unconfirmed)
        } else {
            // With `apply: false` too it is to be seen that an approval is needed.
            needs_approval |= unapproved.is_some();
            let is_held = || match coverage {
                Coverage::Some { .. } => None,
                Coverage::None(_) => is_held(operation, &guards, rules.limits.on_exceeded).then_some(Waiting::Held),
            };
            if rules.apply { unapproved.or_else(is_held) } else { Some(Waiting::NotApplied) }
        };
        waiting.push(gate);
    }
    hold_dependants(plan.plan(), &mut waiting);
    let has = |reason: Waiting| waiting.iter().flatten().any(|&waiting| waiting == reason);
    for (hold, applies) in [
        (Hold::NotApplied, has(Waiting::NotApplied)),
        (Hold::ApprovalRequired, needs_approval),
        (Hold::Unconfirmed, has(Waiting::Unconfirmed)),
        (Hold::Protected, has(Waiting::Protected)),
    ] {
        if applies {
            holds.push(hold);
        }
    }
    let numbered = (0_u32..).zip(plan.operations().iter().zip(&waiting));
    let approved: Vec<_> = numbered
        .filter(|(_, (_, waiting))| waiting.is_none())
        .map(|(position, (operation, _))| (position, *operation))
        .collect();
    let baseline = holds.is_empty().then_some(plan.counts().usable);
    let approval = match coverage {
        Coverage::None(result) => result,
        // What `apply: false` or an unanswered look-up keeps back is still to be sent under this approval.
        Coverage::Some { .. } if approved.is_empty() && !plan.operations().is_empty() => None,
        Coverage::Some { result, .. } => Some(result),
    };
    Judgement { plan, approved, waiting, holds, approval, baseline }
}

/// With `HoldRemovals` everything goes on but removals and what meets a limit or guard itself.
fn is_held(operation: &Operation, guards: &[Hold], on_exceeded: OnExceeded) -> bool {
    let verb = operation.verb;
    let own = guards.iter().any(|hold| match hold {
        Hold::LimitExceeded { kind, bound, .. } => *kind == verb.kind() && *bound == limits::bound(verb),
        Hold::ValuesVanished { kind, field, .. } => verb.object() == *kind && operation.fields.contains(*field),
        _ => false,
    });
    own || (!guards.is_empty() && (on_exceeded == OnExceeded::HoldAll || verb.is_removal()))
}

/// Checks protection once more: a plan may be older than the rule.
fn is_protected(plan: &Plan<'_>, operation: &Operation, rules: &Rules) -> bool {
    let user = |source: Option<usize>, target: Option<usize>| {
        let source = source.map(|row| plan.source.user(row));
        plan::is_user_protected(&rules.protect, source, target.map(|row| plan.target.user(row)))
    };
    let group = |source: Option<usize>, target: Option<usize>| {
        let source = source.map(|row| plan.source.group(row));
        plan::is_group_protected(&rules.protect, source, target.map(|row| plan.target.group(row)))
    };
    let row = |row: u32| (row != NO_ROW).then_some(row as usize);
    match operation.verb {
        Verb::SuspendUser | Verb::DeleteUser => user(row(operation.source), row(operation.target)),
        Verb::DeleteGroup => {
            let sides = Sides { source: plan.source, target: plan.target, users: &plan.users, groups: &plan.groups };
            let holds = |row| plan::holds_protected(&rules.protect, sides, plan.target.group(row));
            group(None, row(operation.target)) || row(operation.target).is_some_and(holds)
        }
        Verb::RemoveMember => {
            let of = |raw: u32| (raw != NO_ROW).then(|| Member::from_raw(raw).kind());
            match (of(operation.member_source), of(operation.member_target)) {
                (Some(MemberKind::Group(source)), Some(MemberKind::Group(target))) => group(Some(source), Some(target)),
                (Some(MemberKind::User(source)), Some(MemberKind::User(target))) => user(Some(source), Some(target)),
                _ => false,
            }
        }
        _ => false,
    }
}

/// Nothing is sent to an object whose creation or adoption waits.
fn hold_dependants(plan: &Plan<'_>, waiting: &mut [Option<Waiting>]) {
    let (mut users, mut groups) = (HashSet::new(), HashSet::new());
    for (operation, waiting) in plan.operations.iter().zip(waiting.iter()) {
        if waiting.is_some() {
            match operation.verb {
                Verb::CreateUser | Verb::AdoptUser => users.insert(operation.source),
                Verb::CreateGroup | Verb::AdoptGroup => groups.insert(operation.source),
                _ => false,
            };
        }
    }
    if users.is_empty() && groups.is_empty() {
        return;
    }
    for (operation, waiting) in plan.operations.iter().zip(waiting.iter_mut()) {
        let needs = match operation.verb {
            Verb::UpdateUser
            | Verb::MoveUser
            | Verb::RestoreUser
            | Verb::AddAlias
            | Verb::RemoveAlias
            | Verb::SuspendUser => users.contains(&operation.source),
            Verb::AddMember | Verb::RemoveMember => {
                let member = Member::from_raw(operation.member_source);
                let members = if member.is_group() { &groups } else { &users };
                groups.contains(&operation.source) || members.contains(&member.row())
            }
            _ => false,
        };
        if needs && waiting.is_none() {
            *waiting = Some(Waiting::NeedsAnother);
        }
    }
}

impl<'w> Judgement<'w> {
    /// The operations that may be sent. They are given out once; a second call gives none.
    pub fn take_approved(&mut self) -> Approved<'w> {
        let plan = self.plan.plan();
        Approved::new(plan.source, plan.target, std::mem::take(&mut self.approved))
    }

    /// The plan that was judged.
    pub fn plan(&self) -> &ConfirmedPlan<'w> {
        &self.plan
    }

    /// Why some or all of the plan waits. Empty: nothing is held.
    pub fn holds(&self) -> &[Hold] {
        &self.holds
    }

    /// Why the operation at this position waits; `None`: it was approved.
    pub fn waiting(&self, position: usize) -> Option<Waiting> {
        self.waiting.get(position).copied().flatten()
    }

    /// How many operations wait because of this hold.
    pub fn waiting_for(&self, hold: &Hold) -> u64 {
        self.waiting.iter().flatten().filter(|&&waiting| hold.explains(waiting)).count() as u64
    }

    /// How many operations wait, whatever for.
    pub fn waiting_count(&self) -> u64 {
        self.waiting.iter().flatten().count() as u64
    }

    /// How many operations may be sent.
    pub fn approved_count(&self) -> u64 {
        self.waiting.len() as u64 - self.waiting_count()
    }

    /// What became of the approval.
    pub fn approval(&self) -> Option<ApprovalUse> {
        self.approval
    }

    /// What the next read is compared with; `None` if this plan was held.
    pub fn baseline(&self) -> Option<Counts> {
        self.baseline
    }

    /// The most dangerous operations first: deletions, suspensions and removals, then changes, then creations.
    pub fn sample(&self, count: usize) -> Vec<(usize, Operation)> {
        let danger = |verb: Verb| match verb {
            Verb::DeleteUser => 0,
            Verb::DeleteGroup => 1,
            Verb::SuspendUser => 2,
            Verb::RemoveMember => 3,
            Verb::RemoveAlias => 4,
            Verb::AdoptUser | Verb::AdoptGroup => 5,
            verb if limits::bound(verb) == Bound::Updates => 6,
            _ => 7,
        };
        let mut sample: Vec<_> = Vec::new();
        for rank in 0..=7 {
            let of_rank = self.plan.operations().iter().copied().enumerate();
            sample.extend(of_rank.filter(|(_, operation)| danger(operation.verb) == rank).take(count - sample.len()));
        }
        sample
    }
}
