//! Plans and state as they are kept in a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it fails")]

mod controller;

use directory_sync_api::{DirectorySync, DirectorySyncPlan, DirectorySyncState};
use directory_sync_controller::store::{Plans, States};
use directory_sync_core::capabilities::{Capabilities, Field, Fields};
use directory_sync_core::confirm;
use directory_sync_core::disposition::Classified;
use directory_sync_core::gate::{self, Judgement};
use directory_sync_core::plan::plan;
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, Side};
use directory_sync_core::rules::Rules;
use directory_sync_core::snapshot::{Counts, UserRecord};
use directory_sync_core::state::{Bindings, State, Times};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};

/// A namespace with one resource.
async fn namespace(name: &str) -> (Client, DirectorySync) {
    let control_plane = &controller::shared().await.unwrap().control_plane;
    control_plane.create_namespace(name).await.unwrap();
    let example = include_str!("../../examples/openldap-to-scim.yaml");
    control_plane.kubectl_with_input(&["-n", name, "apply", "-f", "-"], example).await.unwrap();
    let client = control_plane.client().await.unwrap();
    let syncs: Api<DirectorySync> = Api::namespaced(client.clone(), name);
    (client, syncs.get("staff").await.unwrap())
}

fn state(people: usize) -> State {
    let mut users = Bindings::default();
    for number in 0..people {
        users.insert(&format!("source-{number}"), Some(&format!("target-{number}")), Times::default());
    }
    State::of(users, Bindings::default(), Some(Counts { users: people as u64, ..Counts::default() }))
}

/// A read that found these people.
fn read<S: Side>(people: &[&str]) -> CompleteRead<S> {
    let mut read = Read::start(ReadCaps::default());
    let section = read.open("people");
    for name in people {
        let reference = read.referencer().reference(name.as_bytes());
        let record = UserRecord {
            id: (*name).to_owned(),
            address: format!("{name}@example.com"),
            active: true,
            ..UserRecord::default()
        };
        read.user(section, reference, &record).unwrap();
    }
    read.page(section, Next::End).unwrap();
    read.finish().unwrap()
}

/// Judges the plan that creates these people in an empty target, and hands it to `look`.
async fn with_judgement<T>(people: &[&str], look: impl AsyncFnOnce(&Judgement<'_>, &Rules) -> T) -> T {
    let (source, target) = (read(people), read(&[]));
    let capabilities = Capabilities {
        target: "scim https://app.example.com/scim/v2".to_owned(),
        user_fields: Fields::of([Field::ExternalId, Field::Email, Field::Active]),
        group_fields: Fields::NONE,
        attributes: std::collections::BTreeSet::new(),
        passwords: std::collections::BTreeSet::new(),
        nested_groups: false,
    };
    let (rules, state, now) = (Rules::default(), State::new(), Timestamp::now());
    let plan = plan(&source, &target, &rules, &capabilities, &state, now);
    let lookups = confirm::lookups(&plan, 10);
    let judgement = gate::judge(confirm::confirm(plan, lookups, Vec::new()), &rules, &state, None, now);
    look(&judgement, &rules).await
}

#[tokio::test]
async fn a_state_is_read_as_it_was_written_and_only_the_valid_parts_stay() {
    let (client, sync) = namespace("written").await;
    let states = States::new(client.clone(), "written");
    let nothing = states.load(&sync).await.unwrap();
    assert!(nothing.state.is_new());

    let first = states.save(&sync, &nothing, state(3)).await.unwrap();
    assert_eq!(states.load(&sync).await.unwrap().state, state(3));
    states.save(&sync, &first, state(4)).await.unwrap();
    assert_eq!(states.load(&sync).await.unwrap().state, state(4));

    let objects: Api<DirectorySyncState> = Api::namespaced(client, "written");
    assert_eq!(objects.list(&ListParams::default()).await.unwrap().items.len(), 2, "the head and one part");

    let late = states.save(&sync, &first, state(5)).await.unwrap_err();
    assert_eq!(late.reason(), "KubernetesRefused", "who read an older state does not overwrite a newer one");
    assert_eq!(states.load(&sync).await.unwrap().state, state(4));
}

#[tokio::test]
async fn a_state_with_a_missing_part_is_an_error_and_not_a_new_state() {
    let (client, sync) = namespace("missing-part").await;
    let states = States::new(client.clone(), "missing-part");
    let nothing = states.load(&sync).await.unwrap();
    states.save(&sync, &nothing, state(3)).await.unwrap();
    let objects: Api<DirectorySyncState> = Api::namespaced(client, "missing-part");
    let all = objects.list(&ListParams::default()).await.unwrap();
    let part = all.items.iter().find(|object| object.spec.part.is_some()).unwrap();
    objects.delete(&part.name_any(), &DeleteParams::default()).await.unwrap();
    assert_eq!(states.load(&sync).await.unwrap_err().reason(), "StateUnusable");
}

#[tokio::test]
async fn what_was_kept_for_a_deleted_resource_of_the_same_name_is_not_taken_over() {
    let (client, sync) = namespace("successor").await;
    let (states, plans) = (States::new(client.clone(), "successor"), Plans::new(client.clone(), "successor"));
    let nothing = states.load(&sync).await.unwrap();
    states.save(&sync, &nothing, state(3)).await.unwrap();
    let mut successor = sync.clone();
    successor.metadata.uid = Some("22222222-2222-4222-8222-222222222222".to_owned());
    let nothing = states.load(&successor).await.unwrap();
    assert!(nothing.state.is_new(), "it is about to be collected as garbage");
    states.save(&successor, &nothing, state(3)).await.unwrap();
    let objects: Api<DirectorySyncState> = Api::namespaced(client.clone(), "successor");
    for object in objects.list(&ListParams::default()).await.unwrap() {
        assert_eq!(Some(&object.owner_references()[0].uid), successor.metadata.uid.as_ref());
    }

    for owner in [&sync, &successor] {
        with_judgement(&["ada"], async |judgement, rules| {
            plans.store(owner, judgement, rules, &[]).await.unwrap();
        })
        .await;
        let objects: Api<DirectorySyncPlan> = Api::namespaced(client.clone(), "successor");
        let parts = objects.list(&ListParams::default()).await.unwrap().items;
        assert_eq!((parts.len(), Some(&parts[0].owner_references()[0].uid)), (1, owner.metadata.uid.as_ref()));
    }
}

#[tokio::test]
async fn a_plan_counts_as_stored_when_its_last_part_is() {
    let (client, sync) = namespace("last-part").await;
    let plans = Plans::new(client.clone(), "last-part");
    let (digest, stored) = with_judgement(&["ada", "grace"], async |judgement, rules| {
        let stored = plans.store(&sync, judgement, rules, &[]).await.unwrap();
        let again = plans.store(&sync, judgement, rules, &[]).await.unwrap();
        assert_eq!(again, stored, "storing it again is no change");
        (judgement.plan().digest().to_string(), stored)
    })
    .await;
    assert!(stored.complete);
    let document = plans.load("staff", &digest).await.unwrap().unwrap();
    assert_eq!(document.operations.len(), 2);
    assert_eq!(document.header.digest.to_string(), digest);

    let objects: Api<DirectorySyncPlan> = Api::namespaced(client, "last-part");
    let part = objects.get(&format!("{}-1", stored.name)).await.unwrap();
    assert_eq!(part.owner_references()[0].name, "staff");
    objects.delete(&part.name_any(), &DeleteParams::default()).await.unwrap();
    assert!(plans.load("staff", &digest).await.unwrap().is_none());
}

/// Stores the plan that creates these people, and gives its digest and size.
async fn store(plans: &Plans, sync: &DirectorySync, people: &[&str], awaited: &[String]) -> (String, usize) {
    with_judgement(people, async |judgement, rules| {
        let stored = plans.store(sync, judgement, rules, awaited).await.unwrap();
        (judgement.plan().digest().to_string(), stored.bytes)
    })
    .await
}

#[tokio::test]
async fn room_is_made_by_the_oldest_plans_and_last_by_those_that_approvals_name() {
    let (client, sync) = namespace("room").await;
    let (awaited, size) = store(&Plans::new(client.clone(), "room"), &sync, &["ada"], &[]).await;
    let keep = [awaited.clone()];
    let room_for_three = Plans::with_room(client, "room", 3 * size + size / 2);
    let mut digests = Vec::new();
    for name in ["bob", "cat", "dan", "eve"] {
        // Ages are whole seconds.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        digests.push(store(&room_for_three, &sync, &[name], &keep).await.0);
    }
    let mut kept = Vec::new();
    for digest in digests.iter().chain(&keep) {
        kept.push(room_for_three.load("staff", digest).await.unwrap().is_some());
    }
    assert_eq!(kept, [false, false, true, true, true], "the newest two, and the oldest, because an approval names it");

    store(&room_for_three, &sync, &["fay"], &[]).await;
    assert!(room_for_three.load("staff", &awaited).await.unwrap().is_none(), "nobody waits for it any more");
}

#[tokio::test]
async fn of_a_plan_that_is_too_large_the_most_dangerous_part_is_kept_and_it_says_so() {
    let (client, sync) = namespace("too-large").await;
    let plans = Plans::with_room(client, "too-large", 600 * 1024);
    let names: Vec<_> = (0..20_000).map(|number| format!("p{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (digest, stored) = with_judgement(&names, async |judgement, rules| {
        let stored = plans.store(&sync, judgement, rules, &[]).await.unwrap();
        (judgement.plan().digest().to_string(), stored)
    })
    .await;
    assert!(!stored.complete && stored.bytes <= 600 * 1024, "{stored:?}");
    let document = plans.load("staff", &digest).await.unwrap().unwrap();
    assert!(!document.header.complete);
    assert_eq!(document.header.operations, 20_000);
}
