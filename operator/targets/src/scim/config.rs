//! How one SCIM service is reached.

use crate::{RequestObserver, Unobserved};
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Everything a [`super::ScimTarget`] is made of.
#[derive(Debug, Clone)]
pub struct ScimConfig {
    /// Base of the service; `/Users` and `/Groups` lie below it.
    pub url: Url,
    /// Bearer token (RFC 6750 §2.1). Sent to the host of `url` and nowhere else.
    pub token: SecretString,
    /// The only authorities that may vouch for the service, as PEM; `None`: those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// Accepts an `http://` URL, over which everybody on the way can read the token.
    pub allow_plaintext: bool,
    /// Objects asked for per page.
    pub page_size: NonZeroU32,
    /// How pages are asked for.
    pub paging: PagingChoice,
    /// How an existing object is changed.
    pub update_method: UpdateChoice,
    /// Most members added or removed by one request.
    pub members_per_request: NonZeroU32,
    /// Most requests per second, reads and writes together.
    pub requests_per_second: NonZeroU32,
    /// How long one request may take, connecting and body included.
    pub timeout: Duration,
    /// Names of the further attributes that the mapping gives to people; only these are read and written.
    pub attributes: BTreeSet<String>,
    /// Hears of every request.
    pub observer: Arc<dyn RequestObserver>,
}

impl ScimConfig {
    /// A service with the defaults of the API: pages of 100, 100 members and 10 requests per second, 30 s timeout.
    pub fn new(url: Url, token: SecretString) -> Self {
        const HUNDRED: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
        Self {
            url,
            token,
            ca_pem: None,
            allow_plaintext: false,
            page_size: HUNDRED,
            paging: PagingChoice::Auto,
            update_method: UpdateChoice::Auto,
            members_per_request: HUNDRED,
            requests_per_second: NonZeroU32::MIN.saturating_add(9),
            timeout: Duration::from_secs(30),
            attributes: BTreeSet::new(),
            observer: Arc::new(Unobserved),
        }
    }
}

/// How pages of a list are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PagingChoice {
    /// By cursor where the service announces it, by index otherwise.
    #[default]
    Auto,
    /// By `startIndex` (RFC 7644 §3.4.2.4).
    Index,
    /// By `cursor` (RFC 9865).
    Cursor,
}

/// How an existing object is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpdateChoice {
    /// By PATCH where the service announces it, by PUT otherwise.
    #[default]
    Auto,
    /// By PATCH (RFC 7644 §3.5.2).
    Patch,
    /// By PUT of the whole object (RFC 7644 §3.5.1).
    Put,
}
