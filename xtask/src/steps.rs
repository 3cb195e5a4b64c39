//! Steps that run one after the other, each with a visible line, and a table at the end.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, bail};

use crate::spinner::spinner;

/// Runs steps and remembers how they ended.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    ended: Vec<Ended>,
}

#[derive(Debug)]
struct Ended {
    name: String,
    time: Duration,
    passed: bool,
}

impl Steps {
    /// Runs a step. It tells its progress line by line: on a terminal the newest line stands beside a spinner,
    /// elsewhere all of them are printed. A failure is printed at once. Returns whether it passed.
    pub(crate) fn run(
        &mut self,
        name: &str,
        purpose: &str,
        step: impl FnOnce(&mut dyn FnMut(&str)) -> Result<()>,
    ) -> bool {
        let start = Instant::now();
        let outcome = if std::io::stderr().is_terminal() {
            with_spinner(name, purpose, step)
        } else {
            eprintln!("==> {name}: {purpose}");
            step(&mut |line| eprintln!("{line}"))
        };
        let time = start.elapsed();
        match &outcome {
            Ok(()) => eprintln!("✓ {name}: {purpose} ({})", seconds(time)),
            Err(error) => eprintln!("✗ {name}: {purpose} ({})\n{}", seconds(time), chain(error)),
        }
        let passed = outcome.is_ok();
        self.ended.push(Ended { name: name.to_owned(), time, passed });
        passed
    }

    /// Prints the table; fails if a step did.
    pub(crate) fn finish(self) -> Result<()> {
        let width = self.ended.iter().map(|ended| ended.name.len()).max().unwrap_or(0);
        println!();
        for ended in &self.ended {
            let outcome = if ended.passed { "passed" } else { "FAILED" };
            println!("{:width$}  {outcome}  {:>9}", ended.name, seconds(ended.time));
        }
        let total: Duration = self.ended.iter().map(|ended| ended.time).sum();
        println!("{:width$}          {:>9}", "total", seconds(total));
        let failed: Vec<_> = self.ended.iter().filter(|ended| !ended.passed).map(|ended| ended.name.as_str()).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

fn with_spinner(name: &str, purpose: &str, step: impl FnOnce(&mut dyn FnMut(&str)) -> Result<()>) -> Result<()> {
    let spinner = spinner(format!("{name}: {purpose}"));
    let outcome = step(&mut |line| {
        if !line.trim().is_empty() {
            spinner.set_message(line.to_owned());
        }
    });
    spinner.finish_and_clear();
    outcome
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(60) {
        return format!("{:.1} s", time.as_secs_f64());
    }
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

fn chain(error: &Error) -> String {
    format!("{error:#}")
}
