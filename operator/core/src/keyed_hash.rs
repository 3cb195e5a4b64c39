//! A quick hash of short texts with random keys, for look-ups by the million.

use std::hash::{BuildHasher, RandomState};

/// Hashes by folded multiplication, as wyhash does: sixteen bytes are one multiplication to 128 bits whose halves are
/// joined. The keys are random and never leave the process, so that nobody can choose texts that collide.
#[derive(Debug, Clone)]
pub(crate) struct KeyedHash {
    first: u64,
    second: u64,
}

impl Default for KeyedHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self { first: random.hash_one(1), second: random.hash_one(2) }
    }
}

impl KeyedHash {
    /// The hash of these bytes.
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        let (blocks, rest) = bytes.as_chunks::<16>();
        let mut state = blocks.iter().fold(self.first ^ bytes.len() as u64, |state, block| self.block(state, *block));
        if !rest.is_empty() {
            let mut block = [0; 16];
            for (to, from) in block.iter_mut().zip(rest) {
                *to = *from;
            }
            state = self.block(state, block);
        }
        folded(state, self.second | 1)
    }

    fn block(&self, state: u64, block: [u8; 16]) -> u64 {
        let block = u128::from_le_bytes(block);
        #[allow(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let (low, high) = (block as u64, (block >> 64) as u64);
        folded(low ^ self.second, high ^ state)
    }
}

fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[allow(clippy::cast_possible_truncation, reason = "both halves are taken")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn texts_that_differ_a_little_have_other_hashes() {
        let hash = KeyedHash::default();
        let texts =
            (0..20_000).map(|at| format!("given.family.{at}@example.com")).chain((0..40).map(|n| "a".repeat(n)));
        let texts: Vec<_> = texts.collect();
        let hashes: HashSet<_> = texts.iter().map(|text| hash.hash(text.as_bytes())).collect();
        assert_eq!(hashes.len(), texts.len());
        let low: HashSet<_> = hashes.iter().map(|hash| hash & 0xfff).collect();
        assert!(low.len() > 4000, "the low bits differ too");
    }
}
