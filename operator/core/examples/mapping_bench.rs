//! What one entry costs: people and groups, from plain attributes and by expressions.
//!
//! `cargo run --release -p directory-sync-core --example mapping_bench -- 100000`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use directory_sync_core::mapping::{Entry, GroupMapping, GroupMappingSpec, UserMapping, UserMappingSpec, Value};
use directory_sync_core::snapshot::{GroupRecord, UserRecord};
use std::hint::black_box;
use std::time::Instant;

/// Rounds of which the quickest counts: other work on the machine only ever adds.
const ROUNDS: usize = 7;

const PERSON: [(&str, &[&str]); 7] = [
    ("entryUUID", &["0f3c8a2e-0000-4abc-9def-0123456789ab"]),
    ("mail", &["ada.lovelace@example.com"]),
    ("alias", &["countess@example.com", "ada@example.com"]),
    ("givenName", &["Ada"]),
    ("sn", &["Lovelace"]),
    ("ou", &["Research"]),
    ("employeeType", &["staff"]),
];

const GROUP: [(&str, &[&str]); 4] = [
    ("entryUUID", &["1f3c8a2e-0000-4abc-9def-0123456789ab"]),
    ("cn", &["staff"]),
    ("mail", &["staff@example.com"]),
    ("description", &["Everybody who works here"]),
];

fn attribute(name: &str) -> Value {
    Value::Attribute(name.to_owned())
}

fn cel(text: &str) -> Value {
    Value::Cel(text.to_owned())
}

/// The values of an entry in the order in which a mapping asks for them.
fn values(entry: &[(&str, &'static [&'static str])], wanted: &[String]) -> Vec<Vec<&'static [u8]>> {
    let of = |name: &String| {
        let (_, values) = entry.iter().find(|(known, _)| known == name).expect("the entry has it");
        values.iter().map(|value| value.as_bytes()).collect()
    };
    wanted.iter().map(of).collect()
}

fn measure(what: &str, entries: usize, mut map: impl FnMut()) {
    let nanoseconds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        (0..entries).for_each(|_| map());
        begun.elapsed().as_nanos() / entries as u128
    });
    println!("{what}: {} ns per entry", nanoseconds.min().unwrap());
}

fn person(what: &str, entries: usize, spec: &UserMappingSpec) {
    let mapping = UserMapping::compile(spec).unwrap();
    let values = values(&PERSON, mapping.attributes());
    let (mut record, mut malformed) = (UserRecord::default(), 0);
    measure(what, entries, || {
        let entry = Entry { name: "uid=ada,ou=People,dc=example,dc=com", values: black_box(&values) };
        mapping.map(&entry, &mut record, &mut malformed).unwrap();
        black_box(&record);
    });
    assert!(malformed == 0 && record.unknown.is_empty() && !record.org_unit.is_empty(), "{record:?}");
}

fn group(what: &str, entries: usize, spec: &GroupMappingSpec) {
    let mapping = GroupMapping::compile(spec).unwrap();
    let values = values(&GROUP, mapping.attributes());
    let (mut record, mut malformed) = (GroupRecord::default(), 0);
    measure(what, entries, || {
        let entry = Entry { name: "cn=staff,ou=Groups,dc=example,dc=com", values: black_box(&values) };
        mapping.map(&entry, &mut record, &mut malformed).unwrap();
        black_box(&record);
    });
    assert!(malformed == 0 && record.unknown.is_empty() && !record.description.is_empty(), "{record:?}");
}

fn main() {
    let entries: usize = std::env::args().nth(1).map_or(100_000, |text| text.parse().expect("a number of entries"));
    let plain = UserMappingSpec {
        id: Some(attribute("entryUUID")),
        email: Some(attribute("mail")),
        aliases: vec![attribute("alias")],
        given_name: Some(attribute("givenName")),
        family_name: Some(attribute("sn")),
        org_unit: Some(attribute("ou")),
        ..UserMappingSpec::default()
    };
    person("person, six plain attributes", entries, &plain);
    let unit = UserMappingSpec { org_unit: Some(cel("'/' + entry.ou[0]")), ..plain.clone() };
    person("person, one of them by an expression", entries, &unit);
    let active = Some(cel("!has(entry.employeeType) || entry.employeeType[0] != 'disabled'"));
    person("person, and a condition by another", entries, &UserMappingSpec { active, ..unit.clone() });
    let aliases = vec![cel("entry.alias.filter(a, a.matches('@example[.]com$')).map(a, 'smtp:' + a)")];
    person("person, and two loops with a pattern", entries, &UserMappingSpec { aliases, ..unit });

    let plain = GroupMappingSpec {
        id: Some(attribute("entryUUID")),
        name: Some(attribute("cn")),
        email: Some(attribute("mail")),
        description: Some(attribute("description")),
        ..GroupMappingSpec::default()
    };
    group("group, four plain attributes", entries, &plain);
    let described = GroupMappingSpec { description: Some(cel("entry.cn[0] + ': ' + entry.description[0]")), ..plain };
    group("group, one of them by an expression", entries, &described);
}
