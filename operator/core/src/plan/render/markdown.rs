//! A plan as a comment on a pull request.

use super::{because, clean, sign};
use crate::plan::document::PlanDocument;
use std::io::{self, Write};

/// So many operations fit into a comment.
const ROWS: usize = 200;

/// Writes the plan as Markdown: the summary first, then holds, warnings and a table of operations.
pub fn markdown(plan: &PlanDocument, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "### Plan `{}`\n", plan.header.summary)?;
    for hold in &plan.header.holds {
        writeln!(out, "- **Held** ({}): {hold}.", hold.reason())?;
    }
    for warning in &plan.header.warnings {
        writeln!(out, "- {warning}.")?;
    }
    if plan.operations.is_empty() {
        return writeln!(out, "\nNothing to do: the target is in line with the source.");
    }
    writeln!(out, "\n| | change | of | detail | why |\n|---|---|---|---|---|")?;
    for line in plan.operations.iter().take(ROWS) {
        let operation = &line.operation;
        let (verb, why) = (operation.verb, because(operation.reason));
        let (subject, detail) = (cell(operation.subject()), cell(&operation.detail()));
        writeln!(out, "| {} | {verb} | {subject} | {detail} | {why} |", sign(verb))?;
    }
    if plan.operations.len() > ROWS {
        writeln!(out, "\n… and {} more.", plan.operations.len() - ROWS)?;
    }
    writeln!(out, "\nDigest: `{}`", plan.header.digest)
}

/// Text of a cell, with everything that Markdown or HTML would read as markup escaped.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in clean(text).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '!' | '~' => escaped.extend(['\\', character]),
            '@' => escaped.push_str("&#64;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
