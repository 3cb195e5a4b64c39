//! What is said of one person or group, and of a source by itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use directory_sync_core::gate::{self, Waiting};
use directory_sync_core::inspect::inspect;
use directory_sync_core::matcher::{MatcherSpec, Matchers, Subject as Compared, Test};
use directory_sync_core::operation::{Kind, Verb};
use directory_sync_core::plan::WarningKind;
use directory_sync_core::plan::explain::{Bond, Explanation, Stop, explain};
use directory_sync_core::rules::{Removal, Rules};
use directory_sync_core::state::State;
use std::collections::BTreeSet;
use world::{Person, World, at, open_rules, person, run, team, world};

/// What is said of everybody known by a text.
fn explained(source: &World, target: &World, rules: &Rules, state: &State, text: &str) -> Vec<Explanation> {
    let (from, to) = (source.source(), target.target());
    let plan = world::confirm(world::plan(&from, &to, rules, state), source, &from);
    let judgement = gate::judge(plan, rules, state, None, at(0));
    let subjects = judgement.plan().plan().subjects(text);
    subjects.into_iter().map(|subject| explain(&judgement, rules, subject)).collect()
}

fn naming(id: &str) -> Matchers {
    let test = Test::Exact(id.to_owned());
    Matchers::compile(&[MatcherSpec { kind: Kind::User, field: Compared::Id, test }]).unwrap()
}

/// Three people in a team, in line on both sides.
fn settled() -> (World, World, State) {
    let source = world(vec![person("ada"), person("bob"), person("eve")], vec![team("t", &["ada", "bob"])]);
    let (mut target, mut state) = (World::default(), State::new());
    for time in 0..2 {
        run(&source, &mut target, &open_rules(), &mut state, time);
    }
    (source, target, state)
}

#[test]
fn somebody_is_found_by_address_alias_and_the_ids_of_both_sides() {
    let (mut source, mut target, state) = settled();
    for person in [&mut source.people[0], &mut target.people[0]] {
        person.aliases = BTreeSet::from(["countess@example.com".to_owned()]);
    }
    let id = target.people[0].id.clone();
    for text in ["ada", "ADA@example.com", "Countess@Example.com", &id] {
        let said = explained(&source, &target, &open_rules(), &state, text);
        assert_eq!(said.len(), 1, "{text}");
        assert_eq!((said[0].bond, said[0].stops.len(), said[0].operations.len()), (Some(Bond::Ours), 0, 0), "{text}");
    }
    assert_eq!(explained(&source, &target, &open_rules(), &state, "Team t").len(), 1);
    assert!(explained(&source, &target, &open_rules(), &state, "nobody@example.com").is_empty());
}

#[test]
fn what_is_planned_for_somebody_includes_their_memberships_and_why_it_waits() {
    let (mut source, target, state) = settled();
    source.people[1].name = "Robert".to_owned();
    source.teams[0].members.remove("bob");
    let rules = Rules { apply: false, ..open_rules() };
    let said = explained(&source, &target, &rules, &state, "bob").remove(0);
    let verbs: Vec<Verb> = said.operations.iter().map(|line| line.operation.verb).collect();
    assert_eq!(verbs, [Verb::UpdateUser, Verb::RemoveMember]);
    assert!(said.operations.iter().all(|line| line.waiting == Some(Waiting::NotApplied)));
    assert!(explained(&source, &target, &rules, &state, "ada").remove(0).operations.is_empty());
}

#[test]
fn what_stops_somebody_is_named() {
    let (mut source, mut target, state) = settled();
    let stops = |source: &World, target: &World, rules: &Rules, text: &str| {
        explained(source, target, rules, &state, text).remove(0).stops
    };
    let rules = Rules { exclude_source: naming("ada"), ..open_rules() };
    assert_eq!(stops(&source, &target, &rules, "ada"), [Stop::ExcludedInSource]);
    source.people.push(Person { address: String::new(), ..person("new") });
    source.people.push(Person { active: false, ..person("off") });
    source.people.push(Person { address: "two@example.com".to_owned(), ..person("one") });
    source.people.push(person("two"));
    target.people.push(Person { id: "x".to_owned(), ..person("foreign") });
    let rules = open_rules();
    assert_eq!(stops(&source, &target, &rules, "new"), [Stop::WithoutAddress]);
    assert_eq!(stops(&source, &target, &rules, "off"), [Stop::Inactive]);
    assert_eq!(stops(&source, &target, &rules, "one"), [Stop::AddressShared]);
    assert_eq!(stops(&source, &target, &rules, "foreign@example.com"), [Stop::NotOurs]);
}

#[test]
fn of_an_address_that_somebody_else_has_it_is_said_whether_it_becomes_free() {
    let (mut source, target, state) = settled();
    let stops = |source: &World, text: &str| explained(source, &target, &open_rules(), &state, text).remove(0).stops;
    source.people[0].address = "countess@example.com".to_owned();
    source.people.push(Person { address: "ada@example.com".to_owned(), ..person("new") });
    assert_eq!(stops(&source, "new"), [Stop::AddressNotYetFree]);
    source.people[0].address = "bob@example.com".to_owned();
    source.people[1].address = "ada@example.com".to_owned();
    source.people.truncate(3);
    assert_eq!(stops(&source, "ada"), [Stop::AddressesInCircle]);
    assert_eq!(stops(&source, "bob"), [Stop::AddressesInCircle]);
    assert_eq!(stops(&source, "eve"), []);
}

#[test]
fn of_a_leaver_it_is_said_what_keeps_them() {
    let (mut source, target, state) = settled();
    source.people.truncate(2);
    let said = |rules: &Rules| explained(&source, &target, rules, &state, "eve@example.com").remove(0);
    assert_eq!(said(&open_rules()).operations[0].operation.verb, Verb::SuspendUser);
    assert_eq!(said(&Rules { removal: Removal::Keep, ..open_rules() }).stops, [Stop::Kept]);
    let protect = Matchers::compile(&[MatcherSpec {
        kind: Kind::User,
        field: Compared::Field(directory_sync_core::capabilities::Field::Email),
        test: Test::Glob("eve@*".to_owned()),
    }]);
    let protected = said(&Rules { protect: protect.unwrap(), ..open_rules() });
    assert_eq!((protected.stops.as_slice(), protected.protected), ([Stop::Protected].as_slice(), true));
}

#[test]
fn a_source_is_counted_and_warned_of_without_any_target() {
    let mut source = settled().0;
    source.people.push(Person { active: false, ..person("off") });
    source.people.push(Person { address: String::new(), ..person("new") });
    source.people.push(Person { address: "ada@example.com".to_owned(), ..person("twin") });
    let rules = Rules { exclude_source: naming("bob"), ..Rules::default() };
    let said = inspect(&source.source(), &rules).unwrap();
    let users = (said.users.read, said.users.without_address, said.users.inactive, said.users.excluded);
    assert_eq!((users, said.groups.mapped, said.memberships), ((6, 1, 1, 1), 1, 2));
    let kinds: Vec<_> = said.warnings.iter().map(|warning| (warning.kind, warning.count)).collect();
    assert_eq!(kinds, [(WarningKind::AddressShared, 2), (WarningKind::WithoutAddress, 1)]);
}
