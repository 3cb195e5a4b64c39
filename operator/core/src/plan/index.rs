//! Rows of a column by the hash of their text: four bytes per row beside the column itself.

use super::matching::rows;
use crate::address;
use crate::keyed_hash::KeyedHash;
use hashbrown::HashTable;

/// Rows by an exact text (ids).
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    hasher: KeyedHash,
    table: HashTable<u32>,
}

impl IdIndex {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { hasher: KeyedHash::default(), table: HashTable::with_capacity(rows) }
    }

    /// Adds a row, or returns the row that already has this text.
    pub(super) fn insert<'t>(&mut self, row: u32, text: impl Fn(u32) -> &'t str) -> Option<u32> {
        let key = text(row);
        let hash = self.hasher.hash(key.as_bytes());
        if let Some(&found) = self.table.find(hash, |&other| text(other) == key) {
            return Some(found);
        }
        let hasher = &self.hasher;
        self.table.insert_unique(hash, row, |&row| hasher.hash(text(row).as_bytes()));
        None
    }

    pub(super) fn find<'t>(&self, key: &str, text: impl Fn(u32) -> &'t str) -> Option<u32> {
        self.table.find(self.hasher.hash(key.as_bytes()), |&row| text(row) == key).copied()
    }
}

/// Rows by an address, compared as mail systems do.
#[derive(Debug, Default)]
pub(super) struct AddressIndex {
    hasher: KeyedHash,
    table: HashTable<u32>,
}

impl AddressIndex {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { hasher: KeyedHash::default(), table: HashTable::with_capacity(rows) }
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

/// The rows whose address another row has too, in their order; rows without an address have none in common.
pub(super) fn shared_addresses<'t>(count: usize, text: impl Fn(u32) -> &'t str) -> Vec<u32> {
    // Nearly all addresses differ. Of sixteen bits for each, the one that its hash names tells the few that may not.
    let bits = count.next_power_of_two() * 16;
    let (mut once, mut again) = (vec![0_u64; bits / 64 + 1], vec![0_u64; bits / 64 + 1]);
    let hasher = KeyedHash::default();
    let place = |row: u32| {
        let hash = folded_hash(&hasher, text(row));
        #[allow(clippy::cast_possible_truncation, reason = "a part of a hash is one")]
        let place = hash as usize & (bits - 1);
        (place / 64, 1_u64 << (place % 64))
    };
    let present = || rows(count).filter(|&row| !text(row).is_empty());
    for row in present() {
        let (word, bit) = place(row);
        again[word] |= once[word] & bit;
        once[word] |= bit;
    }
    let (mut index, mut shared) = (AddressIndex::default(), Vec::new());
    for row in present() {
        let (word, bit) = place(row);
        if again[word] & bit != 0
            && let Some(first) = index.insert(row, &text)
        {
            shared.extend([first, row]);
        }
    }
    shared.sort_unstable();
    shared.dedup();
    shared
}

/// The hash of an address's comparison key, without an allocation for the usual address.
fn folded_hash(hasher: &KeyedHash, text: &str) -> u64 {
    let mut folded = [0_u8; 64];
    match folded.get_mut(..text.len()) {
        Some(folded) if text.is_ascii() => {
            folded.copy_from_slice(text.as_bytes());
            folded.make_ascii_lowercase();
            hasher.hash(folded)
        }
        _ => hasher.hash(address::key(text).as_bytes()),
    }
}
