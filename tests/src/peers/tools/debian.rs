//! What comes from the distribution's packages.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Progress, program, run};

/// A program and the Debian package that holds it.
const NEEDED: [(&str, &str); 3] = [("slapd", "slapd"), ("ldapsearch", "ldap-utils"), ("python3", "python3")];

/// Installs the packages whose programs are missing, if this is Debian (or a relative) and we are root. No service is
/// started by that.
pub fn install(progress: Progress<'_>) -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !Path::new("/etc/debian_version").exists() || program("apt-get").is_none() {
        bail!("missing: {list} (names of the Debian packages): install what your system calls them");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("missing: {list}: install by `sudo apt-get install {list}`");
    }
    progress(&format!("installing {list}"));
    let install = |progress: Progress<'_>| {
        run(
            apt_get()
                // Told of run level 1, the packages' scripts start no service.
                .env("RUNLEVEL", "1")
                .args(["install", "--yes", "--no-install-recommends"])
                .args(&missing),
            progress,
        )
    };
    // The lists of packages may be absent, as in container images, or so old that their files are gone.
    if install(progress).is_err() {
        run(apt_get().arg("update"), progress).context("`apt-get update` failed")?;
        install(progress).with_context(|| format!("cannot install {list}"))?;
    }
    Ok(())
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<_> =
        NEEDED.iter().filter(|(needed, _)| program(needed).is_none()).map(|(_, package)| *package).collect();
    if !python_makes_environments() {
        missing.push("python3-venv");
    }
    missing
}

/// Debian keeps what `python3 -m venv` needs in a package of its own.
fn python_makes_environments() -> bool {
    program("python3").is_some_and(|python| {
        Command::new(python).args(["-c", "import venv, ensurepip"]).output().is_ok_and(|output| output.status.success())
    })
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
