//! The example with Google as the source, as a user would apply it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use directory_sync_api::admission::admit;
use directory_sync_api::{DirectorySync, convert};
use serde_json::Value;

fn example() -> Value {
    let text = include_str!("../../../examples/google-to-scim.yaml");
    serde_yaml::Deserializer::from_str(text)
        .map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap())
        .find(|object| object["kind"] == "DirectorySync")
        .unwrap()
}

#[test]
fn the_example_is_accepted_and_its_defaults_are_filled_in() {
    let sync: DirectorySync = admit(example()).unwrap();
    let google = sync.spec.source.google.unwrap();
    assert_eq!((google.customer.as_str(), google.requests_per_second), ("my_customer", 30));
    assert_eq!(google.only_groups, ["staff@example.com", "contractors@example.com"]);
}

#[test]
fn the_preset_asks_for_what_every_google_user_has() {
    let sync: DirectorySync = admit(example()).unwrap();
    let (users, groups) = convert::mapping(&sync.spec).unwrap();
    let known = ["id", "primaryEmail", "name.givenName", "name.familyName", "name.fullName", "aliases", "active"];
    for name in known.into_iter().chain(["organizations.title;primary", "customSchemas.Employment.costCenter"]) {
        assert!(users.attributes().contains(&name.to_owned()), "{name}");
    }
    assert_eq!(users.id_attribute(), Some("id"));
    assert_eq!(groups.id_attribute(), Some("id"));
}

#[test]
fn google_is_refused_beside_another_source() {
    let mut object = example();
    object["spec"]["source"]["ldap"] = serde_json::json!({
        "urls": ["ldaps://ldap.example.com"], "bind": { "anonymous": {} }, "users": [{ "baseDN": "dc=example" }],
    });
    let refusal = admit::<DirectorySync>(object).expect_err("it should be refused");
    assert!(format!("{refusal:?}").contains("exactly one source"), "{refusal:?}");
}
