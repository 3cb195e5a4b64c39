//! A plan as a person reads it on a terminal.

use super::{action, because, clean, sign};
use crate::operation::Verb;
use crate::plan::Summary;
use crate::plan::document::{Line, PlanDocument};
use std::io::{self, Write};

/// Writes the plan for a terminal: a line per operation with its reason, warnings, holds, and the summary last. What
/// all operations wait for is said once, with the holds.
pub fn people(plan: &PlanDocument, colour: bool, out: &mut impl Write) -> io::Result<()> {
    let first = plan.operations.first().and_then(|line| line.waiting);
    let tells_apart = plan.operations.iter().any(|line| line.waiting != first);
    for line in &plan.operations {
        operation(line, tells_apart, colour, out)?;
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
    if plan.header.summary.total() == 0 {
        return writeln!(out, "Nothing to do: the target is in line with the source.");
    }
    writeln!(out, "Plan: {}.", changes(&plan.header.summary))?;
    writeln!(out, "Digest: {}", plan.header.digest)
}

/// Writes one operation: what, of whom and why, with the fields that change below it.
pub fn operation(line: &Line, says_waiting: bool, colour: bool, out: &mut impl Write) -> io::Result<()> {
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
    if let Some(waiting) = line.waiting.filter(|_| says_waiting) {
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

/// What changes how often, without what does not.
fn changes(summary: &Summary) -> String {
    let Summary { users, groups, aliases, memberships } = *summary;
    let counts = [
        (users.create, "user", "create"),
        (users.adopt, "user", "adopt"),
        (users.update, "user", "update"),
        (users.moved, "user", "move"),
        (users.restore, "user", "restore"),
        (users.suspend, "user", "suspend"),
        (users.delete, "user", "delete"),
        (groups.create, "group", "create"),
        (groups.adopt, "group", "adopt"),
        (groups.update, "group", "update"),
        (groups.delete, "group", "delete"),
        (aliases.add, "alias", "add"),
        (aliases.remove, "alias", "remove"),
        (memberships.add, "membership", "add"),
        (memberships.remove, "membership", "remove"),
    ];
    let present = counts.into_iter().filter(|&(count, ..)| count > 0);
    let texts = present.map(|(count, kind, action)| {
        let plural = match (count, kind) {
            (1, _) => "",
            (_, "alias") => "es",
            _ => "s",
        };
        format!("{count} {kind}{plural} to {action}")
    });
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_is_counted() {
        let mut summary = Summary::default();
        summary.users.create = 199;
        summary.groups.create = 1;
        summary.aliases.remove = 2;
        assert_eq!(changes(&summary), "199 users to create, 1 group to create, 2 aliases to remove");
    }
}
