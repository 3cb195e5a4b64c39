//! `explain`: one person or group from the source to the target, and where and why it stops.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use directory_sync_api::convert::{principals, rules};
use directory_sync_api::exclusion::{Exclusions, PrincipalMatch};
use directory_sync_api::sync::DirectorySyncSpec;
use directory_sync_controller::reconcile::confirm::removals;
use directory_sync_controller::reconcile::{ReconcileError, mapped, read};
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::gate::{Hold, Judgement, judge};
use directory_sync_core::matcher::Matchers;
use directory_sync_core::operation::Kind;
use directory_sync_core::plan::explain::{Explanation, Subject as Row, explain as explain_row};
use directory_sync_core::plan::{plan as compare, render};
use directory_sync_sources::{Sighting, Source};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::arguments::{ExplainArguments, TextFormat};
use crate::manifest::Manifests;
use crate::mapped::Mapped;
use crate::output;
use crate::plan::{Verdict, say_what_is_missing};
use crate::subject::{Subject, unread};

/// Everything about one person or group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Story {
    kind: Kind,
    /// Where the entry is in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Sighting>,
    /// Why an entry that is there was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_read: Option<String>,
    /// What it is mapped to.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Mapped>,
    /// The rules that name it: `exclude.source[1] (glob svc-*)`.
    rules: Vec<String>,
    /// What the target has.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Mapped>,
    /// What the plan does.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
    verdict: Verdict,
}

/// Follows one person or group, and prints where that leads.
///
/// # Errors
/// If nobody is found on either side, and whatever keeps a plan from being made.
pub async fn explain(arguments: &ExplainArguments) -> Result<ExitCode> {
    let manifests = Manifests::read(&arguments.place.files)?;
    let subject = Subject::find(&arguments.place, arguments.sync.as_deref(), &manifests).await?;
    let spec = &subject.sync.spec;
    let mut rules = rules(spec, principals(spec)?)?;
    let connection = subject.connection(&subject.places(&arguments.place, &manifests)).await?;
    rules.password_key.clone_from(&connection.password_key);
    let state = subject.state().await?;
    let world = read::alone(&connection, &subject.sync.name_any()).await.map_err(unread)?;
    mapped::check(spec, &world.source)?;
    let now = Timestamp::now();
    let plan = compare(&world.source, &world.target, &rules, &world.capabilities, &state, now);
    let plan = removals(plan, &world).await;
    let judgement = judge(plan, &rules, &state, None, now);
    let sightings = connection.source.find(&arguments.who).await;
    let mut sightings = sightings.map_err(|error| unread(ReconcileError::Source(error)))?;

    let plan = judgement.plan().plan();
    let mut rows = plan.subjects(&arguments.who);
    for sighting in sightings.iter().filter(|sighting| !sighting.id.is_empty()) {
        let known = plan.subjects(&sighting.id).into_iter().filter(|row| row.kind == sighting.kind);
        rows.extend(known.filter(|row| !rows.contains(row)).collect::<Vec<_>>());
    }
    let mut stories = Vec::new();
    for row in rows {
        let from = |is: &Sighting| is.kind == row.kind && Some(is.id.as_str()) == source_id(&judgement, row);
        let place = sightings.iter().position(from);
        let entry = place.map(|place| sightings.remove(place));
        let explanation = explain_row(&judgement, &rules, row);
        stories.push(story(&judgement, spec, row, entry, explanation)?);
    }
    for entry in sightings {
        let not_read = Some(why_not_read(connection.source.as_ref(), &world, &entry).await);
        let verdict = Verdict::NothingToDo;
        let (kind, rules) = (entry.kind, Vec::new());
        let entry = Some(entry);
        stories.push(Story { kind, entry, not_read, source: None, rules, target: None, explanation: None, verdict });
    }
    if stories.is_empty() {
        bail!(
            "`{}` is nobody: not read from the source, not found there without the filters, and not in the target",
            arguments.who
        );
    }
    say_what_is_missing(&rules, &state, subject.cluster.is_some());
    match arguments.output {
        TextFormat::Text => output::print(&output::harmless(&in_words(&stories, judgement.holds())?))?,
        TextFormat::Json => output::print_json(&stories)?,
    }
    let worst = stories.iter().map(|story| story.verdict).max();
    Ok(worst.unwrap_or(Verdict::NothingToDo).into())
}

fn source_id<'w>(judgement: &Judgement<'w>, row: Row) -> Option<&'w str> {
    let source = judgement.plan().plan().source();
    Some(if row.kind == Kind::Group { source.group(row.source?).id() } else { source.user(row.source?).id() })
}

fn story(
    judgement: &Judgement<'_>,
    spec: &DirectorySyncSpec,
    row: Row,
    entry: Option<Sighting>,
    explanation: Explanation,
) -> Result<Story> {
    let (source, target) = (judgement.plan().plan().source(), judgement.plan().plan().target());
    let exclude = spec.exclude.clone().unwrap_or_default();
    let mut rules = Vec::new();
    for (list, written) in [("source", &exclude.source), ("target", &exclude.target), ("protect", &spec.protect)] {
        let snapshot = if list == "target" { target } else { source };
        let place = if list == "target" { row.target } else { row.source };
        let path = if list == "protect" { list.to_owned() } else { format!("exclude.{list}") };
        for (index, rule) in written.iter().enumerate() {
            let rule_alone = alone(spec, rule)?;
            let names = |snapshot: &directory_sync_core::snapshot::Snapshot, row: usize, kind: Kind| match kind {
                Kind::Group => rule_alone.matches_group(&snapshot.group(row)),
                _ => rule_alone.matches_user(&snapshot.user(row)),
            };
            // What left the source is judged by the copy in the target.
            let copy = row.target.filter(|_| place.is_none() || list == "protect");
            if place.is_some_and(|at| names(snapshot, at, row.kind))
                || copy.is_some_and(|at| names(target, at, row.kind))
            {
                rules.push(format!("{path}[{index}] ({})", in_short(rule)));
            }
        }
    }
    let mapped = |snapshot: &directory_sync_core::snapshot::Snapshot, at: usize| match row.kind {
        Kind::Group => Mapped::group(snapshot.group(at)),
        _ => Mapped::user(snapshot.user(at)),
    };
    let waits = explanation.operations.iter().filter_map(|line| line.waiting);
    let is_held = waits.into_iter().any(|waiting| waiting.to_string() != "NotApplied");
    let verdict = match (explanation.operations.is_empty(), is_held) {
        (true, _) => Verdict::NothingToDo,
        (false, true) => Verdict::Held,
        (false, false) => Verdict::Pending,
    };
    Ok(Story {
        kind: row.kind,
        entry,
        not_read: None,
        source: row.source.map(|at| mapped(source, at)),
        rules,
        target: row.target.map(|at| mapped(target, at)),
        explanation: Some(explanation),
        verdict,
    })
}

/// One rule compiled by itself.
fn alone(spec: &DirectorySyncSpec, rule: &PrincipalMatch) -> Result<Matchers> {
    let only = Exclusions { source: vec![rule.clone()], target: Vec::new() };
    Ok(principals(&DirectorySyncSpec { exclude: Some(only), protect: Vec::new(), ..spec.clone() })?.exclude_source)
}

fn in_short(rule: &PrincipalMatch) -> String {
    let PrincipalMatch { field, exact, glob, regex, cel, .. } = rule;
    let test = [("exact", exact), ("glob", glob), ("regex", regex), ("cel", cel)];
    let test = test.into_iter().find_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
    [field.clone(), test].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Why an entry that is there is not in the read.
async fn why_not_read(source: &dyn Source, world: &read::World, entry: &Sighting) -> String {
    if entry.id.is_empty() {
        return "it has no immutable id by the mapping, or the account may not read it".to_owned();
    }
    let id = entry.id.clone();
    let lookup = if entry.kind == Kind::Group { Lookup::Group { id } } else { Lookup::User { id } };
    let finding = source.confirm(&[lookup], world.source.snapshot().referencer()).await.pop();
    let (selected, passed_over) = (!entry.selected_by.is_empty(), entry.passed_over_by.join("; "));
    match finding {
        Some(Finding::MovedOutOfScope) => "no search reaches it: it lies outside what is read".to_owned(),
        Some(Finding::NoLongerMatches) if selected => {
            "a search selects it, and it is not among those to which the source is limited".to_owned()
        }
        Some(Finding::NoLongerMatches) if passed_over.is_empty() => "no search selects it".to_owned(),
        Some(Finding::NoLongerMatches) => format!("no search selects it; it is passed over by {passed_over}"),
        Some(Finding::Unreadable { message }) => message,
        Some(Finding::Gone) => "it was there a moment ago, and is gone".to_owned(),
        _ => "it appeared after the read; the next run reads it".to_owned(),
    }
}

fn in_words(stories: &[Story], holds: &[Hold]) -> Result<String> {
    let mut text = String::new();
    for (index, story) in stories.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        tell(&mut text, story)?;
        if story.verdict != Verdict::NothingToDo {
            for hold in holds {
                let _ = writeln!(text, "{:<10}{hold}", "held");
            }
        }
    }
    Ok(text)
}

fn tell(text: &mut String, story: &Story) -> Result<()> {
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{}", format!("{name:<10}{value}").trim_end());
    };
    match &story.entry {
        Some(entry) if entry.selected_by.is_empty() => row("entry", &entry.name),
        Some(entry) => row("entry", &format!("{}, selected by {}", entry.name, entry.selected_by.join(", "))),
        None => row("entry", "not found in the source"),
    }
    if let Some(why) = &story.not_read {
        row("not read", why);
    }
    if let Some(mapped) = &story.source {
        row("mapped to", &mapped.line());
    }
    for rule in &story.rules {
        row("named by", rule);
    }
    let Some(explanation) = &story.explanation else { return Ok(()) };
    match (&story.target, explanation.bond) {
        (Some(target), Some(bond)) => {
            row("target", &target.line());
            row("match", &bond.to_string());
        }
        _ => row("target", "not there"),
    }
    for stop in &explanation.stops {
        row("stops", &stop.to_string());
    }
    if explanation.operations.is_empty() && explanation.stops.is_empty() {
        row("plan", "nothing to do: in line with the source");
    }
    if explanation.operations.is_empty() {
        return Ok(());
    }
    row("plan", "");
    let mut lines = Vec::new();
    for line in &explanation.operations {
        render::operation(line, true, false, &mut lines)?;
    }
    text.push_str(std::str::from_utf8(&lines).context("the plan is no text")?);
    for why in &explanation.unconfirmed {
        let _ = writeln!(text, "{:<10}{why}", "unsure");
    }
    Ok(())
}
