//! What holds for any directory, any service and any history.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use directory_sync_core::applied::{Answer, Applied};
use directory_sync_core::capabilities::Field;
use directory_sync_core::confirm::{self, Finding};
use directory_sync_core::gate::{self, Approval};
use directory_sync_core::matcher::{MatcherSpec, Matchers, Subject, Test};
use directory_sync_core::operation::{Kind, NO_ROW, Operation, Verb};
use directory_sync_core::plan::document::PlanDocument;
use directory_sync_core::plan::{Digest, Plan, WarningKind};
use directory_sync_core::rules::{Adoption, ApprovalMode, Limit, OnExceeded, Removal, Rules};
use directory_sync_core::snapshot::{Member, MemberKind, Snapshot};
use directory_sync_core::state::State;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use world::{Person, Team, World, at, open_rules, run, world};

const PEOPLE: usize = 6;
const TEAMS: usize = 3;

/// Where the numbers of groups begin among those of members.
const NESTED: u32 = 1 << 31;

/// A person of few, with values of few, so that they meet.
fn a_person(number: usize) -> impl Strategy<Value = Person> {
    let aliases = prop::collection::btree_set(0..3_u8, 0..3);
    ("[ab]", 0..PEOPLE + 2, aliases, prop::bool::weighted(0.85), 0..2_u8).prop_map(
        move |(name, address, aliases, active, unit)| Person {
            id: format!("p{number}"),
            // Mostly one's own address, sometimes somebody else's or none.
            address: match address {
                0 => "shared@example.com".to_owned(),
                1 => String::new(),
                _ => format!("p{number}@example.com"),
            },
            aliases: aliases.into_iter().map(|alias| format!("p{number}-{alias}@example.com")).collect(),
            name,
            unit: format!("/{unit}"),
            active,
            ..Person::default()
        },
    )
}

fn a_team(number: usize) -> impl Strategy<Value = Team> {
    (prop::collection::btree_set(0..PEOPLE, 0..=PEOPLE), prop::bool::weighted(0.1), any::<bool>()).prop_map(
        move |(members, unknown, nested)| {
            let mut members: BTreeSet<String> = members.into_iter().map(|member| format!("p{member}")).collect();
            if nested && number > 0 {
                members.insert("g0".to_owned());
            }
            Team { id: format!("g{number}"), name: format!("Team {number}"), members, unknown, ..Team::default() }
        },
    )
}

fn a_world() -> impl Strategy<Value = World> {
    let people: Vec<_> = (0..PEOPLE).map(|number| prop::option::weighted(0.8, a_person(number))).collect();
    let teams: Vec<_> = (0..TEAMS).map(|number| prop::option::weighted(0.8, a_team(number))).collect();
    // In half of the worlds the first few hand their addresses on to each other, so that histories have chains and
    // circles of people who want what somebody else still has.
    let turning = prop_oneof![1 => Just(0..0_usize), 1 => (0..3_usize, 2..PEOPLE).prop_map(|(begin, end)| begin..end)];
    (people, teams, turning).prop_map(|(people, teams, turning)| {
        let mut people: Vec<Person> = people.into_iter().flatten().collect();
        let mut addresses: Vec<String> = people.iter().map(|person| person.address.clone()).collect();
        if let Some(turning) = addresses.get_mut(turning).filter(|turning| !turning.is_empty()) {
            turning.rotate_left(1);
        }
        people.iter_mut().zip(addresses).for_each(|(person, address)| person.address = address);
        world(people, teams.into_iter().flatten().collect())
    })
}

fn removal() -> impl Strategy<Value = Removal> {
    prop_oneof![
        Just(Removal::Keep),
        Just(Removal::Suspend { delete_after: None }),
        Just(Removal::Suspend { delete_after: Some(jiff::SignedDuration::from_secs(15)) }),
        Just(Removal::Delete),
    ]
}

/// The target that came of a history of sources.
fn grown(history: &[World], rules: &Rules) -> (World, State) {
    let (mut target, mut state) = (World::default(), State::new());
    for (second, source) in (0..).zip(history) {
        run(source, &mut target, rules, &mut state, second);
    }
    (target, state)
}

fn names(address: &str) -> Matchers {
    let test = Test::Exact(address.to_owned());
    Matchers::compile(&[MatcherSpec { kind: Kind::User, field: Subject::Field(Field::Email), test }]).unwrap()
}

fn names_team(number: usize) -> Matchers {
    let test = Test::Exact(format!("Team {number}"));
    Matchers::compile(&[MatcherSpec { kind: Kind::Group, field: Subject::Field(Field::Name), test }]).unwrap()
}

/// Whether an operation changes a group of this name, its members, or its being a member.
fn concerns(plan: &Plan<'_>, operation: &Operation, name: &str) -> bool {
    if !matches!(operation.verb.kind(), Kind::Group | Kind::Membership) {
        return false;
    }
    let is_named = |side: &Snapshot, row: u32| row != NO_ROW && side.group(row as usize).name() == name;
    // The number of a nested group is beyond every row of a person.
    let is_member = |side: &Snapshot, raw: u32| {
        let is_group = operation.verb.kind() == Kind::Membership && raw != NO_ROW && raw >= NESTED;
        is_group && side.group((raw - NESTED) as usize).name() == name
    };
    is_named(plan.source(), operation.source)
        || is_named(plan.target(), operation.target)
        || is_member(plan.source(), operation.member_source)
        || is_member(plan.target(), operation.member_target)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_that_was_applied_leaves_nothing_to_plan(
        history in prop::collection::vec(a_world(), 1..4), removal in removal()
    ) {
        let rules = Rules { removal, ..open_rules() };
        let (last, before) = history.split_last().unwrap();
        let (mut target, mut state) = grown(before, &rules);
        let second = i64::try_from(before.len()).unwrap();
        // Who wants an address that somebody gives up gets it from a later plan; every such plan moves somebody.
        let waits = |target: &World, state: &State| {
            let (from, to) = (last.source(), target.target());
            let plan = world::plan(&from, &to, &rules, state);
            plan.warnings().of(WarningKind::AddressTaken) + plan.warnings().of(WarningKind::AddressNotYetFree) > 0
        };
        let mut waited = waits(&target, &state);
        run(last, &mut target, &rules, &mut state, second);
        for _ in 0..=PEOPLE {
            let waits_still = waits(&target, &state);
            let again = run(last, &mut target, &rules, &mut state, second);
            prop_assert!(waited || again.is_empty(), "{again:?}");
            waited = waits_still;
        }
        prop_assert_eq!(run(last, &mut target, &rules, &mut state, second), Vec::<Verb>::new());
        // Unless the plan is held, whoever still has another address than the source says is named in a warning.
        let (from, to) = (last.source(), target.target());
        let plan = world::plan(&from, &to, &rules, &state);
        let known = [WarningKind::AddressTaken, WarningKind::AddressNotYetFree, WarningKind::AddressesInCircle];
        let others = last.people.iter().filter(|person| {
            let copy = target.people.iter().find(|copy| copy.mark == person.id);
            let is_shared = last.people.iter().filter(|other| other.address == person.address).count() > 1;
            !is_shared && !person.address.is_empty() && copy.is_some_and(|copy| copy.address != person.address)
        });
        let named: u64 = known.iter().map(|kind| plan.warnings().of(*kind)).sum();
        prop_assert!(!plan.is_empty() || others.count() as u64 <= named, "{:?}", plan.warnings());
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_entries(
        before in a_world(), source in a_world(), turn in 0..PEOPLE
    ) {
        let (target, state) = grown(&[before], &open_rules());
        let digest = |source: &World, target: &World| {
            let (from, to) = (source.source(), target.target());
            world::confirm(world::plan(&from, &to, &open_rules(), &state), source, &from).digest()
        };
        let (mut turned_source, mut turned_target) = (source.clone(), target.clone());
        for side in [&mut turned_source, &mut turned_target] {
            side.people.reverse();
            let by = turn.min(side.people.len());
            side.people.rotate_left(by);
            side.teams.reverse();
        }
        prop_assert_eq!(digest(&source, &target), digest(&turned_source, &turned_target));
    }

    #[test]
    fn nothing_is_planned_for_whom_exclusions_name(
        before in a_world(), source in a_world(), removal in removal(), person in 0..PEOPLE, on_source: bool
    ) {
        let (target, state) = grown(&[before], &open_rules());
        let address = format!("p{person}@example.com");
        let mut rules = Rules { removal, ..open_rules() };
        if on_source { rules.exclude_source = names(&address) } else { rules.exclude_target = names(&address) }
        let (from, to) = (source.source(), target.target());
        let plan = world::plan(&from, &to, &rules, &state);
        let is_in_source = |id: &str| source.people.iter().any(|person| person.id == id);
        let in_source = source.people.iter().filter(|person| person.address == address).map(|person| &person.id);
        let in_target = target.people.iter().filter(|person| person.address == address).map(|person| &person.mark);
        // Whom the source no longer has is judged by the copy.
        let named: HashSet<&String> = if on_source {
            in_source.chain(in_target.filter(|id| !is_in_source(id))).collect()
        } else {
            in_target.collect()
        };
        for operation in plan.operations() {
            let id = match operation.verb.kind() {
                Kind::User | Kind::Alias if operation.target == NO_ROW => plan.source().user(operation.source as usize).id(),
                Kind::User | Kind::Alias => plan.target().user(operation.target as usize).external_id(),
                // The number of a nested group is beyond every row of a person.
                Kind::Membership => plan.source().user(operation.member_source as usize).id(),
                Kind::Group => continue,
            };
            prop_assert!(!named.contains(&id.to_owned()), "{:?}", plan.describe(*operation));
        }
    }

    #[test]
    fn nothing_is_planned_for_a_group_that_exclusions_name(
        before in a_world(), source in a_world(), removal in removal(), team in 0..TEAMS, on_source: bool
    ) {
        let (target, state) = grown(&[before], &open_rules());
        let mut rules = Rules { removal, ..open_rules() };
        let named = names_team(team);
        if on_source { rules.exclude_source = named } else { rules.exclude_target = named }
        let (from, to) = (source.source(), target.target());
        let plan = world::plan(&from, &to, &rules, &state);
        let name = format!("Team {team}");
        let is_named = on_source || target.teams.iter().any(|team| team.name == name);
        for operation in plan.operations() {
            prop_assert!(!is_named || !concerns(&plan, operation, &name), "{:?}", plan.describe(*operation));
        }
    }

    #[test]
    fn a_protected_group_is_neither_deleted_nor_taken_out_of_another(
        before in a_world(), source in a_world(), removal in removal(), team in 0..TEAMS
    ) {
        let (target, state) = grown(&[before], &open_rules());
        let rules = Rules { removal, protect: names_team(team), ..open_rules() };
        let (from, to) = (source.source(), target.target());
        let plan = world::plan(&from, &to, &rules, &state);
        let name = format!("Team {team}");
        for &operation in plan.operations() {
            let described = plan.describe(operation);
            prop_assert!(operation.verb != Verb::DeleteGroup || described.name != name, "{:?}", described);
            prop_assert!(operation.verb != Verb::RemoveMember || described.item != name, "{:?}", described);
        }
    }

    #[test]
    fn a_plan_of_a_world_and_itself_is_empty(source in a_world(), removal in removal()) {
        let mut source = source;
        // Who has lost the address is to be suspended, also where the target never heard of one.
        source.people.retain(|person| !person.address.is_empty());
        let mut same = source.clone();
        same.people.iter_mut().for_each(|person| person.mark = person.id.clone());
        same.teams.iter_mut().for_each(|team| team.mark = team.id.clone());
        let (from, to) = (source.source(), same.target());
        let rules = Rules { removal, ..open_rules() };
        let plan = world::plan(&from, &to, &rules, &State::new());
        prop_assert!(plan.is_empty(), "{:?}", plan.operations());
    }

    #[test]
    fn nobody_protected_is_removed(before in a_world(), source in a_world(), removal in removal(), person in 0..PEOPLE) {
        let (target, state) = grown(&[before], &open_rules());
        let address = format!("p{person}@example.com");
        let rules = Rules { removal, protect: names(&address), ..open_rules() };
        let (from, to) = (source.source(), target.target());
        let plan = world::plan(&from, &to, &rules, &state);
        for &operation in plan.operations() {
            let described = plan.describe(operation);
            if matches!(operation.verb, Verb::SuspendUser | Verb::DeleteUser) {
                prop_assert_ne!(described.address, address.clone());
            } else if operation.verb == Verb::RemoveMember {
                prop_assert_ne!(described.item, address.clone());
            } else if operation.verb == Verb::DeleteGroup {
                let members = plan.target().group(operation.target as usize).members();
                let is_named = |member: &Member| match member.kind() {
                    MemberKind::User(row) => plan.target().user(row).address() == address,
                    MemberKind::Group(_) => false,
                };
                prop_assert!(!members.iter().any(is_named), "deleting a group takes everybody out of it");
            }
        }
    }
}

/// What goes wrong in a run.
#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    /// It ends after so many operations, before it can save what was answered.
    ends_after: Option<usize>,
    /// The service refuses one of so many changes; 0: none.
    refuses_one_of: usize,
    /// The directory does not answer look-ups.
    is_unreadable: bool,
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// The directory changes.
    Change(World),
    /// A run.
    Run(Trouble),
    /// Somebody reviews the plan and approves it; the next run uses the approval.
    Approve,
    /// Somebody sets `spec.apply`.
    Apply(bool),
    /// The state is lost.
    Forget,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => a_world().prop_map(Step::Change),
        4 => Just(Step::Run(Trouble::default())),
        2 => (0..8_usize).prop_map(|end| Step::Run(Trouble { ends_after: Some(end), ..Trouble::default() })),
        2 => (1..4_usize).prop_map(|one_of| Step::Run(Trouble { refuses_one_of: one_of, ..Trouble::default() })),
        1 => Just(Step::Run(Trouble { is_unreadable: true, ..Trouble::default() })),
        2 => Just(Step::Approve),
        1 => any::<bool>().prop_map(Step::Apply),
        1 => Just(Step::Forget),
    ]
}

/// Most people removed, and most memberships, in a run that nobody reviewed.
const REMOVALS: (usize, usize) = (1, 2);

/// Rules with limits, as somebody might set them.
fn limited_rules() -> impl Strategy<Value = Rules> {
    let on_exceeded = prop_oneof![Just(OnExceeded::HoldAll), Just(OnExceeded::HoldRemovals)];
    let approval = prop_oneof![3 => Just(ApprovalMode::Automatic), 1 => Just(ApprovalMode::Manual)];
    (removal(), on_exceeded, approval).prop_map(|(removal, on_exceeded, approval)| {
        let mut rules = Rules { removal, approval, adoption: Adoption::ByExternalId, ..open_rules() };
        rules.limits.users.removals = Limit { max: Some(REMOVALS.0 as u64), ..Limit::default() };
        rules.limits.memberships.removals = Limit { max: Some(REMOVALS.1 as u64), ..Limit::default() };
        rules.limits.on_exceeded = on_exceeded;
        rules
    })
}

/// How many removals of people and of memberships there are.
fn removals(verbs: impl Iterator<Item = Verb>) -> (usize, usize) {
    verbs.fold((0, 0), |(people, memberships), verb| match verb {
        Verb::SuspendUser | Verb::DeleteUser => (people + 1, memberships),
        Verb::RemoveMember => (people, memberships + 1),
        _ => (people, memberships),
    })
}

/// Everything that outlives a step.
struct Machine {
    rules: Rules,
    source: World,
    target: World,
    state: State,
    approval: Option<Approval>,
    second: i64,
}

impl Machine {
    fn run(&mut self, trouble: Trouble) -> Result<(), TestCaseError> {
        self.second += 1;
        let now = at(self.second);
        let (from, to) = (self.source.source(), self.target.target());
        let capabilities = world::capabilities();
        let plan = directory_sync_core::plan::plan(&from, &to, &self.rules, &capabilities, &self.state, now);
        let confirmed = if trouble.is_unreadable {
            let lookups = confirm::lookups(&plan, 10_000);
            let finding = Finding::Unreadable { message: "no answer".to_owned() };
            let findings = vec![finding; lookups.as_slice().len()];
            confirm::confirm(plan, lookups, findings)
        } else {
            world::confirm(plan, &self.source, &from)
        };
        let planned: Vec<_> = confirmed.operations().iter().map(|operation| operation.verb).collect();
        let digests = confirmed.operation_digests().to_vec();
        let mut judgement = gate::judge(confirmed, &self.rules, &self.state, self.approval.as_ref(), now);
        let approved = judgement.take_approved();
        let sent: Vec<_> = approved.preview().map(|(position, _)| position).collect();
        self.check_sent(&planned, &digests, &sent, trouble)?;
        if let Some(claims) = self.state.claims(&judgement, &approved) {
            self.state = claims;
        }
        if judgement.approval().is_some() {
            self.approval = None;
        }
        let mut outcomes = Vec::new();
        for (number, operation) in approved.into_operations().enumerate() {
            if trouble.ends_after.is_some_and(|end| number >= end) {
                break;
            }
            outcomes.push(if trouble.refuses_one_of > 0 && number % trouble.refuses_one_of == 0 {
                operation.answered(Answer::Failed { reason: "Refused", message: "no".to_owned() })
            } else if self.target.is_possible(&operation) {
                self.target.send(operation)
            } else {
                operation.answered(Answer::NotSent { reason: "NeedsAnother" })
            });
        }
        if trouble.ends_after.is_some() {
            return Ok(());
        }
        let next = self.state.after(&judgement, &Applied::of(outcomes), now);
        if !judgement.holds().is_empty() {
            prop_assert_eq!(next.baseline(), self.state.baseline(), "a held read never becomes the baseline");
        }
        let mut bytes = Vec::new();
        next.write(&mut bytes).unwrap();
        self.state = State::read(&bytes[..]).unwrap();
        prop_assert!(self.state == next, "the state survives being stored");
        Ok(())
    }

    /// What may be sent, counted here and not by the gate.
    fn check_sent(
        &self,
        planned: &[Verb],
        digests: &[Digest],
        sent: &[usize],
        trouble: Trouble,
    ) -> Result<(), TestCaseError> {
        let approval = self.approval.as_ref().filter(|approval| at(self.second) < approval.expires_at);
        let reviewed = approval.and_then(|approval| approval.operations.as_ref());
        let is_reviewed = |position: usize| reviewed.is_some_and(|reviewed| reviewed.contains(&digests[position]));
        let unreviewed: Vec<_> = sent.iter().copied().filter(|&position| !is_reviewed(position)).collect();
        let (people, memberships) = removals(unreviewed.iter().map(|&position| planned[position]));
        prop_assert!(people <= REMOVALS.0 && memberships <= REMOVALS.1, "{people} people, {memberships} memberships");
        prop_assert!(self.rules.apply || sent.is_empty(), "apply: false sends nothing");
        prop_assert!(self.rules.approval == ApprovalMode::Automatic || unreviewed.is_empty(), "nobody reviewed it");
        let all = removals(planned.iter().copied());
        let is_exceeded = all.0 > REMOVALS.0 || all.1 > REMOVALS.1;
        if is_exceeded && self.rules.limits.on_exceeded == OnExceeded::HoldAll {
            prop_assert!(unreviewed.is_empty(), "a limit holds everything");
        }
        if is_exceeded {
            let removes = |&position: &usize| planned[position].is_removal();
            prop_assert!(!unreviewed.iter().any(removes), "a limit holds every removal");
        }
        if trouble.is_unreadable {
            let looked_up = |&position: &usize| {
                matches!(
                    planned[position],
                    Verb::SuspendUser | Verb::DeleteUser | Verb::RemoveMember | Verb::DeleteGroup
                )
            };
            prop_assert!(!sent.iter().any(looked_up), "what could not be looked up is not removed");
        }
        Ok(())
    }

    fn review(&mut self) {
        let (from, to) = (self.source.source(), self.target.target());
        let capabilities = world::capabilities();
        let now = at(self.second);
        let plan = directory_sync_core::plan::plan(&from, &to, &self.rules, &capabilities, &self.state, now);
        let confirmed = world::confirm(plan, &self.source, &from);
        let judgement = gate::judge(confirmed, &self.rules, &self.state, None, now);
        let document = PlanDocument::of(&judgement, &self.rules);
        let operations: HashSet<Digest> = document.operation_digests();
        self.approval = Some(Approval {
            plan: document.header.digest,
            operations: Some(operations),
            expires_at: at(self.second + 3),
            used: false,
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_any_history_nothing_but_what_was_reviewed_exceeds_a_limit_and_the_target_comes_into_line(
        steps in prop::collection::vec(a_step(), 1..14), last in a_world(), rules in limited_rules()
    ) {
        let mut machine = Machine {
            rules,
            source: World::default(),
            target: World::default(),
            state: State::new(),
            approval: None,
            second: 0,
        };
        for step in steps {
            match step {
                Step::Change(source) => machine.source = source,
                Step::Run(trouble) => machine.run(trouble)?,
                Step::Approve => machine.review(),
                Step::Apply(apply) => machine.rules.apply = apply,
                Step::Forget => machine.state = State::new(),
            }
        }
        // In the end the directory rests, and somebody reviews what is held.
        machine.source = last;
        machine.rules.apply = true;
        // By now every time that somebody was suspended for is over.
        machine.second += 100;
        for _ in 0..PEOPLE + 2 {
            machine.review();
            machine.run(Trouble::default())?;
        }
        let (from, to) = (machine.source.source(), machine.target.target());
        let capabilities = world::capabilities();
        let plan = directory_sync_core::plan::plan(
            &from, &to, &machine.rules, &capabilities, &machine.state, at(machine.second)
        );
        prop_assert!(plan.is_empty(), "{:?}", plan.operations());
        let marks: Vec<_> = machine.target.people.iter().map(|person| &person.mark).collect();
        let distinct: HashSet<_> = marks.iter().collect();
        prop_assert_eq!(marks.len(), distinct.len(), "nobody is created twice");
    }

    #[test]
    fn a_refused_creation_is_tried_again(source in a_world()) {
        let (from, empty) = (source.source(), World::default());
        let to = empty.target();
        let state = State::new();
        let confirmed = world::confirm(world::plan(&from, &to, &open_rules(), &state), &source, &from);
        let planned = confirmed.summary();
        let mut judgement = gate::judge(confirmed, &open_rules(), &state, None, at(0));
        let refuse = || Answer::Failed { reason: "Refused", message: "no".to_owned() };
        let approved = judgement.take_approved();
        let applied = Applied::of(approved.into_operations().map(|operation| operation.answered(refuse())).collect());
        prop_assert_eq!(applied.succeeded(), 0);
        let state = state.after(&judgement, &applied, at(0));
        prop_assert_eq!(world::plan(&from, &to, &open_rules(), &state).summary(), planned);
    }
}
