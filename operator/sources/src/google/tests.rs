//! What the way from bytes to people makes of damage, without a server.

use super::attribute::{Attributes, Kind};
use super::client::Page;
use super::read::borrowed;
use directory_sync_core::mapping::{Entry, UserMapping, UserMappingSpec, Value};
use directory_sync_core::snapshot::UserRecord;
use serde_json::json;

/// A page with the fields that Google's own answers have.
fn page() -> Vec<u8> {
    let page = json!({
        "kind": "admin#directory#users",
        "nextPageToken": "next~500",
        "users": [
            {
                "id": "100000000000000000001", "customerId": "C0simulated", "primaryEmail": "ada@example.com",
                "name": { "givenName": "Ada", "familyName": "Lovelace", "fullName": "Ada Lovelace" },
                "suspended": false, "archived": true, "aliases": ["a@example.com", "al@example.com"],
                "emails": [{ "address": "ada@example.com", "primary": true }, { "address": "a@example.com" }],
                "organizations": [{ "title": "Analyst", "primary": true, "customType": "" }],
                "externalIds": [{ "value": "42", "type": "organization" }],
                "customSchemas": { "Employment": { "sites": [{ "type": "work", "value": "Zürich" }], "grade": 7.5 } },
            },
            { "id": "100000000000000000002", "customerId": "C0simulated", "primaryEmail": "bob@example.com" },
        ],
    });
    page.to_string().into_bytes()
}

/// What is read of a page, as far as it can be read.
fn people(bytes: &[u8], attributes: &Attributes, mapping: &UserMapping) -> Option<Vec<UserRecord>> {
    let page = Page::of(serde_json::from_slice(bytes).ok()?, "users").ok()?;
    let mut people = Vec::new();
    for user in &page.items {
        let values = attributes.values(user);
        let mut record = UserRecord::default();
        if mapping.map(&Entry { name: "", values: &borrowed(&values) }, &mut record, &mut 0).is_ok() {
            people.push(record);
        }
    }
    Some(people)
}

#[test]
fn a_hundred_thousand_damaged_pages_are_read_or_refused_and_nothing_else() {
    let attribute = |name: &str| Value::Attribute(name.to_owned());
    let further = ["organizations.title;primary", "externalIds.value;organization", "customSchemas.Employment.sites"];
    let mapping = UserMapping::compile(&UserMappingSpec {
        id: Some(attribute("id")),
        email: Some(attribute("primaryEmail")),
        aliases: vec![attribute("aliases"), attribute("emails.address")],
        given_name: Some(attribute("name.givenName")),
        active: Some(attribute("active")),
        attributes: further.iter().map(|name| ((*name).to_owned(), attribute(name))).collect(),
        ..UserMappingSpec::default()
    })
    .unwrap();
    let attributes = Attributes::parse(Kind::User, mapping.attributes()).unwrap();
    let good = page();
    let sound = people(&good, &attributes, &mapping).unwrap();
    assert_eq!((sound.len(), sound[0].active, sound[0].attributes.len()), (2, false, 3));

    // A linear congruential generator, so that a failure can be repeated.
    let mut state = 20_261_124_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let mut bytes = good.clone();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(8) {
                0..3 => bytes[at] = u8::try_from(next(256)).unwrap(),
                3..5 => drop(bytes.remove(at)),
                5..7 => bytes.insert(at, b"[]{}\",:0ntf\\"[next(12)]),
                _ => bytes.truncate(at.max(8)),
            }
        }
        match people(&bytes, &attributes, &mapping) {
            Some(people) => {
                assert!(people.len() <= 2);
                read += 1;
            }
            None => refused += 1,
        }
    }
    assert!(read > 10_000 && refused > 10_000, "{read} were read and {refused} refused");
}
