//! A plan as a person reads it on a terminal.

use super::{action, because, clean, sign};
use crate::operation::Verb;
use crate::plan::document::{Line, PlanDocument};
use std::io::{self, Write};

/// Writes the plan for a terminal: a line per operation with its reason, warnings, holds, and the summary last.
pub fn people(plan: &PlanDocument, colour: bool, out: &mut impl Write) -> io::Result<()> {
    for line in &plan.operations {
        operation(line, colour, out)?;
    }
    if !plan.operations.is_empty() {
        writeln!(out)?;
    }
    for warning in &plan.header.warnings {
        let samples = warning.samples.iter().map(|sample| clean(sample)).collect::<Vec<_>>().join(", ");
        write!(out, "Warning: {}", warning.kind.explanation(warning.count))?;
        match samples.as_str() {
            "" => writeln!(out, ".")?,
            samples => writeln!(out, ": {samples}.")?,
        }
    }
    for hold in &plan.header.holds {
        writeln!(out, "Held: {hold}.")?;
    }
    summary(plan, out)
}

fn operation(line: &Line, colour: bool, out: &mut impl Write) -> io::Result<()> {
    let operation = &line.operation;
    let (start, end) = match (colour, sign(operation.verb)) {
        (false, _) => ("", ""),
        (true, "+") => ("\u{1b}[32m", "\u{1b}[0m"),
        (true, "−") => ("\u{1b}[31m", "\u{1b}[0m"),
        (true, _) => ("\u{1b}[33m", "\u{1b}[0m"),
    };
    write!(out, "  {start}{}{end} {} {}", sign(operation.verb), action(operation.verb), clean(operation.subject()))?;
    if !operation.item.is_empty() {
        write!(out, ": {}", clean(&operation.item))?;
    }
    write!(out, "  ({}", because(operation.reason))?;
    if let Some(waiting) = line.waiting {
        write!(out, "; waits: {waiting}")?;
    }
    writeln!(out, ")")?;
    let is_new = matches!(operation.verb, Verb::CreateUser | Verb::CreateGroup);
    for change in &operation.changes {
        let to = clean(&change.to);
        if is_new {
            writeln!(out, "      {}: {to}", change.field)?;
        } else {
            writeln!(out, "      {}: {:?} → {to:?}", change.field, clean(&change.from))?;
        }
    }
    Ok(())
}

fn summary(plan: &PlanDocument, out: &mut impl Write) -> io::Result<()> {
    let summary = &plan.header.summary;
    if summary.total() == 0 {
        return writeln!(out, "Nothing to do: the target is in line with the source.");
    }
    let users = summary.users;
    writeln!(
        out,
        "Plan: users {} to create, {} to adopt, {} to update, {} to move, {} to restore, {} to suspend, {} to delete;",
        users.create, users.adopt, users.update, users.moved, users.restore, users.suspend, users.delete
    )?;
    let groups = summary.groups;
    writeln!(
        out,
        "      groups {} to create, {} to adopt, {} to update, {} to delete;",
        groups.create, groups.adopt, groups.update, groups.delete
    )?;
    writeln!(
        out,
        "      aliases {} to add, {} to remove; memberships {} to add, {} to remove.",
        summary.aliases.add, summary.aliases.remove, summary.memberships.add, summary.memberships.remove
    )?;
    writeln!(out, "Digest: {}", plan.header.digest)
}
