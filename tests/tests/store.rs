//! Plans and state as they are kept in a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it fails")]

mod controller;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use controller::faults::{Fate, Faults};
use directory_sync_api::{DirectorySync, DirectorySyncPlan, DirectorySyncState};
use directory_sync_controller::store::{Plans, States};
use directory_sync_core::capabilities::{Capabilities, Field, Fields};
use directory_sync_core::confirm;
use directory_sync_core::disposition::Classified;
use directory_sync_core::gate::{self, Judgement};
use directory_sync_core::plan::document::PlanDocument;
use directory_sync_core::plan::plan;
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, Side};
use directory_sync_core::rules::{ApprovalMode, Rules};
use directory_sync_core::snapshot::{Counts, UserRecord};
use directory_sync_core::state::{Bindings, State, Times};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

/// The SHA-256 of `no gzip`.
const NO_GZIP_SHA256: &str = "f4ca5d0cb1de7a397d16768535058352ed598bef5cf251edf417327b251a0e92";

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
    with_judgement_by(Rules::default(), people, look).await
}

/// The same by these rules.
async fn with_judgement_by<T>(rules: Rules, people: &[&str], look: impl AsyncFnOnce(&Judgement<'_>, &Rules) -> T) -> T {
    let (source, target) = (read(people), read(&[]));
    let capabilities = Capabilities {
        target: "scim https://app.example.com/scim/v2".to_owned(),
        user_fields: Fields::of([Field::ExternalId, Field::Email, Field::Active]),
        group_fields: Fields::NONE,
        attributes: std::collections::BTreeSet::new(),
        passwords: std::collections::BTreeSet::new(),
        nested_groups: false,
    };
    let (state, now) = (State::new(), Timestamp::now());
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
    let document = plans.load(&sync, &digest).await.unwrap().unwrap();
    assert_eq!(document.operations.len(), 2);
    assert_eq!(document.header.digest.to_string(), digest);

    let objects: Api<DirectorySyncPlan> = Api::namespaced(client, "last-part");
    let part = objects.get(&format!("{}-1", stored.name)).await.unwrap();
    assert_eq!(part.owner_references()[0].name, "staff");
    objects.delete(&part.name_any(), &DeleteParams::default()).await.unwrap();
    assert!(plans.load(&sync, &digest).await.unwrap().is_none());
}

/// Why the stored plan waits, by its first line.
fn holds(document: &PlanDocument) -> Vec<&'static str> {
    document.header.holds.iter().map(gate::Hold::reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_plan_tells_what_holds_it_now_and_the_version_that_the_status_names_is_there() {
    let (client, mut sync) = namespace("versions").await;
    let plans = Plans::new(client.clone(), "versions");
    let store = async |sync: &DirectorySync, rules: Rules| {
        with_judgement_by(rules, &["ada"], async |judgement, rules| {
            let stored = plans.store(sync, judgement, rules, &[]).await.unwrap();
            (judgement.plan().digest().to_string(), stored)
        })
        .await
    };
    let sent = Rules { apply: true, ..Rules::default() };
    let reviewed = Rules { approval: ApprovalMode::Manual, ..sent.clone() };
    let (digest, first) = store(&sync, Rules::default()).await;
    assert_eq!(holds(&plans.load(&sync, &digest).await.unwrap().unwrap()), ["NotApplied"]);

    sync.status = Some(serde_json::from_value(status_of(&digest, &first.name)).unwrap());
    let (same, second) = store(&sync, reviewed).await;
    assert!(same == digest && second.name != first.name, "{second:?}");
    // Ages are whole seconds, and the newest version counts.
    let objects: Api<DirectorySyncPlan> = Api::namespaced(client, "versions");
    assert!(objects.get(&format!("{}-1", first.name)).await.is_ok(), "the status still names it");

    sync.status = Some(serde_json::from_value(status_of(&digest, &second.name)).unwrap());
    let (_, third) = store(&sync, sent).await;
    let names: Vec<_> = objects.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    let expected = BTreeSet::from([format!("{}-1", second.name), format!("{}-1", third.name)]);
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), expected, "the first version is gone");
}

/// A status that names a stored plan.
fn status_of(digest: &str, name: &str) -> serde_json::Value {
    serde_json::json!({ "plan": {
        "digest": digest, "warningCount": 0, "plannedAt": "2026-01-01T00:00:00Z",
        "summary": directory_sync_api::status::PlanSummary::default(),
        "effective": directory_sync_api::status::EffectiveRules::default(),
        "stored": { "name": name, "parts": 1, "bytes": 1, "complete": true },
    } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_between_two_parts_leaves_none_of_them_in_the_plan_of_the_next() {
    let (client, sync) = namespace("between-parts").await;
    let names: Vec<_> = (0..20_000).map(|number| format!("p{number}")).collect();
    let people: Vec<_> = names.iter().map(String::as_str).collect();
    let parts = AtomicUsize::new(0);
    let faults = Faults::new(move |method, path| {
        let is_part = *method == http::Method::POST && path.ends_with("/directorysyncplans");
        if is_part && parts.fetch_add(1, Ordering::Relaxed) == 1 { Fate::StopsBefore } else { Fate::Passes }
    });
    let control_plane = &controller::shared().await.unwrap().control_plane;
    let ending = Plans::new(faults.client(control_plane).await.unwrap(), "between-parts");
    with_judgement(&people, async |judgement, rules| {
        tokio::select! {
            _ = ending.store(&sync, judgement, rules, &[]) => panic!("it should not come to its end"),
            () = faults.reached() => {}
        }
    })
    .await;
    let objects: Api<DirectorySyncPlan> = Api::namespaced(client.clone(), "between-parts");
    assert_eq!(objects.list_metadata(&ListParams::default()).await.unwrap().items.len(), 1, "the first part");

    let plans = Plans::new(client, "between-parts");
    let rules = Rules { apply: true, approval: ApprovalMode::Manual, ..Rules::default() };
    let digest = with_judgement_by(rules, &people, async |judgement, rules| {
        let digest = judgement.plan().digest().to_string();
        assert!(plans.load(&sync, &digest).await.unwrap().is_none(), "it is not whole");
        let stored = plans.store(&sync, judgement, rules, &[]).await.unwrap();
        assert!(stored.parts > 1, "{stored:?}");
        digest
    })
    .await;
    let document = plans.load(&sync, &digest).await.unwrap().unwrap();
    assert_eq!((document.operations.len(), holds(&document)), (20_000, vec!["ApprovalRequired"]));
    assert!(objects.list_metadata(&ListParams::default()).await.unwrap().items.len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_cannot_be_read_is_said_to_be_so_until_it_is_written_again() {
    let (client, sync) = namespace("unreadable").await;
    let plans = Plans::new(client.clone(), "unreadable");
    let (digest, _) = store(&plans, &sync, &["ada"], &[]).await;
    let objects: Api<DirectorySyncPlan> = Api::namespaced(client, "unreadable");
    let mut part = objects.list(&ListParams::default()).await.unwrap().items.remove(0);
    objects.delete(&part.name_any(), &DeleteParams::default()).await.unwrap();
    // Another version of the operator wrote it, under a name of its own.
    part.metadata.name = Some("staff-other-1".to_owned());
    part.metadata.resource_version = None;
    part.spec.data = BASE64_STANDARD.encode("no gzip");
    part.spec.sha256 = NO_GZIP_SHA256.to_owned();
    objects.create(&PostParams::default(), &part).await.unwrap();
    assert_eq!(plans.load(&sync, &digest).await.unwrap_err().reason(), "StoredPlanUnusable");
    store(&plans, &sync, &["ada"], &[]).await;
    assert!(plans.load(&sync, &digest).await.unwrap().is_some());
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
        kept.push(room_for_three.load(&sync, digest).await.unwrap().is_some());
    }
    assert_eq!(kept, [false, false, true, true, true], "the newest two, and the oldest, because an approval names it");

    store(&room_for_three, &sync, &["fay"], &[]).await;
    assert!(room_for_three.load(&sync, &awaited).await.unwrap().is_none(), "nobody waits for it any more");
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
    let document = plans.load(&sync, &digest).await.unwrap().unwrap();
    assert!(!document.header.complete);
    assert_eq!(document.header.operations, 20_000);
}
