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
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
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
}
