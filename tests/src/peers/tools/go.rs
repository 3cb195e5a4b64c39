//! The peers that are built from Go.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Progress, cache_folder, peers_folder, program, run, short_digest};

/// A program that is built from the Go module in `tests/peers/kubernetes`. One module for all, so that what they share is of
/// one version and is compiled once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoPart {
    /// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl in one binary.
    ControlPlane,
    /// Helm.
    Helm,
    /// The fake kubelet.
    Kwok,
    /// The judge of chart tests.
    HelmUnittest,
}

impl GoPart {
    /// All of them, the one that takes longest first.
    pub const ALL: [Self; 4] = [Self::ControlPlane, Self::Helm, Self::Kwok, Self::HelmUnittest];

    /// The name of the binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Helm => "helm",
            Self::Kwok => "kwok",
            Self::HelmUnittest => "helm-unittest",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::ControlPlane => ".",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::HelmUnittest => "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
        }
    }

    /// Without these the programs report no version that a client could judge.
    fn linker_flags(self) -> &'static str {
        match self {
            Self::ControlPlane => concat!(
                "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2",
                " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"
            ),
            Self::Helm => "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1",
            Self::Kwok | Self::HelmUnittest => "-s -w",
        }
    }

    /// Where the binary lies or will lie: a name for what it is built from and by.
    fn location(self) -> Result<PathBuf> {
        self.location_for(&toolchain()?)
    }

    fn location_for(self, toolchain: &Toolchain) -> Result<PathBuf> {
        let mut sources: Vec<PathBuf> = fs::read_dir(module())
            .with_context(|| format!("cannot read {}", module().display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        sources.retain(|path| {
            path.extension().is_some_and(|extension| extension == "go" || extension == "mod" || extension == "sum")
        });
        sources.sort();
        let mut parts = vec![toolchain.version.clone().into_bytes(), self.linker_flags().into()];
        for source in sources {
            parts.push(fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?);
        }
        let digest = short_digest(parts.iter().map(Vec::as_slice));
        Ok(cache_folder()?.join(format!("{}-{digest}", self.name())))
    }

    /// The path of the binary.
    pub fn built(self) -> Result<PathBuf> {
        let path = self.location()?;
        if !path.is_file() {
            bail!("{} has not been built yet: run `cargo xtask test --only tools`", self.name());
        }
        Ok(path)
    }

    /// Builds the binary unless it is there.
    pub fn build(self, progress: Progress<'_>) -> Result<PathBuf> {
        let toolchain = toolchain()?;
        let path = self.location_for(&toolchain)?;
        if path.is_file() {
            return Ok(path);
        }
        progress(&format!("building {}", self.name()));
        fs::create_dir_all(cache_folder()?)?;
        // Built beside its place and moved there whole: an interrupted build leaves nothing that looks finished.
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        let built = run(
            Command::new(&toolchain.program)
                .args(["build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath"])
                .args(["-ldflags", self.linker_flags(), "-o"])
                .arg(&unfinished)
                .arg(self.package())
                .current_dir(module())
                .env("GOWORK", "off"),
            &mut |line| progress(&format!("{}: {line}", self.name())),
        );
        if let Err(error) = built {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        fs::rename(&unfinished, &path)?;
        Ok(path)
    }
}

fn module() -> PathBuf {
    peers_folder().join("kubernetes")
}

/// The oldest Go that builds the module, as its `go` line says.
const OLDEST: (u32, u32) = (1, 26);

/// A Go toolchain that is new enough.
#[derive(Clone, Debug)]
pub(super) struct Toolchain {
    program: PathBuf,
    /// What `go env GOVERSION GOOS GOARCH` prints.
    version: String,
}

/// Looks for it.
pub(super) fn toolchain() -> Result<Toolchain> {
    let (major, minor) = OLDEST;
    let advice = format!(
        "Go builds the Kubernetes control plane, Helm and the fake kubelet: install {major}.{minor} or newer as \
         https://go.dev/doc/install says"
    );
    let program = program("go").with_context(|| format!("Go is missing. {advice}"))?;
    let here = program.display();
    // In the folder of the module, because its `go` line and GOTOOLCHAIN may choose another version there.
    let output = Command::new(&program)
        .args(["env", "GOVERSION", "GOOS", "GOARCH"])
        .current_dir(module())
        .output()
        .with_context(|| format!("cannot start {here}"))?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{here} refuses the module that it is to build ({complaint}). {advice}");
    }
    if release(&version).is_none_or(|found| found < OLDEST) {
        let found = version.lines().next().unwrap_or_default();
        bail!("{here} is {found}, which is too old. {advice}");
    }
    Ok(Toolchain { program, version })
}

/// The first two numbers of a version such as `go1.26.8` or `go1.27rc1`.
fn release(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.strip_prefix("go")?.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert_eq!(release("go1.26.8\nlinux\namd64\n"), Some((1, 26)));
        assert_eq!(release("go1.27rc1"), Some((1, 27)));
        assert!(release("go1.19.8").is_some_and(|found| found < OLDEST));
        assert!(release("go2.0").is_some_and(|found| found > OLDEST));
        assert_eq!(release("devel"), None);
    }

    #[test]
    fn the_module_asks_for_no_newer_go_than_we_do() {
        let module = fs::read_to_string(module().join("go.mod")).unwrap();
        let asked = module.lines().find_map(|line| line.strip_prefix("go ")).unwrap();
        assert!(release(&format!("go{asked}")).unwrap() <= OLDEST, "it asks for Go {asked}");
    }
}
