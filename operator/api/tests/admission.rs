//! What is refused when a resource is written, and what is filled in.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use directory_sync_api::{
    DirectorySync,
    admission::{Refusal, admit},
    convert::{principals, rules},
    source::LdapScope,
    status::EffectiveRules,
};
use serde_json::{Value, json};

/// The resource of the example, as a user would apply it.
fn example() -> Value {
    let text = include_str!("../../../examples/openldap-to-scim.yaml");
    serde_yaml::Deserializer::from_str(text)
        .map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap())
        .find(|object| object["kind"] == "DirectorySync")
        .unwrap()
}

/// The example with a JSON merge patch (RFC 7396) of its spec.
fn changed(patch: &Value) -> Value {
    let mut object = example();
    merge(&mut object["spec"], patch);
    object
}

fn merge(value: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (name, change) in changes {
        if change.is_null() {
            value.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut value[name], change);
        }
    }
}

fn refusal(patch: &Value) -> Refusal {
    admit::<DirectorySync>(changed(patch)).expect_err("it should be refused")
}

#[test]
fn the_example_is_accepted_and_its_defaults_are_filled_in() {
    let sync: DirectorySync = admit(example()).unwrap();
    let ldap = sync.spec.source.ldap.unwrap();
    assert_eq!((ldap.page_size, ldap.users[0].scope), (1000, LdapScope::Subtree));
    assert_eq!(sync.spec.limits.memberships.removals.percent, Some(10), "a limit that is left out keeps its default");
    assert_eq!(sync.spec.limits.users.removals.max, Some(20));
    assert!(!sync.spec.apply);
}

#[test]
fn every_wrong_combination_is_refused_with_a_sentence_that_says_what_to_write() {
    let cases: Vec<Value> = serde_yaml::from_str(include_str!("refused.yaml")).unwrap();
    for case in cases {
        let refusal = refusal(&case["change"]).to_string();
        assert!(refusal.contains(case["sentence"].as_str().unwrap()), "{}: {refusal}", case["wrong"]);
    }
}

#[test]
fn a_misspelt_field_is_refused_with_the_names_that_are_known() {
    let refusal = refusal(&json!({ "removal": { "policyy": "Keep" } }));
    assert_eq!(refusal.to_string(), "spec.removal.policyy: unknown field; known here: deleteAfter, policy");
}

#[test]
fn a_value_out_of_bounds_is_refused_where_it_stands() {
    for (patch, sentence) in [
        (json!({ "source": { "ldap": { "urls": [] } } }), "spec.source.ldap.urls: needs at least 1 entries"),
        (json!({ "source": { "ldap": { "pageSize": 0 } } }), "spec.source.ldap.pageSize: must be at least 1"),
        (
            json!({ "source": { "ldap": { "urls": ["http://x.example.com"] } } }),
            "spec.source.ldap.urls[0]: write an LDAP URL",
        ),
        (json!({ "adoption": "byAddress" }), "spec.adoption: must be one of None, ByExternalId, ByAddress"),
        (json!({ "apply": "yes" }), "spec.apply: must be of type boolean"),
        (json!({ "schedule": { "cron": "hourly" } }), "spec.schedule.cron: must"),
        (json!({ "removal": { "deleteAfter": "30d" } }), "spec.removal.deleteAfter: write a duration"),
        (
            json!({ "mapping": { "user": { "attributes": [
                { "name": "title", "value": "a" }, { "name": "title", "value": "b" }
            ] } } }),
            "spec.mapping.user.attributes[1]: is named like an earlier entry",
        ),
    ] {
        let refusal = refusal(&patch).to_string();
        assert!(refusal.contains(sentence), "{refusal} should contain {sentence}");
    }
}

#[test]
fn an_explicit_null_counts_as_left_out() {
    let sync: DirectorySync = admit(changed(&json!({ "schedule": { "jitter": null } }))).unwrap();
    assert_eq!(sync.spec.schedule.jitter, "1m");
}

#[test]
fn the_preset_fills_in_what_the_mapping_leaves_out_and_the_status_says_what_is_managed() {
    let sync: DirectorySync = admit(example()).unwrap();
    let user = sync.spec.effective_mapping().user.unwrap();
    assert_eq!(user.id.unwrap().attribute.unwrap(), "entryUUID");
    let effective = effective(&sync);
    assert_eq!((effective.exclusions, effective.protected, effective.apply), (2, 1, false));
    for field in ["user.aliases", "user.attributes.title", "group.members"] {
        assert!(effective.fields.iter().any(|known| known == field), "{field}: {:?}", effective.fields);
    }
    assert!(!effective.fields.iter().any(|field| field == "user.orgUnit"), "what nothing maps is not managed");
}

/// The echo of what is in force.
fn effective(sync: &DirectorySync) -> EffectiveRules {
    EffectiveRules::of(&sync.spec, &rules(&sync.spec, principals(&sync.spec).unwrap()).unwrap())
}

#[test]
fn the_status_echoes_every_rule_as_it_was_understood() {
    let spec = json!({
        "approval": "Manual", "apply": true, "adoption": "ByAddress", "domains": ["example.com", "müller.example"],
        "removal": { "policy": "Suspend", "deleteAfter": "720h" },
        "limits": {
            "users": { "updates": { "percent": 7 } }, "memberships": { "creates": { "max": 3 } },
            "sourceShrink": { "percent": 3 }, "onExceeded": "HoldRemovals",
        },
    });
    let sync: DirectorySync = admit(changed(&spec)).unwrap();
    let echo = serde_json::to_value(effective(&sync)).unwrap();
    assert_eq!(
        echo["limits"],
        serde_json::to_value(&sync.spec.limits).unwrap(),
        "with the defaults that were filled in"
    );
    for (field, value) in [
        ("approval", json!("Manual")),
        ("apply", json!(true)),
        ("adoption", json!("ByAddress")),
        ("domains", json!(["example.com", "müller.example"])),
        ("removal", json!("Suspend")),
        ("deleteAfter", json!("720h")),
    ] {
        assert_eq!(echo[field], value, "{field}");
    }
    let without: DirectorySync = admit(changed(&json!({ "removal": { "deleteAfter": null } }))).unwrap();
    let echo = serde_json::to_value(effective(&without)).unwrap();
    assert_eq!((&echo["deleteAfter"], &echo["approval"]), (&Value::Null, &json!("Automatic")));
}

#[test]
fn what_the_mapping_says_wins_over_the_preset() {
    let patch = json!({ "mapping": { "user": { "displayName": { "attribute": "displayName" } } } });
    let sync: DirectorySync = admit(changed(&patch)).unwrap();
    let name = sync.spec.effective_mapping().user.unwrap().display_name.unwrap();
    assert_eq!(name.attribute.as_deref(), Some("displayName"));
}
