//! The controller on a real API server, a real OpenLDAP and a real SCIM server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use anyhow::{Context, Result};
use directory_sync_api::{DirectorySync, DirectorySyncApproval, DirectorySyncStatus};
use directory_sync_controller::backoff::Pauses;
use directory_sync_controller::operator::{self, OperatorConfig};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(90);

async fn until(
    syncs: &Api<DirectorySync>,
    what: &str,
    holds: impl Fn(&DirectorySyncStatus) -> bool,
) -> Result<DirectorySyncStatus> {
    let mut last = None;
    let waited = tokio::time::timeout(LIMIT, async {
        loop {
            if let Some(status) = syncs.get("staff").await?.status {
                if holds(&status) {
                    return anyhow::Ok(status);
                }
                last = Some(status);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    waited.with_context(|| format!("never {what}: {last:#?}"))?
}

fn ready(status: &DirectorySyncStatus) -> Option<(&str, &str)> {
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((&ready.status, &ready.reason))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_shown_then_approved_then_sent_and_the_next_run_finds_nothing_to_do() -> Result<()> {
    let (control_plane, slapd, scim) = tokio::try_join!(
        ControlPlane::start(),
        async { Slapd::start(&SlapdOptions::default(), &Company::small()).await },
        Scim2Server::start(Scim2ServerOptions::default()),
    )?;
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds");
    control_plane.kubectl(&["apply", "--server-side", "-f", crds]).await?;
    control_plane.kubectl(&["wait", "--for=condition=Established", "--all", "crd", "--timeout=30s"]).await?;
    control_plane.create_namespace("identity").await?;
    let stream = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "reader" },
          "stringData": { "username": READER_DN, "password": slapd.reader_password().expose_secret() } },
        { "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "scim" },
          "stringData": { "token": scim.token().expose_secret() } },
        { "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync", "metadata": { "name": "staff" },
          "spec": {
            "source": { "ldap": {
                "urls": [slapd.url()],
                "tls": { "plaintext": "AllowPasswordsInClearText" },
                "bind": { "simple": { "secretRef": { "name": "reader" } } },
                "users": [{ "baseDN": "ou=people,dc=example,dc=com", "filter": "(objectClass=inetOrgPerson)" }],
                "groups": [{ "baseDN": "ou=groups,dc=example,dc=com", "filter": "(objectClass=groupOfNames)" }],
            } },
            "target": { "scim": {
                "url": scim.url(),
                "tls": { "plaintext": "AllowTokenInClearText" },
                "auth": { "bearerTokenSecretRef": { "name": "scim", "key": "token" } },
                "requestsPerSecond": 1000,
            } },
            "approval": "Manual",
          } },
    ] });
    control_plane.kubectl_with_input(&["-n", "identity", "apply", "-f", "-"], &stream.to_string()).await?;

    let client = control_plane.client().await?;
    let stop = CancellationToken::new();
    let config = OperatorConfig {
        namespaces: vec!["identity".to_owned()],
        address: "127.0.0.1:0".parse()?,
        pauses: Pauses { shortest: Duration::from_secs(1), ..Pauses::default() },
    };
    let operator = tokio::spawn(operator::run(client.clone(), config, stop.clone()));
    let syncs: Api<DirectorySync> = Api::namespaced(client.clone(), "identity");

    let planned = until(&syncs, "planned", |status| status.plan.is_some()).await?;
    assert_eq!(ready(&planned).map(|ready| ready.0), Some("True"), "{:#?}", planned.conditions);
    assert!(scim.all("Users").await?.is_empty(), "apply: false sends nothing");

    let patch = Patch::Merge(json!({ "spec": { "apply": true } }));
    syncs.patch("staff", &PatchParams::default(), &patch).await?;
    let held = until(&syncs, "held", |status| ready(status) == Some(("True", "ApprovalRequired"))).await?;
    assert!(scim.all("Users").await?.is_empty(), "without an approval nothing is sent");

    let approval: DirectorySyncApproval = serde_json::from_value(json!({
        "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySyncApproval",
        "metadata": { "name": "first" },
        "spec": { "sync": "staff", "plan": held.plan.context("a plan")?.digest, "approvedBy": "admin" },
    }))?;
    let approvals: Api<DirectorySyncApproval> = Api::namespaced(client, "identity");
    approvals.create(&PostParams::default(), &approval).await?;
    let applied = until(&syncs, "applied", |status| status.last_applied.is_some()).await?;
    let sent = applied.last_applied.clone().context("something was sent")?;
    assert_eq!((sent.failed, sent.approval.as_deref()), (0, Some("first")), "{sent:#?}");
    let people = scim.all("Users").await?.len();
    assert_eq!(i64::try_from(people)?, planned.plan.context("a plan")?.summary.users.create);
    let used = approvals.get("first").await?.status.context("a status")?;
    assert_eq!(used.sent, Some(sent.succeeded));

    let annotations = json!({ "metadata": { "annotations": { "directorysync.dev/requestedAt": "now" } } });
    syncs.patch("staff", &PatchParams::default(), &Patch::Merge(annotations)).await?;
    let again = until(&syncs, "run again", |status| status.last_handled_reconcile_at.is_some()).await?;
    assert_eq!(again.plan_summary.as_deref(), Some("+0 ~0 −0"), "{:#?}", again.plan);
    assert_eq!(scim.all("Users").await?.len(), people);

    control_plane.kubectl(&["-n", "identity", "delete", "directorysyncs", "staff", "--timeout=20s"]).await?;
    assert_eq!(scim.all("Users").await?.len(), people, "nobody goes with the resource");
    stop.cancel();
    operator.await??;
    Ok(())
}
