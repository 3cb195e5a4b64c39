//! What has to be known to read a directory.

use super::error::LdapError;
use super::filter;
use super::servers::Health;
use directory_sync_core::address;
use directory_sync_core::capabilities::Field;
use directory_sync_core::mapping::{GroupMapping, UserMapping, same_attribute};
use directory_sync_core::read::ReadCaps;
use directory_sync_core::snapshot::GroupRecord;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// An LDAP directory and how to read it.
#[derive(Clone)]
pub struct LdapConfig {
    /// Servers that hold the same directory, `ldaps://host[:port]` or `ldap://host[:port]`, tried in this order. Empty
    /// where `domain` names them.
    pub urls: Vec<String>,
    /// The domain whose SRV records name the servers (RFC 2782), instead of `urls`.
    pub domain: Option<String>,
    /// Name servers to ask for the servers of the domain; empty: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Which servers failed lately.
    pub health: Arc<Health>,
    /// How the connection is protected.
    pub tls: Tls,
    /// As whom to read.
    pub bind: Bind,
    /// Where people are.
    pub users: Vec<Search>,
    /// Where groups are; empty: none are read.
    pub groups: Vec<Search>,
    /// Filters that come from a schema, not from whoever wrote the resource. What these test is not warned of.
    pub schema_filters: Vec<String>,
    /// Of the groups that a filter of a schema finds, only those with an address count; the others only pass their
    /// members on to the groups that they are in.
    pub mail_groups_only: bool,
    /// Whose people count, of those that the searches find.
    pub only: Only,
    /// Whether groups have those as members who have them as primary group (Active Directory).
    pub primary_groups: bool,
    /// Where alias entries are followed (RFC 4511 §4.5.1.3).
    pub aliases: Dereference,
    /// Hosts to which referrals are followed, with the account of this source.
    pub referral_hosts: Vec<String>,
    /// Entries asked for per page (RFC 2696).
    pub page_size: u32,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How much to take.
    pub caps: Caps,
    /// Makes people of entries.
    pub user_mapping: Arc<UserMapping>,
    /// Makes groups of entries.
    pub group_mapping: Option<Arc<GroupMapping>>,
}

impl LdapConfig {
    /// A directory at these servers in which nothing is searched for yet, with everything else as it is by default.
    pub fn new(urls: Vec<String>, bind: Bind, user_mapping: Arc<UserMapping>) -> Self {
        Self {
            urls,
            domain: None,
            name_servers: Vec::new(),
            health: Arc::default(),
            tls: Tls::default(),
            bind,
            users: Vec::new(),
            groups: Vec::new(),
            schema_filters: Vec::new(),
            mail_groups_only: false,
            only: Only::default(),
            primary_groups: false,
            aliases: Dereference::default(),
            referral_hosts: Vec::new(),
            page_size: 1000,
            timeouts: Timeouts::default(),
            caps: Caps::default(),
            user_mapping,
            group_mapping: None,
        }
    }
}

/// Whose people count, of those that the searches find. Everybody else is as if the filter did not select them.
#[derive(Debug, Clone, Default)]
pub struct Only {
    /// People and groups with a primary address in one of these domains, and people without one; empty: all. Other
    /// groups only pass their members on to the groups that they are in.
    pub mail_domains: Vec<String>,
    /// Members of these groups, given by DN, and of all groups within them, wherever these are; empty: all.
    pub groups: Vec<String>,
}

/// Where alias entries are followed (RFC 4511 §4.5.1.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dereference {
    /// Nowhere.
    #[default]
    Never,
    /// Below the base.
    Searching,
    /// At the base.
    Finding,
    /// Both.
    Always,
}

impl fmt::Debug for LdapConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LdapConfig").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Protection of the connection.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates in PEM of the authorities that may vouch for the server; `None`: those the platform trusts.
    pub ca_bundle: Option<String>,
    /// Upgrade `ldap://` by StartTLS (RFC 4511 §4.14) before anything else is sent.
    pub start_tls: bool,
    /// Send the password over an unencrypted connection, if that is all there is.
    pub plaintext: bool,
    /// What this client shows of itself, for [`Bind::External`].
    pub client_certificate: Option<ClientCertificate>,
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate and those that vouch for it, in PEM.
    pub certificate: String,
    /// The key, in PEM.
    pub key: SecretString,
}

/// As whom to bind.
#[derive(Debug, Clone)]
pub enum Bind {
    /// Without a bind.
    Anonymous,
    /// As whoever the client certificate of the TLS connection says (SASL EXTERNAL, RFC 4422 appendix A).
    External,
    /// With a name and a password (RFC 4513 §5.1.3).
    Simple {
        /// The bind DN.
        username: String,
        /// The password.
        password: SecretString,
    },
}

/// One search.
#[derive(Debug, Clone)]
pub struct Search {
    /// The entry at which it starts.
    pub base_dn: String,
    /// How far it reaches.
    pub scope: Scope,
    /// Which entries it selects (RFC 4515).
    pub filter: String,
}

/// Reach of a search (RFC 4511 §4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base alone.
    Base,
    /// The entries directly below the base.
    OneLevel,
    /// The base and everything below it.
    Subtree,
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection, and for the next whole message of an answer.
    pub idle: Duration,
    /// For a whole read.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), read: Duration::from_secs(3600) }
    }
}

/// How much to take from a server.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Entries and references of one page; a server may ignore the page size.
    pub page_entries: usize,
    /// Bytes of one page.
    pub page_bytes: usize,
    /// Entries and references of one read, those that come twice as well.
    pub total_entries: u64,
    /// Bytes of one read.
    pub total_bytes: u64,
    /// Values of one read, of the attributes that were asked for.
    pub total_values: u64,
    /// People, groups and memberships of a read, and pages of a search.
    pub read: ReadCaps,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            message_bytes: 64 << 20,
            page_entries: 1_000_000,
            page_bytes: 1 << 30,
            total_entries: 20_000_000,
            total_bytes: 64 << 30,
            total_values: 300_000_000,
            read: ReadCaps::default(),
        }
    }
}

/// One server, by its URL.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// As written.
    pub(super) url: String,
    /// Name or address, without the brackets of IPv6.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// LDAPS.
    pub(super) ldaps: bool,
}

impl LdapConfig {
    /// Checks every setting and gives the servers.
    pub(super) fn validate(&self) -> Result<Vec<Server>, LdapError> {
        let servers = self
            .urls
            .iter()
            .enumerate()
            .map(|(index, url)| {
                server(url).ok_or_else(|| {
                    invalid(
                        format!("urls[{index}]"),
                        format!("`{url}` is no LDAP URL; write ldaps://host or ldaps://host:port"),
                    )
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        match (servers.first(), &self.domain) {
            (None, None) => return Err(invalid("urls", "no server is named; write ldaps://host, or give the domain")),
            (Some(_), Some(_)) => return Err(invalid("domain", "urls name the servers already; remove one of both")),
            _ => {}
        }
        // Servers of a domain are spoken to by LDAPS unless the settings say otherwise.
        let ldaps = servers.first().map_or(!self.tls.start_tls && !self.tls.plaintext, |first| first.ldaps);
        if servers.iter().any(|server| server.ldaps != ldaps) {
            return Err(invalid("urls", "ldap:// and ldaps:// are mixed; use one of them"));
        }
        if ldaps && self.tls.start_tls {
            return Err(invalid("tls.startTLS", "ldaps:// is encrypted from the start; remove startTLS"));
        }
        if matches!(self.bind, Bind::External) {
            if !ldaps && !self.tls.start_tls {
                return Err(invalid("bind.external", "a client certificate needs TLS; use ldaps:// or tls.startTLS"));
            }
            if self.tls.client_certificate.is_none() {
                return Err(invalid("bind.external", "there is no client certificate; name its Secret"));
            }
        }
        if let Bind::Simple { username, password } = &self.bind {
            // A bind with a name and no password succeeds anonymously on many servers (RFC 4513 §5.1.2).
            if username.is_empty() || password.expose_secret().is_empty() {
                return Err(invalid("bind.simple", "username or password in the Secret is empty; fill both in"));
            }
            if !ldaps && !self.tls.start_tls && !self.tls.plaintext {
                let url = servers.first().map(|first| first.url.clone()).unwrap_or_default();
                return Err(LdapError::PlaintextRefused { url });
            }
        }
        if self.user_mapping.password_attribute().is_some() && !ldaps && !self.tls.start_tls {
            return Err(LdapError::PasswordsInClearText);
        }
        if self.users.is_empty() {
            return Err(invalid("users", "no search is given; write at least one with a baseDN"));
        }
        if !self.only.groups.is_empty() && self.group_mapping.is_none() {
            return Err(invalid("onlyGroups", "groups are named, but mapping.group is missing"));
        }
        if !self.groups.is_empty() && self.group_mapping.is_none() {
            return Err(invalid("groups", "groups are searched for, but mapping.group is missing"));
        }
        for (kind, searches) in [("users", &self.users), ("groups", &self.groups)] {
            for (index, search) in searches.iter().enumerate() {
                if !filter::is_valid(&search.filter) {
                    return Err(LdapError::FilterInvalid {
                        field: format!("{kind}[{index}].filter"),
                        filter: search.filter.clone(),
                    });
                }
            }
        }
        if self.page_size == 0 || i32::try_from(self.page_size).is_err() {
            return Err(invalid("pageSize", "it must be at least 1"));
        }
        Ok(servers)
    }

    /// Whether somebody wrote the filter, which otherwise comes from a schema.
    pub(super) fn is_written(&self, filter: &str) -> bool {
        !self.schema_filters.iter().any(|known| known == filter)
    }

    /// Whether a group that this filter found is one itself, or only passes its members on to the groups that it is in.
    /// An address that cannot be told may be the right one.
    pub(super) fn counts(&self, filter: &str, group: &GroupRecord) -> bool {
        if group.unknown.contains(Field::Email) {
            return true;
        }
        let without_address = group.address.is_empty() && self.mail_groups_only && !self.is_written(filter);
        !without_address && self.is_in_domains(&group.address)
    }

    /// Whether there may be groups that only pass their members on.
    pub(super) fn passes_members_on(&self) -> bool {
        self.mail_groups_only || !self.only.mail_domains.is_empty()
    }

    /// Whether an address is in one of the domains to which the source is limited.
    pub(super) fn is_in_domains(&self, address: &str) -> bool {
        let domains = &self.only.mail_domains;
        let domain = address::domain(address).map(address::domain_key);
        domains.is_empty()
            || domain.is_some_and(|domain| domains.iter().any(|allowed| address::domain_key(allowed) == domain))
    }

    /// Filters that test an attribute which is mapped, each as `users[0].filter tests mail`. That every filter tests
    /// `objectClass` does not count, nor what a schema's filter tests.
    pub(super) fn filters_on_mapped(&self) -> Vec<String> {
        let groups = self.group_mapping.as_ref().map(|mapping| mapping.attributes()).unwrap_or_default();
        let mut found = Vec::new();
        for (kind, searches, mapped) in
            [("users", &self.users, self.user_mapping.attributes()), ("groups", &self.groups, groups)]
        {
            let written = searches.iter().enumerate().filter(|(_, search)| self.is_written(&search.filter));
            for (index, search) in written {
                let tested = filter::attributes(&search.filter);
                for name in mapped.iter().filter(|name| !same_attribute(name, "objectClass")) {
                    if tested.iter().any(|tested| same_attribute(tested, name.split(';').next().unwrap_or_default())) {
                        found.push(format!("{kind}[{index}].filter tests {name}"));
                    }
                }
            }
        }
        found
    }
}

pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> LdapError {
    LdapError::Config { field: field.into(), problem: problem.into() }
}

pub(super) fn server(url: &str) -> Option<Server> {
    let parsed = Url::parse(url).ok()?;
    let (ldaps, port) = match parsed.scheme() {
        "ldaps" => (true, 636),
        "ldap" => (false, 389),
        _ => return None,
    };
    let host = match parsed.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let plain = parsed.username().is_empty() && parsed.password().is_none() && matches!(parsed.path(), "" | "/");
    (plain && !host.is_empty()).then(|| Server {
        url: url.trim_end_matches('/').to_owned(),
        host,
        port: parsed.port().unwrap_or(port),
        ldaps,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_url_gives_host_port_and_protection() {
        let server = super::server("ldaps://dc1.example.com").unwrap();
        assert_eq!((server.host.as_str(), server.port, server.ldaps), ("dc1.example.com", 636, true));
        let server = super::server("ldap://[::1]:3389/").unwrap();
        assert_eq!((server.host.as_str(), server.port, server.ldaps), ("::1", 3389, false));
        for wrong in ["", "dc1", "http://dc1", "ldap://", "ldap://dc1/dc=x", "ldap://user@dc1"] {
            assert!(super::server(wrong).is_none(), "{wrong}");
        }
    }
}
