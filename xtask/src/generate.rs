//! `cargo xtask generate`: the files that are made from the code.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace;

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
    let mut files = directory_sync_api::generated_files();
    files.retain(|(name, contents)| !fs::read_to_string(root.join(name)).is_ok_and(|present| present == *contents));
    Ok(files)
}
