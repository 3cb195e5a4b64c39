//! How an entry names another: by DN in LDAP, by id in SCIM, kept as a 128-bit keyed hash.

use std::hash::{BuildHasher, RandomState};

/// The name by which a group refers to its members, hashed. Two references are equal exactly if their texts were
/// (collisions among ten million have a chance below 10⁻²⁴, and the keys are random, so none can be made).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(u128);

impl Reference {
    /// A well-mixed 64-bit part, for hash tables.
    pub(super) fn bucket(self) -> u64 {
        #[allow(clippy::cast_possible_truncation, reason = "the low half is as random as the whole")]
        let low = self.0 as u64;
        low
    }
}

/// Makes references. One read, and whatever is compared with it later, uses one referencer: keys differ between
/// referencers, not between clones.
#[derive(Debug, Clone, Default)]
pub struct Referencer {
    high: RandomState,
    low: RandomState,
}

impl Referencer {
    /// The reference of a name that is already in its normal form (the caller folds case and blanks of DNs).
    pub fn reference(&self, name: &[u8]) -> Reference {
        Reference((u128::from(self.high.hash_one(name)) << 64) | u128::from(self.low.hash_one(name)))
    }
}
