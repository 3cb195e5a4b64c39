//! What a resource says about itself, and when it says it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use controller::faults::{Fate, Faults};
use controller::{STAFF, Scene};
use directory_sync_api::DirectorySync;
use directory_sync_api::sync::ApprovalMode;
use directory_sync_controller::reasons;
use directory_sync_tests::http_server::{HttpServer, Scripted};
use directory_sync_tests::resources::{condition, ready};
use futures::TryStreamExt as _;
use http::Method;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::sync::Notify;

const PEOPLE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_finds_nothing_new_writes_the_status_once_and_nothing_else() -> Result<()> {
    let scene = Scene::new("quiet", PEOPLE).await?;
    scene.create(&json!({})).await?;
    let faults = Faults::new(|_, _| Fate::Passes);
    let running = scene.start_with(faults.client(&scene.shared.control_plane).await?).await?;
    scene.resources.run(STAFF).await?;
    scene.resources.run(STAFF).await?;

    let before = faults.writes().len();
    scene.resources.run(STAFF).await?;
    let version = scene.resources.get(STAFF).await?.resource_version();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let written = faults.writes().split_off(before);
    let status = "PATCH /apis/directorysync.dev/v1alpha1/namespaces/quiet/directorysyncs/staff/status";
    assert_eq!(written, [status], "one run, one write, no event");
    assert_eq!(scene.resources.get(STAFF).await?.resource_version(), version, "between runs nothing is written");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_each_transition_once() -> Result<()> {
    let scene = Scene::new("events", PEOPLE).await?;
    scene.create(&json!({ "approval": "Manual" })).await?;
    let running = scene.start().await?;
    scene.resources.settled(STAFF).await?;
    scene.resources.run(STAFF).await?;
    scene.resources.approve(STAFF, "first").await?;
    scene.resources.run(STAFF).await?;
    scene
        .shared
        .slapd
        .change("dn: ou=events,dc=example,dc=com\nchangetype: modify\nreplace: description\ndescription: x\n")
        .await?;
    scene.resources.run(STAFF).await?;
    scene.resources.change(STAFF, &json!({ "spec": { "suspend": true } })).await?;
    scene.resources.until(STAFF, "suspended", |_, status| ready(status).1 == "Suspended").await?;
    running.stop().await?;
    let events = scene.events(STAFF).await?;
    let told: Vec<_> = events.iter().map(|(kind, reason)| (kind.as_str(), reason.as_str())).collect();
    let expected = [
        ("Normal", "ApprovalRequired"),
        ("Normal", "ApprovalUsed"),
        ("Normal", "Applied"),
        ("Normal", "Succeeded"),
        ("Normal", "Suspended"),
    ];
    assert_eq!(told, expected);
    assert!(told.iter().all(|(_, reason)| reasons::find(reason).is_some()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_resource_runs_again_when_its_secret_is_mended() -> Result<()> {
    let scene = Scene::new("stalled", PEOPLE).await?;
    let secret = |password: &str| {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "reader" },
                "stringData": { "password": password } })
    };
    scene.apply(secret("wrong")).await?;
    scene.create(&json!({})).await?;
    let running = scene.start().await?;
    let status = scene.resources.settled(STAFF).await?;
    let (state, reason, message) = ready(&status);
    assert_eq!((state, reason), ("False", "SourceAuthFailed"), "{message}");
    assert_eq!(condition(&status, "Stalled").map(|stalled| stalled.reason.as_str()), Some("SourceAuthFailed"));
    assert_eq!(condition(&status, "SourceHealthy").map(|source| source.status.as_str()), Some("False"));
    assert_eq!(status.next_run_time, None);
    let errors = "directorysync_reconcile_errors_total";
    let line = format!("{errors}{{controller=\"directorysync\",reason=\"SourceAuthFailed\",retryable=\"false\"}} 1");
    assert_eq!(running.metric(errors).await?, std::slice::from_ref(&line));
    // The check is due every second here; it finds the same Secret and does nothing.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(running.metric(errors).await?, [line]);
    assert_eq!(scene.resources.get(STAFF).await?.status.unwrap(), status);

    scene.apply(secret(scene.shared.slapd.reader_password().expose_secret())).await?;
    let status = scene.resources.until(STAFF, "ready", |_, status| ready(status).0 == "True").await?;
    assert!(condition(&status, "Stalled").is_none());
    assert_eq!(scene.people().await?, PEOPLE);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_changes_during_a_run_makes_the_next_one_follow_at_once() -> Result<()> {
    let scene = Scene::new("superseded", PEOPLE).await?;
    scene.create(&json!({})).await?;
    // Its plan is being stored when the resource is changed.
    let (storing, changed) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (told, seen) = (Arc::clone(&storing), Arc::clone(&changed));
    let faults = Faults::new(move |method, path| {
        if *method == Method::POST && path.ends_with("/directorysyncplans") {
            told.notify_one();
            while !seen.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Fate::Passes
    });
    let running = scene.start_with(faults.client(&scene.shared.control_plane).await?).await?;
    storing.notified().await;
    let begun = Instant::now();
    let patch = json!({ "spec": { "approval": "Manual" } }).to_string();
    let control_plane = &scene.shared.control_plane;
    control_plane.kubectl(&["-n", "superseded", "patch", "dsync", STAFF, "--type=merge", "-p", &patch]).await?;
    changed.store(true, Ordering::Release);
    let status = scene.resources.settled(STAFF).await?;
    assert_eq!((ready(&status).1, scene.people().await?), ("ApprovalRequired", 0), "the first run sent nothing");
    assert!(begun.elapsed() < Duration::from_secs(5), "no pause as after a failure: {:?}", begun.elapsed());
    let interrupted = running.metric("directorysync_reconcile_total").await?;
    assert!(interrupted.iter().any(|line| line.contains("Interrupted") && line.ends_with(" 1")), "{interrupted:#?}");
    assert!(running.metric("directorysync_reconcile_errors_total").await?.is_empty(), "it is no failure");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_another_spec_overtook_never_says_that_the_resource_is_ready() -> Result<()> {
    let scene = Scene::new("overtaken", PEOPLE).await?;
    scene.create(&json!({ "apply": false })).await?;
    // The spec is changed while the plan is stored. Nothing is to be sent, so nothing else looks at the spec again.
    let (storing, changed) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (told, seen) = (Arc::clone(&storing), Arc::clone(&changed));
    let faults = Faults::new(move |method, path| {
        if *method == Method::POST && path.ends_with("/directorysyncplans") {
            told.notify_one();
            while !seen.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Fate::Passes
    });
    let running = scene.start_with(faults.client(&scene.shared.control_plane).await?).await?;
    storing.notified().await;
    let syncs: Api<DirectorySync> = Api::namespaced(scene.client.clone(), "overtaken");
    let watched = watcher(syncs.clone(), watcher::Config::default()).applied_objects();
    let change = Patch::Merge(json!({ "spec": { "domains": ["example.com"] } }));
    syncs.patch(STAFF, &PatchParams::default(), &change).await?;
    changed.store(true, Ordering::Release);

    let mut overtaken = false;
    let mut watched = Box::pin(watched);
    let followed = async {
        while let Some(sync) = watched.try_next().await? {
            let (generation, status) = (sync.metadata.generation, sync.status.unwrap_or_default());
            let Some(ready) = condition(&status, "Ready") else { continue };
            let is_old = Some(status.observed_generation) < generation;
            assert!(!is_old || ready.status != "True", "{ready:#?}");
            overtaken |= is_old && ready.message.starts_with("Another spec came while a run was under way");
            if !is_old && ready.status == "True" {
                break;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), followed).await??;
    assert!(overtaken, "the run that was overtaken tells what it found");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_status_is_to_hold_no_personal_data_it_holds_counts_alone() -> Result<()> {
    let scene = Scene::new("counts", PEOPLE).await?;
    let nameless = "dn: uid=nameless,ou=counts,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: nameless\n\
                    cn: Nameless Example\nsn: Example\n\n";
    scene.shared.slapd.change(nameless).await?;
    // A service that refuses everybody, and names them, until it names somebody instead of answering at all.
    let is_broken = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&is_broken);
    let service = HttpServer::start(move |request| {
        let named = |status: u16| {
            let detail = format!("p0@counts.example.com: {}", request.body["userName"]);
            Scripted::json(status, &json!({ "detail": detail, "status": status.to_string() }))
        };
        match (request.method.as_str(), request.path.as_str()) {
            _ if broken.load(Ordering::Relaxed) => named(403),
            ("GET", "/ServiceProviderConfig") => Scripted::json(200, &json!({ "patch": { "supported": true } })),
            ("GET", "/Users" | "/Groups") => Scripted::json(200, &json!({ "totalResults": 0 })),
            ("GET", _) => Scripted::json(404, &json!(null)),
            _ => named(400),
        }
    })
    .await?;
    scene.create(&json!({ "planDetail": "CountsOnly", "target": { "scim": { "url": service.url() } } })).await?;
    let running = scene.start().await?;
    let failed = scene.resources.settled(STAFF).await?;
    assert_eq!(ready(&failed).1, "ApplyPartiallyFailed", "{:?}", ready(&failed));
    let applied = failed.last_applied.clone().unwrap();
    assert!(applied.failed > 0 && !applied.failures.is_empty() && failed.plan.as_ref().unwrap().warning_count > 0);
    is_broken.store(true, Ordering::Relaxed);
    let refused = scene.resources.run(STAFF).await?;
    running.stop().await?;
    assert_eq!(ready(&refused).1, "TargetForbidden");
    for status in [&failed, &refused] {
        let text = serde_json::to_string(status)?.to_lowercase();
        // What people have in common is no person.
        for personal in ["@", "p0", "p1", "p2", "nameless", "counts.example.com"] {
            assert!(!text.contains(personal), "{personal} is in {status:#?}");
        }
    }
    let events: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(scene.client.clone(), "counts");
    for event in events.list(&kube::api::ListParams::default()).await? {
        assert!(!event.note.clone().unwrap_or_default().contains('@'), "{event:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_field_that_nobody_refused_is_missing_from_what_is_in_force() -> Result<()> {
    let scene = Scene::new("misspelt", PEOPLE).await?;
    let mut sync = scene.sync(STAFF, &json!({ "apply": false, "domains": ["example.com"] }));
    sync["spec"]["protekt"] = json!([{ "field": "email", "exact": "p0@misspelt.example.com" }]);
    sync["spec"]["aproval"] = json!("Manual");
    sync["spec"]["removal"] = json!({ "policy": "Suspend", "deletAfter": "720h" });
    let control_plane = &scene.shared.control_plane;
    let strict = control_plane.kubectl_with_input(&["-n", "misspelt", "apply", "-f", "-"], &sync.to_string()).await;
    assert!(strict.unwrap_err().to_string().contains("protekt"), "a careful client refuses it");
    let careless = ["-n", "misspelt", "apply", "--validate=false", "-f", "-"];
    control_plane.kubectl_with_input(&careless, &sync.to_string()).await?;
    let running = scene.start().await?;
    let effective = scene.resources.settled(STAFF).await?.plan.unwrap().effective;
    assert_eq!((effective.protected, effective.delete_after), (0, None));
    assert_eq!(effective.approval, ApprovalMode::Automatic);
    assert_eq!(effective.domains, ["example.com"]);

    let spec = json!({ "spec": {
        "protect": [{ "field": "email", "exact": "p0@misspelt.example.com" }],
        "approval": "Manual", "removal": { "deleteAfter": "720h" },
    } });
    let effective = scene.resources.change(STAFF, &spec).await?.plan.unwrap().effective;
    assert_eq!((effective.protected, effective.delete_after.as_deref()), (1, Some("720h")));
    assert_eq!(effective.approval, ApprovalMode::Manual);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_stored_under_another_schema_says_so_and_others_go_on() -> Result<()> {
    let scene = Scene::new("undecodable", PEOPLE).await?;
    scene.create(&json!({})).await?;
    let running = scene.start().await?;
    let before = scene.resources.settled(STAFF).await?;

    // A later version of the kind allows what this version of the operator does not know.
    let control_plane = &scene.shared.control_plane;
    let crd = "directorysyncs.directorysync.dev";
    let place = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/approval/enum/-";
    let patch = json!([{ "op": "add", "path": place, "value": "ByTwoPeople" }]).to_string();
    control_plane.kubectl(&["patch", "crd", crd, "--type=json", "-p", &patch]).await?;
    let raw: Api<kube::api::DynamicObject> =
        Api::namespaced_with(scene.client.clone(), "undecodable", &kube::api::ApiResource::erase::<DirectorySync>(&()));
    let change = Patch::Merge(json!({ "spec": { "approval": "ByTwoPeople" } }));
    for _ in 0..50 {
        if raw.patch(STAFF, &PatchParams::default(), &change).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut object = raw.get(STAFF).await?;
    for _ in 0..100 {
        object = raw.get(STAFF).await?;
        if object.data["status"]["observedGeneration"] == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = &object.data["status"];
    let of = |kind: &str| status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == kind).unwrap().clone();
    for (kind, state) in [("Ready", "False"), ("Stalled", "True")] {
        assert_eq!((&of(kind)["status"], &of(kind)["reason"]), (&json!(state), &json!("InvalidResource")));
    }
    assert!(of("Ready")["message"].as_str().unwrap().contains("ByTwoPeople"), "{}", of("Ready")["message"]);
    assert_eq!(status["plan"]["digest"], json!(before.plan.unwrap().digest), "the plan before it stays");
    let stalled = running.metric("directorysync_resource_condition").await?;
    let is_stalled = |line: &&String| line.contains("status=\"True\",type=\"Stalled\"") && line.ends_with(" 1");
    assert_eq!(stalled.iter().filter(is_stalled).count(), 1, "{stalled:#?}");
    assert!(scene.events(STAFF).await?.contains(&("Warning".to_owned(), "InvalidResource".to_owned())));

    let mut other = scene.sync("other", &json!({ "apply": false }));
    other["metadata"]["namespace"] = json!("undecodable");
    scene.apply(other).await?;
    assert_eq!(ready(&scene.resources.settled("other").await?).0, "True", "others go on");

    let change = Patch::Merge(json!({ "spec": { "approval": "Automatic" } }));
    raw.patch(STAFF, &PatchParams::default(), &change).await?;
    assert_eq!(ready(&scene.resources.settled(STAFF).await?).0, "True", "it recovers by itself");

    let change = Patch::Merge(json!({ "spec": { "approval": "ByTwoPeople" } }));
    raw.patch(STAFF, &PatchParams::default(), &change).await?;
    control_plane.kubectl(&["-n", "undecodable", "delete", "dsync", STAFF, "--timeout=20s"]).await?;
    running.stop().await
}
