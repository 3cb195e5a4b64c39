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

/// Which service a base names, in the one spelling that all spellings of its URL come to (RFC 3986 §6.2):
/// `scim https://app.example.com/scim/v2`. [`Url`] itself drops the default port and dot segments.
pub fn identity(base: &Url) -> String {
    let host = base.host_str().unwrap_or_default().trim_end_matches('.');
    let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("scim {}://{host}{port}{}", base.scheme(), plain_path(base.path()).trim_end_matches('/'))
}

/// A path in which nothing is percent-encoded that need not be, and the rest in upper case.
fn plain_path(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, encoded) = rest.split_at(at);
        plain.push_str(before);
        let byte = encoded.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        let end = if byte.is_some() { 3 } else { 1 };
        match byte {
            Some(c) if c.is_ascii_alphanumeric() || "-._~".contains(c) => plain.push(c),
            _ => plain.push_str(&encoded[..end].to_ascii_uppercase()),
        }
        rest = &encoded[end..];
    }
    plain + rest
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> String {
        identity(&Url::parse(url).unwrap())
    }

    #[test]
    fn all_spellings_of_one_url_name_one_service() {
        for url in [
            "https://app.example.com/scim/v2",
            "https://app.example.com:443/scim/v2/",
            "HTTPS://App.Example.com./scim/v2",
            "https://app.example.com/%73cim/x/../v2//",
            "https://app.example.com/scim/v%32",
        ] {
            assert_eq!(of(url), "scim https://app.example.com/scim/v2", "{url}");
        }
        assert_eq!(of("https://a.example/t%c3%a4%2fx"), of("https://a.example/tä%2Fx"));
    }

    #[test]
    fn other_urls_name_other_services() {
        let one = of("https://app.example.com/a/b");
        for other in [
            "http://app.example.com/a/b",
            "https://app.example.com:8443/a/b",
            "https://app.example.org/a/b",
            "https://app.example.com/a%2Fb",
            "https://app.example.com/a/B",
        ] {
            assert_ne!(of(other), one, "{other}");
        }
    }
}
