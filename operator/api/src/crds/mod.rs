//! Everything that is generated from the kinds: manifests, the chart's copies, the reference.

mod chart;
mod policy;
mod reference;
mod schema;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{DirectorySync, DirectorySyncApproval, DirectorySyncPlan, DirectorySyncState};

pub use policy::{approval_policy, approval_policy_binding};

const HEADER: &str = "# Generated from operator/api by `cargo xtask generate`; changes here are lost.\n";

/// A file that is generated, as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Path from the root of the repository.
    pub path: PathBuf,
    /// The whole text.
    pub contents: String,
}

impl GeneratedFile {
    fn new(path: impl Into<PathBuf>, contents: String) -> Self {
        Self { path: path.into(), contents }
    }
}

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

/// Every generated file of this crate: `crds/`, the chart's copies, and `docs/reference/kinds.md`.
///
/// # Errors
/// If a definition cannot be written as YAML, which would be a mistake in this crate.
pub fn generated_files() -> Result<Vec<GeneratedFile>, serde_yaml::Error> {
    let definitions = definitions();
    let mut files = Vec::new();
    for definition in &definitions {
        let plural = schema::plural(definition);
        let yaml = serde_yaml::to_string(definition)?;
        files.push(GeneratedFile::new(format!("crds/{plural}.yaml"), format!("{HEADER}{yaml}")));
        files.push(GeneratedFile::new(
            format!("charts/directory-sync-operator/templates/crds/{plural}.yaml"),
            chart::definition(HEADER, &yaml),
        ));
    }
    files.push(GeneratedFile::new("crds/validating-admission-policy.yaml", policy::manifest(HEADER)?));
    files.push(GeneratedFile::new(
        "charts/directory-sync-operator/templates/validating-admission-policy.yaml",
        chart::policy(HEADER)?,
    ));
    files.push(GeneratedFile::new("docs/reference/kinds.md", reference::page(&definitions)));
    Ok(files)
}

/// Writes every generated file below `root`, the root of the repository.
///
/// # Errors
/// If a file cannot be written.
pub fn write_generated_files(root: &Path) -> io::Result<()> {
    for file in generated_files().map_err(io::Error::other)? {
        let path = root.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, file.contents)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn the_files_in_the_tree_are_current() {
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            write_generated_files(&root()).unwrap();
        }
        let stale: Vec<_> = generated_files()
            .unwrap()
            .into_iter()
            .filter(|file| fs::read_to_string(root().join(&file.path)).unwrap_or_default() != file.contents)
            .map(|file| file.path)
            .collect();
        assert!(stale.is_empty(), "run `cargo xtask generate`: {stale:?}");
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
            let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
            assert_documented_and_bounded(&format!("{kind}.spec"), spec);
        }
    }

    fn assert_documented_and_bounded(path: &str, schema: &Value) {
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
                assert_documented_and_bounded(&format!("{path}[]"), &schema["items"]);
            }
            Some("object") => {
                for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                    let path = format!("{path}.{name}");
                    assert!(field["description"].is_string(), "{path} has no description");
                    assert_documented_and_bounded(&path, field);
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
