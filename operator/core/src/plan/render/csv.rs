//! A plan as a table for spreadsheets.

use super::clean;
use crate::plan::document::PlanDocument;
use std::io::{self, Write};

/// Writes the plan as CSV (RFC 4180), a row per operation.
pub fn csv(plan: &PlanDocument, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"verb,subject,id,detail,reason,waiting,digest\r\n")?;
    for line in &plan.operations {
        let operation = &line.operation;
        let digest = line.digest.to_string();
        let detail = operation.detail();
        let fields = [
            operation.verb.into(),
            operation.subject(),
            &operation.id,
            &detail,
            operation.reason.into(),
            line.waiting.map_or("", Into::into),
            &digest,
        ];
        let fields: Vec<_> = fields.into_iter().map(field).collect();
        write!(out, "{}\r\n", fields.join(","))?;
    }
    Ok(())
}

/// Quotes a field, and defuses what a spreadsheet would take for a formula with an apostrophe before it. A spreadsheet
/// whose separator is the semicolon begins a cell after every one of them, so that is where a formula may hide, too.
fn field(text: &str) -> String {
    let mut field = String::with_capacity(text.len() + 2);
    field.push('"');
    let mut begins_cell = true;
    for character in clean(text).chars() {
        if begins_cell && is_formula(character) {
            field.push('\'');
        }
        begins_cell = character == ';' || begins_cell && (character == '"' || character.is_whitespace());
        field.push(character);
        if character == '"' {
            field.push('"');
        }
    }
    field.push('"');
    field
}

/// Whether a cell that begins with it is a formula; spreadsheets also take the full-width forms of Asian keyboards.
fn is_formula(character: char) -> bool {
    matches!(character, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn quotes_are_doubled_and_formulas_defused() {
        assert_eq!(field("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(field("=1+1"), "\"'=1+1\"");
        assert_eq!(field(" \"@SUM(A1)"), "\" \"\"'@SUM(A1)\"");
        assert_eq!(field("＝1"), "\"'＝1\"");
        assert_eq!(field("Ada; =1;b-c"), "\"Ada; '=1;b-c\"");
    }

    #[test]
    fn a_field_stays_on_its_line_and_drives_no_terminal() {
        assert_eq!(field("a\r\n=1\u{1b}[2J\u{9b}\u{202e}"), "\"a\u{fffd}\u{fffd}=1\u{fffd}[2J\u{fffd}\u{fffd}\"");
    }
}
