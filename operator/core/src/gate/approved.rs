//! Operations that may be sent. Only the gate makes them.

use crate::applied::{Answer, Outcome};
use crate::capabilities::Fields;
use crate::operation::{Kind, NO_ROW, Operation, Verb};
use crate::snapshot::{Group, Member, MemberKind, Snapshot, User};

/// The operations of a plan that may be sent, in sending order.
#[derive(Debug)]
pub struct Approved<'w> {
    source: &'w Snapshot,
    target: &'w Snapshot,
    operations: Vec<(u32, Operation)>,
}

impl<'w> Approved<'w> {
    /// `operations` carry their position in the plan.
    pub(super) fn new(source: &'w Snapshot, target: &'w Snapshot, operations: Vec<(u32, Operation)>) -> Self {
        Self { source, target, operations }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing may be sent.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The operations without the right to send them, to look at what is about to happen.
    pub fn preview(&self) -> impl Iterator<Item = (usize, Operation)> {
        self.operations.iter().map(|&(position, operation)| (position as usize, operation))
    }

    /// Takes the operations out, each to be sent once.
    pub fn into_operations(self) -> impl ExactSizeIterator<Item = ApprovedOperation<'w>> {
        let Self { source, target, operations } = self;
        operations.into_iter().map(move |(position, operation)| ApprovedOperation {
            source,
            target,
            position,
            operation,
        })
    }
}

/// The right to send one operation, once. It is used up by [`ApprovedOperation::answered`].
#[derive(Debug)]
pub struct ApprovedOperation<'w> {
    source: &'w Snapshot,
    target: &'w Snapshot,
    position: u32,
    operation: Operation,
}

impl<'w> ApprovedOperation<'w> {
    /// What is to be done.
    pub fn verb(&self) -> Verb {
        self.operation.verb
    }

    /// Position in the plan.
    pub fn position(&self) -> usize {
        self.position as usize
    }

    /// Fields to be written.
    pub fn fields(&self) -> Fields {
        self.operation.fields
    }

    /// The person in the source (of a user or alias operation).
    pub fn source_user(&self) -> Option<User<'w>> {
        self.row_of(&[Kind::User, Kind::Alias], self.operation.source).map(|row| self.source.user(row))
    }

    /// The person in the target (of a user or alias operation on somebody who exists there).
    pub fn target_user(&self) -> Option<User<'w>> {
        self.row_of(&[Kind::User, Kind::Alias], self.operation.target).map(|row| self.target.user(row))
    }

    /// The group in the source (of a group or membership operation).
    pub fn source_group(&self) -> Option<Group<'w>> {
        self.row_of(&[Kind::Group, Kind::Membership], self.operation.source).map(|row| self.source.group(row))
    }

    /// The group in the target (of a group or membership operation on a group that exists there).
    pub fn target_group(&self) -> Option<Group<'w>> {
        self.row_of(&[Kind::Group, Kind::Membership], self.operation.target).map(|row| self.target.group(row))
    }

    /// The alias to be added or removed.
    pub fn alias(&self) -> Option<&'w str> {
        match self.operation.verb {
            Verb::AddAlias => self.source_user()?.aliases().nth(row(self.operation.member_source)?),
            Verb::RemoveAlias => self.target_user()?.aliases().nth(row(self.operation.member_target)?),
            _ => None,
        }
    }

    /// The member as a row of the source.
    pub fn source_member(&self) -> Option<MemberKind> {
        self.row_of(&[Kind::Membership], self.operation.member_source)
            .map(|_| Member::from_raw(self.operation.member_source).kind())
    }

    /// The member as a row of the target, if it exists there.
    pub fn target_member(&self) -> Option<MemberKind> {
        self.row_of(&[Kind::Membership], self.operation.member_target)
            .map(|_| Member::from_raw(self.operation.member_target).kind())
    }

    /// The source's snapshot, to look up members.
    pub fn source(&self) -> &'w Snapshot {
        self.source
    }

    /// The target's snapshot, to look up members.
    pub fn target(&self) -> &'w Snapshot {
        self.target
    }

    /// A row number of this operation, if it is one of these kinds: rows of people and of groups are counted apart, so
    /// a row must never be looked up on the wrong side.
    fn row_of(&self, kinds: &[Kind], number: u32) -> Option<usize> {
        row(number).filter(|_| kinds.contains(&self.operation.verb.kind()))
    }

    /// Uses the right up against what the target answered.
    pub fn answered(self, answer: Answer) -> Outcome {
        Outcome::new(self.position, self.operation, answer)
    }
}

fn row(number: u32) -> Option<usize> {
    (number != NO_ROW).then_some(number as usize)
}
