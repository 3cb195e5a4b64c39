//! What must not become an accident.

use anyhow::{Result, ensure};

use super::super::Stage;
use super::super::stage::ready;
use super::first_load::{changes, plan};

const FILTER: &str = "(objectClass=inetOrgPerson)";
const WRONG_FILTER: &str = "(&(objectClass=inetOrgPerson)(telephoneNumber=+49 30 5550 10*))";

/// A filter that would remove half the company.
pub(in super::super) async fn a_wrong_filter(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.chapter("Tuesday: a filter that would remove half the company");
    stage.narrator.say(
        "Somebody narrows the filter to the telephone numbers of the main building, and does not know that half the \
         company has numbers that begin with 11 by now.",
    );
    let before = active_people(stage).await?;
    let sync = stage.patch("json", &filter_patch(WRONG_FILTER)).await?;
    stage.kubectl(&["get", "dsync"]).await?;
    stage
        .narrator
        .say("More than the limits allow would go, so nothing of the plan is sent. The status says which limits:");
    stage.show_status(&["plan", "held"]).await?;
    stage.show_changes("0:4", "{.verb} {.subject} ({.reason})").await?;
    let plan = plan(&sync)?;
    ensure!(plan.summary.users.suspend > 90, "the filter removes only {} people", plan.summary.users.suspend);
    let reasons: Vec<_> = plan.held.iter().map(|hold| hold.reason.as_str()).collect();
    ensure!(reasons.contains(&"LimitExceeded") && reasons.contains(&"SourceShrunk"), "held by {reasons:?}");
    let after = active_people(stage).await?;
    ensure!(before == after, "{before} people could sign in before and {after} after");
    stage.narrator.say(&format!(
        "Those people are still in the directory, and the plan says so: they no longer match. The condition PlanHeld and a \
         metric tell whoever is on duty; all {after} people can still sign in. The filter is mended:"
    ));
    let sync = stage.patch("json", &filter_patch(FILTER)).await?;
    stage.kubectl(&["get", "dsync"]).await?;
    ensure!(changes(&sync) == Some("+0 ~0 −0"), "something is left to do: {:?}", changes(&sync));
    Ok(())
}

/// The directory does not answer.
pub(in super::super) async fn an_outage(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.chapter("Wednesday: the directory is down");
    let before = active_people(stage).await?;
    stage.slapd.stop_serving();
    stage
        .narrator
        .say("The directory is stopped. A directory that cannot be read whole is never taken for an empty one.");
    let sync = stage.run_now().await?;
    let message = stage.show_ready().await?;
    ensure!(ready(&sync).is_some_and(|ready| ready.status == "False"), "the outage was not noticed: {message}");
    ensure!(active_people(stage).await? == before, "the outage changed the service");
    stage.slapd.start_serving().await?;
    stage.narrator.say("It is back, and so is the operator: after a failure it tries again by itself.");
    let sync =
        stage.until("The operator tries again", |sync| ready(sync).is_some_and(|ready| ready.status == "True")).await?;
    stage.kubectl(&["get", "dsync"]).await?;
    ensure!(changes(&sync) == Some("+0 ~0 −0"), "something is left to do: {:?}", changes(&sync));
    ensure!(active_people(stage).await? == before, "the outage changed the service");
    Ok(())
}

async fn active_people(stage: &Stage<'_>) -> Result<usize> {
    Ok(stage.scim.all("Users").await?.iter().filter(|user| user["active"] == true).count())
}

fn filter_patch(filter: &str) -> String {
    format!("[{{\"op\": \"replace\", \"path\": \"/spec/source/ldap/users/0/filter\",\n  \"value\": \"{filter}\"}}]")
}
