//! The chart's copies: the same manifests, switched on and off by values.

use super::policy;

const LABELS: &str = "  labels:\n    {{- include \"directory-sync-operator.labels\" . | nindent 4 }}\n";

/// A definition as a template: installed and upgraded with `crds.enabled`, and left in place by an uninstall with
/// `crds.keep`, because deleting a definition deletes every resource of its kind.
pub(super) fn definition(header: &str, yaml: &str) -> String {
    let keep = "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n";
    let body = yaml.replacen("metadata:\n", &format!("metadata:\n{keep}{LABELS}"), 1);
    format!("{header}{{{{- if .Values.crds.enabled }}}}\n{body}{{{{- end }}}}\n")
}

/// The policy on approvals as a template, named after the release.
pub(super) fn policy(header: &str) -> Result<String, serde_yaml::Error> {
    const NAME: &str = "RELEASE-approvals";
    let template = r#"{{ include "directory-sync-operator.fullname" . }}-approvals"#;
    let mut manifests = Vec::new();
    for manifest in [policy::named_policy(NAME), policy::named_binding(NAME)] {
        let yaml = serde_yaml::to_string(&manifest)?;
        manifests.push(yaml.replacen("metadata:\n", &format!("metadata:\n{LABELS}"), 1).replace(NAME, template));
    }
    let manifests = manifests.join("---\n");
    Ok(format!("{header}{{{{- if .Values.approvalPolicy.enabled }}}}\n{manifests}{{{{- end }}}}\n"))
}
