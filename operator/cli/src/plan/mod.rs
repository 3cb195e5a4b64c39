//! `plan`: what the operator would store, without a cluster and without applying anything.

mod references;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use directory_sync_api::convert::{principals, rules};
use directory_sync_controller::connect::{Connection, Versions, connect};
use directory_sync_core::confirm::{confirm, lookups};
use directory_sync_core::disposition::Classified;
use directory_sync_core::gate::{Judgement, judge};
use directory_sync_core::plan::document::PlanDocument;
use directory_sync_core::plan::{plan as compare, render};
use directory_sync_core::rules::{Removal, Rules};
use directory_sync_core::state::State;
use directory_sync_targets::Unobserved;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::arguments::{PlanArguments, PlanFormat};
use crate::manifest::Manifests;
use crate::output;
use references::WrittenDown;

/// Most people and groups that are looked up once more; more removals than that exceed any sensible limit.
const LOOKUP_BOUND: usize = 1000;

/// What came of it, as a pipeline reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
/// If the manifests are wrong, a value is missing, or one of the sides cannot be read whole.
pub async fn plan(arguments: &PlanArguments) -> Result<Verdict> {
    let manifests = Manifests::read(&arguments.files)?;
    let sync = manifests.sync(arguments.name.as_deref())?;
    let spec = &sync.spec;
    let rules = rules(spec, principals(spec)?)?;
    let namespace = sync.namespace();
    let references =
        WrittenDown { manifests: &manifests, folder: arguments.secrets.as_deref(), namespace: namespace.as_deref() };
    let Connection { source, target, managed } =
        connect(spec, &references, &mut Versions::default(), Arc::new(Unobserved))
            .await
            .with_context(|| format!("DirectorySync {}", sync.name_any()))?;

    let reads = async {
        let capabilities = target.discover().await.map_err(|error| failed("target", error.as_ref()))?;
        let read = target.read().await.map_err(|error| failed("target", error.as_ref()))?;
        anyhow::Ok((capabilities, read))
    };
    let read = async { source.read().await.map_err(|error| failed("source", error.as_ref())) };
    let (source_read, (capabilities, target_read)) = futures::future::try_join(read, reads).await?;
    let capabilities = managed.of(capabilities);

    let state = State::new();
    let now = Timestamp::now();
    let plan = compare(&source_read, &target_read, &rules, &capabilities, &state, now);
    let lookups = lookups(&plan, LOOKUP_BOUND);
    let findings = source.confirm(lookups.as_slice(), source_read.snapshot().referencer()).await;
    let judgement = judge(confirm(plan, lookups, findings), &rules, &state, None, now);

    say_what_is_missing_without_state(&rules);
    print(&judgement, &rules, arguments)?;
    Ok(verdict(&judgement))
}

fn failed(side: &str, error: &dyn Classified) -> anyhow::Error {
    anyhow!("the {side} cannot be read ({}): {error}", error.reason())
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

fn say_what_is_missing_without_state(rules: &Rules) {
    output::remark(
        "note: without the state of a cluster the source is compared with what the target holds under its mark, not \
         with the last good read; and leavers are recognised only by their external id in the target",
    );
    if matches!(rules.removal, Removal::Suspend { delete_after: Some(_) }) {
        output::remark(
            "note: without the state of a cluster it is not known when somebody was suspended, so deleteAfter deletes nobody here",
        );
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
