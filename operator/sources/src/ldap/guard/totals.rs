//! What one read has taken from servers so far.

use crate::ldap::config::Caps;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts over all connections of a read: a server can repeat what is small by itself for ever.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    entries: AtomicU64,
    bytes: AtomicU64,
    values: AtomicU64,
}

impl Totals {
    /// Counts an entry or a reference. What there is too much of now, and its cap; `None` if that is nothing.
    pub(super) fn add(&self, bytes: usize, values: usize, caps: &Caps) -> Option<(&'static str, u64)> {
        let add = |total: &AtomicU64, more: usize| {
            let more = u64::try_from(more).unwrap_or(u64::MAX);
            total.fetch_add(more, Relaxed).saturating_add(more)
        };
        let totals = [
            ("entries", add(&self.entries, 1), caps.total_entries),
            ("bytes", add(&self.bytes, bytes), caps.total_bytes),
            ("values", add(&self.values, values), caps.total_values),
        ];
        totals.into_iter().find(|(_, total, cap)| total > cap).map(|(what, _, cap)| (what, cap))
    }
}
