//! Where the parts of Kubernetes come from: the folder that `KUBEBUILDER_ASSETS` names, our own build, or for `kubectl`
//! the `PATH`.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::go::GoPart;
use super::{Progress, program_in};

/// What a cluster without nodes consists of, and the client for it.
pub const CLUSTER: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];
/// What a cluster that is there already is used with.
pub const CLIENT: [&str; 1] = ["kubectl"];

/// The command for a part.
pub fn part(name: &str) -> Result<Command> {
    let places = Places::of_this_process();
    if let Some(program) = places.asset(name) {
        return Ok(Command::new(program));
    }
    match (GoPart::ControlPlane.built(), places.installed(name)) {
        (Ok(built), _) => {
            let mut command = Command::new(built);
            command.arg(name);
            Ok(command)
        }
        (Err(_), Some(program)) => Ok(Command::new(program)),
        (Err(error), None) => Err(error),
    }
}

/// Builds what of these parts is neither in `KUBEBUILDER_ASSETS` nor, for `kubectl`, in `PATH`.
pub fn install(parts: &[&str], progress: Progress<'_>) -> Result<()> {
    if Places::of_this_process().have(parts) {
        return Ok(());
    }
    GoPart::ControlPlane.build(progress)?;
    Ok(())
}

/// Writes a program `kubectl` into a folder, for shells that have no other in their `PATH`: it is the one that [`part`]
/// finds, and what it remembers of clusters lies in that folder too.
pub fn write_kubectl(folder: &Path) -> Result<()> {
    let kubectl = part("kubectl")?;
    let words: Vec<_> = std::iter::once(kubectl.get_program())
        .chain(kubectl.get_args())
        .map(|word| format!("'{}'", word.display().to_string().replace('\'', r"'\''")))
        .collect();
    let cache = folder.join("kubectl-cache").display().to_string().replace('\'', r"'\''");
    write_program(folder, "kubectl", &format!("export KUBECACHEDIR='{cache}'\nexec {} \"$@\"\n", words.join(" ")))
}

/// Writes a program for `sh` into a folder.
pub fn write_program(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?)
}

/// Where parts may be that we did not build.
struct Places {
    assets: Option<PathBuf>,
    path: OsString,
}

impl Places {
    fn of_this_process() -> Self {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        Self { assets, path: std::env::var_os("PATH").unwrap_or_default() }
    }

    fn asset(&self, name: &str) -> Option<PathBuf> {
        Some(self.assets.as_ref()?.join(name)).filter(|program| program.is_file())
    }

    /// A server from somewhere else may be of any version and miss what the tests rely on; a client talks to all.
    fn installed(&self, name: &str) -> Option<PathBuf> {
        (name == "kubectl").then(|| program_in(&self.path, name)).flatten()
    }

    fn have(&self, parts: &[&str]) -> bool {
        parts.iter().all(|name| self.asset(name).is_some() || self.installed(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            write_program(folder.path(), name, "").unwrap();
        }
        folder
    }

    #[test]
    fn nothing_is_built_where_the_assets_hold_all_that_is_needed() {
        let (nothing, client, all) = (folder_with(&[]), folder_with(&CLIENT), folder_with(&CLUSTER));
        let servers = folder_with(&["etcd", "kube-apiserver"]);
        let places = |assets: Option<&tempfile::TempDir>, path: &tempfile::TempDir| Places {
            assets: assets.map(|folder| folder.path().to_owned()),
            path: path.path().into(),
        };
        assert!(places(Some(&all), &nothing).have(&CLUSTER));
        assert!(places(Some(&servers), &client).have(&CLUSTER));
        assert!(!places(Some(&servers), &nothing).have(&CLUSTER));
        assert!(!places(None, &all).have(&CLUSTER), "servers in PATH are not used");
        assert!(places(None, &client).have(&CLIENT), "a client in PATH is enough for a cluster that is there");
        assert!(places(Some(&client), &nothing).have(&CLIENT));
        assert!(!places(Some(&nothing), &nothing).have(&CLIENT));
    }
}
