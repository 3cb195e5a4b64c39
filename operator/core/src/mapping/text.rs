//! Values as a directory sends them, made usable.

use crate::address;
use std::cmp::Ordering;

/// The longest value that is used, in bytes.
pub const VALUE_LIMIT: usize = 64 * 1024;

/// How many values an attribute may have.
pub const VALUES_LIMIT: usize = 1_000;

/// What a field makes of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is a value of the field.
    Taken,
    /// It is none, and need not be: an address of another kind, for instance.
    PassedOver,
    /// It should be one and is not.
    Malformed,
}

/// A value as text without the blanks around it. `None`: it is not UTF-8.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

/// The mail address that a text holds, or what else it is.
pub(super) fn mail_address(text: &str) -> Result<&str, Use> {
    let address = match text.split_once(':') {
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("smtp") => address.trim(),
        Some((scheme, _)) if !scheme.contains('@') && !scheme.contains('"') => return Err(Use::PassedOver),
        _ => text,
    };
    if address::is_plausible(address) { Ok(address) } else { Err(Use::Malformed) }
}

/// A text as the truth value it names: `TRUE` and `FALSE` (RFC 4517 §3.3.3) in any case, `1` and `0`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A text as an org unit: a path that begins with `/` and does not end with one, the root excepted.
pub(super) fn set_org_unit(text: &str, path: &mut String) {
    path.clear();
    if !text.starts_with('/') {
        path.push('/');
    }
    path.push_str(text);
    while path.len() > 1 && path.ends_with('/') {
        path.pop();
    }
}

/// Puts addresses into the order of their keys, without those that name the same mailbox as another or as `primary`.
pub(super) fn sort_addresses(addresses: &mut Vec<String>, primary: &str) {
    addresses.retain(|address| !address::same(address, primary));
    addresses.sort_unstable_by(|a, b| compare_addresses(a, b));
    addresses.dedup_by(|a, b| address::same(a, b));
}

/// By key, then as written, so that it does not depend on the order of values which spelling stays.
fn compare_addresses(a: &str, b: &str) -> Ordering {
    let by_key = if a.is_ascii() && b.is_ascii() {
        a.bytes().map(|b| b.to_ascii_lowercase()).cmp(b.bytes().map(|b| b.to_ascii_lowercase()))
    } else {
        address::key(a).cmp(&address::key(b))
    };
    by_key.then_with(|| a.cmp(b))
}
