//! The Google source.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::references::{CaBundle, SecretKeyReference};

/// How to read people and groups of a Google Workspace customer, through the Directory API of the Admin SDK.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "!(has(self.groups) && has(self.groups.query)) || !has(self.onlyGroups) || size(self.onlyGroups) == 0",
        "onlyGroups names the groups already; remove groups.query, or remove onlyGroups"
    ),
    validation = (
        "!has(self.baseURL) || self.baseURL.startsWith('https://') || (has(self.tls) && has(self.tls.plaintext))",
        "an http:// baseURL sends tokens in clear text; write https://, or accept it with tls.plaintext: AllowTokenInClearText"
    ),
    validation = (
        "!(has(self.tls) && has(self.tls.plaintext)) || (has(self.baseURL) && self.baseURL.startsWith('http://'))",
        "tls.plaintext says that nothing is encrypted, but Google is reached by https://; remove tls.plaintext"
    ),
    validation = (
        "!has(self.baseURL) || !has(self.credentials.workloadIdentity)",
        "the workload's own token is sent to nobody but Google; remove baseURL, or use a key of a service account"
    )
)]
pub struct GoogleSource {
    /// Whose people and groups are read: the immutable id of the customer, such as `C03az79cb`, or
    /// `my_customer` for that of `delegatedAdmin`. People of another customer than the first seen fail the read.
    #[serde(default = "default_customer")]
    #[schemars(length(min = 2, max = 64), regex(pattern = r"^(my_customer|C[0-9A-Za-z]+)$"))]
    pub customer: String,
    /// Reads only people and groups whose primary address is in this domain. Left out: in all domains of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[^\s@/]+$"))]
    pub domain: Option<String>,
    /// Address of the administrator in whose name everything is read. A role that may read users and
    /// groups is enough.
    #[schemars(length(min = 3, max = 320), regex(pattern = r"^[^\s@]+@[^\s@]+$"))]
    pub delegated_admin: String,
    /// The service account that reads in the administrator's name. It needs domain-wide delegation
    /// for the scopes `admin.directory.user.readonly` and, where groups are read,
    /// `admin.directory.group.readonly` and `admin.directory.group.member.readonly`.
    pub credentials: GoogleCredentials,
    /// Which people count, in Google's language for searching users, such as `orgUnitPath=/Staff`.
    /// Do not search by what is mapped: if the administrator may no longer see it, everybody would look like a leaver.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub user_query: Option<String>,
    /// Only members of these groups count, nested to any depth; by address. With `groups`, only these
    /// groups and those nested in them are read. If the members of one of them cannot be read, the whole read fails,
    /// because it is not known who is meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 3, max = 320), regex(pattern = r"^[^\s@]+@[^\s@]+$")))]
    pub only_groups: Vec<String>,
    /// Which groups are read. Left out: none, and none is touched in the target; `groups: {}` reads all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<GoogleGroups>,
    /// Most requests sent per second. Google allows a project 2,400 a minute for each administrator.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: i32,
    /// How long to wait for the whole answer to one request.
    #[serde(default = "default_timeout")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub timeout: String,
    /// Something that stands in for Google, for tests: the API, and `/token` for the tokens, lie
    /// below it. Left out: Google.
    #[serde(rename = "baseURL", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 8, max = 2048),
        regex(pattern = r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?$")
    )]
    pub base_url: Option<String>,
    /// How the connection is protected. Left out, the certificate is checked against the authorities
    /// that the operator's image trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<GoogleTls>,
}

/// Which groups are read.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoogleGroups {
    /// Which groups count, in Google's language for searching groups, such as `email:staff-*`. Left
    /// out: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub query: Option<String>,
}

/// How the service account proves itself. Exactly one way is given.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.jsonKeySecretRef), has(self.p12Key), has(self.workloadIdentity)].exists_one(x, x)",
    "give the service account in exactly one way: jsonKeySecretRef, p12Key or workloadIdentity"
))]
pub struct GoogleCredentials {
    /// A key of the service account in JSON, as Google gave it out, from a Secret. The addresses in
    /// it are not used: it is sent nowhere, and what it signs goes to Google.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_key_secret_ref: Option<SecretKeyReference>,
    /// A key of the service account in PKCS#12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p12_key: Option<GoogleP12Key>,
    /// No key: the operator's pod has a token of its own, for which Google signs in the service
    /// account's name (workload identity federation).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<GoogleWorkloadIdentity>,
}

/// A key of a service account in PKCS#12.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoogleP12Key {
    /// The `.p12` file in a Secret.
    pub secret_ref: SecretKeyReference,
    /// Its password in a Secret. Left out: `notasecret`, which Google gives all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyReference>,
    /// Address of the service account, which the file does not hold.
    #[schemars(length(min = 3, max = 320), regex(pattern = r"^[^\s@]+@[^\s@]+$"))]
    pub service_account: String,
}

/// A token of the operator's pod in place of a key.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoogleWorkloadIdentity {
    /// Name of the file with the token. It lies in the operator's pod, below
    /// `/var/run/secrets/directorysync.dev/workload-identity/` in the folder with the name of this resource's
    /// namespace, so that no namespace uses what was mounted for another. The chart mounts it by `workloadTokens`.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub token: String,
    /// Full name of the workload identity provider that trusts the token's issuer. It is the audience
    /// for which the token has to be issued.
    #[schemars(
        length(min = 16, max = 512),
        regex(
            pattern = r"^//iam\.googleapis\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+$"
        )
    )]
    pub provider: String,
    /// Address of the service account that has domain-wide delegation. The workload needs the role
    /// `roles/iam.serviceAccountTokenCreator` on it.
    #[schemars(length(min = 3, max = 320), regex(pattern = r"^[^\s@]+@[^\s@]+$"))]
    pub service_account: String,
}

/// Protection of the connection to Google.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!(has(self.plaintext) && has(self.caBundle))",
    "caBundle has no meaning without encryption; remove plaintext, or remove caBundle"
))]
pub struct GoogleTls {
    /// The authorities that may vouch for Google, for networks with a proxy that looks into
    /// encrypted connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// Accepts that everybody on the network path can read tokens and people. For tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<GooglePlaintext>,
}

/// The opt-in to an unprotected connection.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum GooglePlaintext {
    /// Tokens, people and groups travel unencrypted.
    AllowTokenInClearText,
}

fn default_customer() -> String {
    "my_customer".into()
}

fn default_requests_per_second() -> i32 {
    30
}

fn default_timeout() -> String {
    "30s".into()
}
