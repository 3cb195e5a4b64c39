//! How one Google directory is reached and what of it is read.

use super::attribute::{Attributes, Kind};
use super::error::GoogleError;
use directory_sync_core::mapping::{GroupMapping, UserMapping};
use directory_sync_core::read::ReadCaps;
use secrecy::{SecretSlice, SecretString};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything a [`super::GoogleSource`] is made of.
#[derive(Debug, Clone)]
pub struct GoogleConfig {
    /// Where Google is.
    pub endpoints: Endpoints,
    /// The only authorities that may vouch for it, as PEM; `None`: those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// Accepts `http://` endpoints, over which everybody on the way can read tokens and people.
    pub plaintext: bool,
    /// How tokens are obtained.
    pub credentials: Credentials,
    /// Address of the administrator in whose name everything is read (`sub` of the assertion).
    pub delegated_admin: String,
    /// Immutable id of the customer, or `my_customer`: that of the administrator.
    pub customer: String,
    /// Only people and groups of this domain.
    pub domain: Option<String>,
    /// Which people count, in Google's language for searching users. Passed through.
    pub user_query: Option<String>,
    /// Only members of these groups, nested to any depth, by address or id. Empty: everybody.
    pub only_groups: Vec<String>,
    /// Which groups are read; `None`: none.
    pub groups: Option<Groups>,
    /// From Google's users to people.
    pub user_mapping: Arc<UserMapping>,
    /// From Google's groups to groups.
    pub group_mapping: Arc<GroupMapping>,
    /// Most requests per second to the directory.
    pub requests_per_second: NonZeroU32,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Pauses between tries of one request.
    pub backoff: Backoff,
    /// How much to take.
    pub caps: ReadCaps,
}

/// Where Google's services are, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Base of the Directory API; `/admin/directory/v1` lies below it.
    pub directory: String,
    /// Where assertions are exchanged for tokens (RFC 7523 §2.1). Also the audience of the assertion.
    pub token: String,
    /// Where a workload's token is exchanged (RFC 8693).
    pub exchange: String,
    /// Base of the IAM Service Account Credentials API; `/v1` lies below it.
    pub iam_credentials: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            directory: "https://admin.googleapis.com".to_owned(),
            token: "https://oauth2.googleapis.com/token".to_owned(),
            exchange: "https://sts.googleapis.com/v1/token".to_owned(),
            iam_credentials: "https://iamcredentials.googleapis.com".to_owned(),
        }
    }
}

impl Endpoints {
    /// All of them below one base, for something that stands in for Google.
    pub fn below(base: &str) -> Self {
        let base = base.trim_end_matches('/');
        Self {
            directory: base.to_owned(),
            token: format!("{base}/token"),
            exchange: format!("{base}/v1/token"),
            iam_credentials: base.to_owned(),
        }
    }
}

/// How tokens are obtained.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A key of the service account as Google's console gives it out.
    JsonKey(SecretString),
    /// A key of the service account as PKCS#12 (RFC 7292).
    P12Key {
        /// The file.
        file: SecretSlice<u8>,
        /// Its password; Google's own files have `notasecret`.
        password: SecretString,
        /// Address of the service account, which the file does not hold.
        service_account: String,
    },
    /// No key: the workload's own token is exchanged, and the service account signs through IAM.
    Workload {
        /// The file that holds the token; read anew whenever one is needed.
        token_file: PathBuf,
        /// Full name of the workload identity provider:
        /// `//iam.googleapis.com/projects/…/locations/global/workloadIdentityPools/…/providers/…`.
        provider: String,
        /// Address of the service account that has domain-wide delegation.
        service_account: String,
    },
}

/// Which groups are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    /// Which groups count, in Google's language for searching groups. Passed through.
    pub query: Option<String>,
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For one answer, from the connection to the end of the body.
    pub request: Duration,
    /// For a whole read.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { request: Duration::from_secs(30), read: Duration::from_secs(3600) }
    }
}

/// Pauses between tries of one request: they double, with jitter.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
    /// How many.
    pub times: usize,
}

impl Default for Backoff {
    /// Together they outlast a minute, which is how long Google's quotas last. Jitter may double a pause.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30), times: 7 }
    }
}

impl GoogleConfig {
    /// The scopes that tokens are asked for: to read, and only what is read.
    pub(super) fn scopes(&self) -> Vec<&'static str> {
        let mut scopes = vec!["https://www.googleapis.com/auth/admin.directory.user.readonly"];
        if self.groups.is_some() || !self.only_groups.is_empty() {
            scopes.push("https://www.googleapis.com/auth/admin.directory.group.readonly");
            scopes.push("https://www.googleapis.com/auth/admin.directory.group.member.readonly");
        }
        scopes
    }

    /// Checks the settings that do not depend on a connection, and gives the attributes of people and groups.
    pub(super) fn validate(&self) -> Result<(Attributes, Attributes), GoogleError> {
        for (field, text) in [("delegatedAdmin", &self.delegated_admin), ("customer", &self.customer)] {
            if text.is_empty() {
                return Err(invalid(format!("source.google.{field}"), "it is empty; fill it in"));
            }
        }
        if !self.only_groups.is_empty() && self.groups.as_ref().is_some_and(|groups| groups.query.is_some()) {
            return Err(invalid(
                "source.google.groups.query",
                "onlyGroups names the groups already; remove groups.query or onlyGroups",
            ));
        }
        // The id by which an entry is looked up and by which groups name their members.
        let by_id = |kind: &str, attribute: Option<&str>| match attribute {
            Some("id") => Ok(()),
            _ => Err(invalid(
                format!("mapping.{kind}.id"),
                "Google's groups name their members by `id`; write `attribute: id`, or leave it out",
            )),
        };
        by_id("user", self.user_mapping.id_attribute())?;
        let users = Attributes::parse(Kind::User, self.user_mapping.attributes())?;
        if self.groups.is_some() {
            by_id("group", self.group_mapping.id_attribute())?;
        }
        let groups = Attributes::parse(Kind::Group, self.group_mapping.attributes())?;
        Ok((users, groups))
    }
}

pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> GoogleError {
    GoogleError::Config { field: field.into(), problem: problem.into() }
}
