//! What a plan says, case by case.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use directory_sync_core::capabilities::{Field, Fields};
use directory_sync_core::confirm::{self, Finding};
use directory_sync_core::matcher::{MatcherSpec, Matchers, Subject, Test};
use directory_sync_core::operation::{Kind, Reason, Verb};
use directory_sync_core::plan::{Plan, WarningKind};
use directory_sync_core::rules::{Adoption, Removal, Rules};
use directory_sync_core::state::{Bindings, State, Times};
use jiff::SignedDuration;
use world::{Person, World, at, open_rules, person, run, team, world};

fn names(address: &str) -> Matchers {
    let test = Test::Exact(address.to_owned());
    Matchers::compile(&[MatcherSpec { kind: Kind::User, field: Subject::Field(Field::Email), test }]).unwrap()
}

fn verbs(plan: &Plan<'_>) -> Vec<Verb> {
    plan.operations().iter().map(|operation| operation.verb).collect()
}

/// A directory that was synchronised once, with the state of it.
fn settled(source: &World) -> (World, State) {
    let (mut target, mut state) = (World::default(), State::new());
    run(source, &mut target, &open_rules(), &mut state, 0);
    (target, state)
}

fn planned(source: &World, target: &World, rules: &Rules, state: &State, check: impl FnOnce(Plan<'_>)) {
    let (from, to) = (source.source(), target.target());
    check(world::plan(&from, &to, rules, state));
}

#[test]
fn a_first_run_creates_groups_then_people_then_memberships() {
    let source = world(vec![person("ada"), person("bob")], vec![team("g", &["ada", "bob"])]);
    planned(&source, &World::default(), &open_rules(), &State::new(), |plan| {
        use Verb::{AddMember, CreateGroup, CreateUser};
        assert_eq!(verbs(&plan), [CreateGroup, CreateUser, CreateUser, AddMember, AddMember]);
    });
}

#[test]
fn what_was_applied_is_not_planned_again() {
    let source = world(vec![person("ada"), person("bob")], vec![team("g", &["ada", "bob"]), team("h", &["g"])]);
    let (target, state) = settled(&source);
    planned(&source, &target, &open_rules(), &state, |plan| assert!(plan.is_empty(), "{:?}", plan.operations()));
}

#[test]
fn a_lost_state_is_healed_by_external_ids() {
    let source = world(vec![person("ada")], vec![team("g", &["ada"])]);
    let (target, _) = settled(&source);
    planned(&source, &target, &open_rules(), &State::new(), |plan| {
        assert!(plan.is_empty());
        assert_eq!(plan.counts().managed.users, 1);
    });
}

#[test]
fn a_person_is_renamed_and_not_created_again() {
    let mut source = world(vec![person("ada")], vec![]);
    let (target, state) = settled(&source);
    source.people[0].address = "countess@example.com".to_owned();
    planned(&source, &target, &open_rules(), &state, |plan| assert_eq!(verbs(&plan), [Verb::UpdateUser]));
}

#[test]
fn an_address_that_becomes_free_is_given_away_in_the_next_plan() {
    let mut source = world(vec![person("ada")], vec![]);
    let (mut target, mut state) = settled(&source);
    source.people[0].address = "countess@example.com".to_owned();
    source.people.push(Person { address: "ada@example.com".to_owned(), ..person("eva") });
    planned(&source, &target, &open_rules(), &state, |plan| {
        assert_eq!(verbs(&plan), [Verb::UpdateUser]);
        assert_eq!(plan.warnings().of(WarningKind::AddressNotYetFree), 1);
    });
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 1), [Verb::UpdateUser]);
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 2), [Verb::CreateUser]);
}

#[test]
fn people_who_follow_each_other_move_on_by_one_with_every_plan() {
    let mut source = world(vec![person("a"), person("b"), person("c")], vec![]);
    let (mut target, mut state) = settled(&source);
    for (at, next) in [(0, "b"), (1, "c"), (2, "d")] {
        source.people[at].address = format!("{next}@example.com");
    }
    for second in 1..=3 {
        assert_eq!(run(&source, &mut target, &open_rules(), &mut state, second), [Verb::UpdateUser]);
    }
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 4), []);
}

#[test]
fn people_who_want_each_others_addresses_keep_theirs_and_are_named() {
    let mut source = world(vec![person("a"), person("b"), person("c"), person("d")], vec![]);
    let (mut target, mut state) = settled(&source);
    for (at, next) in [(0, "b"), (1, "a"), (2, "d"), (3, "c")] {
        source.people[at].address = format!("{next}@example.com");
    }
    source.people[0].name = "Changed".to_owned();
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 1), [Verb::UpdateUser], "the name alone");
    for second in 2..4 {
        planned(&source, &target, &open_rules(), &state, |plan| {
            assert!(plan.is_empty(), "{second}: {:?}", plan.operations());
            assert_eq!(plan.warnings().of(WarningKind::AddressesInCircle), 4);
            let warning = plan.warnings().iter().next().unwrap();
            assert!(warning.samples.contains(&"a@example.com → b@example.com".to_owned()), "{warning:?}");
            assert!(warning.to_string().contains("give one of them another address"), "{warning}");
        });
    }
    // Somebody does as it says.
    target.people[0].address = "meanwhile@example.com".to_owned();
    target.people[2].address = "too@example.com".to_owned();
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 5), [Verb::UpdateUser; 2]);
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 6), [Verb::UpdateUser; 2]);
    planned(&source, &target, &open_rules(), &state, |plan| {
        assert!(plan.is_empty() && plan.warnings().is_empty());
    });
}

#[test]
fn an_object_that_bears_our_id_is_adopted_only_if_the_policy_says_so() {
    let source = world(vec![person("ada")], vec![]);
    let target = world(vec![Person { id: "7".to_owned(), mark: "ada".to_owned(), ..person("ada") }], vec![]);
    let state = State::of(Bindings::default(), Bindings::default(), None);
    for (adoption, expected) in [(Adoption::None, None), (Adoption::ByExternalId, Some(Verb::AdoptUser))] {
        let rules = Rules { adoption, ..open_rules() };
        planned(&source, &target, &rules, &state, |plan| {
            assert_eq!(verbs(&plan), expected.into_iter().collect::<Vec<_>>());
            assert_eq!(plan.warnings().of(WarningKind::NotAdopted), u64::from(expected.is_none()));
        });
    }
}

#[test]
fn the_same_address_without_a_mark_is_adopted_only_by_address() {
    let source = world(vec![person("ada")], vec![]);
    let target = world(vec![Person { id: "7".to_owned(), ..person("ada") }], vec![]);
    planned(&source, &target, &open_rules(), &State::new(), |plan| {
        assert!(plan.is_empty());
        assert_eq!(plan.warnings().of(WarningKind::AddressTaken), 1);
    });
    let rules = Rules { adoption: Adoption::ByAddress, ..open_rules() };
    planned(&source, &target, &rules, &State::new(), |plan| {
        assert_eq!(plan.operations()[0].reason, Reason::SameAddress);
        assert_eq!(verbs(&plan), [Verb::AdoptUser]);
    });
}

#[test]
fn of_two_people_with_one_address_neither_is_touched() {
    let twin = Person { address: "ADA@example.com".to_owned(), ..person("eva") };
    let source = world(vec![person("ada"), twin], vec![]);
    planned(&source, &World::default(), &open_rules(), &State::new(), |plan| {
        assert!(plan.is_empty());
        assert_eq!(plan.warnings().of(WarningKind::AddressShared), 2);
    });
}

#[test]
fn of_two_target_objects_with_one_external_id_neither_is_touched() {
    let mut source = world(vec![person("ada")], vec![]);
    let (mut target, state) = settled(&source);
    target.people.push(Person { id: "9".to_owned(), mark: "ada".to_owned(), ..person("other") });
    source.people[0].name = "Changed".to_owned();
    for state in [state, State::new()] {
        planned(&source, &target, &open_rules(), &state, |plan| {
            assert!(plan.is_empty());
            assert_eq!(plan.warnings().of(WarningKind::ExternalIdShared), 2);
        });
    }
}

#[test]
fn whoever_leaves_is_suspended_and_deleted_when_the_time_is_over() {
    let mut source = world(vec![person("ada"), person("bob")], vec![team("g", &["ada", "bob"])]);
    let (mut target, mut state) = settled(&source);
    let removal = Removal::Suspend { delete_after: Some(SignedDuration::from_secs(100)) };
    let rules = Rules { removal, ..open_rules() };
    source.people.pop();
    source.teams[0].members.remove("bob");
    assert_eq!(run(&source, &mut target, &rules, &mut state, 10), [Verb::SuspendUser]);
    assert_eq!(run(&source, &mut target, &rules, &mut state, 109), []);
    assert_eq!(run(&source, &mut target, &rules, &mut state, 110), [Verb::DeleteUser]);
    assert_eq!(state.users().len(), 1);
}

#[test]
fn whoever_comes_back_is_restored_and_the_time_starts_anew() {
    let both = world(vec![person("ada"), person("bob")], vec![]);
    let one = world(vec![person("ada")], vec![]);
    let (mut target, mut state) = settled(&both);
    assert_eq!(run(&one, &mut target, &open_rules(), &mut state, 10), [Verb::SuspendUser]);
    assert!(state.users().get("bob").unwrap().times.missing_since.is_some());
    assert_eq!(run(&both, &mut target, &open_rules(), &mut state, 20), [Verb::RestoreUser]);
    assert_eq!(state.users().get("bob").unwrap().times, Times::default());
}

#[test]
fn a_person_without_an_address_is_not_created_and_counts_as_gone_if_managed() {
    let mut source = world(vec![person("ada")], vec![]);
    let (target, state) = settled(&source);
    source.people[0].address.clear();
    planned(&source, &World::default(), &open_rules(), &State::new(), |plan| assert!(plan.is_empty()));
    planned(&source, &target, &open_rules(), &state, |plan| {
        assert_eq!(verbs(&plan), [Verb::SuspendUser]);
        assert_eq!(plan.operations()[0].reason, Reason::LostAddress);
    });
}

#[test]
fn members_that_are_not_managed_stay() {
    let source = world(vec![person("ada")], vec![team("g", &["ada"])]);
    let (mut target, state) = settled(&source);
    target.people.push(Person { id: "guest".to_owned(), ..person("guest") });
    target.teams[0].members.insert("guest".to_owned());
    planned(&source, &target, &open_rules(), &state, |plan| {
        assert!(plan.is_empty());
        assert_eq!(plan.warnings().of(WarningKind::UnmanagedMembersKept), 1);
    });
}

#[test]
fn incident_05_a_group_whose_members_are_unknown_keeps_them() {
    let mut source = world(vec![person("ada"), person("bob")], vec![team("g", &["ada", "bob"])]);
    let (target, state) = settled(&source);
    source.teams[0].members.clear();
    source.teams[0].unknown = true;
    planned(&source, &target, &open_rules(), &state, |plan| {
        assert!(plan.is_empty());
        assert_eq!(plan.warnings().of(WarningKind::MembersUnknown), 1);
    });
}

#[test]
fn an_excluded_person_is_left_alone_on_both_sides() {
    let mut source = world(vec![person("ada"), person("bob")], vec![team("g", &["ada", "bob"])]);
    let (target, state) = settled(&source);
    source.people[1].name = "Changed".to_owned();
    source.teams[0].members.remove("bob");
    let excluded = names("bob@example.com");
    for rules in
        [Rules { exclude_source: excluded.clone(), ..open_rules() }, Rules { exclude_target: excluded, ..open_rules() }]
    {
        planned(&source, &target, &rules, &state, |plan| assert!(plan.is_empty(), "{:?}", plan.operations()));
        let left = world(vec![person("ada")], source.teams.clone());
        planned(&left, &target, &rules, &state, |plan| assert!(plan.is_empty(), "{:?}", plan.operations()));
    }
}

#[test]
fn a_protected_person_is_updated_but_never_removed() {
    let mut source = world(vec![person("ada"), person("bob")], vec![team("g", &["ada", "bob"])]);
    let (target, state) = settled(&source);
    let rules = Rules { protect: names("bob@example.com"), removal: Removal::Delete, ..open_rules() };
    source.people[1].name = "Changed".to_owned();
    source.people[1].active = false;
    source.teams[0].members.remove("bob");
    planned(&source, &target, &rules, &state, |plan| {
        assert_eq!(verbs(&plan), [Verb::UpdateUser]);
        assert_eq!(plan.warnings().of(WarningKind::ProtectedKept), 2);
    });
}

#[test]
fn a_group_that_holds_somebody_protected_is_not_deleted() {
    let full = world(vec![person("ada"), person("bob")], vec![team("g", &["ada"]), team("h", &["bob"])]);
    let (target, state) = settled(&full);
    let left = world(full.people, vec![]);
    let rules = Rules { protect: names("bob@example.com"), removal: Removal::Delete, ..open_rules() };
    planned(&left, &target, &rules, &state, |plan| {
        assert_eq!(verbs(&plan), [Verb::DeleteGroup]);
        assert_eq!(plan.describe(plan.operations()[0]).subject(), "Team g");
        assert_eq!(plan.warnings().of(WarningKind::ProtectedKept), 1);
    });
    let mut untold = target;
    untold.teams.iter_mut().for_each(|team| team.unknown = true);
    planned(&left, &untold, &rules, &state, |plan| {
        assert_eq!(verbs(&plan), [], "whose members are not known may hold somebody protected");
    });
}

#[test]
fn incident_07_a_removal_waits_until_it_is_confirmed_and_is_dropped_if_the_person_is_there() {
    let full = world(vec![person("ada"), person("bob")], vec![]);
    let (target, state) = settled(&full);
    let part = world(vec![person("ada")], vec![]);
    let (from, to) = (part.source(), target.target());
    let judge = |finding: Finding| {
        let plan = world::plan(&from, &to, &open_rules(), &state);
        let lookups = confirm::lookups(&plan, 10);
        assert_eq!(lookups.as_slice().len(), 1);
        confirm::confirm(plan, lookups, vec![finding])
    };
    let dropped = judge(Finding::StillThere { members: None });
    assert!(dropped.operations().is_empty());
    assert_eq!(dropped.warnings().of(WarningKind::StillThere), 1);
    let unreadable = judge(Finding::Unreadable { message: "no answer".to_owned() });
    assert_eq!(unreadable.unconfirmed(0), Some("no answer"));
    assert_eq!(judge(Finding::NoLongerMatches).operations()[0].reason, Reason::NoLongerMatches);
    let plan = world::plan(&from, &to, &open_rules(), &state);
    let lookups = confirm::lookups(&plan, 0);
    assert!(confirm::confirm(plan, lookups, vec![]).unconfirmed(0).is_some(), "beyond the bound");
}

#[test]
fn the_state_is_read_back_as_it_was_written() {
    let source = world(vec![person("ada"), person("bob")], vec![team("g", &["ada"])]);
    let (mut target, mut state) = settled(&source);
    run(&world(vec![person("ada")], vec![]), &mut target, &open_rules(), &mut state, 7);
    let mut bytes = Vec::new();
    state.write(&mut bytes).unwrap();
    assert_eq!(State::read(&bytes[..]).unwrap(), state);
    assert_eq!(State::read(&bytes[..bytes.len() / 2]).unwrap_err().reason(), "StateDamaged");
    assert!(at(0) < at(1));
}

#[test]
fn what_the_source_cannot_tell_stays_as_it_is_in_the_target() {
    let mut source = world(vec![Person { unit: "/a".to_owned(), ..person("ada") }], vec![team("g", &["ada"])]);
    let (target, state) = settled(&source);
    let ada = &mut source.people[0];
    (ada.unit, ada.name) = (String::new(), "New".to_owned());
    ada.unknown = Fields::of([Field::OrgUnit]);
    source.teams[0].name.clear();
    source.teams[0].unknown_fields = Fields::of([Field::Name]);
    planned(&source, &target, &open_rules(), &state, |plan| {
        assert_eq!(verbs(&plan), [Verb::UpdateUser], "only what can be told");
        assert_eq!(plan.warnings().of(WarningKind::FieldUnknown(Field::OrgUnit)), 1);
        assert_eq!(plan.warnings().of(WarningKind::FieldUnknown(Field::Name)), 1);
    });
}

#[test]
fn whose_address_cannot_be_told_is_neither_gone_nor_new() {
    let mut source = world(vec![person("ada")], vec![team("g", &["ada"])]);
    let (mut target, mut state) = settled(&source);
    source.people.push(person("eve"));
    for person in &mut source.people {
        person.address.clear();
        person.unknown = Fields::of([Field::Email]);
    }
    for removal in [Removal::Suspend { delete_after: Some(SignedDuration::ZERO) }, Removal::Delete] {
        let rules = Rules { removal, ..open_rules() };
        planned(&source, &target, &rules, &state, |plan| assert!(plan.is_empty(), "{:?}", plan.operations()));
    }
    run(&source, &mut target, &open_rules(), &mut state, 5);
    assert_eq!(state.users().get("ada").unwrap().times, Times::default(), "the time of missing does not begin");
}

#[test]
fn of_whom_it_cannot_be_told_whether_they_are_active_is_neither_created_nor_restored() {
    let mut source = world(vec![Person { active: false, ..person("ada") }], vec![]);
    let target =
        world(vec![Person { id: "7".to_owned(), mark: "ada".to_owned(), active: false, ..person("ada") }], vec![]);
    source.people.push(person("eve"));
    for person in &mut source.people {
        (person.active, person.unknown) = (true, Fields::of([Field::Active]));
    }
    planned(&source, &target, &open_rules(), &State::new(), |plan| {
        assert!(plan.is_empty(), "{:?}", plan.operations());
        assert_eq!(plan.warnings().of(WarningKind::FieldUnknown(Field::Active)), 2);
    });
}

#[test]
fn an_excluded_group_is_left_alone_on_both_sides() {
    let mut source = world(vec![person("ada")], vec![team("g", &["ada"])]);
    let (target, state) = settled(&source);
    let (field, test) = (Subject::Field(Field::Name), Test::Exact("Team g".to_owned()));
    let named = || Matchers::compile(&[MatcherSpec { kind: Kind::Group, field: field.clone(), test: test.clone() }]);
    source.teams[0].members.clear();
    let on_source = Rules { exclude_source: named().unwrap(), ..open_rules() };
    let on_target = Rules { exclude_target: named().unwrap(), ..open_rules() };
    let gone = world(source.people.clone(), vec![]);
    for rules in [on_source, on_target] {
        for source in [&source, &gone] {
            let rules = Rules { removal: Removal::Delete, ..rules.clone() };
            planned(source, &target, &rules, &state, |plan| assert!(plan.is_empty(), "{:?}", plan.operations()));
        }
    }
}

#[test]
fn another_object_with_our_mark_is_not_ours_until_it_is_adopted() {
    let mut source = world(vec![person("ada")], vec![]);
    let (mut target, state) = settled(&source);
    target.people[0].id = "made by somebody else".to_owned();
    source.people[0].name = "New".to_owned();
    let rules = Rules { adoption: Adoption::None, ..open_rules() };
    planned(&source, &target, &rules, &state, |plan| {
        assert!(plan.is_empty(), "{:?}", plan.operations());
        assert_eq!(plan.warnings().of(WarningKind::NotAdopted), 1);
    });
    planned(&source, &target, &open_rules(), &state, |plan| assert_eq!(verbs(&plan), [Verb::AdoptUser]));
}
