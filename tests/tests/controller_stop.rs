//! Changes are being sent when something says that they should not be: the request under way is finished, the rest is
//! not sent, and what was answered is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::time::Duration;

use anyhow::Result;
use controller::{Running, STAFF, Scene};
use directory_sync_tests::resources::ready;
use serde_json::json;

const PEOPLE: usize = 60;

/// A resource whose changes are being sent, slowly.
async fn sending(namespace: &str) -> Result<(Scene, Running)> {
    let scene = Scene::new(namespace, PEOPLE).await?;
    scene.create(&json!({ "target": { "scim": { "requestsPerSecond": 5 } } })).await?;
    let running = scene.start().await?;
    scene.until_people(|people| people > 2).await?;
    Ok((scene, running))
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_ends_it_after_the_request_under_way() -> Result<()> {
    let (scene, running) = sending("suspended").await?;
    scene
        .shared
        .control_plane
        .kubectl(&["-n", "suspended", "patch", "dsync", STAFF, "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#])
        .await?;
    let status = scene.resources.until(STAFF, "suspended", |_, status| ready(status).1 == "Suspended").await?;
    let sent = scene.people().await?;
    let applied = status.last_applied.clone().unwrap();
    assert_eq!(
        applied.succeeded,
        i64::try_from(sent + 1)?,
        "the status tells what the target answered, with the group"
    );
    assert!(applied.failures.iter().all(|failure| failure.reason == "Stopped"), "{:#?}", applied.failures);
    assert!(ready(&status).2.contains("The run was stopped"), "{:?}", ready(&status));
    assert_eq!(status.next_run_time, None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.people().await?, sent, "nothing more is sent");

    let spec = json!({ "spec": { "suspend": false, "target": { "scim": { "requestsPerSecond": 1000 } } } });
    let status = scene.resources.change(STAFF, &spec).await?;
    assert_eq!((ready(&status).0, scene.people().await?), ("True", PEOPLE));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spec_ends_it_and_the_next_run_follows_at_once() -> Result<()> {
    let (scene, running) = sending("changed").await?;
    let spec = json!({ "spec": { "apply": false } });
    let status = scene.resources.change(STAFF, &spec).await?;
    assert_eq!((ready(&status).0, ready(&status).1), ("True", "NotApplied"), "{:?}", ready(&status));
    assert!(status.last_applied.unwrap().failures.iter().all(|failure| failure.reason == "Stopped"));
    assert!(scene.people().await? < PEOPLE);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_resource_ends_it_and_deletes_nobody() -> Result<()> {
    let (scene, running) = sending("deleted").await?;
    let metric = "directorysync_resource_condition";
    assert!(!running.metric(metric).await?.is_empty());
    let control_plane = &scene.shared.control_plane;
    control_plane.kubectl(&["-n", "deleted", "delete", "dsync", STAFF, "--timeout=20s"]).await?;
    let sent = scene.people().await?;
    assert!(sent > 2 && sent < PEOPLE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.people().await?, sent, "nobody goes with the resource, and nobody comes any more");
    assert!(running.metric(metric).await?.is_empty(), "its series go with it");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_the_operator_finishes_the_request_under_way_and_keeps_what_was_answered() -> Result<()> {
    let (scene, running) = sending("ended").await?;
    running.stop().await?;
    let status = scene.resources.get(STAFF).await?.status.unwrap();
    let sent = scene.people().await?;
    assert!(sent < PEOPLE);
    assert_eq!((ready(&status).0, ready(&status).1), ("False", "Stopped"));
    assert_eq!(status.last_applied.unwrap().succeeded, i64::try_from(sent + 1)?, "and the group");

    let running = scene.start().await?;
    let spec = json!({ "spec": { "adoption": "None", "target": { "scim": { "requestsPerSecond": 1000 } } } });
    let status = scene.resources.change(STAFF, &spec).await?;
    assert_eq!((ready(&status).0, scene.people().await?), ("True", PEOPLE));
    assert_eq!(status.target.unwrap().managed_users, Some(i64::try_from(sent)?), "whom it created before is ours");
    running.stop().await
}
