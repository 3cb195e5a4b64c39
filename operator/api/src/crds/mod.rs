//! Everything that is generated from the kinds: manifests, the chart's copies, the reference.

mod chart;
mod policy;
mod reference;
mod schema;

use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{DirectorySync, DirectorySyncApproval, DirectorySyncPlan, DirectorySyncState};

pub use policy::{approval_policy, approval_policy_binding};

const HEADER: &str = "# Generated from operator/api by `cargo xtask generate`; changes here are lost.\n";

/// The four `CustomResourceDefinitions`, ready to be applied.
pub fn definitions() -> Vec<Value> {
    [
        (json!(DirectorySync::crd()), Some(json!({ "observedGeneration": -1 }))),
        (json!(DirectorySyncApproval::crd()), Some(json!({ "state": "Pending" }))),
        (json!(DirectorySyncPlan::crd()), None),
        (json!(DirectorySyncState::crd()), None),
    ]
    .into_iter()
    .map(|(definition, status)| schema::finished(definition, status.as_ref()))
    .collect()
}

/// Every generated file of this crate as its path from the root of the repository and its text: `crds/`, the chart's
/// copies, and `docs/reference/kinds.md`.
///
/// # Errors
/// A manifest that cannot be written as YAML.
pub fn generated_files() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    let definitions = definitions();
    let mut files = Vec::new();
    for definition in &definitions {
        let plural = schema::plural(definition);
        let yaml = serde_yaml::to_string(definition)?;
        files.push((format!("crds/{plural}.yaml"), format!("{HEADER}{yaml}")));
        let copy = format!("charts/directory-sync-operator/templates/crds/{plural}.yaml");
        files.push((copy, chart::definition(HEADER, &yaml)));
    }
    files.push(("crds/validating-admission-policy.yaml".into(), policy::manifest(HEADER)?));
    let copy = "charts/directory-sync-operator/templates/validating-admission-policy.yaml";
    files.push((copy.into(), chart::policy(HEADER)?));
    files.push(("docs/reference/kinds.md".into(), reference::page(&definitions)));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn the_files_in_the_tree_are_current() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (name, contents) in generated_files().unwrap() {
            let current = fs::read_to_string(root.join(&name)).unwrap_or_default();
            assert!(current == contents, "{name} is not current: run `cargo xtask generate`");
        }
    }

    #[test]
    fn no_definition_outgrows_what_kubectl_apply_can_remember() {
        for definition in definitions() {
            let bytes = definition.to_string().len();
            assert!(bytes < 256 * 1024, "{} has {bytes} bytes", schema::plural(&definition));
        }
    }

    #[test]
    fn every_field_has_a_description_and_every_string_and_list_of_a_spec_a_bound() {
        for definition in definitions() {
            let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            let parts = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
            assert_documented(&format!("{kind}.spec"), &parts["spec"]);
            assert_documented(&format!("{kind}.status"), &parts["status"]);
            assert_bounded(&format!("{kind}.spec"), &parts["spec"]);
        }
    }

    fn assert_documented(path: &str, schema: &Value) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(field["description"].is_string(), "{path} has no description");
            assert_documented(&path, field);
        }
        for (part, name) in [("items", "[]"), ("additionalProperties", "{}")] {
            if schema[part].is_object() {
                assert_documented(&format!("{path}{name}"), &schema[part]);
            }
        }
    }

    fn assert_bounded(path: &str, schema: &Value) {
        match schema["type"].as_str() {
            Some("string") => {
                assert!(schema["enum"].is_array() || schema["maxLength"].is_number(), "{path} has no maxLength");
            }
            Some("integer") => {
                assert!(schema["minimum"].is_number(), "{path} has no minimum");
                assert!(["int32", "int64"].contains(&schema["format"].as_str().unwrap()), "{path}");
            }
            Some("array") => {
                assert!(schema["maxItems"].is_number(), "{path} has no maxItems");
                assert_bounded(&format!("{path}[]"), &schema["items"]);
            }
            Some("object") => {
                for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                    assert_bounded(&format!("{path}.{name}"), field);
                }
            }
            Some("boolean") => {}
            other => panic!("{path} has the type {other:?}"),
        }
    }

    #[test]
    fn a_new_sync_is_not_taken_for_a_ready_one() {
        let definitions = definitions();
        let status = &definitions[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
        assert_eq!(status["default"], json!({ "observedGeneration": -1 }));
    }

    #[test]
    fn nothing_in_the_charts_copies_reads_as_a_template_by_accident() {
        for definition in definitions() {
            assert!(!definition.to_string().contains("{{"));
        }
    }
}
