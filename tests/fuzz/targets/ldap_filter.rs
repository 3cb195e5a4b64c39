//! A search filter.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| directory_sync_sources::fuzzing::ldap_filter(input));

#[cfg(not(fuzzing))]
fn main() {}
