//! `cargo xtask generate`: the files that are made from the code.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use directory_sync_tests::peers::tools;

use crate::{operator, workspace};

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
    let progress: tools::Progress<'_> = &mut |line| eprintln!("{line}");
    if arguments.check { check(progress) } else { write(progress) }
}

/// Fails with the names of the files that are not current.
pub(crate) fn check(progress: tools::Progress<'_>) -> Result<()> {
    let stale = stale(progress)?;
    if !stale.is_empty() {
        let names: Vec<_> = stale.iter().map(|(name, _)| name.as_str()).collect();
        bail!("not current: {}: run `cargo xtask generate`", names.join(", "));
    }
    Ok(())
}

fn write(progress: tools::Progress<'_>) -> Result<()> {
    for (name, contents) in stale(progress)? {
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
fn stale(progress: tools::Progress<'_>) -> Result<Vec<(String, String)>> {
    let root = workspace()?;
    let operator = operator(progress)?;
    let mut files = directory_sync_api::generated_files()?;
    for (page, name) in PAGES {
        files.push((name.to_owned(), reference(&operator, page)?));
    }
    files.retain(|(name, contents)| !fs::read_to_string(root.join(name)).is_ok_and(|present| present == *contents));
    Ok(files)
}

/// A page of the reference, as the operator itself prints it.
fn reference(operator: &Path, page: &str) -> Result<String> {
    let output = Command::new(operator).args(["reference", page]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the operator does not print its reference ({})", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
