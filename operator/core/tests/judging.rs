//! What the gate lets through.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use directory_sync_core::capabilities::Field;
use directory_sync_core::gate::{self, Approval, ApprovalUse, Hold, Judgement, Waiting};
use directory_sync_core::matcher::{MatcherSpec, Matchers, Subject, Test};
use directory_sync_core::operation::{Kind, Verb};
use directory_sync_core::plan::WarningKind;
use directory_sync_core::plan::document::{self, PlanDocument};
use directory_sync_core::plan::render;
use directory_sync_core::rules::{Adoption, ApprovalMode, Limit, OnExceeded, Removal, Rules, ShrinkLimit};
use directory_sync_core::state::State;
use std::collections::{BTreeSet, HashSet};
use std::io::{Read as _, Write as _};
use world::{Person, World, at, open_rules, person, run, run_approved, team, world};

fn settled(people: usize) -> (World, World, State) {
    let source = world((0..people).map(|at| person(&format!("p{at:03}"))).collect(), vec![]);
    let (mut target, mut state) = (World::default(), State::new());
    run(&source, &mut target, &open_rules(), &mut state, 0);
    (source, target, state)
}

fn judged(
    source: &World,
    target: &World,
    rules: &Rules,
    state: &State,
    approval: Option<&Approval>,
    check: impl FnOnce(Judgement<'_>),
) {
    let (from, to) = (source.source(), target.target());
    let plan = world::confirm(world::plan(&from, &to, rules, state), source, &from);
    check(gate::judge(plan, rules, state, approval, at(0)));
}

fn limited(max: u64, on_exceeded: OnExceeded) -> Rules {
    let mut rules = open_rules();
    rules.limits.users.removals = Limit { max: Some(max), ..Limit::default() };
    rules.limits.on_exceeded = on_exceeded;
    rules
}

#[test]
fn a_limit_holds_everything_or_only_removals() {
    let (mut source, target, state) = settled(10);
    source.people.truncate(5);
    source.people.push(person("new"));
    for (on_exceeded, approved) in [(OnExceeded::HoldAll, 0), (OnExceeded::HoldRemovals, 1)] {
        judged(&source, &target, &limited(4, on_exceeded), &state, None, |mut judgement| {
            assert!(matches!(judgement.holds(), [Hold::LimitExceeded { planned: 5, allowed: 4, population: 10, .. }]));
            assert_eq!(judgement.take_approved().len(), approved);
            assert_eq!(judgement.take_approved().len(), 0, "approved operations are given out once");
            assert_eq!(judgement.baseline(), None, "a held read never becomes the baseline");
        });
    }
    judged(&source, &target, &limited(5, OnExceeded::HoldAll), &state, None, |judgement| {
        assert_eq!((judgement.approved_count(), judgement.holds()), (6, &[][..]));
    });
}

#[test]
fn incident_02_an_empty_source_is_held() {
    let (_, target, state) = settled(3);
    judged(&world(vec![], vec![]), &target, &open_rules(), &state, None, |judgement| {
        assert_eq!(judgement.approved_count(), 0);
        assert!(judgement.holds().iter().any(|hold| hold.reason() == "SourceShrunk"));
    });
}

#[test]
fn incident_11_nothing_is_sent_unless_apply_says_so() {
    let rules = Rules { apply: false, ..open_rules() };
    let source = world(vec![person("ada")], vec![]);
    judged(&source, &World::default(), &rules, &State::new(), None, |mut judgement| {
        assert!(judgement.take_approved().is_empty());
        assert_eq!(judgement.waiting(0), Some(Waiting::NotApplied));
    });
}

#[test]
fn what_fits_of_a_plan_too_large_to_be_stored_begins_with_the_most_dangerous_changes() {
    let (mut source, target, state) = settled(20_000);
    let new = (0..20_000).map(|number| person(&format!("new{number}")));
    source.people.truncate(19_990);
    source.people.extend(new);
    judged(&source, &target, &open_rules(), &state, None, |judgement| {
        let cap = 512 * 1024;
        assert_eq!(document::parts(&judgement, &open_rules(), cap).unwrap(), None);
        let parts = document::parts_that_fit(&judgement, &open_rules(), cap).unwrap();
        let packed = parts.concat();
        assert!(packed.len() <= cap && packed.len() > cap / 4, "{} bytes", packed.len());
        let document = PlanDocument::read(packed.as_slice()).unwrap();
        assert!(!document.header.complete);
        assert_eq!((document.header.operations, document.header.summary.users.suspend), (20_010, 10));
        assert!(document.operations.len() < 20_010);
        assert!(document.operations[..10].iter().all(|line| line.operation.verb == Verb::SuspendUser));
    });
}

#[test]
fn that_an_approval_is_needed_is_said_although_nothing_is_applied() {
    let rules = Rules { apply: false, approval: ApprovalMode::Manual, ..open_rules() };
    let source = world(vec![person("ada")], vec![]);
    judged(&source, &World::default(), &rules, &State::new(), None, |judgement| {
        assert_eq!(judgement.holds(), [Hold::NotApplied, Hold::ApprovalRequired]);
        assert_eq!(judgement.approved_count(), 0);
    });
    judged(&World::default(), &World::default(), &rules, &State::new(), None, |judgement| {
        assert_eq!(judgement.holds(), [], "an empty plan needs nobody");
    });
}

/// People with an org unit, an alias and a mark of being active or not.
fn detailed(count: usize, active: bool) -> World {
    let detailed = |at: usize| Person {
        unit: "/Staff".to_owned(),
        aliases: [format!("a{at}@example.com")].into(),
        active,
        ..person(&format!("p{at:03}"))
    };
    world((0..count).map(detailed).collect(), vec![])
}

#[test]
fn incident_03_an_attribute_that_can_no_longer_be_read_is_held_and_blanks_nobody() {
    let (mut source, mut target, mut state) = (detailed(5, true), World::default(), State::new());
    run(&source, &mut target, &open_rules(), &mut state, 0);
    let healthy = source.clone();
    for person in &mut source.people {
        (person.unit, person.aliases) = (String::new(), BTreeSet::new());
    }
    let mut approval = None;
    for on_exceeded in [OnExceeded::HoldAll, OnExceeded::HoldRemovals] {
        let mut rules = open_rules();
        rules.limits.on_exceeded = on_exceeded;
        judged(&source, &target, &rules, &state, None, |judgement| {
            let lost = |field| Hold::ValuesVanished { kind: Kind::User, field, planned: 5, allowed: 1, population: 5 };
            assert_eq!(judgement.holds(), [lost(Field::Aliases), lost(Field::OrgUnit)]);
            assert_eq!((judgement.approved_count(), judgement.baseline()), (0, None));
            let plan = judgement.plan().digest();
            approval = Some(Approval { plan, operations: None, expires_at: at(9), used: false });
        });
    }
    judged(&healthy, &target, &open_rules(), &state, None, |judgement| {
        assert!(judgement.plan().operations().is_empty() && judgement.holds().is_empty(), "it recovers by itself");
    });
    // If they are really gone, somebody says so, once.
    run_approved(&source, &mut target, &open_rules(), &mut state, 1, approval.as_ref());
    assert!(target.people.iter().all(|person| person.unit.is_empty() && person.aliases.is_empty()));
    judged(&source, &target, &open_rules(), &state, None, |judgement| assert!(judgement.holds().is_empty()));
}

#[test]
fn one_value_that_goes_is_an_ordinary_change_and_many_are_held() {
    let (mut source, mut target, mut state) = (detailed(40, true), World::default(), State::new());
    run(&source, &mut target, &open_rules(), &mut state, 0);
    let mut rules = open_rules();
    rules.limits.source_shrink = ShrinkLimit { percent: 10, min_population: 20 };
    for (gone, holds) in [(1, 0), (4, 0), (5, 1)] {
        for person in source.people.iter_mut().take(gone) {
            person.unit.clear();
        }
        judged(&source, &target, &rules, &state, None, |judgement| {
            assert_eq!(judgement.holds().len(), holds, "{gone}: {:?}", judgement.holds());
        });
    }
}

#[test]
fn marks_of_inactivity_that_vanish_bring_nobody_back() {
    let (mut source, mut target, mut state) = (detailed(3, true), World::default(), State::new());
    run(&source, &mut target, &open_rules(), &mut state, 0);
    for person in &mut source.people {
        person.active = false;
    }
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 1), [Verb::SuspendUser; 3]);
    source.people[0].active = true;
    judged(&source, &target, &open_rules(), &state, None, |judgement| assert!(judgement.holds().is_empty()));
    for person in &mut source.people {
        person.active = true;
    }
    judged(&source, &target, &open_rules(), &state, None, |judgement| {
        assert!(matches!(judgement.holds(), [Hold::ValuesVanished { field: Field::Active, planned: 3, .. }]));
        assert_eq!(judgement.approved_count(), 0);
    });
}

#[test]
fn a_field_that_the_source_never_had_stays_in_the_target_with_a_warning() {
    let (source, mut target, mut state) = (detailed(3, true), World::default(), State::new());
    run(&source, &mut target, &open_rules(), &mut state, 0);
    let mut bare = source;
    for person in &mut bare.people {
        person.unit.clear();
    }
    judged(&bare, &target, &open_rules(), &State::new(), None, |judgement| {
        assert!(judgement.plan().operations().is_empty());
        assert_eq!(judgement.plan().warnings().of(WarningKind::FieldVanished(Field::OrgUnit)), 3);
    });
}

#[test]
fn incident_17_an_approval_sends_what_was_reviewed_and_is_still_wanted() {
    let manual = Rules { approval: ApprovalMode::Manual, ..open_rules() };
    let (mut source, target, state) = settled(10);
    source.people.truncate(7);
    let mut stored = Vec::new();
    judged(&source, &target, &manual, &state, None, |judgement| {
        assert_eq!((judgement.approved_count(), judgement.holds()), (0, &[Hold::ApprovalRequired][..]));
        for part in document::parts(&judgement, &manual, 1 << 20).unwrap().unwrap() {
            stored.extend(part);
        }
        assert_eq!(document::parts(&judgement, &manual, 10).unwrap(), None, "too large to be stored whole");
    });
    let document = PlanDocument::read(&stored[..]).unwrap();
    let approval = Approval {
        plan: document.header.digest,
        operations: Some(document.operation_digests()),
        expires_at: at(100),
        used: false,
    };
    source.people.push(person("p007"));
    source.people.pop_if(|person| person.id == "p007");
    source.people.insert(0, person("p008"));
    source.people.retain(|person| person.id != "p000");
    judged(&source, &target, &manual, &state, Some(&approval), |judgement| {
        assert_eq!(judgement.approval(), Some(ApprovalUse::Used { current: 2, fell_away: 1, new: 1 }));
        assert_eq!(judgement.approved_count(), 2);
        assert_eq!(judgement.baseline(), None);
    });
    let whole = Approval { operations: None, ..approval.clone() };
    judged(&source, &target, &manual, &state, Some(&whole), |judgement| {
        assert_eq!((judgement.approval(), judgement.approved_count()), (Some(ApprovalUse::Stale), 0));
    });
    for (refused, reason) in [
        (Approval { used: true, ..approval.clone() }, ApprovalUse::AlreadyUsed),
        (Approval { expires_at: at(0), ..approval.clone() }, ApprovalUse::Expired),
    ] {
        judged(&source, &target, &manual, &state, Some(&refused), |judgement| {
            assert_eq!((judgement.approval(), judgement.approved_count()), (Some(reason), 0));
        });
    }
    let off = Rules { apply: false, ..manual };
    judged(&source, &target, &off, &state, Some(&approval), |judgement| assert_eq!(judgement.approved_count(), 0));
}

#[test]
fn a_stored_plan_whose_changes_are_not_those_of_its_digest_is_not_taken_for_it() {
    let source = world(vec![person("ada"), person("bob")], vec![]);
    judged(&source, &World::default(), &open_rules(), &State::new(), None, |judgement| {
        let mut packed = Vec::new();
        document::write(&judgement, &open_rules(), &mut packed).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let twice = format!("{}\n{}\n{}\n", lines[0], lines[1], lines[1]);
        let mut forged = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        forged.write_all(twice.as_bytes()).unwrap();
        let error = PlanDocument::read(forged.finish().unwrap().as_slice()).unwrap_err();
        assert!(error.to_string().contains("not those that its digest names"), "{error}");
    });
}

#[test]
fn a_protection_that_is_newer_than_the_plan_holds_the_deletion_of_a_group_with_somebody_protected() {
    let full = world(vec![person("ada"), person("bob")], vec![team("g", &["bob"])]);
    let (mut target, mut state) = (World::default(), State::new());
    let rules = Rules { removal: Removal::Delete, ..open_rules() };
    world::run(&full, &mut target, &rules, &mut state, 0);
    let left = world(full.people, vec![]);
    let (from, to) = (left.source(), target.target());
    let plan = world::confirm(world::plan(&from, &to, &rules, &state), &left, &from);
    assert_eq!(plan.summary().groups.delete, 1);
    let test = Test::Exact("bob@example.com".to_owned());
    let rule = MatcherSpec { kind: Kind::User, field: Subject::Field(Field::Email), test };
    let newer = Rules { protect: Matchers::compile(&[rule]).unwrap(), ..rules };
    let judgement = gate::judge(plan, &newer, &state, None, at(0));
    assert_eq!(judgement.waiting(0), Some(Waiting::Protected));
    assert!(judgement.holds().contains(&Hold::Protected));
}

#[test]
fn an_approval_lifts_limits_and_the_shrink_guard_for_what_it_covers() {
    let (mut source, target, state) = settled(10);
    source.people.truncate(1);
    let mut rules = limited(1, OnExceeded::HoldAll);
    rules.limits.source_shrink.percent = 10;
    let mut digest = None;
    judged(&source, &target, &rules, &state, None, |judgement| {
        assert_eq!(judgement.holds().len(), 2);
        digest = Some(judgement.plan().digest());
    });
    let approval = Approval { plan: digest.unwrap(), operations: None, expires_at: at(1), used: false };
    judged(&source, &target, &rules, &state, Some(&approval), |judgement| {
        assert_eq!((judgement.approved_count(), judgement.holds()), (9, &[][..]));
        assert_eq!(judgement.baseline().unwrap().users, 1);
    });
}

#[test]
fn a_plan_reads_as_text_table_and_markdown() {
    let source = world(vec![person("ada")], vec![]);
    let rules = open_rules();
    judged(&source, &World::default(), &rules, &State::new(), None, |judgement| {
        let document = PlanDocument::of(&judgement, &rules);
        let (mut people, mut csv, mut markdown, mut json) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        render::people(&document, false, &mut people).unwrap();
        render::csv(&document, &mut csv).unwrap();
        render::markdown(&document, &mut markdown).unwrap();
        render::json(&document, &mut json).unwrap();
        assert!(String::from_utf8(people).unwrap().starts_with("  + create user ada@example.com  (new in the source)"));
        assert!(String::from_utf8(csv).unwrap().contains("\"CreateUser\",\"ada@example.com\""));
        assert!(String::from_utf8(markdown).unwrap().starts_with("### Plan `+1 ~0 −0`"));
        assert_eq!(serde_json::from_slice::<PlanDocument>(&json).unwrap(), document);
    });
}

#[test]
fn a_creation_that_was_never_noted_is_known_by_its_claim_even_without_adoption() {
    let rules = Rules { adoption: Adoption::None, ..open_rules() };
    let (mut source, mut target, mut state) = settled(1);
    source.people.push(person("new"));
    let (from, to) = (source.source(), target.target());
    let plan = world::confirm(world::plan(&from, &to, &rules, &state), &source, &from);
    let mut judgement = gate::judge(plan, &rules, &state, None, at(1));
    let approved = judgement.take_approved();
    state = state.claims(&judgement, &approved).expect("somebody is about to be created");
    target.apply(approved);
    // The run ends before it can save what was answered.
    assert_eq!(run(&source, &mut target, &rules, &mut state, 2), []);
    source.people.pop();
    assert_eq!(run(&source, &mut target, &rules, &mut state, 3), [Verb::SuspendUser], "it is ours");
}

#[test]
fn the_digest_follows_every_value_that_would_be_written() {
    let (source, target, state) = settled(1);
    let digest = |change: &dyn Fn(&mut Person)| {
        let mut source = source.clone();
        change(&mut source.people[0]);
        let (from, to) = (source.source(), target.target());
        let plan = world::confirm(world::plan(&from, &to, &open_rules(), &state), &source, &from);
        assert!(!plan.operations().is_empty());
        plan.digest()
    };
    let text = |value: &'static str| move |field: &mut String| value.clone_into(field);
    let digests: HashSet<_> = ["a", "b"]
        .into_iter()
        .flat_map(|value| {
            let set = text(value);
            [
                digest(&|person| set(&mut person.name)),
                digest(&|person| set(&mut person.unit)),
                digest(&|person| person.address = format!("{value}@example.com")),
                digest(&|person| person.aliases = [format!("{value}@example.com")].into()),
            ]
        })
        .collect();
    assert_eq!(digests.len(), 8);
}
