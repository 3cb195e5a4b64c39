//! The software that the peers consist of: where it lies, what of it is missing, and how to install that.
//!
//! What is built or downloaded lies in a cache folder outside the checkout, under names that contain a digest of what it
//! was made from, so that every later run and every other checkout finds it there.

pub mod cargo;
pub mod debian;
pub mod go;
pub mod kubernetes;
pub mod python;
pub mod samba;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Takes the lines that a long command prints, to show that it goes on.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// Installs everything that is missing. The error names all that cannot be installed here and how to get it.
pub fn install(progress: Progress<'_>) -> Result<()> {
    let mut obstacles = install_basics(progress);
    obstacles.extend(install_go_parts(&go::GoPart::ALL, progress));
    obstacles.extend(python::GoogleClientEnvironment::install(progress).err());
    obstacles.extend(cargo::fetch(progress).err());
    obstacles.extend(cargo::CargoTool::ALL.iter().filter_map(|tool| tool.install(progress).err()));
    if let Err(error) = debian::install(&debian::DIRECTORY_SERVERS, progress) {
        obstacles.push(error);
    } else if let Err(error) = samba::SambaDomain::provision(progress) {
        obstacles.push(error);
    }
    obstacles.extend(debian::install(&debian::COMPILERS, progress).err());
    sum_up(&obstacles)
}

/// Installs what the demo needs of it: these parts of Kubernetes, Helm, OpenLDAP and the SCIM server.
pub fn install_for_demo(kubernetes: &[&str], progress: Progress<'_>) -> Result<()> {
    let mut obstacles = install_basics(progress);
    obstacles.extend(kubernetes::install(kubernetes, progress).err());
    obstacles.extend(install_go_parts(&[go::GoPart::Helm], progress));
    sum_up(&obstacles)
}

fn install_basics(progress: Progress<'_>) -> Vec<anyhow::Error> {
    let packages = debian::install(&debian::BASIC, progress).err();
    // Python may be one of them.
    packages.into_iter().chain(python::Scim2ServerEnvironment::install(progress).err()).collect()
}

fn install_go_parts(parts: &[go::GoPart], progress: Progress<'_>) -> Vec<anyhow::Error> {
    // Said once, and not of each part.
    if let Err(error) = go::toolchain() {
        return vec![error];
    }
    let build = |part: &go::GoPart| part.build(progress).err().map(|error| (part.name(), error));
    parts.iter().filter_map(build).map(|(name, error)| error.context(format!("cannot build {name}"))).collect()
}

fn sum_up(obstacles: &[anyhow::Error]) -> Result<()> {
    if obstacles.is_empty() {
        return Ok(());
    }
    let mut list: Vec<_> = obstacles.iter().map(|error| format!("- {error:#}")).collect();
    // Several parts may lack the same thing.
    let mut told = HashSet::new();
    list.retain(|obstacle| told.insert(obstacle.clone()));
    bail!("not everything that is needed is here:\n{}", list.join("\n"))
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
    program_in(&std::env::var_os("PATH").unwrap_or_default(), name).or_else(|| {
        let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/lib/openldap", "/usr/local/go/bin"];
        usual.iter().map(|folder| Path::new(folder).join(name)).find(|candidate| candidate.is_file())
    })
}

/// Where a program lies in folders that are listed as in `PATH`.
fn program_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
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
