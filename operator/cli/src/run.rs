//! `run`: the operator, until it is told to end.

use anyhow::{Context as _, Result};
use directory_sync_api::convert::positive_duration;
use directory_sync_controller::backoff::Pauses;
use directory_sync_controller::operator::{self, OperatorConfig};
use kube::{Client, Config};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::arguments::RunArguments;

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// If the cluster cannot be reached, does not know the kinds, or nothing can be served.
pub async fn run(arguments: &RunArguments) -> Result<()> {
    tracing::info!(version = crate::version(), "the operator starts");
    let recheck = positive_duration("--recheck-interval", &arguments.recheck_interval)?;
    let pauses = Pauses { recheck: Duration::try_from(recheck)?, ..Pauses::default() };
    let config = Config::infer().await.context("no cluster is configured")?;
    let client = Client::try_from(config)?;
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to end; the request under way is finished first");
        told.cancel();
    });
    let namespaces = arguments.watch_namespaces.clone();
    Ok(operator::run(client, OperatorConfig { namespaces, address: arguments.metrics_address, pauses }, stop).await?)
}
