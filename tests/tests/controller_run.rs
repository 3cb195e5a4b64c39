//! The controller from the first look at a resource to its end, on a real API server, a real OpenLDAP and a real SCIM
//! server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use controller::{STAFF, Scene};
use directory_sync_api::DirectorySyncApproval;
use directory_sync_tests::http_server::{HttpServer, Scripted};
use directory_sync_tests::resources::ready;
use kube::Api;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_shown_then_approved_then_sent_and_the_next_run_finds_nothing_to_do() -> Result<()> {
    let scene = Scene::new("identity", 30).await?;
    scene.create(&json!({ "approval": "Manual", "apply": false })).await?;
    let running = scene.start().await?;

    let planned = scene.resources.settled(STAFF).await?;
    assert_eq!((ready(&planned).0, ready(&planned).1), ("True", "NotApplied"), "{:#?}", planned.conditions);
    let plan = planned.plan.unwrap();
    assert_eq!((plan.summary.users.create, plan.summary.memberships.add), (30, 30));
    assert_eq!(scene.people().await?, 0, "apply: false sends nothing");

    let held = scene.resources.change(STAFF, &json!({ "spec": { "apply": true } })).await?;
    assert_eq!((ready(&held).0, ready(&held).1), ("True", "ApprovalRequired"));
    assert_eq!(held.plan.unwrap().digest, plan.digest, "the plan is named by what it would change");
    assert_eq!(scene.people().await?, 0, "without an approval nothing is sent");

    let sent = scene.resources.approve(STAFF, "first").await?.last_applied.unwrap();
    assert_eq!((sent.failed, scene.people().await?), (0, 30), "{sent:#?}");
    let approvals: Api<DirectorySyncApproval> = Api::namespaced(scene.client.clone(), "identity");
    assert_eq!(approvals.get("first").await?.status.unwrap().sent, Some(sent.succeeded));

    let again = scene.resources.run(STAFF).await?;
    assert_eq!(again.plan_summary.as_deref(), Some("+0 ~0 −0"), "{:#?}", again.plan);

    let control_plane = &scene.shared.control_plane;
    control_plane.kubectl(&["-n", "identity", "delete", "directorysyncs", STAFF, "--timeout=20s"]).await?;
    assert_eq!(scene.people().await?, 30, "nobody goes with the resource");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_come_in_a_second_than_the_resource_allows() -> Result<()> {
    const RATE: usize = 10;
    let scene = Scene::new("paced", 15).await?;
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let arrived = Arc::clone(&arrivals);
    let service = HttpServer::start(move |request| {
        arrived.lock().unwrap().push(Instant::now());
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/ServiceProviderConfig") => Scripted::json(200, &json!({ "patch": { "supported": true } })),
            ("GET", "/Users" | "/Groups") => Scripted::json(200, &json!({ "totalResults": 0 })),
            ("POST", _) => Scripted::json(201, &json!({ "id": format!("id-{}", request.before) })),
            ("GET", _) => Scripted::json(404, &json!(null)),
            _ => Scripted::json(204, &json!(null)),
        }
    })
    .await?;
    scene.create(&json!({ "target": { "scim": { "url": service.url(), "requestsPerSecond": RATE } } })).await?;
    let running = scene.start().await?;
    scene.resources.settled(STAFF).await?;
    running.stop().await?;
    let arrivals = arrivals.lock().unwrap();
    assert!(arrivals.len() > 2 * RATE, "{} requests", arrivals.len());
    // One more may be on its way, and the network is not always equally fast.
    for window in arrivals.windows(RATE + 2) {
        let took = window[RATE + 1].duration_since(window[0]);
        assert!(took > Duration::from_millis(900), "{} requests within {took:?}", window.len());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_asks_to_wait_while_changes_are_sent_is_left_alone_until_then() -> Result<()> {
    let scene = Scene::new("pause", 3).await?;
    let server = HttpServer::start(|request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/ServiceProviderConfig") => Scripted::json(200, &json!({"patch": {"supported": true}})),
        ("GET", "/Schemas") => Scripted::json(404, &Value::Null),
        ("GET", _) => Scripted::json(200, &json!({"totalResults": 0})),
        _ => Scripted::json(429, &Value::Null).with("retry-after", "600"),
    })
    .await?;
    scene.create(&json!({ "target": { "scim": { "url": server.url() } } })).await?;
    let running = scene.start().await?;
    let status = scene.resources.settled(STAFF).await?;
    assert_eq!(ready(&status).1, "ApplyPartiallyFailed", "{:#?}", status.conditions);
    let pause = status.next_run_time.unwrap().0.duration_since(status.last_run_time.unwrap().0);
    assert!((595..=601).contains(&pause.as_secs()), "{pause:?}");
    assert_eq!(server.received().iter().filter(|request| request.method != "GET").count(), 1);
    running.stop().await
}
