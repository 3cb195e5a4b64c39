//! Values as a directory sends them, made usable.

use crate::address;
use std::cmp::Ordering;

/// The longest value that is used, in bytes.
pub const VALUE_LIMIT: usize = 64 * 1024;

/// How many values of one attribute are looked at.
pub const VALUES_LIMIT: usize = 1_000;

/// The usable texts among an attribute's values. Others are counted in `malformed`.
pub(super) fn texts<'v>(values: &[&'v [u8]], malformed: &mut u64) -> impl Iterator<Item = &'v str> {
    *malformed += values.len().saturating_sub(VALUES_LIMIT) as u64;
    values.iter().take(VALUES_LIMIT).filter_map(|value| text(value, malformed))
}

/// A value as text without the blanks around it; `None` if nothing is left or it is malformed, which is counted.
fn text<'v>(value: &'v [u8], malformed: &mut u64) -> Option<&'v str> {
    match std::str::from_utf8(value) {
        Ok(text) if value.len() <= VALUE_LIMIT => Some(text.trim()).filter(|text| !text.is_empty()),
        _ => {
            *malformed += 1;
            None
        }
    }
}

/// The mail address that a text holds; `None` if it holds none. What should be an address and is not is counted in
/// `malformed`; an address of another kind (`sip:`, `x500:`) is not.
pub(super) fn mail_address<'v>(text: &'v str, malformed: &mut u64) -> Option<&'v str> {
    let address = match text.split_once(':') {
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("smtp") => address.trim(),
        Some((scheme, _)) if !scheme.contains('@') && !scheme.contains('"') => return None,
        _ => text,
    };
    if address::is_plausible(address) {
        return Some(address);
    }
    *malformed += 1;
    None
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
