//! The admission policy that keeps `approvedBy` honest.

use serde_json::{Value, json};

use crate::{GROUP, VERSION};

/// Name of the policy where it is applied without the chart.
const NAME: &str = "directorysyncapprovals.directorysync.dev";

/// The policy: whoever creates an approval is the one it names. Without it, anybody who may approve could do so in
/// another's name.
pub fn approval_policy() -> Value {
    named_policy(NAME)
}

/// Puts [`approval_policy`] into force in every namespace.
pub fn approval_policy_binding() -> Value {
    named_binding(NAME)
}

pub(super) fn named_policy(name: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [{
                    "apiGroups": [GROUP],
                    "apiVersions": [VERSION],
                    "operations": ["CREATE"],
                    "resources": ["directorysyncapprovals"],
                }]
            },
            "validations": [{
                "expression": "object.spec.approvedBy == request.userInfo.username",
                "messageExpression":
                    "'spec.approvedBy must be the user who creates the approval: write ' + request.userInfo.username",
                "reason": "Forbidden",
            }],
        }
    })
}

pub(super) fn named_binding(name: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": { "policyName": name, "validationActions": ["Deny"] }
    })
}

pub(super) fn manifest(header: &str) -> Result<String, serde_yaml::Error> {
    let policy = serde_yaml::to_string(&approval_policy())?;
    Ok(format!("{header}{policy}---\n{}", serde_yaml::to_string(&approval_policy_binding())?))
}
