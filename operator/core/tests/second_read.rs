//! What waits for another look at the source: removals that one lagging server or one nested group could explain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use directory_sync_core::applied::Applied;
use directory_sync_core::confirm::{self, ConfirmedPlan, Finding, Lookup};
use directory_sync_core::gate;
use directory_sync_core::operation::{Reason, Verb};
use directory_sync_core::plan::WarningKind;
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, SourceSide};
use directory_sync_core::snapshot::{GroupRecord, Reference, UserRecord};
use directory_sync_core::state::State;
use std::collections::HashSet;
use world::{World, at, open_rules, person, run, team, world};

/// A read of people and groups (name and members) from a server, flattened for a target without nesting.
fn read(server: &str, people: &[&str], groups: &[(&str, &[&str])]) -> CompleteRead<SourceSide> {
    let mut read = Read::start(ReadCaps::default());
    read.served_by(server);
    let section = read.open("everything");
    for name in people {
        let reference = read.referencer().reference(name.as_bytes());
        let address = format!("{name}@example.com");
        let record = UserRecord { id: (*name).to_owned(), address, active: true, ..UserRecord::default() };
        read.user(section, reference, &record).unwrap();
    }
    for (name, members) in groups {
        let reference = read.referencer().reference(name.as_bytes());
        let record = GroupRecord { id: (*name).to_owned(), name: (*name).to_owned(), ..GroupRecord::default() };
        let row = read.group(section, reference, &record).unwrap();
        for member in *members {
            let member = read.referencer().reference(member.as_bytes());
            read.member(section, row, member).unwrap();
        }
    }
    read.page(section, Next::End).unwrap();
    let mut read = read.finish().unwrap();
    read.settle_nesting(false);
    read
}

/// A target that holds ada and bob in group g, with the state of it.
fn settled() -> (World, State) {
    let source = world(vec![person("ada"), person("bob")], vec![team("g", &["ada", "bob"])]);
    let (mut target, mut state) = (World::default(), State::new());
    run(&source, &mut target, &open_rules(), &mut state, 0);
    (target, state)
}

/// The plan with what the source answers to each look-up.
fn confirmed<'r>(
    from: &'r CompleteRead<SourceSide>,
    to: &'r CompleteRead<directory_sync_core::read::TargetSide>,
    state: &State,
    answer: impl Fn(&Lookup) -> Finding,
) -> ConfirmedPlan<'r> {
    let plan = world::plan(from, to, &open_rules(), state);
    let lookups = confirm::lookups(&plan, 1000);
    let findings = lookups.as_slice().iter().map(answer).collect();
    confirm::confirm(plan, lookups, findings)
}

#[test]
fn removals_wait_for_a_second_read_when_another_server_answered() {
    let (target, state) = settled();
    let to = target.target();
    let state = state.served_by(Some("ldaps://dc1".to_owned()));
    let from = read("ldaps://dc2", &["ada"], &[("g", &["ada"])]);
    let plan = confirmed(&from, &to, &state, |_| Finding::Gone);
    let removal = plan.operations().iter().position(|operation| operation.verb == Verb::SuspendUser).unwrap();
    let why = plan.unconfirmed(removal).unwrap();
    assert!(why.contains("ldaps://dc1") && why.contains("ldaps://dc2"), "{why}");

    // The next read is of the same server, and agrees.
    let judgement = gate::judge(plan, &open_rules(), &state, None, at(0));
    let next = state.after(&judgement, &Applied::default(), at(1));
    assert_eq!(next.server(), Some("ldaps://dc2"));
    let plan = confirmed(&from, &to, &next, |_| Finding::Gone);
    assert_eq!(plan.unconfirmed(removal), None);
}

#[test]
fn whoever_is_still_in_a_nested_group_does_not_leave_the_outer_one() {
    let (target, state) = settled();
    let to = target.target();
    // The page with the inner group was read while bob was moved from the one group to the other.
    let from = read("one", &["ada", "bob"], &[("g", &["ada", "inner"]), ("inner", &["ada"])]);
    assert_eq!(from.warnings().of(WarningKind::NestedGroupsFlattened), 1);
    let names = |names: &[&str]| -> HashSet<Reference> {
        names.iter().map(|name| from.snapshot().referencer().reference(name.as_bytes())).collect()
    };
    let outer = || Finding::StillThere { members: Some(names(&["ada", "inner"])) };
    for (inner, expected) in [
        (Finding::StillThere { members: Some(names(&["ada", "bob"])) }, None),
        (Finding::StillThere { members: Some(names(&["ada"])) }, Some(Reason::LeftGroup)),
        (Finding::StillThere { members: None }, Some(Reason::LeftGroup)),
    ] {
        let unreadable = inner == Finding::StillThere { members: None };
        let plan = confirmed(&from, &to, &state, |lookup| match lookup {
            Lookup::Group { id } if id == "g" => outer(),
            _ => inner.clone(),
        });
        let removal = plan.operations().iter().position(|operation| operation.verb == Verb::RemoveMember);
        assert_eq!(removal.is_some(), expected.is_some(), "{inner:?}");
        assert_eq!(removal.is_some_and(|at| plan.unconfirmed(at).is_some()), unreadable, "{inner:?}");
    }
}
