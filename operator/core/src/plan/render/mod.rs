//! A plan for people, pipelines and pull requests.

mod csv;
mod markdown;
mod people;

pub use csv::csv;
pub use markdown::markdown;
pub use people::people;

use super::document::PlanDocument;
use crate::operation::{Reason, Verb};
use std::io::{self, Write};

/// Writes the plan as one JSON document.
pub fn json(plan: &PlanDocument, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, plan)?;
    out.write_all(b"\n")
}

/// The sign of a verb: `+` comes, `−` goes, `~` changes, `±` is taken over.
pub const fn sign(verb: Verb) -> &'static str {
    match verb {
        Verb::CreateGroup | Verb::CreateUser | Verb::AddAlias | Verb::AddMember => "+",
        Verb::AdoptGroup | Verb::AdoptUser => "±",
        Verb::UpdateGroup | Verb::UpdateUser | Verb::MoveUser | Verb::RestoreUser => "~",
        Verb::RemoveAlias | Verb::RemoveMember | Verb::SuspendUser | Verb::DeleteUser | Verb::DeleteGroup => "−",
    }
}

/// What a verb does, in words.
const fn action(verb: Verb) -> &'static str {
    match verb {
        Verb::CreateGroup => "create group",
        Verb::AdoptGroup => "adopt group",
        Verb::UpdateGroup => "update group",
        Verb::CreateUser => "create user",
        Verb::AdoptUser => "adopt user",
        Verb::UpdateUser => "update user",
        Verb::MoveUser => "move user",
        Verb::RestoreUser => "restore user",
        Verb::AddAlias => "add alias to",
        Verb::RemoveAlias => "remove alias of",
        Verb::AddMember => "add member to",
        Verb::RemoveMember => "remove member of",
        Verb::SuspendUser => "suspend user",
        Verb::DeleteUser => "delete user",
        Verb::DeleteGroup => "delete group",
    }
}

/// Why, in words.
const fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::NewInSource => "new in the source",
        Reason::SameExternalId => "bears the source's id",
        Reason::SameAddress => "has the same address",
        Reason::ChangedInSource => "changed in the source",
        Reason::ActiveInSource => "active in the source",
        Reason::DisabledInSource => "disabled in the source",
        Reason::GoneFromSource => "gone from the source",
        Reason::MovedOutOfScope => "moved out of the search base",
        Reason::NoLongerMatches => "no longer matches the filter",
        Reason::LostAddress => "lost the address in the source",
        Reason::MissingFromRead => "missing from the read, not yet looked up",
        Reason::LeftGroup => "left the group in the source",
        Reason::GraceOver => "the time after the suspension is over",
    }
}

/// Text from a directory for one line of output: control characters could drive a terminal or break the line.
fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
