//! When a resource runs: by its schedule, when it is asked to, and never beside another one on the same target.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::time::Duration;

use anyhow::Result;
use controller::{STAFF, Scene};
use directory_sync_api::{DirectorySync, FLUX_REQUESTED_AT, REQUESTED_AT};
use directory_sync_tests::resources::{condition, ready};
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn either_annotation_makes_it_run_and_the_status_repeats_the_value() -> Result<()> {
    let scene = Scene::new("asked", 1).await?;
    scene.create(&json!({ "apply": false })).await?;
    let running = scene.start().await?;
    scene.resources.settled(STAFF).await?;
    for annotation in [REQUESTED_AT, FLUX_REQUESTED_AT, REQUESTED_AT] {
        let status = scene.resources.run_by(STAFF, annotation).await?;
        let sync = scene.resources.get(STAFF).await?;
        let value = sync.metadata.annotations.unwrap()[annotation].clone();
        assert_eq!(status.last_handled_reconcile_at, Some(value), "as tools that wait compare it");
    }
    let runs = running.metric("directorysync_reconcile_total").await?;
    assert!(runs.len() == 1 && runs[0].ends_with(" 4"), "one run for the spec and one for each request: {runs:#?}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_downtime_one_run_makes_up_for_all_that_were_missed() -> Result<()> {
    let scene = Scene::new("downtime", 1).await?;
    scene.create(&json!({ "apply": false, "schedule": { "cron": "0 * * * *", "jitter": "0s" } })).await?;
    let running = scene.start().await?;
    scene.resources.settled(STAFF).await?;
    running.stop().await?;
    let long_ago = Timestamp::from_second(Timestamp::now().as_second() - 5 * 3600)?;
    let syncs: Api<DirectorySync> = Api::namespaced(scene.client.clone(), "downtime");
    let patch = Patch::Merge(json!({ "status": { "lastRunTime": long_ago.to_string() } }));
    syncs.patch_status(STAFF, &PatchParams::default(), &patch).await?;

    let running = scene.start().await?;
    let is_recent = |at: Timestamp| Timestamp::now().duration_since(at) < SignedDuration::from_mins(5);
    let caught_up = |status: &directory_sync_api::DirectorySyncStatus| {
        status.last_run_time.as_ref().is_some_and(|time| is_recent(time.0))
    };
    let status = scene.resources.until(STAFF, "caught up", |_, status| caught_up(status)).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let runs = running.metric("directorysync_reconcile_total").await?;
    assert!(runs.len() == 1 && runs[0].ends_with(" 1"), "{runs:#?}");
    let next = status.next_run_time.unwrap().0;
    assert_eq!(next.as_second() % 3600, 0, "{next}");
    assert!(next > Timestamp::now() && next.duration_since(Timestamp::now()) <= SignedDuration::from_hours(1));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_begins_by_itself_when_it_is_due() -> Result<()> {
    let scene = Scene::new("timer", 1).await?;
    scene.create(&json!({ "apply": false, "schedule": { "cron": "* * * * *", "jitter": "0s" } })).await?;
    // Not so late in a minute that the first run and the next come together.
    let left = 60 - Timestamp::now().as_second().rem_euclid(60);
    if left < 20 {
        tokio::time::sleep(Duration::from_secs(left.unsigned_abs())).await;
    }
    let running = scene.start().await?;
    let first = scene.resources.settled(STAFF).await?;
    let due = first.next_run_time.clone().unwrap().0;
    let (second, began) = (first.last_run_time.clone(), Timestamp::now());
    assert!(due > began && due.duration_since(began) <= SignedDuration::from_mins(1), "{due}");
    while scene.resources.get(STAFF).await?.status.unwrap().last_run_time == second {
        assert!(Timestamp::now().duration_since(due) < SignedDuration::from_secs(20), "it is long due");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ran = scene.resources.get(STAFF).await?.status.unwrap().last_run_time.unwrap().0;
    assert!(ran >= due, "not before it was due: {ran}");
    let runs = running.metric("directorysync_reconcile_total").await?;
    assert!(runs.len() == 1 && runs[0].ends_with(" 2"), "{runs:#?}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_resources_on_one_target_take_turns() -> Result<()> {
    let scene = Scene::new("turns", 20).await?;
    let half = |filter: &str| {
        let base = "ou=turns,dc=example,dc=com";
        json!({
            "source": { "ldap": { "users": [{ "baseDN": base, "filter": filter }], "groups": [] } },
            "target": { "scim": { "requestsPerSecond": 10 } },
        })
    };
    let (one, two) =
        (half("(&(objectClass=inetOrgPerson)(uid=p1*))"), half("(&(objectClass=inetOrgPerson)(!(uid=p1*)))"));
    let manifests = json!({ "apiVersion": "v1", "kind": "List", "items": [
        scene.sync("one", &one), scene.sync("two", &two),
    ] });
    scene.apply(manifests).await?;
    let running = scene.start().await?;
    let (one, two) = tokio::try_join!(scene.resources.settled("one"), scene.resources.settled("two"))?;
    assert_eq!(scene.people().await?, 20);
    let mut found = [one, two].map(|status| status.target.unwrap().users);
    found.sort_unstable();
    let [first, second] = found;
    assert_eq!(first, 0);
    assert!(second == 9 || second == 11, "the second read the target when the first had sent everything: {second}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_resource_keeps_no_other_from_running() -> Result<()> {
    let scene = Scene::new("several", 2).await?;
    let nowhere =
        json!({ "source": { "ldap": { "users": [{ "baseDN": "ou=nowhere,dc=example,dc=com" }], "groups": [] } } });
    let unknown = json!({ "target": { "scim": { "auth": { "bearerTokenSecretRef": { "name": "missing" } } } } });
    let manifests = json!({ "apiVersion": "v1", "kind": "List", "items": [
        scene.sync("nowhere", &nowhere), scene.sync("unknown", &unknown), scene.sync(STAFF, &json!({})),
    ] });
    scene.apply(manifests).await?;
    let running = scene.start().await?;
    let good = scene.resources.settled(STAFF).await?;
    assert_eq!((ready(&good).0, scene.people().await?), ("True", 2));
    let bad = [("nowhere", "SourceBaseNotFound", "Reconciling"), ("unknown", "ReferenceNotFound", "Stalled")];
    for (name, reason, standing) in bad {
        let bad = scene.resources.settled(name).await?;
        assert_eq!((ready(&bad).0, ready(&bad).1), ("False", reason));
        assert!(condition(&bad, standing).is_some(), "{name}");
    }
    assert_eq!(ready(&scene.resources.run(STAFF).await?).0, "True");
    running.stop().await
}
