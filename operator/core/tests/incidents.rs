//! Accidents that other synchronisations had, as far as planning and judging alone prevent them; numbered as in the list
//! of public reports that this project keeps to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use directory_sync_core::applied::{Answer, Applied};
use directory_sync_core::capabilities::Field;
use directory_sync_core::gate::{self, Hold, Judgement};
use directory_sync_core::matcher::{MatcherSpec, Matchers, Subject, Test};
use directory_sync_core::operation::{Kind, Verb};
use directory_sync_core::plan::WarningKind;
use directory_sync_core::read::{Next, Read, ReadCaps, SourceSide};
use directory_sync_core::rules::{Limit, Removal, Rules, ShrinkLimit};
use directory_sync_core::state::{Bindings, State};
use jiff::SignedDuration;
use world::{Person, World, at, open_rules, person, run, team, world};

/// A directory that was synchronised once.
fn settled(source: &World) -> (World, State) {
    let (mut target, mut state) = (World::default(), State::new());
    run(source, &mut target, &open_rules(), &mut state, 0);
    (target, state)
}

fn judged(source: &World, target: &World, rules: &Rules, state: &State, check: impl FnOnce(Judgement<'_>)) {
    let (from, to) = (source.source(), target.target());
    let plan = world::confirm(world::plan(&from, &to, rules, state), source, &from);
    check(gate::judge(plan, rules, state, None, at(0)));
}

fn people(count: usize) -> Vec<Person> {
    (0..count).map(|at| person(&format!("p{at:03}"))).collect()
}

#[test]
fn incident_03_entries_without_their_identity_are_counted_and_are_not_absent_people() {
    let (target, state) = settled(&world(people(5), vec![]));
    let mut read = Read::<SourceSide>::start(ReadCaps::default());
    let section = read.open("people");
    read.skipped_mut().users_without_id = 5;
    read.page(section, Next::End).unwrap();
    let (from, to) = (read.finish().unwrap(), target.target());
    let plan = world::plan(&from, &to, &open_rules(), &state);
    assert_eq!(plan.warnings().of(WarningKind::WithoutId), 5);
    let judgement = gate::judge(world::confirm(plan, &World::default(), &from), &open_rules(), &state, None, at(0));
    assert!(matches!(judgement.holds(), [Hold::SourceShrunk { kind: Kind::User, before: 5, now: 0, .. }]));
    assert_eq!(judgement.approved_count(), 0);
}

#[test]
fn incident_06_a_source_that_returns_fewer_groups_is_held_although_its_people_are_all_there() {
    let teams: Vec<_> = (0..30).map(|at| team(&format!("g{at:02}"), &[])).collect();
    let mut source = world(people(30), teams);
    let (target, state) = settled(&source);
    source.teams.truncate(26);
    let mut rules = open_rules();
    rules.limits.source_shrink = ShrinkLimit { percent: 10, min_population: 20 };
    judged(&source, &target, &rules, &state, |judgement| {
        let shrunk = Hold::SourceShrunk { kind: Kind::Group, before: 30, now: 26, allowed: 3 };
        assert_eq!(judgement.holds(), [shrunk]);
    });
}

#[test]
fn incident_09_whoever_keeps_the_immutable_id_is_changed_and_never_made_anew() {
    let mut source = world(people(2), vec![team("g", &["p000", "p001"])]);
    let (mut target, mut state) = settled(&source);
    for person in &mut source.people {
        person.address = format!("new-{}", person.address);
        (person.name, person.unit) = ("Another Name".to_owned(), "/Elsewhere".to_owned());
    }
    source.teams[0].name = "Another Team".to_owned();
    let done = run(&source, &mut target, &open_rules(), &mut state, 1);
    assert!(done.iter().all(|verb| matches!(verb, Verb::UpdateUser | Verb::MoveUser | Verb::UpdateGroup)), "{done:?}");
    assert_eq!(done.len(), 5);
}

#[test]
fn incident_10_what_this_synchronisation_never_made_is_never_removed() {
    let mut source = world(people(2), vec![team("g", &["p000"])]);
    let (mut target, mut state) = settled(&source);
    target.people.push(Person { id: "x1".to_owned(), ..person("somebody") });
    target.people.push(Person { id: "x2".to_owned(), mark: "of another source".to_owned(), ..person("else") });
    target.teams.push(world::Team { id: "x3".to_owned(), ..team("theirs", &["x1"]) });
    let foreign = |world: &World| {
        let people = world.people.iter().filter(|person| person.id.starts_with('x')).cloned().collect::<Vec<_>>();
        (people, world.teams.iter().filter(|team| team.id.starts_with('x')).cloned().collect::<Vec<_>>())
    };
    let before = foreign(&target);
    let rules = Rules { removal: Removal::Delete, ..open_rules() };
    source.people.pop();
    source.teams[0].members.clear();
    run(&source, &mut target, &rules, &mut state, 1);
    run(&source, &mut target, &rules, &mut State::new(), 2);
    assert_eq!(foreign(&target), before, "with the state and without it");
}

#[test]
fn incident_12_whoever_is_not_found_is_suspended_first_and_within_limits() {
    let mut source = world(people(40), vec![]);
    let (target, state) = settled(&source);
    source.people.truncate(30);
    let rules = Rules { apply: true, ..Rules::default() };
    judged(&source, &target, &rules, &state, |judgement| {
        let summary = judgement.plan().summary();
        assert_eq!((summary.users.suspend, summary.users.delete), (10, 0));
        assert!(judgement.holds().iter().any(|hold| hold.reason() == "SourceShrunk"));
        assert_eq!(judgement.approved_count(), 0);
    });
}

#[test]
fn incident_13_what_a_held_run_saw_is_planned_again() {
    let mut source = world(people(10), vec![]);
    let (mut target, mut state) = settled(&source);
    source.people.truncate(5);
    source.people.push(person("new"));
    let mut rules = open_rules();
    rules.limits.users.removals = Limit { max: Some(1), ..Limit::default() };
    for second in 1..4 {
        assert_eq!(run(&source, &mut target, &rules, &mut state, second), []);
        assert_eq!(state.baseline().unwrap().users, 10, "the baseline stays");
        judged(&source, &target, &rules, &state, |judgement| {
            assert_eq!(judgement.plan().summary().to_string(), "+1 ~0 −5");
        });
    }
}

#[test]
fn incident_14_and_15_one_failure_stops_nothing_and_is_not_taken_for_done() {
    let source = world(people(3), vec![]);
    let (mut target, mut state) = (World::default(), State::new());
    let (from, to) = (source.source(), target.target());
    let plan = world::confirm(world::plan(&from, &to, &open_rules(), &state), &source, &from);
    let mut judgement = gate::judge(plan, &open_rules(), &state, None, at(0));
    let refused = || Answer::Failed { reason: "NoSeat", message: "no seat is left".to_owned() };
    let approved = judgement.take_approved().into_operations().enumerate();
    let outcomes = approved.map(|(at, one)| if at == 1 { one.answered(refused()) } else { target.send(one) });
    let applied = Applied::of(outcomes.collect());
    assert_eq!((applied.succeeded(), applied.failed()), (2, 1));
    state = state.after(&judgement, &applied, at(0));
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 1), [Verb::CreateUser]);
}

#[test]
fn incident_19_an_administrator_is_never_suspended() {
    let mut source = world(people(3), vec![]);
    let (mut target, mut state) = settled(&source);
    let field = Subject::Field(Field::Email);
    let test = Test::Exact("p000@example.com".to_owned());
    let protect = Matchers::compile(&[MatcherSpec { kind: Kind::User, field, test }]).unwrap();
    source.people[0].active = false;
    let gone = world(source.people[1..].to_vec(), vec![]);
    for removal in [Removal::default(), Removal::Delete] {
        let rules = Rules { removal, protect: protect.clone(), ..open_rules() };
        for source in [&source, &gone] {
            assert_eq!(run(source, &mut target, &rules, &mut state, 1), [], "disabled or gone");
        }
    }
}

#[test]
fn incident_20_who_exists_suspended_is_taken_over_and_made_active_again() {
    let source = world(vec![person("ada")], vec![]);
    let suspended = Person { id: "7".to_owned(), mark: "ada".to_owned(), active: false, ..person("ada") };
    let mut target = world(vec![suspended], vec![]);
    let mut state = State::of(Bindings::default(), Bindings::default(), None);
    let done = run(&source, &mut target, &open_rules(), &mut state, 0);
    assert_eq!(done, [Verb::AdoptUser, Verb::RestoreUser]);
    assert!(target.people[0].active);
}

#[test]
fn incident_24_the_day_of_suspension_is_remembered_across_restarts() {
    let (mut target, mut state) = settled(&world(people(2), vec![]));
    let left = world(people(1), vec![]);
    let removal = Removal::Suspend { delete_after: Some(SignedDuration::from_hours(720)) };
    let rules = Rules { removal, ..open_rules() };
    let hour = 3600;
    for (hours, done) in [(1, vec![Verb::SuspendUser]), (720, vec![]), (721, vec![Verb::DeleteUser])] {
        let mut stored = Vec::new();
        state.write(&mut stored).unwrap();
        state = State::read(&stored[..]).unwrap();
        assert_eq!(run(&left, &mut target, &rules, &mut state, hours * hour), done, "after {hours} hours");
    }
}
