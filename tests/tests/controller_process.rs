//! The process: when it ends at once, what its probes say, what it measures, and which namespaces it watches.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use controller::faults::{Fate, Faults};
use controller::{Running, STAFF, Scene, pauses, shared};
use directory_sync_controller::metrics;
use directory_sync_controller::operator::{self, OperatorConfig, OperatorError};
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::resources::ready;
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn config(address: std::net::SocketAddr) -> OperatorConfig {
    OperatorConfig { namespaces: Vec::new(), address, pauses: pauses() }
}

/// How the operator ends, which it has to do soon.
async fn ends(client: kube::Client, config: OperatorConfig) -> Result<OperatorError> {
    let run = operator::run(client, config, CancellationToken::new());
    let ended = tokio::time::timeout(Duration::from_secs(10), run).await.context("it goes on")?;
    Ok(ended.expect_err("it should not run"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_ends_it_at_once_with_a_clear_sentence() -> Result<()> {
    let client = shared().await?.control_plane.client().await?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let error = ends(client, config(taken.local_addr()?)).await?;
    assert!(matches!(error, OperatorError::Serve { .. }));
    let sentence = error.to_string();
    assert!(sentence.contains("cannot be served at 127.0.0.1:") && sentence.contains("free the port"), "{sentence}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_kinds_end_it_at_once_with_what_to_do() -> Result<()> {
    let empty = ControlPlane::start().await?;
    let error = ends(empty.client().await?, config("127.0.0.1:0".parse()?)).await?.to_string();
    assert!(error.contains("does not know DirectorySync") && error.contains("kubectl apply"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_live_at_once_and_ready_when_it_knows_every_resource() -> Result<()> {
    let shared = shared().await?;
    // The first list is the check that the kind is there; the second fills the cache, and is not answered.
    let lists = AtomicUsize::new(0);
    let faults = Faults::new(move |_, path| {
        let is_list = path.ends_with("/directorysyncs");
        if is_list && lists.fetch_add(1, Ordering::Relaxed) == 1 { Fate::StopsBefore } else { Fate::Passes }
    });
    let client = faults.client(&shared.control_plane).await?;
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let run = tokio::spawn(operator::run(client, config(address), CancellationToken::new()));
    faults.reached().await;
    let status = async |page: &str| reqwest::get(format!("http://{address}/{page}")).await.map(|got| got.status());
    assert_eq!((status("livez").await?.as_u16(), status("readyz").await?.as_u16()), (200, 503));
    run.abort();

    let running = Running::start(shared.control_plane.client().await?, Vec::new()).await?;
    assert_eq!((running.get("livez").await?.0, running.get("readyz").await?.0), (200, 200));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_namespaces_that_are_named_are_watched() -> Result<()> {
    let (watched, ignored) = tokio::try_join!(Scene::new("watched", 1), Scene::new("ignored", 1))?;
    watched.create(&json!({ "apply": false })).await?;
    ignored.create(&json!({ "apply": false })).await?;
    let running = watched.start().await?;
    watched.resources.settled(STAFF).await?;
    let other = ignored.resources.get(STAFF).await?;
    assert!(other.metadata.finalizers.is_none());
    assert_eq!(other.status.map(|status| status.observed_generation), Some(-1), "as it was created");
    running.stop().await?;

    let running = Running::start(watched.client.clone(), vec!["watched".to_owned(), "ignored".to_owned()]).await?;
    ignored.resources.settled(STAFF).await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_measured() -> Result<()> {
    let scene = Scene::new("measured", 6).await?;
    let limits = json!({ "users": { "removals": { "max": 1 } } });
    scene.create(&json!({ "limits": limits })).await?;
    let running = scene.start().await?;
    scene.resources.settled(STAFF).await?;
    for uid in ["p0", "p1"] {
        scene.shared.slapd.delete(&format!("uid={uid},ou=measured,dc=example,dc=com")).await?;
    }
    let held = scene.resources.run(STAFF).await?;
    assert_eq!(ready(&held).1, "LimitExceeded");
    let text = running.get("metrics").await?.1;
    let of = "namespace=\"measured\"";
    for line in [
        format!("directorysync_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        "directorysync_reconcile_total{controller=\"directorysync\",outcome=\"Succeeded\"} 2".to_owned(),
        "directorysync_reconcile_active{controller=\"directorysync\"} 0".to_owned(),
        "directorysync_objects_in_backoff 0".to_owned(),
        format!("directorysync_resource_condition{{name=\"staff\",{of},status=\"True\",type=\"PlanHeld\"}} 1"),
        format!("directorysync_resource_condition{{name=\"staff\",{of},status=\"False\",type=\"Stalled\"}} 1"),
        format!("directorysync_resource_suspended{{name=\"staff\",{of}}} 0"),
        format!("directorysync_plan_changes{{action=\"SuspendUser\",name=\"staff\",{of}}} 2"),
        format!("directorysync_plan_changes{{action=\"CreateUser\",name=\"staff\",{of}}} 0"),
        format!("directorysync_plan_warnings{{kind=\"UnresolvedMembers\",name=\"staff\",{of}}} 2"),
        format!("directorysync_deletion_guard_tripped_total{{name=\"staff\",{of},reason=\"LimitExceeded\"}} 1"),
        format!("directorysync_source_entries{{kind=\"User\",name=\"staff\",{of}}} 4"),
        format!("directorysync_target_entries{{kind=\"User\",name=\"staff\",{of}}} 6"),
        "directorysync_apply_operations_total{operation=\"CreateUser\",outcome=\"Succeeded\",target=\"scim\"} 6"
            .to_owned(),
        "directorysync_source_fetch_duration_seconds_count{source=\"ldap\"} 2".to_owned(),
        "directorysync_target_fetch_duration_seconds_count{target=\"scim\"} 2".to_owned(),
    ] {
        assert!(text.lines().any(|present| present == line), "{line} is not in\n{text}");
    }
    for begin in [
        "directorysync_kube_client_requests_total{code=\"200\",method=\"GET\"} ",
        "directorysync_kube_client_request_duration_seconds_count{method=\"PATCH\"} ",
        "directorysync_reconcile_waiting{controller=\"directorysync\"} 0",
    ] {
        assert!(text.lines().any(|present| present.starts_with(begin)), "{begin} is not in\n{text}");
    }
    assert!(!text.contains("directorysync_reconcile_started_timestamp_seconds{"), "no run is under way");
    let reference = metrics::reference();
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).filter_map(|line| line.split(' ').next()) {
        assert!(reference.contains(&format!("`{name}`")), "{name} is not in the reference");
    }
    let held = running.metric(&format!("directorysync_plan_held_changes{{name=\"staff\",{of}")).await?;
    assert_eq!(held.len(), 1, "{held:#?}");
    running.stop().await
}
