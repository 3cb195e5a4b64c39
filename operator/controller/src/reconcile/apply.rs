//! Sending what the gate approved, with the state saved before and after.
//!
//! The order is what survives a crash: first the state is saved with the claims of what is about to be created, so
//! that a crash cannot lose whose they are; then the approval is marked as used, so that a crash cannot use it twice;
//! then changes are sent; then the state is saved with what came of them. Once something was sent nothing makes the
//! run fail any more: what cannot be kept is told beside what the target answered.

use super::gate::Approving;
use super::{LOOK_EVERY, ReconcileError, Run, gate, number};
use crate::connect::Connection;
use crate::events::News;
use crate::store::{Remembered, StoreError};
use backon::{ExponentialBuilder, Retryable};
use directory_sync_api::DirectorySyncApproval;
use directory_sync_api::approval::ApprovalState;
use directory_sync_core::applied::Applied;
use directory_sync_core::gate::{ApprovalUse, Judgement};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often what came of sending is written until it is kept, with pauses that double from one second.
const ATTEMPTS: usize = 5;

/// What came of sending.
#[derive(Debug, Default)]
pub struct Sent {
    /// The target's answers.
    pub applied: Applied,
    /// Name of the approval that let the changes through.
    pub approval: Option<String>,
    /// What could not be kept after the answers came. The next run finds out by itself what this one did.
    pub unkept: Option<StoreError>,
    /// What events tell of approvals.
    pub news: Vec<News>,
    /// Whether an approval was settled.
    pub settled: bool,
}

/// Sends what was approved.
pub async fn send(
    run: &Run<'_>,
    judgement: &mut Judgement<'_>,
    connection: &Connection,
    remembered: &Remembered,
    approving: Approving,
) -> Result<Sent, ReconcileError> {
    let mut sent = Sent::default();
    for approval in &approving.expired {
        settle(run, approval, ApprovalUse::Expired, &mut sent).await?;
    }
    let judged = approving.chosen.map(|(approval, _)| approval).zip(judgement.approval());
    let approved = judgement.take_approved();
    if approved.is_empty() {
        if let Some((approval, used)) = &judged {
            settle(run, approval, *used, &mut sent).await?;
        }
        let state = remembered.state.after(judgement, &sent.applied, run.now);
        run.states.save(run.sync, remembered, state).await?;
        return Ok(sent);
    }
    let claimed = match remembered.state.claims(judgement, &approved) {
        Some(claims) => run.states.save(run.sync, remembered, claims).await?,
        None => remembered.clone(),
    };
    run.unchanged().await?;
    let mut used = None;
    if let Some((approval, result)) = judged {
        settle(run, &approval, result, &mut sent).await?;
        used = matches!(result, ApprovalUse::Used { .. }).then_some(approval);
    }
    let stop = run.stop.child_token();
    let answered = |outcome: &directory_sync_core::applied::Outcome| {
        run.metrics.answered(connection.target.kind(), outcome);
    };
    sent.applied = tokio::select! {
        applied = connection.target.send(approved, &answered, &stop) => applied,
        never = stop_when_unwanted(run, &stop) => match never {},
    };
    sent.approval = used.as_ref().map(ResourceExt::name_any);
    sent.unkept = keep(run, judgement, &claimed, &sent.applied, used.as_ref()).await.err();
    Ok(sent)
}

/// Says what became of an approval, if that is known.
async fn settle(
    run: &Run<'_>,
    approval: &DirectorySyncApproval,
    used: ApprovalUse,
    sent: &mut Sent,
) -> Result<(), ReconcileError> {
    if let Some(mut status) = gate::verdict(used) {
        if status.state == ApprovalState::Used {
            status.used_at = Some(Time(Timestamp::now()));
        }
        run.approvals.settle(approval, &status).await?;
        sent.news.push(gate::news(approval, used));
        sent.settled = true;
    }
    Ok(())
}

/// Keeps what came of sending: in the state, and beside the approval.
async fn keep(
    run: &Run<'_>,
    judgement: &Judgement<'_>,
    claimed: &Remembered,
    applied: &Applied,
    approval: Option<&DirectorySyncApproval>,
) -> Result<(), StoreError> {
    let pauses = || ExponentialBuilder::default().with_min_delay(Duration::from_secs(1)).with_max_times(ATTEMPTS - 1);
    let state = claimed.state.after(judgement, applied, Timestamp::now());
    let saved = (|| run.states.save(run.sync, claimed, state.clone())).retry(pauses()).await;
    if let Some(approval) = approval {
        let (succeeded, failed) = (number(applied.succeeded()), number(applied.failed()));
        (|| run.approvals.count(approval, succeeded, failed)).retry(pauses()).await?;
    }
    saved.map(drop)
}

/// Cancels `stop` when the resource is changed, suspended or deleted; never ends by itself.
async fn stop_when_unwanted(run: &Run<'_>, stop: &CancellationToken) -> std::convert::Infallible {
    run.unwanted(LOOK_EVERY).await;
    stop.cancel();
    std::future::pending().await
}
