//! Rows of a column by the hash of their text: four bytes per row beside the column itself.

use crate::address;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// Rows by an exact text (ids).
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    hasher: RandomState,
    table: HashTable<u32>,
}

impl IdIndex {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { hasher: RandomState::new(), table: HashTable::with_capacity(rows) }
    }

    /// Adds a row, or returns the row that already has this text.
    pub(super) fn insert<'t>(&mut self, row: u32, text: impl Fn(u32) -> &'t str) -> Option<u32> {
        let key = text(row);
        let hash = self.hasher.hash_one(key);
        if let Some(&found) = self.table.find(hash, |&other| text(other) == key) {
            return Some(found);
        }
        let hasher = &self.hasher;
        self.table.insert_unique(hash, row, |&row| hasher.hash_one(text(row)));
        None
    }

    pub(super) fn find<'t>(&self, key: &str, text: impl Fn(u32) -> &'t str) -> Option<u32> {
        self.table.find(self.hasher.hash_one(key), |&row| text(row) == key).copied()
    }
}

/// Rows by an address, compared as mail systems do.
#[derive(Debug, Default)]
pub(super) struct AddressIndex {
    hasher: RandomState,
    table: HashTable<u32>,
}

impl AddressIndex {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { hasher: RandomState::new(), table: HashTable::with_capacity(rows) }
    }

    /// Adds a row, or returns the row that already has this address.
    pub(super) fn insert<'t>(&mut self, row: u32, text: impl Fn(u32) -> &'t str) -> Option<u32> {
        let key = text(row);
        let hash = folded_hash(&self.hasher, key);
        if let Some(&found) = self.table.find(hash, |&other| address::same(text(other), key)) {
            return Some(found);
        }
        let hasher = &self.hasher;
        self.table.insert_unique(hash, row, |&row| folded_hash(hasher, text(row)));
        None
    }

    pub(super) fn find<'t>(&self, key: &str, text: impl Fn(u32) -> &'t str) -> Option<u32> {
        self.table.find(folded_hash(&self.hasher, key), |&row| address::same(text(row), key)).copied()
    }
}

/// The hash of an address's comparison key, without an allocation for the usual address.
fn folded_hash(hasher: &RandomState, text: &str) -> u64 {
    let mut folded = [0_u8; 64];
    match folded.get_mut(..text.len()) {
        Some(folded) if text.is_ascii() => {
            folded.copy_from_slice(text.as_bytes());
            folded.make_ascii_lowercase();
            hasher.hash_one(&*folded)
        }
        _ => hasher.hash_one(address::key(text).as_bytes()),
    }
}
