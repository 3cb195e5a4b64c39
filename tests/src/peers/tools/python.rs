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

    /// The path of its Python.
    pub fn python() -> Result<PathBuf> {
        Ok(environment("scim2-server")?.join("bin/python"))
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
    let made = run(Command::new(python()?.0).args(["-m", "venv"]).arg(&folder), progress).and_then(|()| {
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
    let (_, version) = python()?;
    let digest = short_digest([requirements.as_slice(), version.as_slice()]);
    Ok(cache_folder()?.join(format!("{name}-{digest}")))
}

fn requirements(name: &str) -> PathBuf {
    peers_folder().join(name).join("requirements.txt")
}

/// The oldest Python for which all the packages are made.
const OLDEST: (u32, u32) = (3, 11);

/// Python, if it is new enough, and what it says of its version.
fn python() -> Result<(PathBuf, Vec<u8>)> {
    let (major, minor) = OLDEST;
    let advice = format!(
        "Python runs the SCIM server and a client library of Google: install {major}.{minor} or newer, with venv"
    );
    let python = program("python3").with_context(|| format!("Python is missing. {advice}"))?;
    let here = python.display();
    let version =
        Command::new(&python).arg("--version").output().with_context(|| format!("cannot start {here}"))?.stdout;
    let found = String::from_utf8_lossy(&version).trim().to_owned();
    if release(&found).is_none_or(|found| found < OLDEST) {
        bail!("{here} is {found:?}, which is too old. {advice}");
    }
    Ok((python, version))
}

/// The first two numbers of what `python3 --version` prints, such as `Python 3.11.2`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("Python ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert_eq!(release("Python 3.11.2"), Some((3, 11)));
        assert!(release("Python 3.9.2").is_some_and(|found| found < OLDEST));
        assert_eq!(release("pyenv: python3: command not found"), None);
    }
}
