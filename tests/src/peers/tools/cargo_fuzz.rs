//! What builds the fuzz targets.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Progress, cache_folder, run};

/// Newer ones may pass other flags to the compiler.
const VERSION: &str = "0.13.2";

/// The path of cargo-fuzz.
pub fn built() -> Result<PathBuf> {
    let path = folder()?.join("bin/cargo-fuzz");
    if !path.is_file() {
        bail!("cargo-fuzz has not been built yet: run `cargo xtask test --only tools`");
    }
    Ok(path)
}

/// Builds it unless it is there.
pub fn build(progress: Progress<'_>) -> Result<()> {
    if built().is_ok() {
        return Ok(());
    }
    progress("building cargo-fuzz");
    let folder = folder()?;
    // Built beside its place and moved there whole: an interrupted build leaves nothing that looks finished.
    let unfinished = folder.with_extension(format!("{}.unfinished", std::process::id()));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = run(
        Command::new(cargo)
            .args(["install", "cargo-fuzz", "--version", VERSION, "--locked", "--no-track", "--root"])
            .arg(&unfinished)
            // It is no part of this workspace, and its parts are of no use in the folder of this one's.
            .env_remove("CARGO_TARGET_DIR"),
        &mut |line| progress(&format!("cargo-fuzz: {line}")),
    );
    let moved = built.and_then(|()| Ok(fs::rename(&unfinished, &folder)?));
    if moved.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    moved.context("cannot build cargo-fuzz")
}

fn folder() -> Result<PathBuf> {
    Ok(cache_folder()?.join(format!("cargo-fuzz-{VERSION}")))
}
