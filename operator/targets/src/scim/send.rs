//! Sending approved operations, each with its own outcome.

use super::client::{Call, Client};
use super::config::ScimConfig;
use super::discovery::Profile;
use super::error::ScimError;
use super::resources::{self, GroupEdit, UserEdit};
use super::write::{self, Wrote};
use directory_sync_core::applied::{Answer, Applied, Outcome};
use directory_sync_core::disposition::Classified;
use directory_sync_core::gate::{Approved, ApprovedOperation};
use directory_sync_core::operation::Verb;
use reqwest::Method;
use std::collections::HashMap;
use tokio_util::sync::CancellationToken;

/// So many failures of the service itself, one after the other, end the run.
const FAILURES_IN_A_ROW: u32 = 3;

/// Verbs whose operations on one object are sent together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    CreateGroups,
    EditGroups,
    CreateUsers,
    EditUsers,
    AddMembers,
    RemoveMembers,
    SuspendUsers,
    DeleteUsers,
    DeleteGroups,
}

impl Step {
    fn of(verb: Verb) -> Self {
        match verb {
            Verb::CreateGroup => Self::CreateGroups,
            Verb::AdoptGroup | Verb::UpdateGroup => Self::EditGroups,
            Verb::CreateUser => Self::CreateUsers,
            Verb::AdoptUser
            | Verb::UpdateUser
            | Verb::MoveUser
            | Verb::RestoreUser
            | Verb::AddAlias
            | Verb::RemoveAlias => Self::EditUsers,
            Verb::AddMember => Self::AddMembers,
            Verb::RemoveMember => Self::RemoveMembers,
            Verb::SuspendUser => Self::SuspendUsers,
            Verb::DeleteUser => Self::DeleteUsers,
            Verb::DeleteGroup => Self::DeleteGroups,
        }
    }

    /// Where its objects lie.
    fn endpoint(self) -> &'static str {
        match self {
            Self::CreateUsers | Self::EditUsers | Self::SuspendUsers | Self::DeleteUsers => "Users",
            Self::CreateGroups | Self::EditGroups | Self::AddMembers | Self::RemoveMembers | Self::DeleteGroups => {
                "Groups"
            }
        }
    }

    /// The id in the target of what an operation changes; empty where it is created by this run.
    fn target_id<'w>(self, operation: &ApprovedOperation<'w>) -> &'w str {
        if self.endpoint() == "Users" {
            operation.target_user().map_or("", |user| user.id())
        } else {
            operation.target_group().map_or("", |group| group.id())
        }
    }
}

/// Sends everything that is approved and says what became of each operation.
pub(super) async fn send(
    client: &Client,
    profile: Result<&Profile, ScimError>,
    config: &ScimConfig,
    approved: Approved<'_>,
    answered: &(dyn Fn(&Outcome) + Send + Sync),
    stop: &CancellationToken,
) -> Applied {
    let operations: Vec<_> = approved.into_operations().collect();
    let profile = match profile {
        Ok(profile) => profile,
        Err(error) => {
            let outcomes = operations.into_iter().map(|operation| {
                let outcome = operation.answered(Answer::NotSent { reason: error.reason() });
                answered(&outcome);
                outcome
            });
            return Applied::of(outcomes.collect());
        }
    };
    let batch = config.members_per_request.get() as usize;
    let mut sending = Sending {
        client,
        profile,
        batch,
        answered,
        stop,
        outcomes: Vec::with_capacity(operations.len()),
        users: HashMap::new(),
        groups: HashMap::new(),
        conflicts: Vec::new(),
        failures: 0,
        ended: None,
    };
    for (step, objects) in by_object(operations) {
        if step > Step::EditUsers {
            sending.try_conflicts_again().await;
        }
        for object in objects {
            sending.object(step, object, true).await;
        }
    }
    sending.try_conflicts_again().await;
    Applied::of(sending.outcomes)
}

type Object<'w> = Vec<ApprovedOperation<'w>>;

/// The operations by step and, within a step, by the object they change; the order is otherwise kept.
fn by_object(operations: Vec<ApprovedOperation<'_>>) -> Vec<(Step, Vec<Object<'_>>)> {
    let mut steps: Vec<(Step, Vec<Object<'_>>)> = Vec::new();
    let mut places: HashMap<(bool, usize), usize> = HashMap::new();
    for operation in operations {
        let step = Step::of(operation.verb());
        if steps.last().is_none_or(|(last, _)| *last != step) {
            steps.push((step, Vec::new()));
            places.clear();
        }
        let Some((_, objects)) = steps.last_mut() else { continue };
        let key = match step {
            Step::CreateGroups | Step::CreateUsers => None,
            // The group may be one that this run creates.
            Step::AddMembers | Step::RemoveMembers => operation
                .target_group()
                .map(|group| (true, group.row()))
                .or_else(|| operation.source_group().map(|group| (false, group.row()))),
            Step::EditGroups | Step::DeleteGroups => operation.target_group().map(|group| (true, group.row())),
            Step::EditUsers | Step::SuspendUsers | Step::DeleteUsers => {
                operation.target_user().map(|user| (true, user.row()))
            }
        };
        let at = key.map_or(objects.len(), |key| *places.entry(key).or_insert(objects.len()));
        match objects.get_mut(at) {
            Some(object) => object.push(operation),
            None => objects.push(vec![operation]),
        }
    }
    steps
}

/// A run of sending.
pub(super) struct Sending<'s, 'w> {
    pub(super) client: &'s Client,
    pub(super) profile: &'s Profile,
    /// Most members per request.
    pub(super) batch: usize,
    answered: &'s (dyn Fn(&Outcome) + Send + Sync),
    stop: &'s CancellationToken,
    outcomes: Vec<Outcome>,
    /// Ids of what this run created, by row of the source.
    pub(super) users: HashMap<usize, String>,
    pub(super) groups: HashMap<usize, String>,
    /// What was refused because a value was taken: another operation of the same run may give the value free.
    conflicts: Vec<(Step, Object<'w>)>,
    failures: u32,
    ended: Option<&'static str>,
}

impl<'w> Sending<'_, 'w> {
    /// Sends the operations on one object. Refused because a value is taken, they are kept for later if they may be.
    async fn object(&mut self, step: Step, object: Object<'w>, may_wait: bool) {
        if let Some(reason) = self.over() {
            self.answer(object, &Answer::NotSent { reason });
            return;
        }
        let Some(first) = object.first() else { return };
        match step {
            Step::CreateGroups | Step::CreateUsers => {
                let result = self.create(step, first).await;
                if may_wait && is_conflict(&result) {
                    self.conflicts.push((step, object));
                    return;
                }
                if let (Ok((id, _)), Some(operation)) = (&result, object.first()) {
                    self.remember(step, operation, id);
                }
                let answer = self.judge(result.map(|(id, wrote)| answer(wrote, Some(id))));
                self.answer(object, &answer);
            }
            Step::EditGroups | Step::EditUsers | Step::SuspendUsers => {
                let (result, id) = self.edit(step, &object).await;
                if may_wait && step == Step::EditUsers && is_conflict(&result) {
                    self.conflicts.push((step, object));
                    return;
                }
                let gone = matches!(&result, Err(error) if error.refusal() == Some(404));
                let answer = if step == Step::SuspendUsers && gone {
                    Answer::AlreadyDone { target_id: None }
                } else {
                    self.judge(result.map(|wrote| answer(wrote, Some(id))))
                };
                self.answer(object, &answer);
            }
            Step::AddMembers => self.members(object, true).await,
            Step::RemoveMembers => self.members(object, false).await,
            Step::DeleteUsers | Step::DeleteGroups => {
                let path = [step.endpoint(), step.target_id(first)];
                let answer = match self.client.send(&Call::change("delete", Method::DELETE, &path, None)).await {
                    Err(error) if error.refusal() == Some(404) => Answer::AlreadyDone { target_id: None },
                    result => self.judge(result.map(|_| answer(Wrote::Changed, None))),
                };
                self.answer(object, &answer);
            }
        }
    }

    async fn try_conflicts_again(&mut self) {
        let mut conflicts = std::mem::take(&mut self.conflicts);
        // Changes first: they are what gives values free.
        conflicts.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
        for (step, object) in conflicts {
            self.object(step, object, false).await;
        }
    }

    async fn create(&self, step: Step, operation: &ApprovedOperation<'w>) -> Result<(String, Wrote), ScimError> {
        let (profile, fields) = (self.profile, operation.fields());
        let (body, external_id) = if step == Step::CreateUsers {
            let user = operation.source_user();
            user.map(|user| (resources::new_user(user, fields, profile), user.id())).unwrap_or_default()
        } else {
            let group = operation.source_group();
            group.map(|group| (resources::new_group(group, fields, profile), group.id())).unwrap_or_default()
        };
        write::create(self.client, profile, step.endpoint(), &body, external_id).await
    }

    fn remember(&mut self, step: Step, operation: &ApprovedOperation<'w>, id: &str) {
        if step == Step::CreateUsers {
            self.users.extend(operation.source_user().map(|user| (user.row(), id.to_owned())));
        } else {
            self.groups.extend(operation.source_group().map(|group| (group.row(), id.to_owned())));
        }
    }

    async fn edit(&self, step: Step, object: &Object<'w>) -> (Result<Wrote, ScimError>, String) {
        let (client, profile) = (self.client, self.profile);
        let Some(first) = object.first() else { return (Ok(Wrote::Same), String::new()) };
        let id = step.target_id(first);
        let path = [step.endpoint(), id];
        let result = if step == Step::EditGroups {
            let edit = GroupEdit::of(first);
            write::edit(client, profile, &path, &|object: &mut _| edit.lay_over(object, profile)).await
        } else {
            let edit = UserEdit::of(object);
            write::edit(client, profile, &path, &|object: &mut _| edit.lay_over(object, &profile.user)).await
        };
        (result, id.to_owned())
    }

    /// Why nothing more is sent, if so.
    pub(super) fn over(&self) -> Option<&'static str> {
        if self.stop.is_cancelled() { Some("Stopped") } else { self.ended }
    }

    /// Turns a result into an answer, and ends the run when it shows that everything else would fail as well.
    pub(super) fn judge(&mut self, result: Result<Answer, ScimError>) -> Answer {
        let error = match result {
            Ok(answer) => {
                self.failures = 0;
                return answer;
            }
            Err(error) => error,
        };
        self.failures = if error.is_general() { self.failures + 1 } else { 0 };
        let for_all = matches!(error, ScimError::Unauthorized { .. } | ScimError::RateLimited { .. });
        if for_all || self.failures >= FAILURES_IN_A_ROW {
            self.ended = Some(error.reason());
        }
        match (&error, error.refusal()) {
            (ScimError::Stopped { .. } | ScimError::RateLimited { .. }, _) => {
                Answer::NotSent { reason: error.reason() }
            }
            (_, Some(404)) => Answer::Failed {
                reason: "TargetObjectGone",
                message: "the service no longer has it; the next run plans it anew".to_owned(),
            },
            (_, Some(409)) => Answer::Failed { reason: "TargetConflict", message: error.to_string() },
            _ => Answer::Failed { reason: error.reason(), message: error.to_string() },
        }
    }

    /// Answers all operations of an object alike.
    pub(super) fn answer(&mut self, object: impl IntoIterator<Item = ApprovedOperation<'w>>, answer: &Answer) {
        for operation in object {
            let outcome = operation.answered(answer.clone());
            (self.answered)(&outcome);
            self.outcomes.push(outcome);
        }
    }
}

fn is_conflict<T>(result: &Result<T, ScimError>) -> bool {
    matches!(result, Err(error) if error.refusal() == Some(409))
}

pub(super) fn answer(wrote: Wrote, target_id: Option<String>) -> Answer {
    match wrote {
        Wrote::Changed => Answer::Done { target_id },
        Wrote::Same => Answer::AlreadyDone { target_id },
    }
}
