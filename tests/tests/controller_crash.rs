//! The operator ends between any two steps, and the next run heals what the last one left, without creating anybody
//! twice and without forgetting whom it created.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use controller::faults::{Fate, Faults};
use controller::{STAFF, Scene};
use directory_sync_api::DirectorySyncApproval;
use directory_sync_tests::resources::ready;
use http::Method;
use kube::Api;
use reqwest::Method as Scim;
use serde_json::json;

const PEOPLE: usize = 5;

/// Ends the operator at each writing request in turn, and each time lets another one finish the work.
async fn end_at_every_write(namespace: &str, fate: Fate) -> Result<()> {
    let scene = Scene::new(namespace, PEOPLE).await?;
    let mut ended_at = Vec::new();
    for number in 0.. {
        scene.create(&json!({ "adoption": "None" })).await?;
        let faults = Faults::at_write(number, fate);
        let running = scene.start_with(faults.client(&scene.shared.control_plane).await?).await?;
        let all_written = tokio::select! {
            () = faults.reached() => false,
            settled = scene.resources.settled(STAFF) => settled.map(|_| true)?,
        };
        running.crash().await;
        ended_at.extend(faults.writes().last().cloned());
        heal(&scene).await?;
        clear(&scene).await?;
        if all_written {
            break;
        }
    }
    // Finalizer, status, plan, claims (part and head), state (part, head, old part), status.
    ensure!(ended_at.len() >= 9, "{ended_at:#?}");
    Ok(())
}

/// Another operator takes over. Two runs later there is nothing left to do.
async fn heal(scene: &Scene) -> Result<()> {
    let running = scene.start().await?;
    scene.resources.run(STAFF).await?;
    let status = scene.resources.run(STAFF).await?;
    running.stop().await?;
    assert_eq!(ready(&status).0, "True", "{:#?}", status.conditions);
    assert_eq!(status.plan_summary.as_deref(), Some("+0 ~0 −0"), "{:#?}", status.plan);
    let target = status.target.unwrap();
    assert_eq!((target.managed_users, target.managed_groups), (Some(5), Some(1)), "whom we created is ours");
    let people = scene.scim.all("Users").await?;
    let ids: BTreeSet<_> = people.iter().map(|person| person["externalId"].to_string()).collect();
    assert_eq!((people.len(), ids.len()), (PEOPLE, PEOPLE), "nobody was created twice: {people:#?}");
    let groups = scene.scim.all("Groups").await?;
    assert_eq!((groups.len(), groups[0]["members"].as_array().map(Vec::len)), (1, Some(PEOPLE)));
    Ok(())
}

/// Removes the resource with all that is kept for it, and everybody from the SCIM server.
async fn clear(scene: &Scene) -> Result<()> {
    let control_plane = &scene.shared.control_plane;
    let patch = r#"{"metadata":{"finalizers":null}}"#;
    control_plane.kubectl(&["-n", &scene.namespace, "patch", "dsync", STAFF, "--type=merge", "-p", patch]).await?;
    let kinds = "directorysyncs,directorysyncplans,directorysyncstates,directorysyncapprovals";
    control_plane.kubectl(&["-n", &scene.namespace, "delete", kinds, "--all"]).await?;
    for kind in ["Groups", "Users"] {
        for object in scene.scim.all(kind).await? {
            let id = object["id"].as_str().unwrap();
            scene.scim.request(Scim::DELETE, &format!("{kind}/{id}"), None).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_before_any_write_to_the_cluster_is_healed() -> Result<()> {
    end_at_every_write("crash-before", Fate::StopsBefore).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_before_the_answer_to_any_write_to_the_cluster_is_healed() -> Result<()> {
    end_at_every_write("crash-after", Fate::StopsAfter).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_while_changes_are_sent_is_healed() -> Result<()> {
    let scene = Scene::new("crash-sending", PEOPLE).await?;
    let slowly = json!({ "adoption": "None", "target": { "scim": { "requestsPerSecond": 5 } } });
    scene.create(&slowly).await?;
    let running = scene.start().await?;
    scene.until_people(|people| people > 1).await?;
    running.crash().await;
    ensure!(scene.people().await? < PEOPLE, "it should have ended while it was sending");
    heal(&scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_whose_use_was_interrupted_is_not_used_again() -> Result<()> {
    let scene = Scene::new("crash-approval", PEOPLE).await?;
    scene.create(&json!({ "approval": "Manual" })).await?;
    let running = scene.start().await?;
    let held = scene.resources.settled(STAFF).await?;
    running.stop().await?;
    let digest = held.plan.unwrap().digest;
    let approvals: Api<DirectorySyncApproval> = Api::namespaced(scene.client.clone(), &scene.namespace);
    scene
        .apply(json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySyncApproval", "metadata": { "name": "once" },
            "spec": { "sync": STAFF, "plan": digest, "approvedBy": "admin" },
        }))
        .await?;

    let faults = Faults::new(|method, path| {
        let marks = *method == Method::PATCH && path.ends_with("/directorysyncapprovals/once/status");
        if marks { Fate::StopsAfter } else { Fate::Passes }
    });
    let running = scene.start_with(faults.client(&scene.shared.control_plane).await?).await?;
    faults.reached().await;
    running.crash().await;
    assert_eq!(scene.people().await?, 0, "nothing is sent before the approval is marked as used");

    let running = scene.start().await?;
    let status = scene.resources.run(STAFF).await?;
    assert_eq!((ready(&status).1, scene.people().await?), ("ApprovalRequired", 0));
    assert!(approvals.get("once").await?.status.unwrap().used_at.is_some());
    scene.resources.approve(STAFF, "again").await?;
    running.stop().await?;
    assert_eq!(scene.people().await?, PEOPLE);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_answered_reaches_the_status_though_it_cannot_be_remembered() -> Result<()> {
    let scene = Scene::new("state-refused", PEOPLE).await?;
    scene.create(&json!({ "adoption": "None" })).await?;
    // The claims are created; what came of them replaces the head.
    let faults = Faults::new(|method, path| {
        let replaces_state = *method == Method::PATCH && path.contains("/directorysyncstates/");
        if replaces_state { Fate::Refused } else { Fate::Passes }
    });
    let running = scene.start_with(faults.client(&scene.shared.control_plane).await?).await?;
    let status = scene.resources.until(STAFF, "sent", |_, status| status.last_applied.is_some()).await?;
    let applied = status.last_applied.clone().unwrap();
    assert_eq!((applied.failed, applied.succeeded > 5), (0, true), "{applied:#?}");
    let (state, reason, message) = ready(&status);
    assert_eq!((state, reason), ("False", "KubernetesUnavailable"), "{message}");
    assert!(message.contains("could not be remembered"), "{message}");
    running.crash().await;
    heal(&scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_could_not_be_written_is_written_later() -> Result<()> {
    use std::sync::atomic::{AtomicBool, Ordering};
    static REFUSING: AtomicBool = AtomicBool::new(false);
    let scene = Scene::new("status-refused", PEOPLE).await?;
    scene.create(&json!({ "apply": false })).await?;
    let faults = Faults::new(|method, path| {
        let refused = *method == Method::PATCH && path.ends_with("/directorysyncs/staff/status");
        if refused && REFUSING.load(Ordering::Acquire) { Fate::Refused } else { Fate::Passes }
    });
    let running = scene.start_with(faults.client(&scene.shared.control_plane).await?).await?;
    scene.resources.settled(STAFF).await?;
    // The run of the new spec announces itself, so the refusal begins with its first change.
    scene.resources.change(STAFF, &json!({ "spec": { "apply": true, "suspend": true } })).await?;
    scene.resources.change(STAFF, &json!({ "spec": { "suspend": false, "approval": "Manual" } })).await?;
    REFUSING.store(true, Ordering::Release);
    let approving = scene.resources.approve(STAFF, "once");
    let sent_unseen = async {
        scene.until_people(|people| people == PEOPLE).await?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let status = scene.resources.get(STAFF).await?.status.unwrap();
        assert!(status.last_applied.is_none());
        REFUSING.store(false, Ordering::Release);
        anyhow::Ok(())
    };
    let (status, unseen) = tokio::join!(approving, sent_unseen);
    unseen?;
    let applied = status?.last_applied.unwrap();
    assert_eq!((applied.failed, applied.succeeded > 5), (0, true), "{applied:#?}");
    running.stop().await?;
    Ok(())
}
