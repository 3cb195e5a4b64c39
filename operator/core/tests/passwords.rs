//! When a password is sent, and what is known of it otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use directory_sync_core::capabilities::Field;
use directory_sync_core::gate::Approval;
use directory_sync_core::operation::Verb;
use directory_sync_core::password::{FingerprintKey, PasswordScheme, UnusablePassword};
use directory_sync_core::plan::WarningKind;
use directory_sync_core::rules::{ApprovalMode, Rules};
use directory_sync_core::state::State;
use world::{Person, World, at, confirm, open_rules, person, plan, run, run_approved, world};

fn with_password(id: &str, password: &str) -> Person {
    Person { password: password.to_owned(), ..person(id) }
}

fn keyed(key: &[u8; 16]) -> Rules {
    Rules { password_key: Some(FingerprintKey::new(key).unwrap()), ..open_rules() }
}

const KEY: &[u8; 16] = b"0123456789abcdef";

fn stored(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.write(&mut bytes).unwrap();
    bytes
}

fn password_of(target: &World, mark: &str) -> String {
    target.people.iter().find(|person| person.mark == mark).unwrap().password.clone()
}

#[test]
fn without_a_key_a_password_is_sent_with_the_creation_and_never_again() {
    let (mut target, mut state) = (World::default(), State::new());
    let mut source = world(vec![with_password("ada", "first")], vec![]);
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 0), [Verb::CreateUser]);
    assert_eq!(password_of(&target, "ada"), "first");
    source.people[0].password = "second".to_owned();
    assert_eq!(run(&source, &mut target, &open_rules(), &mut state, 1), []);
    assert_eq!(password_of(&target, "ada"), "first");
}

#[test]
fn with_a_key_a_changed_password_is_sent_once() {
    let (mut target, mut state) = (World::default(), State::new());
    let rules = keyed(KEY);
    let mut source = world(vec![with_password("ada", "first"), person("bob")], vec![]);
    run(&source, &mut target, &rules, &mut state, 0);
    // What is remembered survives being stored.
    state = State::read(stored(&state).as_slice()).unwrap();
    assert_eq!(run(&source, &mut target, &rules, &mut state, 1), []);
    source.people[0].password = "second".to_owned();
    assert_eq!(run(&source, &mut target, &rules, &mut state, 2), [Verb::UpdateUser]);
    assert_eq!(password_of(&target, "ada"), "second");
    assert_eq!(run(&source, &mut target, &rules, &mut state, 3), []);
}

#[test]
fn another_key_sends_every_password_once_more() {
    let (mut target, mut state) = (World::default(), State::new());
    let source = world(vec![with_password("ada", "first"), with_password("bob", "other")], vec![]);
    run(&source, &mut target, &keyed(KEY), &mut state, 0);
    let other = keyed(b"fedcba9876543210");
    assert_eq!(run(&source, &mut target, &other, &mut state, 1), [Verb::UpdateUser; 2]);
    assert_eq!(run(&source, &mut target, &other, &mut state, 2), []);
}

#[test]
fn a_password_that_is_gone_from_the_source_stays_in_the_target() {
    let (mut target, mut state) = (World::default(), State::new());
    let mut source = world(vec![with_password("ada", "first"), with_password("bob", "other")], vec![]);
    run(&source, &mut target, &keyed(KEY), &mut state, 0);
    source.people.iter_mut().for_each(|person| person.password.clear());
    assert_eq!(run(&source, &mut target, &keyed(KEY), &mut state, 1), []);
    assert_eq!(password_of(&target, "ada"), "first");
}

#[test]
fn what_the_target_does_not_take_is_counted_and_not_sent() {
    let (from, to) = (
        world(
            vec![
                with_password("ada", "{MD5}X03MO1qnZdYdgyfeuILPmQ=="),
                with_password("bob", "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr"),
                with_password("eve", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="),
            ],
            vec![],
        )
        .source(),
        World::default().target(),
    );
    let plan = plan(&from, &to, &keyed(KEY), &State::new());
    assert_eq!(plan.warnings().of(WarningKind::PasswordNotTaken(PasswordScheme::Md5)), 1);
    assert_eq!(plan.warnings().of(WarningKind::PasswordUnusable(UnusablePassword::SaltedSha1)), 1);
    let with_password = plan.operations().iter().filter(|operation| operation.fields.contains(Field::Password));
    let sent: Vec<_> = with_password.map(|&operation| plan.describe(operation)).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].address, "eve@example.com");
    assert!(sent[0].changes.iter().any(|change| change.to == "(hidden, {SHA})"), "{sent:?}");
}

#[test]
fn an_approval_covers_the_password_that_was_there_when_it_was_given() {
    let (mut target, mut state) = (World::default(), State::new());
    let rules = Rules { approval: ApprovalMode::Manual, ..keyed(KEY) };
    let mut source = world(vec![with_password("ada", "first")], vec![]);
    let reviewed = {
        let (from, to) = (source.source(), target.target());
        let confirmed = confirm(plan(&from, &to, &rules, &state), &source, &from);
        Approval {
            plan: confirmed.digest(),
            operations: Some(confirmed.operation_digests().iter().copied().collect()),
            expires_at: at(1000),
            used: false,
        }
    };
    source.people[0].password = "changed in between".to_owned();
    assert_eq!(run_approved(&source, &mut target, &rules, &mut state, 1, Some(&reviewed)), []);
    source.people[0].password = "first".to_owned();
    assert_eq!(run_approved(&source, &mut target, &rules, &mut state, 2, Some(&reviewed)), [Verb::CreateUser]);
}

#[test]
fn nothing_that_is_kept_or_shown_holds_a_password() {
    const CANARY: &str = "canary-in-the-directory";
    let (mut target, mut state) = (World::default(), State::new());
    let source = world(vec![with_password("ada", CANARY)], vec![]);
    let (from, to) = (source.source(), target.target());
    let plan = plan(&from, &to, &keyed(KEY), &state);
    let described: Vec<_> = plan.operations().iter().map(|&operation| plan.describe(operation)).collect();
    let shown = format!("{from:?} {plan:?} {described:?}");
    run(&source, &mut target, &keyed(KEY), &mut state, 0);
    let mut unpacked = String::new();
    let bytes = stored(&state);
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut unpacked).unwrap();
    assert!(!shown.contains(CANARY) && !unpacked.contains(CANARY) && !format!("{state:?}").contains(CANARY));
}
