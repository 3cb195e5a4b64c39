//! What a plan is made from and what has been found so far.

use super::Managed;
use super::warning::{WarningKind, Warnings};
use crate::capabilities::{Capabilities, Field, Fields};
use crate::operation::{Kind, NO_ROW, Operation, Reason, Verb};
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::state::State;
use jiff::Timestamp;

/// What a plan is made from.
#[derive(Clone, Copy)]
pub(super) struct World<'p, 'w> {
    pub(super) source: &'w Snapshot,
    pub(super) target: &'w Snapshot,
    pub(super) rules: &'p Rules,
    pub(super) capabilities: &'p Capabilities,
    pub(super) state: &'p State,
    pub(super) now: Timestamp,
}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) operations: Vec<Operation>,
    pub(super) warnings: Warnings,
    pub(super) managed: Managed,
}

impl Draft {
    pub(super) fn add(&mut self, verb: Verb, reason: Reason, fields: Fields, source: u32, target: u32) {
        self.operations.push(Operation {
            verb,
            reason,
            fields,
            source,
            target,
            member_source: NO_ROW,
            member_target: NO_ROW,
        });
    }

    pub(super) fn warn(&mut self, kind: WarningKind, object: Kind, sample: &str) {
        self.warnings.add(kind, object, sample);
    }

    /// Warns of fields that the source could not tell of one object.
    pub(super) fn unknown(&mut self, fields: Fields, object: Kind, sample: &str) {
        for field in fields.iter() {
            self.warn(WarningKind::FieldUnknown(field), object, sample);
        }
    }
}

/// Fields for which at least one person (or group) of the source has a value, and how many have. A field that nobody
/// has is not mapped, or no longer readable: either way it is left as it is in the target.
pub(super) struct Managing {
    pub(super) fields: Fields,
}

impl Managing {
    /// Counts values by field; what the target has no place for becomes a warning.
    pub(super) fn new(counts: &[(Field, u64)], places: Fields, kind: Kind, draft: &mut Draft) -> Self {
        let mut fields = Fields::NONE;
        for &(field, count) in counts {
            if count > 0 && places.contains(field) {
                fields = fields.with(field);
            } else if count > 0 {
                draft.warnings.count(WarningKind::NoPlaceFor(field), kind, count, "");
            }
        }
        if places.contains(Field::ExternalId) {
            fields = fields.with(Field::ExternalId);
        }
        Self { fields }
    }
}

/// Appends the removal of one object of ours.
pub(super) fn number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(NO_ROW)
}
