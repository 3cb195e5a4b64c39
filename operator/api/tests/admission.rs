//! What is refused when a resource is written, and what is filled in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;

use directory_sync_api::admission::{Refusal, admit};
use directory_sync_api::convert::{principals, rules};
use directory_sync_api::source::LdapScope;
use directory_sync_api::status::EffectiveRules;
use directory_sync_api::{DirectorySync, DirectorySyncApproval, DirectorySyncPlan, DirectorySyncState, crds};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use cases::{changed, example, merge};

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
    assert_eq!(sync.spec.source.freshness, "60s");
    assert!(!sync.spec.apply);
}

#[test]
fn every_wrong_combination_is_refused_with_a_sentence_that_says_what_to_write() {
    for case in cases::of_syncs() {
        let refusal = refusal(&case.change).to_string();
        assert!(refusal.contains(&case.sentence), "{}: {refusal}", case.wrong);
    }
}

#[test]
fn what_the_operator_or_an_approver_writes_is_judged_as_well() {
    let cases = cases::of_other_kinds();
    let admitted = |kind: &str, spec: &Value| {
        let object = json!({ "metadata": { "name": "judged" }, "spec": spec });
        match kind {
            "DirectorySyncApproval" => admit::<DirectorySyncApproval>(object).map(drop),
            "DirectorySyncPlan" => admit::<DirectorySyncPlan>(object).map(drop),
            "DirectorySyncState" => admit::<DirectorySyncState>(object).map(drop),
            other => panic!("{other} is no kind"),
        }
    };
    for (kind, specs) in &cases.accepted {
        for (name, spec) in specs {
            assert_eq!(admitted(kind, spec), Ok(()), "{kind} {name}");
        }
    }
    for case in &cases.refused {
        assert!(case.create.is_some() != case.update.is_some(), "{}: either create or update", case.wrong);
        let Some(change) = &case.create else { continue };
        let mut spec = cases.accepted[&case.kind][&case.of].clone();
        merge(&mut spec, change);
        let refusal = admitted(&case.kind, &spec).expect_err(&case.wrong).to_string();
        assert!(refusal.contains(&case.sentence), "{}: {refusal}", case.wrong);
    }
}

#[test]
fn every_rule_and_every_pattern_of_every_kind_has_a_case() {
    let tried: Vec<(String, String)> = cases::of_syncs()
        .into_iter()
        .map(|case| ("DirectorySync".to_owned(), case.sentence))
        .chain(cases::of_other_kinds().refused.into_iter().map(|case| (case.kind, case.sentence)))
        .collect();
    let mut untried = BTreeSet::new();
    for definition in crds::definitions() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut refusals = Vec::new();
        gather_refusals(schema, &mut refusals);
        assert!(!refusals.is_empty(), "{kind} refuses nothing");
        untried.extend(refusals.into_iter().filter_map(|refusal| {
            let is_tried = tried.iter().any(|(of, sentence)| of == kind && refusal.contains(sentence));
            (!is_tried).then(|| format!("{kind}: {refusal}"))
        }));
    }
    assert!(untried.is_empty(), "without a case in refused.yaml or refused-other-kinds.yaml: {untried:#?}");
}

/// The sentences of all rules, and the patterns that are shown as they are.
fn gather_refusals(schema: &Value, refusals: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        refusals.push(rule["message"].as_str().expect("every rule has a sentence").to_owned());
    }
    refusals.extend(schema["pattern"].as_str().map(str::to_owned));
    for field in schema["properties"].as_object().into_iter().flat_map(|fields| fields.values()) {
        gather_refusals(field, refusals);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            gather_refusals(&schema[part], refusals);
        }
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
        (json!({ "source": { "freshness": "a minute" } }), "spec.source.freshness: write a duration"),
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
    let misspelt: DirectorySync = admit(changed(&json!({ "removal": { "deleteAfter": null } }))).unwrap();
    let echo = serde_json::to_value(effective(&misspelt)).unwrap();
    assert_eq!((&echo["deleteAfter"], &echo["approval"]), (&Value::Null, &json!("Automatic")));
}

#[test]
fn what_the_mapping_says_wins_over_the_preset() {
    let patch = json!({ "mapping": { "user": { "displayName": { "attribute": "displayName" } } } });
    let sync: DirectorySync = admit(changed(&patch)).unwrap();
    let name = sync.spec.effective_mapping().user.unwrap().display_name.unwrap();
    assert_eq!(name.attribute.as_deref(), Some("displayName"));
}
