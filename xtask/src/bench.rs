//! `cargo xtask bench`: the measurements whose figures stand in `docs/performance.md`.

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::cargo;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure.
    what: Subject,
    /// Handed on to the measuring program: for plan a number of people; for ldap what to read (people, large, group,
    /// samba) and `--rounds N`; for google numbers of people, of groups and of requests a second.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Subject {
    /// Planning: time and memory for 100,000 and 1,000,000 people, against the budgets.
    Plan,
    /// Mapping: nanoseconds per entry, from plain attributes and by expressions.
    Mapping,
    /// Reading from real directory servers, time and memory against `ldapsearch`.
    Ldap,
    /// Reading a simulated Google directory, against its pacing.
    Google,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (package, example) = match arguments.what {
        Subject::Plan => ("directory-sync-core", "plan_bench"),
        Subject::Mapping => ("directory-sync-core", "mapping_bench"),
        Subject::Ldap => ("directory-sync-tests", "ldap_bench"),
        Subject::Google => ("directory-sync-tests", "google_bench"),
    };
    let status = cargo(&["run", "--release", "--package", package, "--example", example, "--"])?
        .args(&arguments.arguments)
        .status()?;
    if !status.success() {
        bail!("{example} failed ({status})");
    }
    Ok(())
}
