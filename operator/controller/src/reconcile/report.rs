//! The status, built from the judged plan and from the target's answers and from nothing else.

use super::apply::Sent;
use super::number;
use super::read::World;
use crate::events::News;
use crate::store::StoredPlan;
use directory_sync_api::DirectorySync;
use directory_sync_api::conditions::{Cause, Health, Held, Observation, Outcome, conditions};
use directory_sync_api::status::{
    AddRemoveCounts, AppliedStatus, Change, DirectorySyncStatus, EffectiveRules, Failure, GroupCounts, HistoryEntry,
    Hold, MAX_CHANGES, MAX_FAILURES, MAX_HISTORY, MAX_NOTES, PlanStatus, PlanSummary, RunOutcome, SideStatus,
    StoredPlan as StoredStatus, UserCounts,
};
use directory_sync_api::sync::{ApprovalMode, PlanDetail};
use directory_sync_core::applied::{self, Answer};
use directory_sync_core::disposition::Classified;
use directory_sync_core::gate::Judgement;
use directory_sync_core::plan::Summary;
use directory_sync_core::rules::Rules;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use std::time::Duration;

/// The reason of changes that were not sent because the run was to end.
const STOPPED: &str = "Stopped";

/// What a run found and did.
pub struct Report<'r> {
    /// The resource.
    pub sync: &'r DirectorySync,
    /// What was read.
    pub world: &'r World,
    /// What it was judged by.
    pub rules: &'r Rules,
    /// What was planned, and what of it waits.
    pub judgement: &'r Judgement<'r>,
    /// What the target answered.
    pub sent: &'r Sent,
    /// Where the plan is kept.
    pub stored: StoredPlan,
}

impl Report<'_> {
    /// The status after the run. What this run says nothing about is kept.
    pub fn status(&self, now: Timestamp) -> DirectorySyncStatus {
        let at = Time(now);
        let before = self.sync.status.clone().unwrap_or_default();
        let generation = self.sync.metadata.generation.unwrap_or_default();
        let observation = Observation {
            outcome: self.outcome(),
            source: Health::Healthy,
            target: Health::Healthy,
            held: self.held(),
        };
        let summary = signs(self.judgement.plan().summary());
        let counts = self.judgement.plan().counts();
        let source = SideStatus {
            users: number(counts.source.users),
            groups: number(counts.source.groups),
            memberships: number(counts.source.memberships),
            managed_users: None,
            managed_groups: None,
            read_at: Time(self.world.source_read_at),
            duration: seconds(self.world.source_took),
            read_by: Some(self.world.source_read_by.clone()),
        };
        let target = SideStatus {
            users: number(counts.target.users),
            groups: number(counts.target.groups),
            memberships: number(counts.target.memberships),
            managed_users: Some(number(counts.managed.users)),
            managed_groups: Some(number(counts.managed.groups)),
            read_at: Time(self.world.target_read_at),
            duration: seconds(self.world.target_took),
            read_by: None,
        };
        DirectorySyncStatus {
            observed_generation: generation,
            conditions: conditions(&observation, &before.conditions, generation, &at),
            source: Some(source),
            target: Some(target),
            plan: Some(self.plan(&at)),
            plan_summary: Some(summary.clone()),
            last_applied: self.applied(&at).or(before.last_applied),
            history: self.history(before.history, &at, summary),
            last_run_time: Some(at),
            next_run_time: None,
            last_handled_reconcile_at: before.last_handled_reconcile_at,
        }
    }

    /// What events tell beside the conditions: what became of approvals, and that changes were made.
    pub fn news(&self) -> Vec<News> {
        let mut news = self.sent.news.clone();
        let succeeded = self.sent.applied.outcomes().iter().filter(|outcome| outcome.succeeded());
        let summary = Summary::of(succeeded.map(applied::Outcome::verb));
        if self.sent.applied.succeeded() > 0 {
            let message = format!("{} changes were made ({}).", self.sent.applied.succeeded(), signs(summary));
            news.push(News { warning: false, reason: "Applied", message });
        }
        news
    }

    fn digest(&self) -> String {
        self.judgement.plan().digest().to_string()
    }

    fn outcome(&self) -> Outcome {
        let applied = &self.sent.applied;
        let (succeeded, failed) = (applied.succeeded(), applied.failed());
        if let Some(error) = &self.sent.unkept {
            return Outcome::Failed(Cause::new(
                error.reason(),
                format!(
                    "{succeeded} changes were made and {failed} were not, but this could not be remembered: {error}. \
                     The next run finds out by the ids in the target."
                ),
            ));
        }
        let mut failures = applied.outcomes().iter().filter_map(|outcome| match outcome.answer() {
            Answer::Failed { reason, .. } | Answer::NotSent { reason } => Some(*reason),
            Answer::Done { .. } | Answer::AlreadyDone { .. } => None,
        });
        if failed > 0 && failures.clone().all(|reason| reason == STOPPED) {
            let message = format!(
                "The run was stopped: {succeeded} changes were made, and {failed} were not sent and are planned anew."
            );
            return Outcome::Failed(Cause::new(STOPPED, message));
        }
        if let Some(first) = failures.next() {
            return Outcome::Failed(Cause::new(
                "ApplyPartiallyFailed",
                format!(
                    "The target did {succeeded} changes and did not do {failed} ({first}); status.lastApplied.failures \
                     shows the first of them."
                ),
            ));
        }
        let message = match (succeeded, self.judgement.waiting_count()) {
            (0, 0) => "The target is like the source.".to_owned(),
            (_, 0) => format!("{succeeded} changes were made."),
            (0, _) => self.instruction(),
            _ => format!("{succeeded} changes were made. {}", self.instruction()),
        };
        Outcome::Ready { message }
    }

    fn held(&self) -> Held {
        match self.judgement.holds().first() {
            Some(hold) if self.judgement.waiting_count() > 0 => {
                Held::Waiting(Cause::new(hold.reason(), self.instruction()))
            }
            _ => Held::Nothing,
        }
    }

    /// What waits, why, and what a person can do about it.
    fn instruction(&self) -> String {
        let holds: Vec<_> = self.judgement.holds().iter().map(ToString::to_string).collect();
        let reasons: Vec<_> = self.judgement.holds().iter().map(directory_sync_core::gate::Hold::reason).collect();
        let what_to_do = if reasons.contains(&"NotApplied") {
            let further = match self.sync.spec.approval {
                ApprovalMode::Manual => "; because of spec.approval: Manual the plan is to be approved as well",
                ApprovalMode::Automatic => "",
            };
            format!("look at status.plan, then set spec.apply: true{further}")
        } else if reasons
            .iter()
            .any(|reason| matches!(*reason, "LimitExceeded" | "SourceShrunk" | "ValuesVanished" | "ApprovalRequired"))
        {
            format!(
                "look at status.plan, then create a DirectorySyncApproval with spec.sync: {}, spec.plan: {} and your \
                 user name as spec.approvedBy",
                self.sync.name_any(),
                self.digest()
            )
        } else {
            "the plan names them".to_owned()
        };
        format!("{} changes wait: {}; {what_to_do}.", self.judgement.waiting_count(), holds.join("; "))
    }

    fn plan(&self, at: &Time) -> PlanStatus {
        let plan = self.judgement.plan();
        let count = if self.sync.spec.plan_detail == PlanDetail::CountsOnly { 0 } else { MAX_CHANGES };
        let changes = self.judgement.sample(count).into_iter().map(|(_, operation)| {
            let words = plan.plan().describe(operation);
            let detail = words.detail();
            Change {
                verb: words.verb.to_string(),
                subject: cut(words.subject(), 512),
                detail: (!detail.is_empty()).then(|| cut(&detail, 1024)),
                reason: words.reason.to_string(),
            }
        });
        PlanStatus {
            digest: self.digest(),
            summary: counts(plan.summary()),
            held: self.judgement.holds().iter().take(MAX_NOTES).map(|hold| self.hold(hold)).collect(),
            effective: EffectiveRules::of(&self.sync.spec, self.rules),
            warnings: plan.warnings().iter().take(MAX_NOTES).map(|warning| cut(&warning.to_string(), 1024)).collect(),
            warning_count: number(plan.warnings().iter().map(|warning| warning.count).sum()),
            changes: changes.collect(),
            stored: Some(StoredStatus {
                name: self.stored.name.clone(),
                parts: i32::try_from(self.stored.parts).unwrap_or(i32::MAX),
                bytes: number(self.stored.bytes as u64),
                complete: self.stored.complete,
            }),
            planned_at: at.clone(),
        }
    }

    fn hold(&self, hold: &directory_sync_core::gate::Hold) -> Hold {
        Hold {
            reason: hold.reason().to_owned(),
            limit: hold.limit(),
            planned: hold.planned().map(number),
            allowed: hold.allowed().map(number),
            waiting: number(self.judgement.waiting_for(hold)),
        }
    }

    fn applied(&self, at: &Time) -> Option<AppliedStatus> {
        let outcomes = self.sent.applied.outcomes();
        if outcomes.is_empty() {
            return None;
        }
        let succeeded = outcomes.iter().filter(|outcome| outcome.succeeded()).map(applied::Outcome::verb);
        let failures = outcomes.iter().filter_map(|outcome| {
            let (reason, message) = match outcome.answer() {
                Answer::Failed { reason, message } => (*reason, message.as_str()),
                Answer::NotSent { reason } => (*reason, "It was not sent."),
                Answer::Done { .. } | Answer::AlreadyDone { .. } => return None,
            };
            let words = self.judgement.plan().plan().describe(outcome.operation());
            let counts_only = self.sync.spec.plan_detail == PlanDetail::CountsOnly;
            Some(Failure {
                verb: words.verb.to_string(),
                subject: cut(if counts_only { &words.id } else { words.subject() }, 512),
                reason: reason.to_owned(),
                message: if counts_only { String::new() } else { cut(message, 1024) },
            })
        });
        Some(AppliedStatus {
            digest: self.digest(),
            at: at.clone(),
            succeeded: number(self.sent.applied.succeeded()),
            failed: number(self.sent.applied.failed()),
            summary: signs(Summary::of(succeeded)),
            approval: self.sent.approval.clone(),
            failures: failures.take(MAX_FAILURES).collect(),
        })
    }

    fn history(&self, mut history: Vec<HistoryEntry>, at: &Time, summary: String) -> Vec<HistoryEntry> {
        let (digest, applied) = (self.digest(), &self.sent.applied);
        let outcome = if applied.failed() > 0 {
            RunOutcome::PartlyFailed
        } else if self.judgement.plan().operations().is_empty() {
            RunOutcome::NothingToDo
        } else if self.judgement.waiting_count() == 0 {
            RunOutcome::Applied
        } else if self.sync.spec.apply {
            RunOutcome::Held
        } else {
            RunOutcome::Planned
        };
        let is_news = !applied.outcomes().is_empty()
            || history.first().is_none_or(|last| last.digest != digest || last.outcome != outcome);
        if is_news {
            let (succeeded, failed) = (number(applied.succeeded()), number(applied.failed()));
            history.insert(0, HistoryEntry { digest, at: at.clone(), outcome, summary, succeeded, failed });
            history.truncate(MAX_HISTORY);
        }
        history
    }
}

/// The status after a run that did not come to its end: what was known before, and why.
pub fn failed(sync: &DirectorySync, outcome: Outcome, health: (Health, Health), now: Timestamp) -> DirectorySyncStatus {
    let at = Time(now);
    let generation = sync.metadata.generation.unwrap_or_default();
    let mut status = sync.status.clone().unwrap_or_default();
    let observation = Observation { outcome, source: health.0, target: health.1, held: Held::Unchanged };
    status.conditions = conditions(&observation, &status.conditions, generation, &at);
    status.observed_generation = generation;
    status
}

/// `+14 ~3 −0`.
fn signs(summary: Summary) -> String {
    format!("+{} ~{} \u{2212}{}", summary.added(), summary.changed(), summary.removed())
}

fn counts(summary: Summary) -> PlanSummary {
    let Summary { users, groups, aliases, memberships } = summary;
    PlanSummary {
        users: UserCounts {
            create: number(users.create),
            adopt: number(users.adopt),
            update: number(users.update),
            moved: number(users.moved),
            restore: number(users.restore),
            suspend: number(users.suspend),
            delete: number(users.delete),
        },
        groups: GroupCounts {
            create: number(groups.create),
            adopt: number(groups.adopt),
            update: number(groups.update),
            delete: number(groups.delete),
        },
        aliases: AddRemoveCounts { add: number(aliases.add), remove: number(aliases.remove) },
        memberships: AddRemoveCounts { add: number(memberships.add), remove: number(memberships.remove) },
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1}s", took.as_secs_f64())
}

/// The schema counts characters.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
