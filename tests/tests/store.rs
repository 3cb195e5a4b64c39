//! Plans and state as they are kept in a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it fails")]

use directory_sync_api::{DirectorySync, DirectorySyncPlan, DirectorySyncState, generated_files};
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
use directory_sync_tests::peers::control_plane::ControlPlane;
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};

const NAMESPACE: &str = "identity";

/// A control plane with our kinds and one resource.
async fn cluster() -> (ControlPlane, DirectorySync) {
    let cluster = ControlPlane::start().await.unwrap();
    for (_, manifest) in generated_files().into_iter().filter(|(path, _)| path.starts_with("crds/directorysync")) {
        cluster.kubectl_with_input(&["apply", "--server-side", "-f", "-"], &manifest).await.unwrap();
    }
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await.unwrap();
    cluster.create_namespace(NAMESPACE).await.unwrap();
    let example = include_str!("../../examples/openldap-to-scim.yaml");
    cluster.kubectl_with_input(&["-n", NAMESPACE, "apply", "-f", "-"], example).await.unwrap();
    let syncs: Api<DirectorySync> = Api::namespaced(cluster.client().await.unwrap(), NAMESPACE);
    let sync = syncs.get("staff").await.unwrap();
    (cluster, sync)
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
    let (cluster, sync) = cluster().await;
    let client = cluster.client().await.unwrap();
    let states = States::new(client.clone(), NAMESPACE);
    let nothing = states.load(&sync).await.unwrap();
    assert!(nothing.state.is_new());

    let first = states.save(&sync, &nothing, state(3)).await.unwrap();
    assert_eq!(states.load(&sync).await.unwrap().state, state(3));
    states.save(&sync, &first, state(4)).await.unwrap();
    assert_eq!(states.load(&sync).await.unwrap().state, state(4));

    let objects: Api<DirectorySyncState> = Api::namespaced(client, NAMESPACE);
    assert_eq!(objects.list(&ListParams::default()).await.unwrap().items.len(), 2, "the head and one part");

    let late = states.save(&sync, &first, state(5)).await.unwrap_err();
    assert_eq!(late.reason(), "KubernetesRefused", "who read an older state does not overwrite a newer one");
    assert_eq!(states.load(&sync).await.unwrap().state, state(4));
}

#[tokio::test]
async fn a_state_with_a_missing_part_is_an_error_and_not_a_new_state() {
    let (cluster, sync) = cluster().await;
    let client = cluster.client().await.unwrap();
    let states = States::new(client.clone(), NAMESPACE);
    let nothing = states.load(&sync).await.unwrap();
    states.save(&sync, &nothing, state(3)).await.unwrap();
    let objects: Api<DirectorySyncState> = Api::namespaced(client, NAMESPACE);
    let all = objects.list(&ListParams::default()).await.unwrap();
    let part = all.items.iter().find(|object| object.spec.part.is_some()).unwrap();
    objects.delete(&part.name_any(), &DeleteParams::default()).await.unwrap();
    assert_eq!(states.load(&sync).await.unwrap_err().reason(), "StateUnusable");
}

#[tokio::test]
async fn a_plan_counts_as_stored_when_its_last_part_is() {
    let (cluster, sync) = cluster().await;
    let client = cluster.client().await.unwrap();
    let plans = Plans::new(client.clone(), NAMESPACE);
    let (digest, stored) = with_judgement(&["ada", "grace"], async |judgement, rules| {
        let stored = plans.store(&sync, judgement, rules).await.unwrap().unwrap();
        assert_eq!(
            plans.store(&sync, judgement, rules).await.unwrap().unwrap(),
            stored,
            "storing it again is no change"
        );
        (judgement.plan().digest().to_string(), stored)
    })
    .await;
    let document = plans.load("staff", &digest).await.unwrap().unwrap();
    assert_eq!(document.operations.len(), 2);
    assert_eq!(document.header.digest.to_string(), digest);

    let objects: Api<DirectorySyncPlan> = Api::namespaced(client, NAMESPACE);
    let part = objects.get(&format!("{}-1", stored.name)).await.unwrap();
    assert_eq!(part.owner_references()[0].name, "staff");
    objects.delete(&part.name_any(), &DeleteParams::default()).await.unwrap();
    assert!(plans.load("staff", &digest).await.unwrap().is_none());
}

#[tokio::test]
async fn small_plans_are_kept_when_old_ones_are_cleared_away() {
    let (cluster, sync) = cluster().await;
    let plans = Plans::new(cluster.client().await.unwrap(), NAMESPACE);
    let mut digests = Vec::new();
    for people in [&["ada"][..], &["grace"]] {
        digests.push(
            with_judgement(people, async |judgement, rules| {
                plans.store(&sync, judgement, rules).await.unwrap();
                judgement.plan().digest().to_string()
            })
            .await,
        );
    }
    plans.prune("staff", &digests[..1]).await.unwrap();
    for digest in &digests {
        assert!(plans.load("staff", digest).await.unwrap().is_some());
    }
}
