//! `kubectl`, run for the administrator of a cluster.

use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;

use super::tools::kubernetes::part;

/// What `kubectl` prints for the cluster of a kubeconfig file, with this on its standard input. Fails with what it
/// complains of.
pub async fn run(kubeconfig: &Path, arguments: &[&str], input: Option<&str>) -> Result<String> {
    let output = output(kubeconfig, arguments, input).await?;
    if !output.status.success() {
        bail!("`kubectl {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// How `kubectl` ends, where a failure is what somebody wants to see.
pub async fn output(kubeconfig: &Path, arguments: &[&str], input: Option<&str>) -> Result<Output> {
    let mut command = tokio::process::Command::from(part("kubectl")?);
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Beside the kubeconfig, and gone with it.
    command.env("KUBECACHEDIR", kubeconfig.with_file_name("kubectl-cache"));
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().context("cannot start kubectl")?;
    let stdin = child.stdin.take();
    // It may print more than a pipe holds before it has read everything.
    let output = tokio::spawn(child.wait_with_output());
    if let (Some(mut pipe), Some(input)) = (stdin, input) {
        // A kubectl that refuses its arguments does not read; its own complaint says more than the broken pipe.
        let _ = pipe.write_all(input.as_bytes()).await;
    }
    Ok(output.await??)
}
