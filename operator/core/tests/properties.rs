//! What holds for any directory, any service and any history.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use directory_sync_core::applied::{Answer, Applied};
use directory_sync_core::capabilities::Field;
use directory_sync_core::gate::{self, Approval};
use directory_sync_core::matcher::{MatcherSpec, Matchers, Subject, Test};
use directory_sync_core::operation::{Kind, NO_ROW, Verb};
use directory_sync_core::plan::document::PlanDocument;
use directory_sync_core::plan::{Digest, WarningKind};
use directory_sync_core::rules::{Adoption, Limit, Removal, Rules};
use directory_sync_core::state::State;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use world::{Person, Team, World, at, open_rules, run, world};

const PEOPLE: usize = 6;
const TEAMS: usize = 3;

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
            }
        }
    }
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// The directory changes.
    Change(World),
    /// A whole run.
    Run,
    /// A run that ends after so many operations, before it can save what was answered.
    Crash(usize),
    /// Somebody reviews the plan and approves it; the next run uses the approval.
    Approve,
    /// The state is lost.
    Forget,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => a_world().prop_map(Step::Change),
        4 => Just(Step::Run),
        2 => (0..8_usize).prop_map(Step::Crash),
        2 => Just(Step::Approve),
        1 => Just(Step::Forget),
    ]
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
    /// A run that ends after so many operations; `None`: to the end.
    fn run(&mut self, ends_after: Option<usize>) -> Result<(), TestCaseError> {
        self.second += 1;
        let now = at(self.second);
        let (from, to) = (self.source.source(), self.target.target());
        let capabilities = world::capabilities();
        let plan = directory_sync_core::plan::plan(&from, &to, &self.rules, &capabilities, &self.state, now);
        let confirmed = world::confirm(plan, &self.source, &from);
        let mut judgement = gate::judge(confirmed, &self.rules, &self.state, self.approval.as_ref(), now);
        let approved = judgement.take_approved();
        self.check_approved(&judgement, &approved.preview().map(|(position, _)| position).collect::<Vec<_>>())?;
        if let Some(claims) = self.state.claims(&judgement, &approved) {
            self.state = claims;
        }
        if judgement.approval().is_some() {
            self.approval = None;
        }
        let mut outcomes = Vec::new();
        for (number, operation) in approved.into_operations().enumerate() {
            if ends_after.is_some_and(|end| number >= end) {
                break;
            }
            outcomes.push(self.target.send(operation));
        }
        if ends_after.is_some() {
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

    /// What is sent is in a plan that is not held, or in the one that was reviewed.
    fn check_approved(&self, judgement: &gate::Judgement<'_>, sent: &[usize]) -> Result<(), TestCaseError> {
        if sent.is_empty() {
            return Ok(());
        }
        let reviewed = |position: usize| {
            let digest = judgement.plan().operation_digests()[position];
            let approval = self.approval.as_ref().and_then(|approval| approval.operations.as_ref());
            approval.is_some_and(|reviewed| reviewed.contains(&digest))
        };
        let all_reviewed = sent.iter().all(|&position| reviewed(position));
        prop_assert!(judgement.holds().is_empty() || all_reviewed, "{:?}", judgement.holds());
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
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_any_history_only_reviewed_or_unheld_plans_are_sent_and_the_target_comes_into_line(
        steps in prop::collection::vec(a_step(), 1..14), last in a_world(), removal in removal()
    ) {
        let mut rules = Rules { removal, adoption: Adoption::ByExternalId, ..open_rules() };
        rules.limits.users.removals = Limit { max: Some(1), ..Limit::default() };
        rules.limits.memberships.removals = Limit { max: Some(2), ..Limit::default() };
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
                Step::Run => machine.run(None)?,
                Step::Crash(after) => machine.run(Some(after))?,
                Step::Approve => machine.review(),
                Step::Forget => machine.state = State::new(),
            }
        }
        // In the end the directory rests, and somebody reviews what is held.
        machine.source = last;
        // By now every time that somebody was suspended for is over.
        machine.second += 100;
        for _ in 0..PEOPLE + 2 {
            machine.review();
            machine.run(None)?;
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
