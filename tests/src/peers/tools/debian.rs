//! What comes from the distribution's packages.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Progress, program, run};

/// A Debian package, and what shows that it (or the same software from elsewhere) is here.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    name: &'static str,
    sign: Sign,
}

#[derive(Clone, Copy, Debug)]
enum Sign {
    Program(&'static str),
    /// In one of the folders of `/usr/lib*`, or in such a folder's subfolder for one kind of processor.
    Library(&'static str),
    File(&'static str),
    /// Debian keeps what `python3 -m venv` needs in a package of its own.
    PythonEnvironments,
}

/// What the demo needs as well as the tests.
pub const BASIC: [Package; 4] = [
    Package { name: "slapd", sign: Sign::Program("slapd") },
    Package { name: "ldap-utils", sign: Sign::Program("ldapsearch") },
    Package { name: "python3", sign: Sign::Program("python3") },
    Package { name: "python3-venv", sign: Sign::PythonEnvironments },
];

/// The directory servers that only the tests need.
pub const DIRECTORY_SERVERS: [Package; 6] = [
    Package { name: "389-ds-base", sign: Sign::Program("ns-slapd") },
    Package { name: "samba", sign: Sign::Program("samba") },
    Package { name: "samba-ad-provision", sign: Sign::File("/usr/share/samba/setup/provision.ldif") },
    Package { name: "samba-dsdb-modules", sign: Sign::Library("samba/ldb/samba_dsdb.so") },
    Package { name: "samba-vfs-modules", sign: Sign::Library("samba/vfs/acl_xattr.so") },
    Package { name: "ldb-tools", sign: Sign::Program("ldbmodify") },
];

/// What the search for inputs is built with, which only the tests need.
pub const COMPILERS: [Package; 1] = [Package { name: "g++", sign: Sign::Program("c++") }];

/// Installs what is missing of these packages, if this is Debian (or a relative) and we are root. No service is started
/// by that.
pub fn install(packages: &[Package], progress: Progress<'_>) -> Result<()> {
    let missing: Vec<_> =
        packages.iter().filter(|package| !package.sign.is_here()).map(|package| package.name).collect();
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

impl Sign {
    fn is_here(self) -> bool {
        match self {
            Self::Program(name) => program(name).is_some(),
            Self::Library(name) => has_library(name),
            Self::File(path) => Path::new(path).exists(),
            Self::PythonEnvironments => program("python3").is_some_and(|python| {
                let output = Command::new(python).args(["-c", "import venv, ensurepip"]).output();
                output.is_ok_and(|output| output.status.success())
            }),
        }
    }
}

fn has_library(name: &str) -> bool {
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(Path::new);
    folders.iter().any(|folder| {
        let below = fs::read_dir(folder).into_iter().flatten().flatten();
        folder.join(name).exists() || below.into_iter().any(|entry| entry.path().join(name).exists())
    })
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
