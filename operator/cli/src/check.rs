//! `source check`: what a source says, before any plan.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use directory_sync_api::convert::{principals, rules};
use directory_sync_controller::reconcile::{ReconcileError, mapped};
use directory_sync_core::inspect::{EntryCounts, Inspection, inspect};
use directory_sync_sources::SourceDescription;
use serde::Serialize;

use crate::arguments::{CheckArguments, TextFormat};
use crate::manifest::Manifests;
use crate::mapped::Mapped;
use crate::output;
use crate::subject::{Subject, unread};

/// Exit code where there is something to warn of.
const WARNED: u8 = 2;

/// What was found out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    source: SourceDescription,
    #[serde(flatten)]
    inspection: Inspection,
    first_users: Vec<Mapped>,
    first_groups: Vec<Mapped>,
}

/// Reads the source and says what it gives.
///
/// # Errors
/// If the manifests are wrong, a value is missing, the source cannot be read whole, or the mapping finds nobody.
pub async fn check(arguments: &CheckArguments) -> Result<ExitCode> {
    let manifests = Manifests::read(&arguments.place.files)?;
    let subject = Subject::find(&arguments.place, arguments.name.as_deref(), &manifests).await?;
    let spec = &subject.sync.spec;
    let rules = rules(spec, principals(spec)?)?;
    let source = subject.source(&subject.places(&arguments.place, &manifests)).await?;
    let failed = |error| unread(ReconcileError::Source(error));
    let description = source.describe().await.map_err(failed)?;
    let mut read = source.read().await.map_err(failed)?;
    read.settle_nesting(true);
    let snapshot = read.snapshot();
    let check = Check {
        inspection: inspect(&read, &rules)?,
        source: description,
        first_users: snapshot.users().take(arguments.limit).map(Mapped::user).collect(),
        first_groups: snapshot.groups().take(arguments.limit).map(Mapped::group).collect(),
    };
    match arguments.output {
        TextFormat::Text => output::print(&output::harmless(&in_words(&check)))?,
        TextFormat::Json => output::print_json(&check)?,
    }
    mapped::check(spec, &read)?;
    let is_clean = check.inspection.warnings.iter().all(|warning| warning.kind.is_information())
        && check.inspection.users.mapped > 0;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(WARNED) })
}

fn in_words(check: &Check) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<11}{value}");
    };
    let source = &check.source;
    row("server", &source.server);
    row("product", source.product.as_deref().unwrap_or("the server does not say what it is"));
    if let Some(encryption) = &source.encryption {
        let authority = if encryption.own_authority { "of the resource" } else { "of the platform" };
        row("TLS", &format!("{}, vouched for by an authority {authority}", encryption.protocol));
        row("", &format!("certificate of {}, by {}", encryption.subject, encryption.issuer));
        row("", &format!("valid until {}", encryption.valid_until));
    } else if source.server.starts_with("ldap") || source.server.starts_with("http:") {
        row("TLS", "none: everything is sent in clear text");
    }
    for fact in &source.facts {
        row(fact.name, &fact.value);
    }
    let inspection = &check.inspection;
    row("people", &counted(inspection.users, true));
    row("groups", &format!("{}; {} memberships", counted(inspection.groups, false), inspection.memberships));
    for (title, first, all) in [
        ("People", &check.first_users, inspection.users.mapped),
        ("Groups", &check.first_groups, inspection.groups.mapped),
    ] {
        if !first.is_empty() {
            let _ = writeln!(text, "\n{title} as they are mapped, {} of {all}:", first.len());
        }
        for one in first {
            let _ = writeln!(text, "  {}", one.line());
        }
    }
    if !inspection.warnings.is_empty() || inspection.users.mapped == 0 {
        text.push('\n');
    }
    if inspection.users.mapped == 0 {
        text.push_str("Warning: nobody was read: look at the base DN, the filter, and what the account may read.\n");
    }
    for warning in &inspection.warnings {
        let samples = warning.samples.join(", ");
        let separator = if samples.is_empty() { "" } else { ": " };
        let word = if warning.kind.is_information() { "Note" } else { "Warning" };
        let _ = writeln!(text, "{word}: {}{separator}{samples}.", warning.kind.explanation(warning.count));
    }
    text
}

fn counted(counts: EntryCounts, needs_address: bool) -> String {
    let mut text = format!("{} read, {} mapped", counts.read, counts.mapped);
    let without_address = if needs_address { counts.without_address } else { 0 };
    for (count, what) in [
        (counts.without_id, "without an id"),
        (without_address, "without an address"),
        (counts.inactive, "inactive"),
        (counts.excluded, "excluded"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}
