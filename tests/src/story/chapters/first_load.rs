//! From the first plan to the people in the service.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use directory_sync_api::DirectorySync;
use directory_sync_api::status::PlanStatus;
use secrecy::ExposeSecret;

use super::super::manifest::{Replacements, example};
use super::super::stage::ready;
use super::super::{NAMESPACE, SYNC, Stage};
use super::install::{MADE_BY_HAND, PARTNER};

const APPROVER: &str = "ada@example.com";

/// The example is applied, and shows a plan.
pub(in super::super) async fn the_plan(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.chapter("The first plan");
    let file = write_manifest(stage)?;
    stage.narrator.say(
        "A DirectorySync names the directory, the service, a mapping between them and limits. This one is \
         examples/openldap-to-scim.yaml, with this machine's addresses and credentials.",
    );
    stage.kubectl(&["create", "namespace", NAMESPACE]).await?;
    stage.kubectl(&["config", "set-context", "--current", &format!("--namespace={NAMESPACE}")]).await?;
    stage.kubectl(&["apply", "-f", &file]).await?;
    let sync = stage
        .until("The operator reads both sides and plans", |sync| {
            sync.status.as_ref().is_some_and(|status| status.plan.is_some())
        })
        .await?;
    stage.kubectl(&["get", "dsync"]).await?;
    let plan = plan(&sync)?;
    let expected = expected_creations(stage);
    ensure!(plan.summary.users.create == expected, "{} instead of {expected} people", plan.summary.users.create);
    ensure!(plan.summary.users.adopt == 1, "the colleague's account is not taken over");
    ensure!(plan.summary.groups.create == 20, "not every group is created");
    ensure!(plan.stored.is_some(), "the plan is not stored");
    stage.narrator.say("The status holds the plan: how many changes of which kind, and the most important of them.");
    stage.show_status(&["plan", "summary"]).await?;
    stage.show_changes("0:6", "{.verb} {.subject} ({.reason})").await?;
    stage.narrator.say("The oddities of the directory are named, not guessed about:");
    stage.show_list("status.plan.warnings[*]", "{@}").await?;
    stage.narrator.say("Nothing was sent, and the resource says why, and what to do:");
    let message = stage.show_ready().await?;
    ensure!(message.contains("spec.apply"), "the resource does not say why nothing was sent: {message}");
    ensure!(stage.show_scim_count().await? == 2, "something was sent without apply: true");
    Ok(())
}

/// `apply: true` is not enough for a plan of this size.
pub(in super::super) async fn the_hold(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.chapter("A plan beyond the limits waits");
    stage.narrator.say("The plan looks right, so the operator is allowed to apply.");
    let sync = stage.patch("merge", r#"{"spec": {"apply": true}}"#).await?;
    stage.kubectl(&["get", "dsync"]).await?;
    stage.show_status(&["plan", "held"]).await?;
    let held = plan(&sync)?.held.first().context("the plan is not held")?;
    ensure!(held.limit.as_deref() == Some("users.creates"), "the plan is held by {held:?}");
    ensure!(ready(&sync).is_some_and(|ready| ready.status == "True"), "a hold is no failure");
    stage.narrator.say(
        "The example lets a run create 50 people by itself. A first load is more, so it waits for somebody. Waiting is no \
         failure: the resource stays ready, and pipelines that wait for it are not blocked.",
    );
    ensure!(stage.show_scim_count().await? == 2, "something of a held plan was sent");
    Ok(())
}

/// Somebody approves exactly this plan, and it is sent.
pub(in super::super) async fn the_approval(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.chapter("Somebody approves exactly this plan");
    stage.narrator.say(
        "Ada may look at plans and create approvals in this namespace, and nothing else: she can neither read the \
         passwords nor change what is synchronized.",
    );
    let resources = "--resource=directorysyncs.directorysync.dev,directorysyncplans.directorysync.dev";
    stage.kubectl_unseen(&["create", "role", "reviewer", "--verb=get,list", resources]).await?;
    let approvals = "--resource=directorysyncapprovals.directorysync.dev";
    stage.kubectl_unseen(&["create", "role", "approver", "--verb=get,list,create", approvals]).await?;
    for role in ["reviewer", "approver"] {
        let (role, user) = (format!("--role={role}"), format!("--user={APPROVER}"));
        stage.kubectl_unseen(&["create", "rolebinding", &role[7..], &role, &user]).await?;
    }
    let digest = plan(&stage.sync().await?)?.digest.clone();
    let approval = format!(
        "apiVersion: directorysync.dev/v1alpha1\nkind: DirectorySyncApproval\nmetadata:\n  name: first-load\nspec:\n  \
         sync: {SYNC}\n  plan: {digest}\n  approvedBy: {APPROVER}"
    );
    stage.narrator.say("Nobody can approve in Ada's name, not even an administrator:");
    let refusal = stage.kubectl_refused(&["create", "-f", "-"], &approval).await?;
    ensure!(refusal.contains("approvedBy"), "the refusal does not say what is wrong: {refusal}");
    stage
        .narrator
        .say("Ada herself can. The approval names the digest of the plan, so it is worth nothing for another.");
    stage.kubectl_with_input(&[&format!("--as={APPROVER}"), "create", "-f", "-"], &approval).await?;
    let sync = stage
        .until("The operator reads both sides again and sends what was approved and is still wanted", |sync| {
            let applied = sync.status.as_ref().and_then(|status| status.last_applied.as_ref());
            applied.is_some_and(|applied| applied.approval.as_deref() == Some("first-load"))
        })
        .await?;
    let applied = sync.status.and_then(|status| status.last_applied).context("nothing was sent")?;
    ensure!(applied.failed == 0 && applied.digest == digest, "it was not sent as approved: {applied:#?}");
    let columns = "-o=custom-columns=BY:.spec.approvedBy,STATE:.status.state,SENT:.status.sent,FAILED:.status.failed";
    stage.kubectl(&["get", "dsapproval", columns]).await?;
    let sync = stage.run_now().await?;
    stage.kubectl(&["get", "dsync"]).await?;
    ensure!(changes(&sync) == Some("+0 ~0 −0"), "the next run finds something to do: {:#?}", plan(&sync)?.changes);
    the_people_are_there(stage).await
}

async fn the_people_are_there(stage: &mut Stage<'_>) -> Result<()> {
    let people = stage.show_scim_count().await?;
    let expected = u64::try_from(expected_creations(stage))? + 2;
    ensure!(people == expected, "{people} instead of {expected} people in the service");
    let colleague = format!("Users?filter=userName eq \"{MADE_BY_HAND}\"");
    stage.narrator.say("The account that had been made by hand was taken over, and the partner's was not touched:");
    let fields = ["userName", "displayName", "title", "externalId", "active"];
    stage.show_scim(&colleague, &fields).await?;
    stage.show_scim(&format!("Users?filter=userName eq \"{PARTNER}\""), &fields).await?;
    let present = stage.scim.all("Users").await?;
    for person in stage.company.people.iter().filter(|person| !person.disabled) {
        let Some(mail) = &person.mail else { continue };
        let found = present.iter().find(|user| user["userName"] == mail.as_str());
        let found = found.with_context(|| format!("{mail} is not in the service"))?;
        ensure!(found["displayName"] == person.display_name(), "another name: {found}");
        ensure!(found["externalId"] == person.entry_uuid(), "another identity: {found}");
        ensure!(found["active"] == true, "not active: {found}");
    }
    let partner = present.iter().find(|user| user["userName"] == PARTNER).context("the partner is gone")?;
    ensure!(partner["externalId"].is_null() && partner["displayName"] == "Kim Partner", "changed: {partner}");
    let groups = stage.scim.all("Groups").await?;
    ensure!(groups.len() == 20, "{} groups in the service", groups.len());
    Ok(())
}

/// The plan of a resource.
pub(super) fn plan(sync: &DirectorySync) -> Result<&PlanStatus> {
    sync.status.as_ref().and_then(|status| status.plan.as_ref()).context("there is no plan")
}

/// The plan of a resource in a few characters.
pub(super) fn changes(sync: &DirectorySync) -> Option<&str> {
    sync.status.as_ref()?.plan_summary.as_deref()
}

/// Everybody with an address whose account is not disabled, but for the one who has an account already.
fn expected_creations(stage: &Stage<'_>) -> i64 {
    let people = stage.company.people.iter().filter(|person| person.mail.is_some() && !person.disabled).count();
    i64::try_from(people).unwrap_or(i64::MAX) - 1
}

fn write_manifest(stage: &Stage<'_>) -> Result<String> {
    let secrets = &stage.setting.secrets;
    let ldaps = stage.slapd.ldaps_url().context("the directory speaks no TLS")?;
    let manifest = Replacements {
        ldap_password: &secrets.ldap_password,
        scim_token: &secrets.scim_token,
        certificate_authority: stage.certificate_authority(),
        ldap_urls: [&ldaps, &ldaps.replace("127.0.0.1", "localhost")],
        scim_url: &stage.scim.url(),
    }
    .apply(&example()?)?;
    let token = stage.folder().join("scim-token");
    fs::write(&token, secrets.scim_token.expose_secret())?;
    let path = stage.folder().join("staff.yaml");
    fs::write(&path, manifest)?;
    for secret in [&token, &path] {
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600))?;
    }
    path.to_str().map(str::to_owned).context("the folder's path is not text")
}
