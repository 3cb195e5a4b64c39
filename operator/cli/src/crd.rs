//! `crd`: the kinds and the policy that guards approvals, as YAML.

use anyhow::Result;
use directory_sync_api::crds::{approval_policy, approval_policy_binding, definitions};

use crate::output;

/// Prints what `kubectl apply --server-side -f -` needs before the operator can run.
pub fn print() -> Result<()> {
    let mut manifests = definitions();
    manifests.push(approval_policy());
    manifests.push(approval_policy_binding());
    let documents = manifests.iter().map(serde_yaml::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(output::print(&documents.join("---\n"))?)
}
