//! A plan as a table for spreadsheets.

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

/// Quotes a field. A text that a spreadsheet would take for a formula gets an apostrophe before it.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = text.replace('"', "\"\"");
    format!("\"{}{text}\"", if is_formula { "'" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn quotes_are_doubled_and_formulas_defused() {
        assert_eq!(field("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(field("=1+1"), "\"'=1+1\"");
    }
}
