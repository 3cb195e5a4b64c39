//! A plan for people, pipelines and pull requests.

mod csv;
mod markdown;
mod people;

pub use csv::csv;
pub use markdown::markdown;
pub use people::{operation, people};

use crate::operation::{Reason, Verb};
use std::io::{self, Write};

/// Writes a plan, or an explanation, as one JSON document. No text is changed, but what could drive a terminal is written by its number.
pub fn json(document: &impl serde::Serialize, out: &mut impl Write) -> io::Result<()> {
    // JSON itself escapes the other control characters, and outside its strings there is none but the line end.
    let is_escaped = |character: char| is_unsafe(character) && character != '\n';
    let text = serde_json::to_string_pretty(document)?;
    let mut rest = text.as_str();
    while let Some((before, character)) = rest.find(is_escaped).and_then(|at| {
        let (before, after) = rest.split_at(at);
        Some((before, after.chars().next()?))
    }) {
        write!(out, "{before}\\u{:04x}", u32::from(character))?;
        rest = rest.split_at(before.len() + character.len_utf8()).1;
    }
    out.write_all(rest.as_bytes())?;
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

/// Text from a directory for one line of output. Control characters could drive a terminal or break the line; those of
/// bidirectional text (UAX #9 §2) could show an address as another one.
fn clean(text: &str) -> String {
    text.chars().map(|character| if is_unsafe(character) { '\u{fffd}' } else { character }).collect()
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
