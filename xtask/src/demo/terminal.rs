//! The story on a terminal, or in a file.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use directory_sync_tests::story::Narrator;
use indicatif::ProgressBar;

use crate::spinner::spinner;

const WIDTH: usize = 100;
/// How often a long step is heard of where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Prints the story. On a terminal it is coloured, and the newest line of a long step stands beside a spinner.
pub(crate) struct Terminal {
    colours: bool,
    step: bool,
    chapter: usize,
    running: Option<Running>,
}

struct Running {
    name: String,
    start: Instant,
    told: Instant,
    spinner: Option<ProgressBar>,
}

impl Terminal {
    /// With `step` it waits for Enter after every chapter, if somebody is there to press it.
    pub(crate) fn new(step: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colours, step: step && terminal && std::io::stdin().is_terminal(), chapter: 0, running: None }
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Prints lines as they are, however long, for somebody to copy.
    pub(crate) fn verbatim(&self, text: &str) {
        println!();
        for line in text.lines() {
            println!("    {}", self.styled("36", line));
        }
    }

    fn wait_for_enter(&self) {
        eprint!("{}", self.styled("2", "\n[Enter] "));
        let _ = std::io::stdin().read_line(&mut String::new());
    }
}

impl Narrator for Terminal {
    fn chapter(&mut self, title: &str) {
        if self.step && self.chapter > 0 {
            self.wait_for_enter();
        }
        self.chapter += 1;
        let title = format!("{}  {title}", self.chapter);
        println!("\n{}\n{}", self.styled("1", &title), self.styled("2", &"─".repeat(WIDTH)));
    }

    fn say(&mut self, text: &str) {
        // A step that was broken off leaves no mark.
        if let Some(spinner) = self.running.take().and_then(|running| running.spinner) {
            spinner.finish_and_clear();
        }
        println!();
        println!("{}", wrapped(text, WIDTH, "").join("\n"));
    }

    fn command(&mut self, words: &[String], input: Option<&str>) {
        println!();
        let heredoc = if input.is_some() { " <<'EOF'" } else { "" };
        let lines = wrapped_words(words.iter().map(String::as_str), WIDTH - 6, "    ");
        for (number, line) in lines.iter().enumerate() {
            let prompt = if number == 0 { "  $ " } else { "    " };
            let end = if number + 1 < lines.len() { " \\" } else { heredoc };
            // A word may be of several lines, in quotes.
            for line in format!("{prompt}{line}{end}").lines() {
                println!("{}", self.styled("36", line));
            }
        }
        if let Some(input) = input {
            for line in input.lines().chain(["EOF"]) {
                println!("{}", self.styled("36", format!("    {line}").trim_end()));
            }
        }
    }

    fn request(&mut self, request: &str) {
        println!("\n{}", self.styled("36", &format!("  > {request}")));
    }

    fn output(&mut self, text: &str) {
        for line in text.lines().flat_map(|line| wrapped(line, WIDTH - 4, "    ")) {
            println!("{}", format!("    {line}").trim_end());
        }
    }

    fn begin(&mut self, step: &str) {
        let spinner = (std::io::stdout().is_terminal() && std::io::stderr().is_terminal()).then(|| {
            println!();
            spinner(step.to_owned())
        });
        if spinner.is_none() {
            println!("\n… {step}");
        }
        self.running = Some(Running { name: step.to_owned(), start: Instant::now(), told: Instant::now(), spinner });
    }

    fn progress(&mut self, line: &str) {
        let Some(running) = self.running.as_mut().filter(|_| !line.trim().is_empty()) else { return };
        match &running.spinner {
            Some(spinner) => spinner.set_message(line.to_owned()),
            None if running.told.elapsed() > HEARTBEAT => {
                running.told = Instant::now();
                println!("  {} s: {line}", running.start.elapsed().as_secs());
            }
            None => {}
        }
    }

    fn end(&mut self) {
        let Some(running) = self.running.take() else { return };
        if let Some(spinner) = &running.spinner {
            spinner.finish_and_clear();
        }
        let done = format!("✓ {} ({:.1} s)", running.name, running.start.elapsed().as_secs_f64());
        println!("{}", self.styled("32", &done));
    }
}

/// A line cut between words where it is too long; the lines after the first are indented.
fn wrapped(line: &str, width: usize, indentation: &str) -> Vec<String> {
    if line.chars().count() <= width {
        return vec![line.to_owned()];
    }
    wrapped_words(line.split(' '), width, indentation)
}

fn wrapped_words<'w>(words: impl Iterator<Item = &'w str>, width: usize, indentation: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{indentation}{word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_words() {
        assert_eq!(wrapped("one two three", 8, "  "), ["one two", "  three"]);
        assert_eq!(wrapped("one  two", 8, "  "), ["one  two"]);
        assert_eq!(wrapped("a-word-that-is-longer", 8, "  "), ["a-word-that-is-longer"]);
    }
}
