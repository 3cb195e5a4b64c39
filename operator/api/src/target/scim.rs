//! The SCIM target.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::references::{CaBundle, SecretKeyReference};

/// How to reach a SCIM 2.0 service. What it can do is read from the service itself; the fields here
/// are for services whose description of themselves is wrong.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "self.url.startsWith('https://') || (has(self.tls) && has(self.tls.plaintext))",
        "an http:// URL sends the token in clear text; write https://, or accept it with tls.plaintext: AllowTokenInClearText"
    ),
    validation = (
        "self.url.startsWith('http://') || !(has(self.tls) && has(self.tls.plaintext))",
        "tls.plaintext says that nothing is encrypted, but the url is https://; remove tls.plaintext"
    )
)]
pub struct ScimTarget {
    /// Base of the service, such as `https://app.example.com/scim/v2`; `/Users` and `/Groups` lie
    /// below it. Redirects are not followed.
    #[schemars(
        length(min = 8, max = 2048),
        regex(pattern = r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?$")
    )]
    pub url: String,
    /// As whom the service is used.
    pub auth: ScimAuth,
    /// How the connection is protected. Left out, the service's certificate is checked against the
    /// authorities that the operator's image trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ScimTls>,
    /// Objects asked for per page. The service may answer with fewer.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: i32,
    /// How pages are asked for.
    #[serde(default)]
    pub paging: ScimPaging,
    /// Most requests sent per second, reads and writes together. A service that answers 429 is
    /// heeded besides.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: i32,
    /// How an existing object is changed.
    #[serde(default)]
    pub update_method: ScimUpdateMethod,
    /// Most members added or removed by one request. Some services take no more than 100.
    #[serde(default = "default_members_per_request")]
    #[schemars(range(min = 1, max = 10_000))]
    pub members_per_request: i32,
    /// How long to wait for the answer to one request.
    #[serde(default = "default_timeout")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub timeout: String,
}

/// Credentials for the service.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScimAuth {
    /// A bearer token (RFC 6750) from a Secret. It is sent to the host of `url` and nowhere else.
    pub bearer_token_secret_ref: SecretKeyReference,
}

/// Protection of the connection to the service.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!(has(self.plaintext) && has(self.caBundle))",
    "caBundle has no meaning without encryption; remove plaintext, or remove caBundle"
))]
pub struct ScimTls {
    /// The authorities that may vouch for the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// Accepts that everybody on the network path can read the token and use it. For tests, and for
    /// services reached over loopback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<ScimPlaintext>,
}

/// The opt-in to an unprotected connection.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum ScimPlaintext {
    /// The token, the people and the groups travel unencrypted.
    AllowTokenInClearText,
}

/// How pages of a list are asked for.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum ScimPaging {
    /// By cursor where the service announces it, by index otherwise.
    #[default]
    Auto,
    /// By `startIndex` (RFC 7644 §3.4.2.4).
    Index,
    /// By `cursor` (RFC 9865).
    Cursor,
}

/// How an existing object is changed.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
pub enum ScimUpdateMethod {
    /// By PATCH where the service announces it, by PUT otherwise.
    #[default]
    Auto,
    /// By PATCH (RFC 7644 §3.5.2).
    Patch,
    /// By PUT of the whole object (RFC 7644 §3.5.1).
    Put,
}

fn default_page_size() -> i32 {
    100
}

fn default_requests_per_second() -> i32 {
    10
}

fn default_members_per_request() -> i32 {
    100
}

fn default_timeout() -> String {
    "30s".into()
}
