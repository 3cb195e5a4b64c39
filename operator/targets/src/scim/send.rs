//! Sending approved operations, each with its own outcome.

use super::client::{Call, Client};
use super::config::ScimConfig;
use super::discovery::Profile;
use super::error::ScimError;
use super::read;
use super::resources::{self, GroupEdit, UserEdit};
use super::write::{self, Written, Wrote};
use directory_sync_core::applied::{Answer, Applied, Outcome};
use directory_sync_core::disposition::Classified;
use directory_sync_core::gate::{Approved, ApprovedOperation};
use directory_sync_core::operation::Verb;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After so many failures, one after the other, that need not be about one object, the service itself is asked how it
/// is. Only if it does not answer well the run is over: else a few objects would keep it from all others for ever.
const FAILURES_IN_A_ROW: u32 = 3;

/// So many requests, one after the other, without any answer end the run: each of them costs the whole timeout.
const UNANSWERED_IN_A_ROW: u32 = 10;

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
            return Applied::of(outcomes.collect()).asking_to_wait(error.asked_to_wait());
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
        versions: HashMap::new(),
        conflicts: Vec::new(),
        failures: 0,
        unanswered: 0,
        asked_to_wait: None,
        ended: None,
    };
    for (step, objects) in by_object(operations) {
        if step > Step::EditUsers {
            sending.try_conflicts_again().await;
        }
        for object in objects {
            sending.object(step, object).await;
        }
    }
    sending.try_conflicts_again().await;
    Applied::of(sending.outcomes).asking_to_wait(sending.asked_to_wait)
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
    /// Versions that objects have since this run changed them, by endpoint and id; empty where that is not known.
    versions: HashMap<(&'static str, String), String>,
    /// What was refused because a value was taken: another operation of the same run may give the value free.
    conflicts: Vec<(Step, Object<'w>, ScimError)>,
    /// Failures in a row that need not be about one object, since the service itself was asked.
    failures: u32,
    /// Requests in a row without any answer.
    unanswered: u32,
    /// The longest pause that the service asked for.
    asked_to_wait: Option<Duration>,
    ended: Option<&'static str>,
}

impl<'w> Sending<'_, 'w> {
    /// Sends the operations on one object. Refused because a value is taken, they are kept for later.
    async fn object(&mut self, step: Step, object: Object<'w>) {
        if let Some(reason) = self.over() {
            self.answer(object, &Answer::NotSent { reason });
            return;
        }
        let Some(first) = object.first() else { return };
        match step {
            Step::CreateGroups | Step::CreateUsers => {
                let result = match self.create(step, first).await {
                    Err(error) if error.is_conflict() => {
                        self.conflicts.push((step, object, error));
                        return;
                    }
                    result => result,
                };
                if let (Ok((id, _)), Some(operation)) = (&result, object.first()) {
                    self.remember(step, operation, id);
                }
                let answer = self.judge(result.map(|(id, wrote)| answer(wrote, Some(id)))).await;
                self.answer(object, &answer);
            }
            Step::EditGroups | Step::EditUsers | Step::SuspendUsers => {
                let (result, id) = self.edit(step, &object).await;
                let answer = match result {
                    Err(error) if step != Step::SuspendUsers && error.is_conflict() => {
                        self.conflicts.push((step, object, error));
                        return;
                    }
                    Err(error) if step == Step::SuspendUsers && error.refusal() == Some(404) => {
                        Answer::AlreadyDone { target_id: None }
                    }
                    Err(error) => self.judge(Err(error)).await,
                    Ok(Written { wrote, version }) => {
                        self.has_version(step.endpoint(), &id, version);
                        self.judge(Ok(answer(wrote, Some(id)))).await
                    }
                };
                self.answer(object, &answer);
            }
            Step::AddMembers => self.members(object, true).await,
            Step::RemoveMembers => self.members(object, false).await,
            Step::DeleteUsers | Step::DeleteGroups => {
                let result = self.delete(step, first).await;
                let answer = self.judge(result.map(|wrote| answer(wrote, None))).await;
                self.answer(object, &answer);
            }
        }
    }

    /// Sends again what was refused because a value was taken, as long as something of it succeeds: each may give free
    /// what another one waits for.
    async fn try_conflicts_again(&mut self) {
        let mut before = usize::MAX;
        while !self.conflicts.is_empty() && self.conflicts.len() < before {
            before = self.conflicts.len();
            let mut conflicts = std::mem::take(&mut self.conflicts);
            // Changes first: they are what gives values free.
            conflicts.sort_by_key(|(step, ..)| std::cmp::Reverse(*step));
            for (step, object, _) in conflicts {
                self.object(step, object).await;
            }
        }
        for (_, object, error) in std::mem::take(&mut self.conflicts) {
            let answer = self.judge(Err(error)).await;
            self.answer(object, &answer);
        }
    }

    /// Deletes an object that is still what the plan was made for. Who is in a group does not decide whether it goes.
    async fn delete(&self, step: Step, operation: &ApprovedOperation<'w>) -> Result<Wrote, ScimError> {
        let (client, profile, endpoint) = (self.client, self.profile, step.endpoint());
        let id = step.target_id(operation);
        let path = [endpoint, id];
        if let Some(user) = operation.target_user() {
            let unchanged = |object: &_| read::is_still_user(object, &profile.user, user);
            write::delete(client, profile, &path, self.version(endpoint, id, user.version()), &unchanged).await
        } else {
            let group = operation.target_group();
            let unchanged = |object: &_| group.is_some_and(|group| read::is_still_group(object, profile, group));
            let planned = group.map_or("", |group| group.version());
            write::delete(client, profile, &path, self.version(endpoint, id, planned), &unchanged).await
        }
    }

    /// The version that an object has by what is known: what this run made of it, or else what the plan saw.
    pub(super) fn version<'v>(&'v self, endpoint: &'static str, id: &str, planned: &'v str) -> &'v str {
        self.versions.get(&(endpoint, id.to_owned())).map_or(planned, String::as_str)
    }

    /// Notes the version that an object has now.
    pub(super) fn has_version(&mut self, endpoint: &'static str, id: &str, version: String) {
        if self.profile.etag {
            self.versions.insert((endpoint, id.to_owned()), version);
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

    async fn edit(&self, step: Step, object: &[ApprovedOperation<'w>]) -> (Result<Written, ScimError>, String) {
        let (client, profile) = (self.client, self.profile);
        let Some(first) = object.first() else {
            return (Ok(Written { wrote: Wrote::Same, version: String::new() }), String::new());
        };
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
    pub(super) async fn judge(&mut self, result: Result<Answer, ScimError>) -> Answer {
        let error = match result {
            Ok(answer) => {
                (self.failures, self.unanswered) = (0, 0);
                return answer;
            }
            Err(error) => error,
        };
        self.heed(&error).await;
        match &error {
            ScimError::Stopped { .. } | ScimError::RateLimited { .. } => Answer::NotSent { reason: error.reason() },
            _ if error.refusal() == Some(404) => Answer::Failed {
                reason: "TargetObjectGone",
                message: "the service no longer has it; the next run plans it anew".to_owned(),
            },
            _ if error.is_conflict() => Answer::Failed { reason: "TargetConflict", message: error.to_string() },
            _ => Answer::Failed { reason: error.reason(), message: error.to_string() },
        }
    }

    /// Looks whether a failure is one of everything.
    async fn heed(&mut self, error: &ScimError) {
        self.asked_to_wait = self.asked_to_wait.max(error.asked_to_wait());
        self.failures = if error.is_general() { self.failures + 1 } else { 0 };
        self.unanswered = if error.is_unanswered() { self.unanswered + 1 } else { 0 };
        let for_all = matches!(error, ScimError::Unauthorized { .. } | ScimError::RateLimited { .. });
        if for_all || self.unanswered >= UNANSWERED_IN_A_ROW {
            self.ended = Some(error.reason());
        } else if error.is_unanswered() || self.failures >= FAILURES_IN_A_ROW {
            self.failures = 0;
            if let Err(error) = self.client.send(&Call::get("discover", &["ServiceProviderConfig"])).await {
                self.asked_to_wait = self.asked_to_wait.max(error.asked_to_wait());
                self.ended = Some(error.reason());
            }
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

pub(super) fn answer(wrote: Wrote, target_id: Option<String>) -> Answer {
    match wrote {
        Wrote::Changed => Answer::Done { target_id },
        Wrote::Same => Answer::AlreadyDone { target_id },
    }
}
