//! A run is under way when something says that it should not be. If changes are being sent, the request under way is
//! finished, the rest is not sent, and what was answered is kept; one that waits or reads is given up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::time::Duration;

use anyhow::Result;
use controller::{Running, STAFF, Scene};
use directory_sync_tests::http_server::{HttpServer, Scripted};
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

/// A service that takes requests and answers none.
async fn silent() -> Result<HttpServer> {
    HttpServer::start(|_| Scripted::json(200, &json!({})).after(Duration::from_secs(3600))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_ends_a_run_that_reads_and_one_that_waits_for_its_turn() -> Result<()> {
    let scene = Scene::new("reading", 1).await?;
    let service = silent().await?;
    let slow = json!({ "target": { "scim": { "url": service.url(), "timeout": "10m" } } });
    scene.apply(scene.sync("reads", &slow)).await?;
    let running = scene.start().await?;
    while service.received().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene.apply(scene.sync("waits", &slow)).await?;
    scene.resources.until("waits", "waiting", |_, status| ready(status).1 == "Progressing").await?;
    let waiting = running.metric("directorysync_reconcile_waiting").await?;
    assert!(waiting.iter().any(|line| line.ends_with(" 1")), "{waiting:#?}");
    let active = running.metric("directorysync_reconcile_active").await?;
    assert!(active.iter().any(|line| line.ends_with(" 1")), "{active:#?}");

    for name in ["waits", "reads"] {
        let suspended = scene.resources.change(name, &json!({ "spec": { "suspend": true } })).await?;
        assert_eq!(ready(&suspended).1, "Suspended", "{name}");
    }
    assert!(running.metric("directorysync_reconcile_started").await?.iter().all(|line| line.starts_with('#')));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_wait_for_a_slow_target_others_are_looked_at() -> Result<()> {
    let scene = Scene::new("queued", 2).await?;
    let service = silent().await?;
    let slow = json!({ "target": { "scim": { "url": service.url(), "timeout": "10m" } } });
    let queued: Vec<_> = (0..70).map(|number| scene.sync(&format!("slow-{number}"), &slow)).collect();
    scene.apply(json!({ "apiVersion": "v1", "kind": "List", "items": queued })).await?;
    let running = scene.start().await?;
    scene.resources.until("slow-69", "waiting", |_, status| ready(status).1 == "Progressing").await?;
    let is_waiting = async || {
        let waiting = running.metric("directorysync_reconcile_waiting{").await?;
        anyhow::Ok(waiting.iter().any(|line| line.ends_with(" 69")))
    };
    for _ in 0..300 {
        if is_waiting().await? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(is_waiting().await?, "all but the one that reads wait");
    scene.create(&json!({})).await?;
    assert_eq!(ready(&scene.resources.settled(STAFF).await?).0, "True");
    running.crash().await;
    Ok(())
}
