//! `plan`: what the operator would store, with or without a cluster, and without applying anything.

mod cluster;
mod references;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use directory_sync_api::DirectorySync;
use directory_sync_api::convert::{principals, rules};
use directory_sync_controller::connect::{Versions, connect};
use directory_sync_controller::reconcile::confirm::removals;
use directory_sync_controller::reconcile::{ReconcileError, mapped, read};
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
use cluster::Cluster;
use references::Places;

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
/// If the manifests are wrong, a value is missing, or the cluster or one of the sides cannot be read whole.
pub async fn plan(arguments: &PlanArguments) -> Result<Verdict> {
    let manifests = Manifests::read(&arguments.files)?;
    let Subject { sync, cluster } = subject(arguments, &manifests).await?;
    let spec = &sync.spec;
    let rules = rules(spec, principals(spec)?)?;
    let namespace = sync.namespace();
    let places = Places {
        manifests: &manifests,
        folder: arguments.secrets.as_deref(),
        namespace: namespace.as_deref(),
        cluster: cluster.as_ref().map(Cluster::references),
    };
    let connection = connect(spec, &places, &mut Versions::default(), Arc::new(Unobserved)).await;
    let connection = connection
        .map_err(|error| places.explain(error))
        .with_context(|| format!("DirectorySync {}", sync.name_any()))?;
    let state = match &cluster {
        Some(cluster) => cluster.state(&sync).await?,
        None => State::new(),
    };

    let world = read::both(&connection).await.map_err(unread)?;
    mapped::check(spec, &world.source)?;
    let now = Timestamp::now();
    let plan = compare(&world.source, &world.target, &rules, &world.capabilities, &state, now);
    let plan = removals(plan, connection.source.as_ref(), &world).await;
    let judgement = judge(plan, &rules, &state, None, now);

    say_what_is_missing(&rules, &state, cluster.is_some());
    say_how_it_compares(&judgement, &sync);
    print(&judgement, &rules, arguments)?;
    Ok(verdict(&judgement))
}

/// What is planned for.
struct Subject {
    /// The resource, with its namespace where that is known.
    sync: DirectorySync,
    /// The cluster, if one is to be read.
    cluster: Option<Cluster>,
}

/// Finds the resource: in the streams if they hold any, else in the cluster.
async fn subject(arguments: &PlanArguments, manifests: &Manifests) -> Result<Subject> {
    let uses_cluster = arguments.cluster || arguments.context.is_some() || manifests.is_empty();
    let name = arguments.name.as_deref();
    if let (false, true, Some(name)) = (manifests.has_syncs(), uses_cluster, name) {
        let cluster = Cluster::open(arguments.context.as_deref(), arguments.namespace.as_deref()).await?;
        return Ok(Subject { sync: cluster.sync(name).await?, cluster: Some(cluster) });
    }
    let mut sync = manifests.sync(name)?.clone();
    let namespace = match (sync.namespace(), arguments.namespace.clone()) {
        (Some(written), Some(wanted)) if written != wanted => bail!(
            "DirectorySync {} lies in the namespace {written}, and --namespace says {wanted}; drop one of them",
            sync.name_any()
        ),
        (written, wanted) => written.or(wanted),
    };
    if !uses_cluster {
        sync.metadata.namespace = namespace;
        return Ok(Subject { sync, cluster: None });
    }
    let cluster = Cluster::open(arguments.context.as_deref(), namespace.as_deref()).await?;
    sync.metadata.namespace = Some(cluster.namespace.clone());
    // The state belongs to the resource that is there now, not to every one of its name.
    let present = cluster.find(&sync.name_any()).await?.unwrap_or_else(|| sync.clone());
    (sync.metadata.uid, sync.status) = (present.metadata.uid, present.status);
    Ok(Subject { sync, cluster: Some(cluster) })
}

fn unread(error: ReconcileError) -> anyhow::Error {
    let side = match &error {
        ReconcileError::Source(_) => "source",
        ReconcileError::Target(_) => "target",
        _ => return error.into(),
    };
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

fn say_what_is_missing(rules: &Rules, state: &State, has_cluster: bool) {
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
