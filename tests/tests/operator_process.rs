//! The operator as a process: it starts, ends and is measured as its chart has it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use anyhow::Result;
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::operator::{Operator, OperatorOptions};

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_as_its_chart_says_survives_a_crash_and_ends_when_it_is_told_to() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let values = vec!["recheckInterval=7s".to_owned()];
    let mut operator = Operator::start(&control_plane, &OperatorOptions { values, ..Default::default() }).await?;
    assert!(operator.arguments().contains(&"--recheck-interval=7s".to_owned()), "{:?}", operator.arguments());
    assert!(operator.is_live().await && operator.is_ready().await);
    assert_eq!(operator.metric("directorysync_objects_in_backoff", &[]).await?, Some(0.0));

    operator.kill();
    assert!(!operator.is_live().await);
    operator.restart().await?;
    operator.terminate()?;
    assert!(!operator.is_live().await);

    let log = operator.log()?;
    assert_eq!(log.matches("\"watching\"").count(), 2, "{log}");
    assert!(log.contains("told to end"), "{log}");
    Ok(())
}
