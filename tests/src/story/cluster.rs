//! The cluster of the story: one of its own, or one that is there already.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Result, ensure};

use super::{NAMESPACE, OPERATOR_NAMESPACE};
use crate::peers::control_plane::ControlPlane;
use crate::peers::kubectl;
use crate::peers::tools::kubernetes::part;

/// A cluster that is there before the story begins.
#[derive(Clone, Debug)]
pub struct Existing {
    /// The name of its context.
    pub context: String,
    /// The kubeconfig file with that context; `None`: where kubectl looks for it.
    pub kubeconfig: Option<PathBuf>,
}

/// Where the story takes place.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
    control_plane: Option<ControlPlane>,
}

impl Cluster {
    /// A new control plane on this machine.
    pub async fn own() -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        Ok(Self { kubeconfig: control_plane.kubeconfig().to_owned(), control_plane: Some(control_plane) })
    }

    /// A cluster that is there already, through a copy of its context in `folder`. Fails if anything is there that the
    /// story would make and remove again.
    pub async fn existing(existing: &Existing, folder: &Path) -> Result<Self> {
        let Existing { context, kubeconfig } = existing;
        let mut command = tokio::process::Command::from(part("kubectl")?);
        command.args(["config", "view", "--raw", "--minify", "--flatten", "--context", context]);
        if let Some(kubeconfig) = kubeconfig {
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        let output = command.output().await?;
        ensure!(
            output.status.success(),
            "the context {context} cannot be used: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, output.stdout)?;
        let cluster = Self { kubeconfig, control_plane: None };
        cluster.refuse_what_is_not_ours(context).await?;
        Ok(cluster)
    }

    /// A kubeconfig file of this cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The control plane, where it is the story's own.
    pub fn control_plane(&self) -> Option<&ControlPlane> {
        self.control_plane.as_ref()
    }

    pub(super) fn into_control_plane(self) -> Option<ControlPlane> {
        self.control_plane
    }

    /// What `kubectl` prints. Fails with what it complains of.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl::run(&self.kubeconfig, arguments, None).await
    }

    /// How `kubectl` ends with this on its standard input.
    pub async fn kubectl_output(&self, arguments: &[&str], input: Option<&str>) -> Result<Output> {
        kubectl::output(&self.kubeconfig, arguments, input).await
    }

    async fn refuse_what_is_not_ours(&self, context: &str) -> Result<()> {
        let kinds = self.kubectl(&["get", "crds", "-o", "name"]).await?;
        ensure!(
            !kinds.contains("directorysync.dev"),
            "the cluster of the context {context} has the kinds of directorysync.dev already; the demo would remove \
             them, and every resource with them, at its end: use another cluster"
        );
        for namespace in [NAMESPACE, OPERATOR_NAMESPACE] {
            let found = self.kubectl(&["get", "namespace", namespace, "--ignore-not-found", "-o", "name"]).await?;
            ensure!(
                found.trim().is_empty(),
                "the cluster of the context {context} has a namespace {namespace} already; the demo would remove it at \
                 its end: use another cluster"
            );
        }
        Ok(())
    }
}
