//! What a source gives by itself, without looking at any target.

use crate::capabilities::{Capabilities, Field, Fields};
use crate::matcher::Matchers;
use crate::plan::{Warning, WarningKind, plan};
use crate::read::{CompleteRead, IncompleteRead, Next, Read, ReadCaps, SourceSide, TargetSide};
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::state::State;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What became of the entries of a read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// People.
    pub users: EntryCounts,
    /// Groups.
    pub groups: EntryCounts,
    /// Memberships in groups, of people and groups that were read.
    pub memberships: u64,
    /// Values that could not be used, of people and groups together.
    pub malformed_values: u64,
    /// Further addresses that are none of mail, and are passed over.
    pub other_addresses: u64,
    /// What a plan would warn of, whatever the target holds.
    pub warnings: Vec<Warning>,
}

/// What became of the entries of one kind. One entry may be counted in several of the later counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryCounts {
    /// Entries that the searches selected.
    pub read: u64,
    /// Of these, those without the immutable id, which are left out.
    pub without_id: u64,
    /// Those that became people or groups: the others.
    pub mapped: u64,
    /// Of the mapped, those without an address. Groups need none.
    pub without_address: u64,
    /// Of the mapped, those that are inactive. Groups never are.
    pub inactive: u64,
    /// Of the mapped, those that `exclude.source` names.
    pub excluded: u64,
}

/// Counts what was read, and warns of it as a plan for an empty target that has a place for everything would.
pub fn inspect(read: &CompleteRead<SourceSide>, rules: &Rules) -> Result<Inspection, IncompleteRead> {
    let source = read.snapshot();
    let nothing = empty_target()?;
    let plan = plan(read, &nothing, rules, &everything(source), &State::new(), Timestamp::UNIX_EPOCH);
    // That inactive people are not created is a matter of the target; they are counted.
    let warnings = plan.warnings().iter().filter(|warning| warning.kind != WarningKind::DisabledNotCreated);
    Ok(Inspection {
        users: users(source, &rules.exclude_source),
        groups: groups(source, &rules.exclude_source),
        memberships: source.counts().memberships,
        malformed_values: source.skipped().malformed_values,
        other_addresses: source.skipped().other_addresses,
        warnings: warnings.cloned().collect(),
    })
}

fn users(source: &Snapshot, excluded: &Matchers) -> EntryCounts {
    let (mapped, without_id) = (source.counts().users, source.skipped().users_without_id);
    let mut counts = EntryCounts { read: mapped + without_id, without_id, mapped, ..EntryCounts::default() };
    for user in source.users() {
        counts.without_address += u64::from(user.address().is_empty() && !user.unknown().contains(Field::Email));
        counts.inactive += u64::from(!user.active());
        counts.excluded += u64::from(excluded.matches_user(&user));
    }
    counts
}

fn groups(source: &Snapshot, excluded: &Matchers) -> EntryCounts {
    let (mapped, without_id) = (source.counts().groups, source.skipped().groups_without_id);
    let mut counts = EntryCounts { read: mapped + without_id, without_id, mapped, ..EntryCounts::default() };
    for group in source.groups() {
        counts.without_address += u64::from(group.address().is_empty() && !group.unknown().contains(Field::Email));
        counts.excluded += u64::from(excluded.matches_group(&group));
    }
    counts
}

/// A target in which there is nobody.
fn empty_target() -> Result<CompleteRead<TargetSide>, IncompleteRead> {
    let mut read = Read::start(ReadCaps::default());
    let section = read.open("nothing");
    read.page(section, Next::End)?;
    read.finish()
}

/// A place for all that the source has.
fn everything(source: &Snapshot) -> Capabilities {
    let mut attributes: BTreeSet<&str> = BTreeSet::new();
    for user in source.users() {
        attributes.extend(user.attributes().map(|(name, _)| name));
    }
    Capabilities {
        target: String::new(),
        user_fields: Fields::of(Field::ALL),
        group_fields: Fields::of(Field::ALL),
        attributes: attributes.into_iter().map(str::to_owned).collect(),
        passwords: source.users().filter_map(|user| Some(user.password()?.scheme())).collect(),
        nested_groups: true,
    }
}
