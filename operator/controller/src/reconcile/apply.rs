//! Sending what the gate approved, with the state saved before and after.

use super::{ReconcileError, Run, number};
use crate::cluster::call;
use crate::connect::Connection;
use crate::store::Remembered;
use directory_sync_api::approval::{ApprovalState, DirectorySyncApprovalStatus};
use directory_sync_api::{DirectorySync, DirectorySyncApproval};
use directory_sync_core::applied::Applied;
use directory_sync_core::gate::Judgement;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the resource was suspended or deleted while its changes are sent.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Sends. The approval is marked as used before anything is sent, so that a crash cannot use it twice; the state is
/// saved with the claims of what is about to be created, so that a crash cannot lose whose they are.
pub async fn send(
    run: &Run<'_>,
    judgement: &mut Judgement<'_>,
    connection: &Connection,
    remembered: &Remembered,
    approval: Option<DirectorySyncApproval>,
) -> Result<Applied, ReconcileError> {
    let mut marked = None;
    if let (Some(approval), Some(mut status)) = (approval, super::gate::verdict(judgement.approval())) {
        if status.state == ApprovalState::Used {
            run.unchanged().await?;
            status.used_at = Some(Time(Timestamp::now()));
        }
        marked = Some((run.approvals.mark(&approval, &status).await?, status));
    }
    let approved = judgement.take_approved();
    if approved.is_empty() {
        let applied = Applied::default();
        run.states.save(run.sync, remembered, remembered.state.after(judgement, &applied, run.now)).await?;
        return Ok(applied);
    }
    run.unchanged().await?;
    let claimed = match remembered.state.claims(judgement, &approved) {
        Some(claims) => run.states.save(run.sync, remembered, claims).await?,
        None => remembered.clone(),
    };
    let stop = run.stop.child_token();
    let answered = |outcome: &directory_sync_core::applied::Outcome| {
        run.metrics.answered(connection.target.kind(), outcome.verb(), outcome.succeeded());
    };
    let applied = tokio::select! {
        applied = connection.target.send(approved, &answered, &stop) => applied,
        never = stop_when_unwanted(run, &stop) => match never {},
    };
    run.states.save(run.sync, &claimed, claimed.state.after(judgement, &applied, Timestamp::now())).await?;
    if let Some((approval, DirectorySyncApprovalStatus { state: ApprovalState::Used, used_at, dropped, message, .. })) =
        marked
    {
        let status = DirectorySyncApprovalStatus {
            state: ApprovalState::Used,
            message,
            used_at,
            sent: Some(number(applied.succeeded())),
            failed: Some(number(applied.failed())),
            dropped,
        };
        run.approvals.mark(&approval, &status).await?;
    }
    Ok(applied)
}

/// Cancels `stop` when the resource is suspended or deleted; never ends by itself.
async fn stop_when_unwanted(run: &Run<'_>, stop: &CancellationToken) -> std::convert::Infallible {
    let name = run.sync.name_any();
    let api: Api<DirectorySync> = run.api();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Ok(sync) = call("read the DirectorySync", api.get(&name)).await
            && (sync.spec.suspend || sync.metadata.deletion_timestamp.is_some())
        {
            stop.cancel();
        }
    }
}
