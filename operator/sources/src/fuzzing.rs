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
    use super::*;
    use std::path::{Path, PathBuf};

    type Holds = fn(&[u8]);

    const TARGETS: [(&str, Holds); 5] = [
        ("google_json", google_json),
        ("ldap_dn", ldap_dn),
        ("ldap_entry", ldap_entry),
        ("ldap_filter", ldap_filter),
        ("ldap_framing", ldap_framing),
    ];

    /// What lies in a folder of the fuzz targets.
    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz").join(folder);
        let mut files: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn what_has_to_hold_holds_for_every_input_that_is_kept() {
        for (target, holds) in TARGETS {
            let seeds = files(&format!("seeds/{target}"));
            assert!(!seeds.is_empty(), "no input is kept for {target}");
            for seed in seeds {
                let input = std::fs::read(&seed).unwrap();
                assert!(std::panic::catch_unwind(|| holds(&input)).is_ok(), "it does not hold for {}", seed.display());
            }
        }
    }

    #[test]
    fn the_inputs_of_every_target_are_gone_through() {
        let names = TARGETS.map(|(target, _)| target);
        for folder in ["targets", "seeds"] {
            let found: Vec<_> = files(folder).iter().map(|file| file.file_stem().unwrap().to_owned()).collect();
            assert_eq!(found, names, "in {folder}");
        }
    }
}
