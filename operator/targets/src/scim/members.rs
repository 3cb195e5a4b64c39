//! Members in and out of a group, many per request.

use super::attribute;
use super::client::Call;
use super::error::ScimError;
use super::resources;
use super::retry::Attempts;
use super::send::{Sending, answer};
use super::write::{self, Written, Wrote};
use directory_sync_core::applied::Answer;
use directory_sync_core::gate::ApprovedOperation;
use directory_sync_core::snapshot::MemberKind;
use reqwest::Method;
use std::collections::HashSet;

type Change<'w> = (ApprovedOperation<'w>, (String, &'static str));

/// Changes that are sent by one request, and the attempts at it.
struct Batch<'w> {
    changes: Vec<Change<'w>>,
    attempts: Attempts,
}

impl<'w> Batch<'w> {
    fn of(changes: Vec<Change<'w>>) -> Self {
        Self { changes, attempts: Attempts::new() }
    }

    /// Its second and its first half, so that the first is the last of a stack.
    fn halves(mut self) -> [Self; 2] {
        let second = self.changes.split_off(self.changes.len() / 2);
        [Self::of(second), Self::of(self.changes)]
    }
}

impl<'w> Sending<'_, 'w> {
    /// Adds or removes members of one group.
    pub(super) async fn members(&mut self, operations: Vec<ApprovedOperation<'w>>, add: bool) {
        let Some(group) = operations.first().and_then(|operation| self.group_id(operation)) else {
            self.answer(operations, &Answer::NotSent { reason: "GroupNotCreated" });
            return;
        };
        let planned = operations.first().and_then(ApprovedOperation::target_group).map_or("", |group| group.version());
        let mut changes = Vec::with_capacity(operations.len());
        for operation in operations {
            match self.member_id(&operation) {
                Some(member) => changes.push((operation, member)),
                None => self.answer([operation], &Answer::NotSent { reason: "MemberNotCreated" }),
            }
        }
        if self.profile.patch {
            self.patch_members(&group, planned, changes, add).await;
        } else {
            self.put_members(&group, changes, add).await;
        }
    }

    /// One PATCH per batch, conditional where versions are announced. A batch that is refused is halved until the member
    /// that it was refused for stands alone; where it is not known what became of it, the group is read, and sent again
    /// is only what is still different.
    async fn patch_members(&mut self, group: &str, planned: &str, changes: Vec<Change<'w>>, add: bool) {
        let path = ["Groups", group];
        let mut batches = Vec::new();
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some() {
            batches.push(Batch::of(changes.by_ref().take(self.batch).collect()));
        }
        batches.reverse();
        while let Some(mut batch) = batches.pop() {
            if let Some(reason) = self.over() {
                self.answer(without_ids(batch.changes), &Answer::NotSent { reason });
                continue;
            }
            let members: Vec<_> = batch.changes.iter().map(|(_, member)| member.clone()).collect();
            let body = resources::patch_members(add, &members);
            let version = if self.profile.etag { self.version("Groups", group, planned) } else { "" };
            let call = Call { version, ..Call::change("patch", Method::PATCH, &path, Some(&body)) };
            let error = match self.client.send(&call).await {
                Ok(reply) => {
                    self.has_version("Groups", group, reply.version);
                    let done = self.judge(Ok(answer(Wrote::Changed, None))).await;
                    self.answer(without_ids(batch.changes), &done);
                    continue;
                }
                Err(error) => error,
            };
            let is_open = error.is_ambiguous() || error.is_other_version();
            if !is_open && error.refusal().is_some_and(|status| status != 404) && batch.changes.len() > 1 {
                batches.extend(batch.halves());
                continue;
            }
            let may_send = is_open && self.client.may_try_again(&mut batch.attempts, &error).await;
            if let Some((different, error)) = self.look_again(group, batch, add, error).await {
                if may_send {
                    batches.push(different);
                } else if error.refusal() == Some(404) && different.changes.len() > 1 {
                    // The group is there, so that it is one of the members who is not.
                    batches.extend(different.halves());
                } else {
                    let failed = self.judge(Err(error)).await;
                    self.answer(without_ids(different.changes), &failed);
                }
            }
        }
    }

    /// After a failure the group itself says which of the members are as wanted. Gives back the others, where it could
    /// be read.
    async fn look_again(
        &mut self,
        group: &str,
        batch: Batch<'w>,
        add: bool,
        error: ScimError,
    ) -> Option<(Batch<'w>, ScimError)> {
        let says_nothing = error.refusal().is_none() && !error.is_ambiguous();
        let looked =
            if says_nothing { None } else { Some(self.client.send(&Call::get("get", &["Groups", group])).await) };
        let now = match looked {
            Some(Ok(reply)) => {
                self.has_version("Groups", group, reply.version);
                reply.body
            }
            // Nobody is in a group that is gone.
            Some(Err(gone)) if gone.refusal() == Some(404) && !add => attribute::Object::new(),
            looked => {
                let gone = looked.and_then(Result::err).filter(|gone| gone.refusal() == Some(404));
                let failed = self.judge(Err(gone.unwrap_or(error))).await;
                self.answer(without_ids(batch.changes), &failed);
                return None;
            }
        };
        let members: HashSet<&str> =
            attribute::objects(&now, "members").map(|member| attribute::text(member, "value")).collect();
        let (as_wanted, different): (Vec<_>, Vec<_>) =
            batch.changes.into_iter().partition(|(_, (id, _))| members.contains(id.as_str()) == add);
        self.answer(without_ids(as_wanted), &answer(Wrote::after(Some(&error)), None));
        (!different.is_empty()).then_some((Batch { changes: different, attempts: batch.attempts }, error))
    }

    /// One PUT of the whole group.
    async fn put_members(&mut self, group: &str, changes: Vec<Change<'w>>, add: bool) {
        let members: Vec<_> = changes.iter().map(|(_, member)| member.clone()).collect();
        let change = |object: &mut attribute::Object| {
            let known: HashSet<&str> =
                attribute::objects(object, "members").map(|member| attribute::text(member, "value")).collect();
            if members.iter().any(|(id, _)| known.contains(id.as_str()) != add) {
                resources::lay_members(object, add, &members);
            }
        };
        let answer = match write::edit(self.client, self.profile, &["Groups", group], &change).await {
            Err(error) if error.refusal() == Some(404) && !add => Answer::AlreadyDone { target_id: None },
            Err(error) => self.judge(Err(error)).await,
            Ok(Written { wrote, version }) => {
                self.has_version("Groups", group, version);
                self.judge(Ok(answer(wrote, None))).await
            }
        };
        self.answer(without_ids(changes), &answer);
    }

    fn group_id(&self, operation: &ApprovedOperation<'w>) -> Option<String> {
        match operation.target_group() {
            Some(group) => Some(group.id().to_owned()),
            None => self.groups.get(&operation.source_group()?.row()).cloned(),
        }
    }

    /// The member's id in the target, and whether it is a `User` or a `Group`.
    fn member_id(&self, operation: &ApprovedOperation<'w>) -> Option<(String, &'static str)> {
        if let Some(member) = operation.target_member() {
            return Some(match member {
                MemberKind::User(row) => (operation.target().user(row).id().to_owned(), "User"),
                MemberKind::Group(row) => (operation.target().group(row).id().to_owned(), "Group"),
            });
        }
        match operation.source_member()? {
            MemberKind::User(row) => Some((self.users.get(&row)?.clone(), "User")),
            MemberKind::Group(row) => Some((self.groups.get(&row)?.clone(), "Group")),
        }
    }
}

fn without_ids(batch: Vec<Change<'_>>) -> impl Iterator<Item = ApprovedOperation<'_>> {
    batch.into_iter().map(|(operation, _)| operation)
}
