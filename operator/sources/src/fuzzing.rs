//! What has to hold for whatever bytes come from outside. `tests/fuzz` looks for inputs for which it does not; those
//! that were found are kept in `tests/fuzz/seeds`, and tests go through them. None of this is in the operator.
//!
//! Each function panics if what it says does not hold.

use crate::{google, ldap};

/// Bytes from an LDAP server, cut into messages: in whichever pieces they arrive the same is taken from them, never
/// more than the caps allow, and what is given on is what the LDAP library can take. The first byte says what was asked,
/// the second in which pieces the rest arrives.
pub fn ldap_framing(input: &[u8]) {
    ldap::fuzzing::framing(input);
}

/// The body of an LDAP entry: no more values than were sent, whatever the order in which they were asked for.
pub fn ldap_entry(body: &[u8]) {
    ldap::fuzzing::entry(body);
}

/// A distinguished name: its normal form has itself as normal form, and case, blanks and escapes do not change it.
pub fn ldap_dn(name: &[u8]) {
    ldap::fuzzing::dn(name);
}

/// A search filter: what is taken means the same when it is written anew, and no value changes the filter around it.
pub fn ldap_filter(text: &[u8]) {
    ldap::fuzzing::filter(text);
}

/// An answer of Google: no page without its `kind` and its end, no absence but in Google's own words, no token in a
/// message. The first byte says which list was asked for, the second is the HTTP status, the rest is the body.
pub fn google_json(input: &[u8]) {
    google::fuzzing::json(input);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Goes through the inputs that are kept for a target.
    fn hold(target: &str, holds: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(target);
        let mut seeds: Vec<_> = folder.read_dir().unwrap().map(|seed| seed.unwrap().path()).collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "{} is empty", folder.display());
        for seed in seeds {
            let input = std::fs::read(&seed).unwrap();
            let outcome = std::panic::catch_unwind(|| holds(&input));
            assert!(outcome.is_ok(), "it does not hold for {}", seed.display());
        }
    }

    #[test]
    fn what_has_to_hold_for_messages_holds_for_all_that_are_kept() {
        hold("ldap_framing", super::ldap_framing);
    }

    #[test]
    fn what_has_to_hold_for_entries_holds_for_all_that_are_kept() {
        hold("ldap_entry", super::ldap_entry);
    }

    #[test]
    fn what_has_to_hold_for_names_holds_for_all_that_are_kept() {
        hold("ldap_dn", super::ldap_dn);
    }

    #[test]
    fn what_has_to_hold_for_filters_holds_for_all_that_are_kept() {
        hold("ldap_filter", super::ldap_filter);
    }

    #[test]
    fn what_has_to_hold_for_answers_of_google_holds_for_all_that_are_kept() {
        hold("google_json", super::google_json);
    }
}
