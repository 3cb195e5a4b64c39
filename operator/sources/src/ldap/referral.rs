//! Referrals: LDAP URLs that point to other servers (RFC 4511 §4.1.10, RFC 4516), and what becomes of them.

use super::config::{LdapConfig, Scope, Server};
use super::{dn, filter};
use url::{Host, Url};

/// Most servers that one search is followed to.
pub(super) const HOPS: usize = 64;

/// Where a referral points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The host, as written.
    pub(super) host: String,
    /// The port, where one is named.
    port: Option<u16>,
    /// Whether it says `ldaps`.
    ldaps: bool,
    /// The entry at which to go on, where one is named.
    pub(super) base: Option<String>,
    /// How far to search, where it is said.
    pub(super) scope: Option<Scope>,
    /// What to search for, where it is said.
    pub(super) filter: Option<String>,
}

impl Target {
    /// Reads an LDAP URL; `None` if it is none, or one with a filter that cannot be sent.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let parsed = Url::parse(url).ok()?;
        let ldaps = match parsed.scheme() {
            "ldaps" => true,
            "ldap" => false,
            _ => return None,
        };
        let host = match parsed.host()? {
            Host::Domain(name) => name.to_ascii_lowercase(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let mut parts = parsed.query().unwrap_or_default().split('?').skip(1);
        let scope = match parts.next().unwrap_or_default() {
            "" => None,
            "base" => Some(Scope::Base),
            "one" => Some(Scope::OneLevel),
            "sub" => Some(Scope::Subtree),
            _ => return None,
        };
        // What decodes a filter recurses, so it must not be given any that others wrote.
        let filter = match parts.next().unwrap_or_default() {
            "" => None,
            filter => Some(decode(filter).filter(|filter| filter::is_valid(filter))?),
        };
        let base = decode(parsed.path().trim_start_matches('/'))?;
        Some(Self { host, port: parsed.port(), ldaps, base: Some(base).filter(|base| !base.is_empty()), scope, filter })
    }

    /// The server to connect to, if it may be: one of the allowed hosts, with the protection of the source's own
    /// servers, whatever the URL says.
    pub(super) fn server(&self, config: &LdapConfig, ldaps: bool) -> Option<Server> {
        let allowed =
            config.referral_hosts.iter().any(|host| host.trim_matches(['[', ']']).eq_ignore_ascii_case(&self.host));
        if !allowed {
            return None;
        }
        let usual = if ldaps { 636 } else { 389 };
        let port = self.port.filter(|_| self.ldaps == ldaps).unwrap_or(usual);
        let scheme = if ldaps { "ldaps" } else { "ldap" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        Some(Server { url: format!("{scheme}://{host}:{port}"), host: self.host.clone(), port, ldaps })
    }

    /// Whether its name is like that of a partition which every forest of Active Directory has for itself, so that it is
    /// worth asking the server what these are called.
    pub(super) fn may_be_system_partition(&self) -> bool {
        let first = self.base.as_ref().and_then(|base| base.split(',').next()).map(str::trim);
        let known = ["CN=Configuration", "DC=DomainDnsZones", "DC=ForestDnsZones"];
        first.is_some_and(|first| known.iter().any(|known| known.eq_ignore_ascii_case(first)))
    }

    /// Whether it points to one of these entries, whatever the server.
    pub(super) fn is_one_of(&self, entries: &[Vec<u8>]) -> bool {
        self.base.as_ref().is_some_and(|base| entries.contains(&dn::normal_form(base.as_bytes())))
    }
}

/// Undoes percent-encoding; `None` if the result is no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let pair = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_referral_is_read_as_rfc_4516_writes_it() {
        let target = Target::parse("ldap://DC2.example.com:3389/OU=B%20C,DC=example??one?(cn=%2a)").unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.scope),
            ("dc2.example.com", Some(3389), Some(Scope::OneLevel))
        );
        assert_eq!((target.base.as_deref(), target.filter.as_deref()), (Some("OU=B C,DC=example"), Some("(cn=*)")));
        let target = Target::parse("ldap://dc2").unwrap();
        assert_eq!((target.base, target.scope, target.filter), (None, None, None));
        let deep = format!("ldap://dc2/x???{}(a=b){}", "(!".repeat(1000), ")".repeat(1000));
        for wrong in ["", "http://dc2/", "ldap://dc2/%zz", "ldap://dc2/x??everything", "ldap://dc2/x???(a=b", &deep] {
            assert_eq!(Target::parse(wrong), None, "{wrong:.40}");
        }
    }

    #[test]
    fn a_referral_with_a_filter_that_is_nested_without_end_is_not_followed() {
        let url = |depth| format!("ldap://dc2/x??sub?{}(cn=a){}", "(!".repeat(depth), ")".repeat(depth));
        assert!(Target::parse(&url(10)).is_some());
        assert_eq!(Target::parse(&url(100_000)), None);
    }
}
