//! Which approval is used, and what becomes of the others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use controller::{STAFF, Scene};
use directory_sync_api::approval::ApprovalState;
use directory_sync_api::{DirectorySyncApproval, DirectorySyncPlan};
use directory_sync_tests::resources::ready;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

const PEOPLE: usize = 3;

/// The SHA-256 of `no gzip`.
const NO_GZIP_SHA256: &str = "f4ca5d0cb1de7a397d16768535058352ed598bef5cf251edf417327b251a0e92";

async fn approve(scene: &Scene, name: &str, plan: &str) -> Result<()> {
    scene
        .apply(json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySyncApproval", "metadata": { "name": name },
            "spec": { "sync": STAFF, "plan": plan, "approvedBy": "admin" },
        }))
        .await
}

/// Where an approval stands, once it was judged.
async fn becomes(scene: &Scene, name: &str) -> Result<ApprovalState> {
    let approvals: Api<DirectorySyncApproval> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let judged = async {
        loop {
            match approvals.get(name).await?.status {
                Some(status) if status.state != ApprovalState::Pending => return anyhow::Ok(status.state),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), judged).await.context("it was never judged")?
}

/// A held plan, and its digest. The operator has ended.
async fn held(namespace: &str, changes: serde_json::Value) -> Result<(Scene, String)> {
    let scene = Scene::new(namespace, PEOPLE).await?;
    scene.create(&changes).await?;
    let running = scene.start().await?;
    let status = scene.resources.settled(STAFF).await?;
    running.stop().await?;
    Ok((scene, status.plan.context("a plan")?.digest))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_the_one_that_names_the_current_plan_is_used_and_the_rest_is_judged_after_it() -> Result<()> {
    let (scene, digest) = held("several", json!({ "approval": "Manual" })).await?;
    approve(&scene, "fits", &digest).await?;
    // Ages are whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    approve(&scene, "newer", &format!("sha256:{}", "0".repeat(64))).await?;
    let running = scene.start().await?;
    assert_eq!(becomes(&scene, "fits").await?, ApprovalState::Used);
    assert_eq!(becomes(&scene, "newer").await?, ApprovalState::Stale, "without anybody asking for a run");
    running.stop().await?;
    assert_eq!(scene.people().await?, PEOPLE);
    let status = scene.resources.get(STAFF).await?.status.unwrap();
    assert_eq!(status.last_applied.unwrap().approval.as_deref(), Some("fits"));
    let events = scene.events(STAFF).await?;
    for told in [("Normal", "ApprovalUsed"), ("Warning", "ApprovalStale")] {
        assert!(events.contains(&(told.0.to_owned(), told.1.to_owned())), "{events:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_was_not_used_in_time_sends_nothing() -> Result<()> {
    let (scene, digest) = held("expired", json!({ "approval": "Manual", "approvalExpiresAfter": "1s" })).await?;
    approve(&scene, "late", &digest).await?;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let running = scene.start().await?;
    assert_eq!(becomes(&scene, "late").await?, ApprovalState::Expired);
    let status = scene.resources.run(STAFF).await?;
    assert_eq!((ready(&status).1, scene.people().await?), ("ApprovalRequired", 0));
    assert!(scene.events(STAFF).await?.contains(&("Warning".to_owned(), "ApprovalExpired".to_owned())));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_not_applied_and_needs_an_approval_says_both() -> Result<()> {
    let (scene, digest) = held("both", json!({ "approval": "Manual", "apply": false })).await?;
    approve(&scene, "early", &digest).await?;
    let running = scene.start().await?;
    let status = scene.resources.run(STAFF).await?;
    let (state, reason, message) = ready(&status);
    assert_eq!((state, reason, scene.people().await?), ("True", "NotApplied", 0));
    assert!(message.contains("spec.apply: true") && message.contains("approv"), "{message}");
    let status = scene.resources.change(STAFF, &json!({ "spec": { "apply": true } })).await?;
    assert_eq!(ready(&status).0, "True");
    assert_eq!(becomes(&scene, "early").await?, ApprovalState::Used, "it waited for apply: true");
    scene.until_people(|people| people == PEOPLE).await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_a_plan_that_cannot_be_read_holds_for_the_whole_of_it_and_ends_no_run() -> Result<()> {
    let (scene, digest) = held("unreadable", json!({ "approval": "Manual" })).await?;
    let plans: Api<DirectorySyncPlan> = Api::namespaced(scene.client.clone(), "unreadable");
    // As a version of the operator would leave it that writes plans in another way.
    for mut part in plans.list(&ListParams::default()).await?.items {
        plans.delete(&part.name_any(), &DeleteParams::default()).await?;
        part.metadata.name = Some("staff-of-another-version-1".to_owned());
        part.metadata.resource_version = None;
        part.spec.data = BASE64_STANDARD.encode("no gzip");
        part.spec.sha256 = NO_GZIP_SHA256.to_owned();
        plans.create(&PostParams::default(), &part).await?;
    }
    approve(&scene, "other", &format!("sha256:{}", "0".repeat(64))).await?;
    approve(&scene, "same", &digest).await?;
    let running = scene.start().await?;
    assert_eq!(becomes(&scene, "same").await?, ApprovalState::Used);
    assert_eq!(becomes(&scene, "other").await?, ApprovalState::Stale);
    scene.until_people(|people| people == PEOPLE).await?;
    assert_eq!(ready(&scene.resources.run(STAFF).await?).0, "True");
    running.stop().await
}
