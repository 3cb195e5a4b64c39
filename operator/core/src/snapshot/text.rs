//! Columns of text: one arena and one offset per value.

use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A column is full: its texts would need more than 4 GiB or more than 2³¹ rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot column would exceed what can be addressed (4 GiB of text or 2^31 rows)")]
pub struct ColumnFull;

/// Texts in one arena; an absent value is the empty text.
#[derive(Debug, Clone, Default)]
pub struct TextColumn {
    text: String,
    offsets: Offsets,
}

/// Where the rows end. A column of UUIDs, or one that nobody has a value in, needs no list of ends.
#[derive(Debug, Clone)]
enum Offsets {
    /// All rows have one length.
    Even { length: u32, rows: usize },
    /// They have not.
    Ends(Vec<u32>),
}

impl Default for Offsets {
    fn default() -> Self {
        Self::Even { length: 0, rows: 0 }
    }
}

impl Offsets {
    fn push(&mut self, length: u32, end: u32) {
        match self {
            Self::Even { length: even, rows } if *rows == 0 || *even == length => {
                *even = length;
                *rows += 1;
            }
            Self::Even { length: even, rows } => {
                let mut ends: Vec<u32> =
                    (1..=*rows).map(|row| u32::try_from(row).unwrap_or(u32::MAX).saturating_mul(*even)).collect();
                ends.push(end);
                *self = Self::Ends(ends);
            }
            Self::Ends(ends) => ends.push(end),
        }
    }

    fn range(&self, row: usize) -> Option<(usize, usize)> {
        match self {
            Self::Even { length, rows } => {
                (row < *rows).then(|| (row * *length as usize, (row + 1) * *length as usize))
            }
            Self::Ends(ends) => {
                let start = if row == 0 { 0 } else { *ends.get(row - 1)? };
                Some((start as usize, *ends.get(row)? as usize))
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Even { rows, .. } => *rows,
            Self::Ends(ends) => ends.len(),
        }
    }
}

impl TextColumn {
    /// Appends a value as the next row.
    pub fn push(&mut self, value: &str) -> Result<(), ColumnFull> {
        let length = u32::try_from(value.len()).map_err(|_| ColumnFull)?;
        let end = u32::try_from(self.text.len() + value.len()).map_err(|_| ColumnFull)?;
        if self.len() >= (1 << 31) {
            return Err(ColumnFull);
        }
        self.text.push_str(value);
        self.offsets.push(length, end);
        Ok(())
    }

    /// The value of a row; empty where the row does not exist.
    pub fn get(&self, row: usize) -> &str {
        self.offsets.range(row).and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives back the memory that growing reserved.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        if let Offsets::Ends(ends) = &mut self.offsets {
            ends.shrink_to_fit();
        }
    }
}

/// A column whose every row holds a list of texts (aliases, for instance).
#[derive(Debug, Clone, Default)]
pub struct ListColumn {
    values: TextColumn,
    ends: Vec<u32>,
}

impl ListColumn {
    /// Appends a row with these values.
    pub fn push<'a>(&mut self, values: impl IntoIterator<Item = &'a str>) -> Result<(), ColumnFull> {
        for value in values {
            self.values.push(value)?;
        }
        self.ends.push(u32::try_from(self.values.len()).map_err(|_| ColumnFull)?);
        Ok(())
    }

    /// The values of a row.
    pub fn get(&self, row: usize) -> impl ExactSizeIterator<Item = &str> + Clone {
        let end = self.ends.get(row).copied().unwrap_or_default();
        let start = if row == 0 { 0 } else { self.ends.get(row - 1).copied().unwrap_or(end) };
        (start as usize..end as usize).map(|value| self.values.get(value))
    }

    /// Gives back the memory that growing reserved.
    pub fn shrink(&mut self) {
        self.values.shrink();
        self.ends.shrink_to_fit();
    }
}

/// A column of values that repeat (org units, names of attributes): each text is kept once.
#[derive(Debug, Clone, Default)]
pub struct InternedColumn {
    texts: Interner,
    rows: Vec<u32>,
}

impl InternedColumn {
    /// Appends a value as the next row.
    pub fn push(&mut self, value: &str) -> Result<(), ColumnFull> {
        let symbol = self.texts.intern(value)?;
        self.rows.push(symbol);
        Ok(())
    }

    /// The value of a row; empty where the row does not exist.
    pub fn get(&self, row: usize) -> &str {
        self.rows.get(row).map_or("", |&symbol| self.texts.get(symbol))
    }

    /// Gives back the memory that growing reserved.
    pub fn shrink(&mut self) {
        self.rows.shrink_to_fit();
    }
}

/// Every distinct text once, named by a small integer.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    texts: TextColumn,
    index: HashTable<u32>,
    hasher: std::hash::RandomState,
}

impl Interner {
    /// The integer of `text`, which is added if it is new.
    pub fn intern(&mut self, text: &str) -> Result<u32, ColumnFull> {
        let hash = self.hasher.hash_one(text);
        if let Some(&symbol) = self.index.find(hash, |&symbol| self.texts.get(symbol as usize) == text) {
            return Ok(symbol);
        }
        let symbol = u32::try_from(self.texts.len()).map_err(|_| ColumnFull)?;
        self.texts.push(text)?;
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.index.insert_unique(hash, symbol, |&symbol| hasher.hash_one(texts.get(symbol as usize)));
        Ok(symbol)
    }

    /// The text of an integer given out by [`Interner::intern`].
    pub fn get(&self, symbol: u32) -> &str {
        self.texts.get(symbol as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_pushed() {
        for texts in [&["ada", "", "größe"][..], &["", "", "a"], &["even", "rows", "last", "odd"], &["one"]] {
            let mut column = TextColumn::default();
            for text in texts {
                column.push(text).unwrap();
            }
            assert_eq!((0..column.len()).map(|row| column.get(row)).collect::<Vec<_>>(), texts);
            assert_eq!(column.get(texts.len()), "");
        }
    }

    #[test]
    fn a_list_row_may_be_empty() {
        let mut column = ListColumn::default();
        column.push(["a", "b"]).unwrap();
        column.push([]).unwrap();
        column.push(["c"]).unwrap();
        assert_eq!(column.get(0).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(column.get(1).len(), 0);
        assert_eq!(column.get(2).collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn a_repeated_text_is_kept_once() {
        let mut column = InternedColumn::default();
        for text in ["/Sales", "/IT", "/Sales"] {
            column.push(text).unwrap();
        }
        assert_eq!(column.texts.texts.len(), 2);
        assert_eq!(column.get(2), "/Sales");
    }
}
