//! Where people and groups go: one optional struct per kind of target.

mod scim;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

pub use scim::{ScimAuth, ScimPaging, ScimPlaintext, ScimTarget, ScimTls, ScimUpdateMethod};

/// The service that is kept like the source. Exactly one kind of target is given.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.scim)", "name the target: write spec.target.scim"))]
pub struct TargetSpec {
    /// A service with a SCIM 2.0 interface (RFC 7643, RFC 7644).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scim: Option<ScimTarget>,
}
