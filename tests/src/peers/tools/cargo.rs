//! What cargo installs beside itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Progress, cache_folder, run};

/// A subcommand of cargo, installed from crates.io in the version that is named here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CargoTool {
    /// Judges what is built in by `deny.toml`.
    Deny,
    /// Builds the fuzz targets and runs them.
    Fuzz,
}

impl CargoTool {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Deny, Self::Fuzz];

    /// The name of the package and of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "cargo-deny",
            Self::Fuzz => "cargo-fuzz",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Deny => "0.20.2",
            // Newer ones may pass other flags to the compiler.
            Self::Fuzz => "0.13.2",
        }
    }

    fn location(self) -> Result<PathBuf> {
        Ok(cache_folder()?.join(format!("{}-{}", self.name(), self.version())))
    }

    /// The path of the program.
    pub fn program(self) -> Result<PathBuf> {
        let program = self.location()?.join("bin").join(self.name());
        if !program.is_file() {
            bail!("{} has not been installed yet: run `cargo xtask test --only tools`", self.name());
        }
        Ok(program)
    }

    /// Builds the program unless it is there.
    pub fn install(self, progress: Progress<'_>) -> Result<()> {
        if self.program().is_ok() {
            return Ok(());
        }
        let (name, folder) = (self.name(), self.location()?);
        progress(&format!("building {name}"));
        // Built beside its place and moved there whole: an interrupted build leaves nothing that looks finished.
        let unfinished = cache_folder()?.join(format!("{name}.{}.unfinished", std::process::id()));
        let built = run(
            cargo()
                // It works for seconds and would be optimized for minutes.
                .args(["install", "--locked", "--debug", "--no-track", "--version", self.version(), "--root"])
                .arg(&unfinished)
                .arg(name)
                .env("CARGO_PROFILE_DEV_DEBUG", "false")
                .env("CARGO_TARGET_DIR", unfinished.join("target")),
            &mut |line| progress(&format!("{name}: {line}")),
        );
        let _ = fs::remove_dir_all(unfinished.join("target"));
        if let Err(error) = built {
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error.context(format!("cannot build {name}")));
        }
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&unfinished, &folder).with_context(|| format!("cannot keep {name}"))
    }
}

/// Downloads the sources of all dependencies, also of those for other systems: what judges them works without a network.
pub fn fetch(progress: Progress<'_>) -> Result<()> {
    run(cargo().args(["fetch", "--locked"]), progress).context("cannot download the dependencies")
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}
