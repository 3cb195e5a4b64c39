//! The sending order: by verb, and within a verb by ids, so that two plans of the same changes are in the same order.

use crate::operation::{NO_ROW, Operation};
use crate::snapshot::{Member, MemberKind, Snapshot};

/// Sorts operations into the order in which they are sent.
pub(super) fn sort(operations: &mut [Operation], source: &Snapshot, target: &Snapshot) {
    operations
        .sort_unstable_by(|a, b| a.verb.cmp(&b.verb).then_with(|| key(a, source, target).cmp(&key(b, source, target))));
}

fn key<'s>(operation: &Operation, source: &'s Snapshot, target: &'s Snapshot) -> (&'s str, &'s str) {
    let is_group = matches!(operation.verb.kind(), crate::operation::Kind::Group | crate::operation::Kind::Membership);
    let id = |snapshot: &'s Snapshot, row: u32| match (row, is_group) {
        (NO_ROW, _) => "",
        (row, true) => snapshot.group(row as usize).id(),
        (row, false) => snapshot.user(row as usize).id(),
    };
    let subject = if operation.target == NO_ROW { id(source, operation.source) } else { id(target, operation.target) };
    (subject, member(operation, source, target))
}

/// The id of the member or the text of the alias.
fn member<'s>(operation: &Operation, source: &'s Snapshot, target: &'s Snapshot) -> &'s str {
    match operation.verb.kind() {
        crate::operation::Kind::Membership => {
            let (snapshot, raw) = if operation.member_source == NO_ROW {
                (target, operation.member_target)
            } else {
                (source, operation.member_source)
            };
            match Member::from_raw(raw).kind() {
                MemberKind::User(row) => snapshot.user(row).id(),
                MemberKind::Group(row) => snapshot.group(row).id(),
            }
        }
        crate::operation::Kind::Alias => alias(operation, source, target),
        _ => "",
    }
}

/// The alias that an operation adds or removes.
pub(super) fn alias<'s>(operation: &Operation, source: &'s Snapshot, target: &'s Snapshot) -> &'s str {
    let alias = if operation.member_source == NO_ROW {
        target.user(operation.target as usize).aliases().nth(operation.member_target as usize)
    } else {
        source.user(operation.source as usize).aliases().nth(operation.member_source as usize)
    };
    alias.unwrap_or_default()
}
