//! Where people and groups come from: one optional struct per kind of source.

mod google;
mod ldap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

pub use google::{
    GoogleCredentials, GoogleGroups, GoogleP12Key, GooglePlaintext, GoogleSource, GoogleTls, GoogleWorkloadIdentity,
};
pub use ldap::{
    AnonymousBind, DereferenceAliases, ExternalBind, FollowReferrals, LdapBind, LdapPlaintext, LdapSchema, LdapScope,
    LdapSearch, LdapSource, LdapTls, LockedAccounts, SimpleBind,
};

/// The directory that is the truth. Exactly one kind of source is given.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.ldap), has(self.google)].exists_one(x, x)",
    "name exactly one source: write spec.source.ldap or spec.source.google"
))]
pub struct SourceSpec {
    /// An LDAP directory. It is only ever read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<LdapSource>,
    /// The users and groups of a Google Workspace customer. They are only ever read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleSource>,
    /// How old a read of another resource may be for this one to use it instead of reading itself: that of a
    /// `DirectorySync` in the same namespace with the same source, mapping and Secrets, counted from the end of the
    /// read. So a directory that is kept in several services is read once for all of them where their runs are due
    /// within this time. `0s` shares nothing: this resource reads for itself, and no other uses its reads. Whoever
    /// asks for a run or approves a plan gets a read that began after that, whatever is written here.
    /// `status.source.readBy` says whose read it was.
    #[serde(default = "default_freshness")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub freshness: String,
}

impl Default for SourceSpec {
    fn default() -> Self {
        Self { ldap: None, google: None, freshness: default_freshness() }
    }
}

fn default_freshness() -> String {
    "60s".into()
}
