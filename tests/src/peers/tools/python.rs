//! What comes from the Python package index: the SCIM server, and the client library that Google publishes.

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
        Ok(environment("scim2-server")?.join("bin/scim2-server"))
    }

    /// Makes the environment unless it is there.
    pub fn install(progress: Progress<'_>) -> Result<()> {
        install("scim2-server", progress)
    }
}

/// The virtual environment with google-api-python-client.
#[derive(Clone, Copy, Debug)]
pub struct GoogleClientEnvironment;

impl GoogleClientEnvironment {
    /// The path of its Python.
    pub fn program() -> Result<PathBuf> {
        Ok(environment("google-client")?.join("bin/python"))
    }

    /// Makes the environment unless it is there.
    pub fn install(progress: Progress<'_>) -> Result<()> {
        install("google-client", progress)
    }
}

/// The folder of an environment that was made to its end.
fn environment(name: &str) -> Result<PathBuf> {
    let folder = location(name)?;
    if !folder.join(FINISHED).is_file() {
        bail!("{name} has not been installed yet: run `cargo xtask test --only tools`");
    }
    Ok(folder)
}

fn install(name: &str, progress: Progress<'_>) -> Result<()> {
    if environment(name).is_ok() {
        return Ok(());
    }
    let folder = location(name)?;
    progress(&format!("installing {name}"));
    // The programs of an environment carry its path, so that it has to be made in its place.
    let _ = fs::remove_dir_all(&folder);
    let made = run(Command::new(python()?).args(["-m", "venv"]).arg(&folder), progress).and_then(|()| {
        run(
            Command::new(folder.join("bin/python"))
                .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--requirement"])
                .arg(requirements(name)),
            progress,
        )?;
        Ok(fs::write(folder.join(FINISHED), "")?)
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&folder);
    }
    made.with_context(|| format!("cannot make the virtual environment of {name}"))
}

fn location(name: &str) -> Result<PathBuf> {
    let requirements = fs::read(requirements(name))?;
    let python = Command::new(python()?).arg("--version").output()?.stdout;
    let digest = short_digest([requirements.as_slice(), python.as_slice()]);
    Ok(cache_folder()?.join(format!("{name}-{digest}")))
}

fn requirements(name: &str) -> PathBuf {
    peers_folder().join(name).join("requirements.txt")
}

fn python() -> Result<PathBuf> {
    let advice = "Python is missing, which runs the SCIM server and Google's client library: install Python 3.10 or \
                  newer with venv";
    program("python3").context(advice)
}
