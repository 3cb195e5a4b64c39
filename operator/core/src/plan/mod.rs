//! The plan: what would bring the target into line with the source, in the order in which it is sent.

mod addresses;
mod describe;
pub(crate) mod digest;
pub mod document;
mod draft;
pub mod explain;
mod groups;
mod index;
mod matching;
mod memberships;
mod order;
pub mod render;
mod summary;
mod users;
mod values;
mod warning;

pub use describe::{Change, Described};
pub use digest::Digest;
pub(crate) use groups::{Sides, holds_protected, is_protected as is_group_protected, label as group_label};
pub(crate) use matching::{Matches, Standing};
pub use summary::{AddRemove, GroupSummary, Summary, UserSummary};
pub(crate) use users::is_protected as is_user_protected;
pub(crate) use values::Clearing;
pub use warning::{SAMPLES, Warning, WarningKind, Warnings};

use crate::capabilities::Capabilities;
use crate::operation::{Kind, Operation};
use crate::password::FingerprintKey;
use crate::read::{CompleteRead, SourceSide, TargetSide};
use crate::rules::Rules;
use crate::snapshot::{Counts, Snapshot};
use crate::state::{Bindings, SeenFields, State};
use draft::{Draft, World};
use jiff::Timestamp;
use std::collections::HashMap;

/// What the target holds that is ours, before the run: what percentages are taken of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Managed {
    /// People of ours.
    pub users: u64,
    /// Groups of ours.
    pub groups: u64,
    /// Aliases of people of ours.
    pub aliases: u64,
    /// Memberships of people and groups of ours in groups of ours.
    pub memberships: u64,
}

/// What a plan was made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlanCounts {
    /// What the source holds.
    pub source: Counts,
    /// Of that, what the shrink guard counts: people with an address, and groups.
    pub usable: Counts,
    /// What the target holds.
    pub target: Counts,
    /// Of that, what is ours.
    pub managed: Managed,
}

impl PlanCounts {
    /// People of the target who are not ours.
    pub fn unmanaged_users(&self) -> u64 {
        self.target.users.saturating_sub(self.managed.users)
    }

    /// Groups of the target that are not ours.
    pub fn unmanaged_groups(&self) -> u64 {
        self.target.groups.saturating_sub(self.managed.groups)
    }
}

/// What would bring the target into line. Removals are not confirmed yet; see [`crate::confirm`].
#[derive(Debug)]
pub struct Plan<'w> {
    pub(crate) source: &'w Snapshot,
    pub(crate) target: &'w Snapshot,
    pub(crate) capabilities: Capabilities,
    /// What passwords are remembered under.
    pub(crate) password_key: Option<FingerprintKey>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) warnings: Warnings,
    pub(crate) counts: PlanCounts,
    pub(crate) users: Matches,
    pub(crate) groups: Matches,
    /// Source ids of objects of ours that were not read, by row of the target.
    missing_users: HashMap<u32, String>,
    missing_groups: HashMap<u32, String>,
    /// The servers that the last read and this one came from, if they differ.
    pub(crate) other_server: Option<(String, String)>,
    /// The server that this read came from.
    pub(crate) server: Option<String>,
    /// Values that the plan takes away, by field.
    pub(crate) clearings: Vec<Clearing>,
    /// Fields that the source has values of, or that are still to be cleared.
    pub(crate) seen: SeenFields,
}

/// Compares both sides. Nothing but complete reads can be planned from.
pub fn plan<'w>(
    source: &'w CompleteRead<SourceSide>,
    target: &'w CompleteRead<TargetSide>,
    rules: &Rules,
    capabilities: &Capabilities,
    state: &State,
    now: Timestamp,
) -> Plan<'w> {
    let (read, source, target) = (source, source.snapshot(), target.snapshot());
    let capabilities = rules.managed.narrow(capabilities);
    let world = World { source, target, rules, capabilities: &capabilities, state, now };
    let mut draft = Draft::default();
    let people = users::plan(world, &mut draft);
    let groups = groups::plan(world, &people.matches, &mut draft);
    memberships::plan(world, &people, &groups, &mut draft);
    let skipped = source.skipped();
    for (kind, object, count) in [
        (WarningKind::WithoutId, Kind::User, skipped.users_without_id),
        (WarningKind::WithoutId, Kind::Group, skipped.groups_without_id),
        (WarningKind::MalformedValues, Kind::User, skipped.malformed_values),
        (WarningKind::OtherAddresses, Kind::User, skipped.other_addresses),
    ] {
        draft.warnings.count(kind, object, count, "");
    }
    draft.warnings.extend(read.warnings());
    draft.warnings.sort();
    order::sort(&mut draft.operations, source, target);
    let clearings = values::clearings(world, &draft.operations, &people.matches, &groups.matches, draft.seen);
    // What is still to be cleared was seen, until it is gone.
    let mut seen = draft.seen;
    for clearing in clearings.iter().filter(|clearing| clearing.is_total) {
        let fields = if clearing.kind == Kind::Group { &mut seen.groups } else { &mut seen.users };
        *fields = fields.with(clearing.field);
    }
    let all = source.counts();
    let usable = Counts { users: source.users().filter(|user| !user.address().is_empty()).count() as u64, ..all };
    Plan {
        source,
        target,
        capabilities,
        password_key: rules.password_key.clone(),
        operations: draft.operations,
        warnings: draft.warnings,
        counts: PlanCounts { source: all, usable, target: target.counts(), managed: draft.managed },
        missing_users: missing(&people.matches, state.users()),
        missing_groups: missing(&groups.matches, state.groups()),
        users: people.matches,
        groups: groups.matches,
        other_server: match (state.server(), read.server()) {
            (Some(last), Some(now)) if last != now => Some((last.to_owned(), now.to_owned())),
            _ => None,
        },
        server: read.server().map(str::to_owned),
        clearings,
        seen,
    }
}

fn missing(matches: &Matches, bindings: &Bindings) -> HashMap<u32, String> {
    matches.missing.iter().map(|&(row, position)| (row, bindings.at(position).source)).collect()
}

impl<'w> Plan<'w> {
    /// The source's id of a person of ours who was not read.
    pub(crate) fn missing_user(&self, target: u32) -> String {
        self.missing_users.get(&target).cloned().unwrap_or_default()
    }

    /// The source's id of a group of ours that was not read.
    pub(crate) fn missing_group(&self, target: u32) -> String {
        self.missing_groups.get(&target).cloned().unwrap_or_default()
    }

    /// The operations, in sending order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What a person should know beside the operations.
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// What the plan was made from.
    pub fn counts(&self) -> PlanCounts {
        self.counts
    }

    /// How many changes of which kind.
    pub fn summary(&self) -> Summary {
        Summary::of(self.operations.iter().map(|operation| operation.verb))
    }

    /// Whether the target is in line already.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The source's snapshot.
    pub fn source(&self) -> &'w Snapshot {
        self.source
    }

    /// The target's snapshot.
    pub fn target(&self) -> &'w Snapshot {
        self.target
    }

    /// What the target can hold.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// An operation in words; text is made only here.
    pub fn describe(&self, operation: Operation) -> Described {
        describe::describe(self, operation)
    }
}
