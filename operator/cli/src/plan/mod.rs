//! `plan`: what the operator would store, with or without a cluster, and without applying anything.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use directory_sync_api::DirectorySync;
use directory_sync_api::convert::{principals, rules};
use directory_sync_api::sync::DirectorySyncSpec;
use directory_sync_controller::reconcile::confirm::removals;
use directory_sync_controller::reconcile::{mapped, read};
use directory_sync_controller::schedule::Schedule;
use directory_sync_controller::store::approvals::expires_after;
use directory_sync_core::gate::{Judgement, judge};
use directory_sync_core::plan::document::PlanDocument;
use directory_sync_core::plan::{plan as compare, render};
use directory_sync_core::rules::{Removal, Rules};
use directory_sync_core::state::State;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::arguments::{PlanArguments, PlanFormat};
use crate::manifest::Manifests;
use crate::output;
use crate::subject::{Subject, unread};

/// What came of it, as a pipeline reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Both sides agree.
    NothingToDo,
    /// There are changes, and nothing but `apply: false` keeps the operator from sending them.
    Pending,
    /// Some of the changes wait for a person.
    Held,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::NothingToDo => Self::SUCCESS,
            Verdict::Pending => Self::from(2),
            Verdict::Held => Self::from(3),
        }
    }
}

/// Reads both sides, plans, and prints the plan.
///
/// # Errors
/// If the manifests are wrong, a value is missing, or the cluster or one of the sides cannot be read whole.
pub async fn plan(arguments: &PlanArguments) -> Result<Verdict> {
    let manifests = Manifests::read(&arguments.place.files)?;
    let subject = Subject::find(&arguments.place, arguments.name.as_deref(), &manifests).await?;
    let spec = &subject.sync.spec;
    let mut rules = rules(spec, principals(spec)?)?;
    check_times(spec).with_context(|| subject.title())?;
    let connection = subject.connection(&subject.places(&arguments.place, &manifests)).await?;
    rules.password_key.clone_from(&connection.password_key);
    let state = subject.state().await?;

    let world = read::alone(&connection, &subject.sync.name_any()).await.map_err(unread)?;
    mapped::check(spec, &world.source)?;
    let now = Timestamp::now();
    let plan = compare(&world.source, &world.target, &rules, &world.capabilities, &state, now);
    let plan = removals(plan, &world).await;
    let judgement = judge(plan, &rules, &state, None, now);

    say_what_is_missing(&rules, &state, subject.cluster.is_some());
    say_how_it_compares(&judgement, &subject.sync);
    print(&judgement, &rules, arguments)?;
    Ok(verdict(&judgement))
}

/// Refuses what a plan does not need, and the operator cannot run by.
fn check_times(spec: &DirectorySyncSpec) -> Result<()> {
    Schedule::of(&spec.schedule, "")?;
    expires_after(&spec.approval_expires_after)?;
    Ok(())
}

fn verdict(judgement: &Judgement<'_>) -> Verdict {
    if judgement.plan().operations().is_empty() {
        Verdict::NothingToDo
    } else if judgement.holds().iter().any(|hold| hold.reason() != "NotApplied") {
        Verdict::Held
    } else {
        Verdict::Pending
    }
}

/// Says which guards cannot work without the state.
pub fn say_what_is_missing(rules: &Rules, state: &State, has_cluster: bool) {
    if !state.is_new() {
        return;
    }
    let beginning =
        if has_cluster { "the cluster holds no state of this resource yet" } else { "without the state of a cluster" };
    output::remark(&format!(
        "note: {beginning}: the source is compared with what the target holds under its mark, not with the last good \
         read; and leavers are recognised only by their external id in the target"
    ));
    if matches!(rules.removal, Removal::Suspend { delete_after: Some(_) }) {
        output::remark(&format!(
            "note: {beginning}: it is not known when somebody was suspended, so deleteAfter deletes nobody here"
        ));
    }
}

/// Says whether it is the plan that the status of the resource shows, where it has one.
fn say_how_it_compares(judgement: &Judgement<'_>, sync: &DirectorySync) {
    let Some(shown) = sync.status.as_ref().and_then(|status| status.plan.as_ref()) else { return };
    if shown.digest == judgement.plan().digest().to_string() {
        output::remark("note: this is the plan that the status of the resource shows");
    } else {
        output::remark(&format!(
            "note: the status of the resource shows another plan, {}, made at {}",
            shown.digest, shown.planned_at.0
        ));
    }
}

fn print(judgement: &Judgement<'_>, rules: &Rules, arguments: &PlanArguments) -> Result<()> {
    let document = PlanDocument::of(judgement, rules);
    let mut text = Vec::new();
    match arguments.output {
        PlanFormat::Text => {
            let colour = !arguments.no_color && output::may_colour_stdout();
            render::people(&document, colour, &mut text)?;
        }
        PlanFormat::Json => render::json(&document, &mut text)?,
        PlanFormat::Csv => render::csv(&document, &mut text)?,
        PlanFormat::Markdown => render::markdown(&document, &mut text)?,
    }
    Ok(output::print(std::str::from_utf8(&text).context("the plan is no text")?)?)
}
