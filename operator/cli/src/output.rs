//! Data goes to standard output, everything said about it to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use directory_sync_core::plan::render;

/// Writes data to standard output.
///
/// # Errors
/// If it cannot be written, for instance because the reader has gone.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes data to standard output as JSON that drives no terminal.
///
/// # Errors
/// If it cannot be written.
pub fn print_json(data: &impl serde::Serialize) -> io::Result<()> {
    let mut text = Vec::new();
    render::json(data, &mut text)?;
    io::stdout().lock().write_all(&text)
}

/// Says something about the data on standard error. It may quote a server, whose words must not drive a terminal.
pub fn remark(text: &str) {
    let text = harmless(text);
    // If standard error is closed, nobody wanted to know.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The text without what could drive a terminal.
pub fn harmless(text: &str) -> String {
    // Besides control characters, those that turn a text around (UAX #9 §2).
    let turns =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_harmful = |c: char| (c.is_control() && c != '\n') || turns(c);
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// Says what went wrong, with its causes.
pub fn complain(error: &anyhow::Error) {
    remark(&format!("error: {}", in_words(error)));
}

/// An error with its causes, but for those that it quotes already.
pub fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// Whether what goes to `stream` may be coloured: on a terminal, unless `NO_COLOR` is set to anything
/// (<https://no-color.org>).
pub fn may_colour(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether what goes to standard output may be coloured.
pub fn may_colour_stdout() -> bool {
    may_colour(&io::stdout())
}

/// Whether standard error is a terminal, so that a person reads it.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("no such file").context("no kubeconfig: no such file").context("no cluster");
        assert_eq!(in_words(&error), "no cluster: no kubeconfig: no such file");
    }
}
