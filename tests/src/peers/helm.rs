//! Real Helm.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::tools::go::GoPart;

/// Helm with its own folders, so that it neither reads nor changes those of the user.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: TempDir,
}

impl Helm {
    /// Helm for the cluster of a kubeconfig file.
    pub fn for_cluster(kubeconfig: &Path) -> Result<Self> {
        Ok(Self { program: GoPart::Helm.built()?, kubeconfig: kubeconfig.to_owned(), folder: TempDir::new()? })
    }

    /// Helm without a cluster, which is enough for `lint`, `template` and `package`.
    pub fn without_cluster() -> Result<Self> {
        Self::for_cluster(Path::new("/dev/null"))
    }

    /// What `helm` prints. Fails with what it complains of.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments).await?;
        if !output.status.success() {
            let complaint = [output.stdout, output.stderr].concat();
            bail!("`helm {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&complaint).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// How `helm` ends, where a failure is what a test is about.
    pub async fn output(&self, arguments: &[&str]) -> Result<Output> {
        let folder = |name: &str| self.folder.path().join(name);
        Ok(tokio::process::Command::new(&self.program)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", folder("discovery"))
            .env("HELM_CACHE_HOME", folder("cache"))
            .env("HELM_CONFIG_HOME", folder("config"))
            .env("HELM_DATA_HOME", folder("data"))
            .output()
            .await?)
    }
}
