//! The judge of chart tests (helm-unittest), which needs no cluster.

use std::path::Path;

use anyhow::{Result, bail};

use super::tools::go::GoPart;

/// Runs the tests in the folder `tests` of a chart and returns the report. Fails with the report if one fails, and if
/// there are none, which helm-unittest itself lets pass.
pub async fn run(chart: &Path) -> Result<String> {
    let output =
        tokio::process::Command::new(GoPart::HelmUnittest.built()?).arg("--strict").arg(chart).output().await?;
    let report = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        bail!("tests of the chart {} fail:\n{report}", chart.display());
    }
    if report.lines().any(|line| line.starts_with("Tests:") && line.contains(" 0 passed")) {
        bail!("the chart {} has no tests:\n{report}", chart.display());
    }
    Ok(report)
}
