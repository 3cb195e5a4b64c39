//! What a plan is made from and what has been found so far.

use super::Managed;
use super::warning::{WarningKind, Warnings};
use crate::capabilities::{Capabilities, Fields};
use crate::operation::{Kind, NO_ROW, Operation, Reason, Verb};
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::state::{SeenFields, State};
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
    /// Fields that the source has values of.
    pub(super) seen: SeenFields,
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

/// The number of a row in an operation.
pub(super) fn number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(NO_ROW)
}
