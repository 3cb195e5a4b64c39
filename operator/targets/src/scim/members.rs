//! Members in and out of a group, many per request.

use super::attribute;
use super::client::Call;
use super::error::ScimError;
use super::resources;
use super::send::{Sending, answer};
use super::write::{self, Wrote};
use directory_sync_core::applied::Answer;
use directory_sync_core::gate::ApprovedOperation;
use directory_sync_core::snapshot::MemberKind;
use reqwest::Method;
use std::collections::HashSet;

type Change<'w> = (ApprovedOperation<'w>, (String, &'static str));

impl<'w> Sending<'_, 'w> {
    /// Adds or removes members of one group.
    pub(super) async fn members(&mut self, operations: Vec<ApprovedOperation<'w>>, add: bool) {
        let Some(group) = operations.first().and_then(|operation| self.group_id(operation)) else {
            self.answer(operations, &Answer::NotSent { reason: "GroupNotCreated" });
            return;
        };
        let mut changes = Vec::with_capacity(operations.len());
        for operation in operations {
            match self.member_id(&operation) {
                Some(member) => changes.push((operation, member)),
                None => self.answer([operation], &Answer::NotSent { reason: "MemberNotCreated" }),
            }
        }
        if self.profile.patch {
            self.patch_members(&group, changes, add).await;
        } else {
            self.put_members(&group, changes, add).await;
        }
    }

    /// One PATCH per batch. A batch that is refused is halved until the member that it was refused for stands alone.
    async fn patch_members(&mut self, group: &str, changes: Vec<Change<'w>>, add: bool) {
        let path = ["Groups", group];
        let mut batches: Vec<Vec<Change<'w>>> = Vec::new();
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some() {
            batches.push(changes.by_ref().take(self.batch).collect());
        }
        batches.reverse();
        while let Some(mut batch) = batches.pop() {
            if let Some(reason) = self.over() {
                self.answer(without_ids(batch), &Answer::NotSent { reason });
                continue;
            }
            let members: Vec<_> = batch.iter().map(|(_, member)| member.clone()).collect();
            let body = resources::patch_members(add, &members);
            let Err(error) = self.client.send(&Call::change("patch", Method::PATCH, &path, Some(&body))).await else {
                let done = self.judge(Ok(answer(Wrote::Changed, None)));
                self.answer(without_ids(batch), &done);
                continue;
            };
            if error.refusal().is_some_and(|status| status != 404) && batch.len() > 1 {
                let half = batch.split_off(batch.len() / 2);
                batches.extend([half, batch]);
                continue;
            }
            self.look_again(group, batch, add, error).await;
        }
    }

    /// After a failure the group itself says which of the members are as wanted.
    async fn look_again(&mut self, group: &str, batch: Vec<Change<'w>>, add: bool, error: ScimError) {
        if error.refusal().is_none() && !error.is_ambiguous() {
            let failed = self.judge(Err(error));
            self.answer(without_ids(batch), &failed);
            return;
        }
        let now = match self.client.send(&Call::get("get", &["Groups", group])).await {
            Ok(reply) => reply.body,
            // Nobody is in a group that is gone.
            Err(gone) if gone.refusal() == Some(404) && !add => attribute::Object::new(),
            Err(gone) if gone.refusal() == Some(404) => {
                let failed = self.judge(Err(gone));
                self.answer(without_ids(batch), &failed);
                return;
            }
            Err(_) => {
                let failed = self.judge(Err(error));
                self.answer(without_ids(batch), &failed);
                return;
            }
        };
        let members: HashSet<&str> =
            attribute::objects(&now, "members").map(|member| attribute::text(member, "value")).collect();
        let reached = if error.is_ambiguous() { Wrote::Changed } else { Wrote::Same };
        let (as_wanted, others): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|(_, (id, _))| members.contains(id.as_str()) == add);
        self.answer(without_ids(as_wanted), &answer(reached, None));
        if !others.is_empty() {
            let failed = self.judge(Err(error));
            self.answer(without_ids(others), &failed);
        }
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
        let result = write::edit(self.client, self.profile, &["Groups", group], &change).await;
        let answer = match result {
            Err(error) if error.refusal() == Some(404) && !add => Answer::AlreadyDone { target_id: None },
            result => self.judge(result.map(|wrote| answer(wrote, None))),
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
