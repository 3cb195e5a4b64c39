//! Attributes with so many values that a server sends them in ranges (MS-ADTS §3.1.1.3.1.3.3): `member;range=0-1499`,
//! then from 1500 on, to the range that ends in `*`.

use super::config::Scope;
use super::connection::{Connection, Request};
use super::error::LdapError;
use super::guard::EntrySink;
use directory_sync_core::mapping::{Entry, same_attribute};

/// How often an entry is read that changes meanwhile.
const ATTEMPTS: usize = 2;
/// Most ranges of one attribute; servers send a thousand values or more in each.
const RANGES: usize = 100_000;
/// Of these, the server changes one whenever the entry changes.
const VERSIONS: [&str; 2] = ["uSNChanged", "modifyTimestamp"];

/// All values of an attribute of one entry, made into `T`; `None` if they cannot be had whole: a range fails, is not
/// the one that was asked for, or the entry keeps changing in between.
pub(super) async fn values<T: Send>(
    connection: &mut Connection,
    entry: &str,
    attribute: &str,
    cap: usize,
    make: &(dyn Fn(&[u8]) -> T + Sync),
) -> Result<Option<Vec<T>>, LdapError> {
    for _ in 0..ATTEMPTS {
        match attempt(connection, entry, attribute, cap, make).await {
            Ok(Attempt::Whole(values)) => return Ok(Some(values)),
            Ok(Attempt::Changed) => {}
            Ok(Attempt::Failed) => return Ok(None),
            Err(error) if error.is_of_this_search_only() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

enum Attempt<T> {
    Whole(Vec<T>),
    /// The entry is another than at the first range.
    Changed,
    Failed,
}

async fn attempt<T: Send>(
    connection: &mut Connection,
    entry: &str,
    attribute: &str,
    cap: usize,
    make: &(dyn Fn(&[u8]) -> T + Sync),
) -> Result<Attempt<T>, LdapError> {
    let mut all = Vec::new();
    let mut version = None;
    for _ in 0..RANGES {
        let from = all.len();
        let mut range = Range {
            wanted: [&[format!("{attribute};range={from}-*")], VERSIONS.map(str::to_owned).as_slice()].concat(),
            attribute,
            from,
            make,
            values: Vec::new(),
            end: End::Missing,
            version: Vec::new(),
        };
        let request = Request { base: entry, scope: Scope::Base, filter: "(objectClass=*)", page: None, size_limit: 0 };
        connection.search(&request, &mut range).await?;
        if *version.get_or_insert_with(|| range.version.clone()) != range.version {
            return Ok(Attempt::Changed);
        }
        if all.len() + range.values.len() > cap {
            return Ok(Attempt::Failed);
        }
        let came = range.values.len();
        all.append(&mut range.values);
        match range.end {
            End::Last => return Ok(Attempt::Whole(all)),
            End::At(last) if came > 0 && last + 1 == all.len() => {}
            End::At(_) | End::Missing => return Ok(Attempt::Failed),
        }
    }
    Ok(Attempt::Failed)
}

/// Where a range ends.
enum End {
    /// No range came.
    Missing,
    /// At this value, counted from 0.
    At(usize),
    /// At the last value there is.
    Last,
}

/// One range of values.
struct Range<'a, T> {
    wanted: Vec<String>,
    attribute: &'a str,
    from: usize,
    make: &'a (dyn Fn(&[u8]) -> T + Sync),
    values: Vec<T>,
    end: End,
    version: Vec<Vec<u8>>,
}

impl<T: Send> EntrySink for Range<'_, T> {
    fn attributes(&self) -> &[String] {
        &self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let of = |place: usize| entry.values.get(place).map(Vec::as_slice).unwrap_or_default();
        self.version = [of(1), of(2)].concat().into_iter().map(<[u8]>::to_vec).collect();
        Ok(())
    }

    fn range(&mut self, description: &str, values: &[&[u8]]) -> bool {
        let Some((name, bounds)) = bounds(description) else { return true };
        if !same_attribute(name, self.attribute) {
            return true;
        }
        let Some((from, to)) = bounds.split_once('-') else { return true };
        if from.parse() != Ok(self.from) {
            return true;
        }
        self.end = match to.parse() {
            Ok(last) => End::At(last),
            Err(_) if to == "*" => End::Last,
            Err(_) => End::Missing,
        };
        self.values = values.iter().map(|value| (self.make)(value)).collect();
        true
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}

/// The attribute and the bounds of `member;range=0-1499`.
pub(super) fn bounds(description: &str) -> Option<(&str, &str)> {
    let (name, options) = description.split_once(';')?;
    let bounds = options.split(';').find_map(|option| {
        let (key, bounds) = option.split_once('=')?;
        key.eq_ignore_ascii_case("range").then_some(bounds)
    })?;
    Some((name, bounds))
}
