//! The software that the peers consist of: where it lies, what of it is missing, and how to install that.
//!
//! What is built or downloaded lies in a cache folder outside the checkout, under names that contain a digest of what it
//! was made from, so that every later run and every other checkout finds it there.

pub mod cargo_fuzz;
pub mod debian;
pub mod go;
pub mod python;
pub mod samba;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Takes the lines that a long command prints, to show that it goes on.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// Installs everything that is missing. The error names all that cannot be installed here and how to get it.
pub fn install(progress: Progress<'_>) -> Result<()> {
    let mut obstacles = install_parts(&go::GoPart::ALL, progress);
    if let Err(error) = debian::install(&debian::DIRECTORY_SERVERS, progress) {
        obstacles.push(error);
    } else if let Err(error) = samba::SambaDomain::provision(progress) {
        obstacles.push(error);
    }
    for installed in [debian::install(&debian::COMPILERS, progress), cargo_fuzz::build(progress)] {
        obstacles.extend(installed.err());
    }
    sum_up(&obstacles)
}

/// The same without the directory servers that only the tests need, and with only these of the parts that are built
/// from Go modules.
pub fn install_with(parts: &[go::GoPart], progress: Progress<'_>) -> Result<()> {
    sum_up(&install_parts(parts, progress))
}

fn install_parts(parts: &[go::GoPart], progress: Progress<'_>) -> Vec<anyhow::Error> {
    let mut obstacles = Vec::new();
    if let Err(error) = debian::install(&debian::BASIC, progress) {
        obstacles.push(error);
    }
    if let Err(error) = python::Scim2ServerEnvironment::install(progress) {
        obstacles.push(error);
    }
    if let Err(error) = python::GoogleClientEnvironment::install(progress) {
        obstacles.push(error);
    }
    for &part in parts {
        if let Err(error) = part.build(progress) {
            obstacles.push(error.context(format!("cannot build {}", part.name())));
            if !go::toolchain_found() {
                break;
            }
        }
    }
    obstacles
}

fn sum_up(obstacles: &[anyhow::Error]) -> Result<()> {
    if obstacles.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = obstacles.iter().map(|error| format!("- {error:#}")).collect();
    bail!("not everything that the tests need is here:\n{}", list.join("\n"))
}

/// Runs a command to its end, with what it prints going to `progress` line by line. The error quotes its last lines.
pub fn run(command: &mut Command, progress: Progress<'_>) -> Result<()> {
    const QUOTED: usize = 40;
    let name = command.get_program().display().to_string();
    let (output, both_outputs) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(both_outputs.try_clone()?)
        .stderr(both_outputs)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    // The command holds the writing ends of the pipe as long as it lives; the end of the output is the child's alone.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = std::collections::VecDeque::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
        progress(&line);
        if last.len() == QUOTED {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{name} failed ({status}):\n{}", Vec::from(last).join("\n"));
    }
    Ok(())
}

/// The cache folder: `directory-sync-operator` in `$XDG_CACHE_HOME`, or else in `~/.cache`.
pub fn cache_folder() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|folder| Path::new(folder).is_absolute()) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir().context("there is neither XDG_CACHE_HOME nor a home folder")?.join(".cache"),
    };
    Ok(base.join("directory-sync-operator"))
}

/// Where a program lies: in `PATH`, or in one of the folders for servers and manual installations that users often do
/// not have in theirs.
pub fn program(name: &str) -> Option<PathBuf> {
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/lib/openldap", "/usr/local/go/bin"];
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(usual.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// The folder of this crate that holds what the peers are built and configured from.
fn peers_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// A digest short enough for a file name. The parts do not run into each other.
fn short_digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    format!("{:016x}", digest.finalize().iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte)))
}
