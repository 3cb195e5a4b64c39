//! The SCIM server, which comes from the Python package index.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Progress, cache_folder, peers_folder, program, run, short_digest};

/// Written last: an environment without this file was interrupted while it was made.
const FINISHED: &str = "finished";

/// The virtual environment with scim2-server.
#[derive(Clone, Copy, Debug)]
pub struct Scim2ServerEnvironment;

impl Scim2ServerEnvironment {
    /// The path of the server's program.
    pub fn program() -> Result<PathBuf> {
        let folder = location()?;
        if !folder.join(FINISHED).is_file() {
            bail!("scim2-server has not been installed yet: run `cargo xtask test --only tools`");
        }
        Ok(folder.join("bin/scim2-server"))
    }

    /// Makes the environment unless it is there.
    pub fn install(progress: Progress<'_>) -> Result<()> {
        if Self::program().is_ok() {
            return Ok(());
        }
        let folder = location()?;
        progress("installing scim2-server");
        // The programs of an environment carry its path, so that it has to be made in its place.
        let _ = fs::remove_dir_all(&folder);
        let made = run(Command::new(python()?).args(["-m", "venv"]).arg(&folder), progress).and_then(|()| {
            run(
                Command::new(folder.join("bin/python"))
                    .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--requirement"])
                    .arg(requirements()),
                progress,
            )?;
            Ok(fs::write(folder.join(FINISHED), "")?)
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        made.context("cannot make the virtual environment of scim2-server")
    }
}

fn location() -> Result<PathBuf> {
    let requirements = fs::read(requirements())?;
    let python = Command::new(python()?).arg("--version").output()?.stdout;
    let digest = short_digest([requirements.as_slice(), python.as_slice()]);
    Ok(cache_folder()?.join(format!("scim2-server-{digest}")))
}

fn requirements() -> PathBuf {
    peers_folder().join("scim2-server/requirements.txt")
}

fn python() -> Result<PathBuf> {
    program("python3").context("Python is missing, which runs the SCIM server: install Python 3.10 or newer with venv")
}
