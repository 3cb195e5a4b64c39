//! Which object of the target belongs to which object of the source, remembered in columns.

use crate::keyed_hash::KeyedHash;
use crate::password::Fingerprint;
use hashbrown::HashTable;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Texts of which most are UUIDs: those take 17 bytes instead of 36.
#[derive(Debug, Clone, Default)]
struct IdColumn {
    bytes: Vec<u8>,
    rows: usize,
    /// Where the rows end; none as long as every row is a UUID.
    ends: Vec<u32>,
}

/// First byte of an id that is kept as text, and of one that is kept as the 16 bytes of a UUID.
const TEXT: u8 = 0;
const UUID: u8 = 1;

/// Bytes of a UUID in the column.
const UUID_ROW: usize = 17;

/// An id as the column holds it.
struct Packed {
    short: [u8; UUID_ROW],
    long: Option<Vec<u8>>,
    empty: bool,
}

impl Packed {
    fn of(id: &str) -> Self {
        let mut short = [UUID; UUID_ROW];
        let empty = id.is_empty();
        if empty || pack_uuid(id, &mut short[1..]) {
            return Self { short, long: None, empty };
        }
        let mut long = Vec::with_capacity(id.len() + 1);
        long.push(TEXT);
        long.extend_from_slice(id.as_bytes());
        Self { short, long: Some(long), empty }
    }

    /// Whether it is the id in this row.
    fn is_at(&self, column: &IdColumn, row: usize) -> bool {
        let there = column.get(row);
        // Of a length that the compiler knows, they are compared in two steps.
        if self.empty || self.long.is_some() { there == self.bytes() } else { there.first_chunk() == Some(&self.short) }
    }

    fn bytes(&self) -> &[u8] {
        match &self.long {
            _ if self.empty => &[],
            Some(long) => long,
            None => &self.short,
        }
    }
}

/// The value of every lower-case hexadecimal digit; others are above 15.
const DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// Where the pairs of digits of a UUID begin.
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// Packs a UUID in its canonical lower-case form (RFC 9562 §4); anything else stays text.
fn pack_uuid(id: &str, into: &mut [u8]) -> bool {
    let Ok(bytes) = <&[u8; 36]>::try_from(id.as_bytes()) else { return false };
    if [8, 13, 18, 23].iter().any(|&at: &usize| bytes[at] != b'-') {
        return false;
    }
    let mut seen = 0;
    for (byte, at) in into.iter_mut().zip(PAIRS) {
        let (high, low) = (DIGITS[bytes[at] as usize], DIGITS[bytes[at + 1] as usize]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    seen < 16
}

fn unpack(bytes: &[u8]) -> String {
    match bytes.split_first() {
        Some((&UUID, uuid)) => {
            let mut text = String::with_capacity(36);
            for (at, byte) in uuid.iter().enumerate() {
                if matches!(at, 4 | 6 | 8 | 10) {
                    text.push('-');
                }
                for nibble in [byte >> 4, byte & 15] {
                    text.push(char::from_digit(u32::from(nibble), 16).unwrap_or_default());
                }
            }
            text
        }
        Some((_, text)) => String::from_utf8_lossy(text).into_owned(),
        None => String::new(),
    }
}

impl IdColumn {
    fn push(&mut self, id: &Packed) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + id.bytes().len()) else { return false };
        if self.ends.is_empty() && id.bytes().len() != UUID_ROW {
            let ends = (1..=self.rows).map(|row| u32::try_from(row * UUID_ROW).unwrap_or(u32::MAX));
            self.ends = ends.collect();
            self.ends.push(end);
        } else if !self.ends.is_empty() {
            self.ends.push(end);
        }
        self.bytes.extend_from_slice(id.bytes());
        self.rows += 1;
        true
    }

    fn get(&self, row: usize) -> &[u8] {
        if self.ends.is_empty() {
            return self.bytes.get(row * UUID_ROW..(row + 1) * UUID_ROW).unwrap_or_default();
        }
        let Some(&end) = self.ends.get(row) else { return &[] };
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// How many ids are looked up together.
const BATCH: usize = 64;

/// When something happened to one remembered object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// When we suspended it.
    pub suspended_at: Option<Timestamp>,
    /// When it was first missing in the source.
    pub missing_since: Option<Timestamp>,
}

impl Times {
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// The hash of a packed id; of a UUID, of its sixteen bytes alone.
fn hash(hasher: &KeyedHash, packed: &[u8]) -> u64 {
    hasher.hash(packed.strip_prefix(&[UUID]).unwrap_or(packed))
}

/// One remembered object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its immutable id in the source.
    pub source: String,
    /// Its id in the target. `None`: a claim, made before the creation was sent.
    pub target: Option<String>,
    /// When something happened to it.
    pub times: Times,
    /// What is remembered of the password that was last sent.
    pub password: Option<Fingerprint>,
}

/// Which object of the target belongs to which object of the source, by source id.
#[derive(Debug, Clone, Default)]
pub struct Bindings {
    source: IdColumn,
    target: IdColumn,
    hasher: KeyedHash,
    index: HashTable<u32>,
    times: BTreeMap<u32, Times>,
    /// As long as the last row that has one.
    passwords: Vec<Option<Fingerprint>>,
}

impl Bindings {
    /// Nothing, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self { index: HashTable::with_capacity(count), ..Self::default() }
    }

    /// Remembers an object. A source id that is there already keeps its first entry.
    pub fn insert(&mut self, source: &str, target: Option<&str>, times: Times) -> bool {
        let key = Packed::of(source);
        if source.is_empty() || self.find_packed(&key).is_some() {
            return false;
        }
        let Ok(row) = u32::try_from(self.len()) else { return false };
        if !self.source.push(&key) {
            return false;
        }
        if !self.target.push(&Packed::of(target.unwrap_or_default())) {
            // No room for more ids: what cannot be bound stays a claim.
            self.target.push(&Packed::of(""));
        }
        let (ids, hasher) = (&self.source, &self.hasher);
        self.index.insert_unique(hash(hasher, key.bytes()), row, |&row| hash(hasher, ids.get(row as usize)));
        if !times.is_empty() {
            self.times.insert(row, times);
        }
        true
    }

    /// Remembers what the password of an object was when it was last sent.
    pub fn remember_password(&mut self, source: &str, password: Fingerprint) {
        if let Some(row) = self.find(source) {
            if self.passwords.len() <= row {
                self.passwords.resize(row + 1, None);
            }
            if let Some(remembered) = self.passwords.get_mut(row) {
                *remembered = Some(password);
            }
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.source.rows
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The position of the entry with this source id.
    pub(crate) fn find(&self, source: &str) -> Option<usize> {
        self.find_packed(&Packed::of(source))
    }

    /// The positions of the entries with these source ids, one after the other.
    pub(crate) fn find_each<'i>(&self, sources: impl Iterator<Item = &'i str>, mut found: impl FnMut(Option<usize>)) {
        self.find_each_pair(sources.map(|source| (source, "")), |position, _| found(position));
    }

    /// The positions of the entries with these source ids, one after the other, and whether each is bound to the target
    /// id beside it. Many are taken one step further before the first takes the next: they then wait for memory
    /// together, which takes a fraction of the time.
    pub(crate) fn find_each_pair<'i>(
        &self,
        mut pairs: impl Iterator<Item = (&'i str, &'i str)>,
        mut found: impl FnMut(Option<usize>, bool),
    ) {
        let (mut sources, mut targets) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let (mut likely, mut positions) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let mut bound = Vec::with_capacity(BATCH);
        loop {
            for (source, target) in pairs.by_ref().take(BATCH) {
                let key = Packed::of(source);
                sources.push((hash(&self.hasher, key.bytes()), key));
                targets.push(Packed::of(target));
            }
            if sources.is_empty() {
                return;
            }
            // The first with a part of the hash nearly always is the one, if there is one.
            likely.extend(sources.iter().map(|&(hash, _)| self.index.find(hash, |_| true).copied()));
            positions.extend(sources.drain(..).zip(likely.drain(..)).map(|((hash, key), likely)| {
                let row = likely? as usize;
                if key.is_at(&self.source, row) { Some(row) } else { self.find_hashed(hash, &key) }
            }));
            bound.extend(positions.iter().zip(targets.drain(..)).map(|(position, target)| {
                !target.empty && position.is_some_and(|position| target.is_at(&self.target, position))
            }));
            positions.drain(..).zip(bound.drain(..)).for_each(|(position, bound)| found(position, bound));
        }
    }

    fn find_packed(&self, key: &Packed) -> Option<usize> {
        self.find_hashed(hash(&self.hasher, key.bytes()), key)
    }

    fn find_hashed(&self, hash: u64, key: &Packed) -> Option<usize> {
        self.index.find(hash, |&row| key.is_at(&self.source, row as usize)).map(|&row| row as usize)
    }

    /// Whether the entry at this position is a claim.
    pub(crate) fn is_claim(&self, position: usize) -> bool {
        self.target.get(position).is_empty()
    }

    /// The target id of the entry at this position; `None` for a claim.
    pub(crate) fn target(&self, position: usize) -> Option<String> {
        Some(unpack(self.target.get(position))).filter(|id| !id.is_empty())
    }

    /// When something happened to the entry at this position.
    pub(crate) fn times(&self, position: usize) -> Times {
        u32::try_from(position).ok().and_then(|row| self.times.get(&row)).copied().unwrap_or_default()
    }

    /// What is remembered of the password of the entry at this position.
    pub(crate) fn password(&self, position: usize) -> Option<Fingerprint> {
        self.passwords.get(position).copied().flatten()
    }

    /// The entry at this position.
    pub(crate) fn at(&self, position: usize) -> Binding {
        Binding {
            source: unpack(self.source.get(position)),
            target: self.target(position),
            times: self.times(position),
            password: self.password(position),
        }
    }

    /// What is remembered of one source id.
    pub fn get(&self, source: &str) -> Option<Binding> {
        self.find(source).map(|position| self.at(position))
    }

    /// Everything that is remembered.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Binding> {
        (0..self.len()).map(|position| self.at(position))
    }
}

impl PartialEq for Bindings {
    /// The same entries, in any order.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && (0..self.len()).all(|row| {
                let key = self.source.get(row);
                let hash = hash(&other.hasher, key);
                other.index.find(hash, |&at| other.source.get(at as usize) == key).is_some_and(|&at| {
                    let at = at as usize;
                    other.target.get(at) == self.target.get(row)
                        && other.times(at) == self.times(row)
                        && other.password(at) == self.password(row)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_were_whether_they_are_uuids_or_not() {
        let mut bindings = Bindings::default();
        let ids = ["0f3c8a2e-0000-4abc-9def-0123456789ab", "0F3C8A2E-0000-4ABC-9DEF-0123456789AB", "42", "größe"];
        for id in ids {
            assert!(bindings.insert(id, Some(id), Times::default()));
            assert!(!bindings.insert(id, None, Times::default()), "twice");
        }
        for id in ids {
            assert_eq!(bindings.get(id).unwrap().target.as_deref(), Some(id));
        }
        assert_eq!(bindings.get("nobody"), None);
    }

    #[test]
    fn many_are_found_as_one_by_one() {
        let uuid = |number: u32| format!("0f3c8a2e-0000-4abc-9def-{number:012x}");
        let mut bindings = Bindings::default();
        for number in 0..1000 {
            let target = (number % 3 > 0).then(|| format!("id {number}"));
            assert!(bindings.insert(&uuid(number), target.as_deref(), Times::default()));
        }
        let pairs: Vec<_> = (0..2000).rev().map(|number| (uuid(number), format!("id {}", number / 2 * 2))).collect();
        let pairs = pairs.iter().map(|(source, target)| (source.as_str(), target.as_str()));
        let (mut expected, mut found) = (pairs.clone().chain([("", "")]), 0);
        bindings.find_each_pair(pairs.chain([("", "")]), |position, is_bound| {
            let (source, target) = expected.next().unwrap();
            assert_eq!(position, bindings.find(source));
            let there = position.and_then(|position| bindings.target(position));
            assert_eq!(is_bound, there.as_deref() == Some(target), "{source} {target}");
            found += 1;
        });
        assert_eq!(found, 2001);
    }
}
