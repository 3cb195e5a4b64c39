//! `cargo xtask generate`: the files that are made from the code.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::{cargo, workspace};

/// The pages of the reference that the operator prints, and where they are kept.
const PAGES: [(&str, &str); 3] = [
    ("command-line", "docs/reference/cli.md"),
    ("metrics", "docs/reference/metrics.md"),
    ("reasons", "docs/reference/reasons.md"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing, and fail if a file is not what would be written.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.check { check() } else { write() }
}

/// Fails with the names of the files that are not current.
pub(crate) fn check() -> Result<()> {
    let stale = stale()?;
    if !stale.is_empty() {
        let names: Vec<_> = stale.iter().map(|(name, _)| name.as_str()).collect();
        bail!("not current: {}: run `cargo xtask generate`", names.join(", "));
    }
    Ok(())
}

fn write() -> Result<()> {
    for (name, contents) in stale()? {
        let path = workspace()?.join(&name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{name}");
    }
    Ok(())
}

/// The generated files whose contents are others than in the checkout.
fn stale() -> Result<Vec<(String, String)>> {
    let root = workspace()?;
    let mut files = directory_sync_api::generated_files()?;
    for (page, name) in PAGES {
        files.push((name.to_owned(), reference(page)?));
    }
    files.retain(|(name, contents)| !fs::read_to_string(root.join(name)).is_ok_and(|present| present == *contents));
    Ok(files)
}

/// A page of the reference, as the operator itself prints it.
fn reference(page: &str) -> Result<String> {
    // Of the whole workspace, as the tests are built: another choice would unite other features of the dependencies.
    let arguments = ["run", "--quiet", "--bin", "directory-sync-operator", "--", "reference", page];
    let output = cargo(&arguments)?.stderr(Stdio::inherit()).output().context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("the operator does not print its reference ({})", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
