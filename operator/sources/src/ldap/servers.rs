//! Which servers there are, and in which order they are tried.

use super::config::{LdapConfig, Server};
use super::error::LdapError;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a server that failed is tried after the others.
const AVOIDED: Duration = Duration::from_secs(600);
/// Most servers that are remembered; each is one URL of a resource or one name of a domain.
const REMEMBERED: usize = 10_000;
/// Most servers of one domain that are tried.
const SERVERS_OF_A_DOMAIN: usize = 16;

/// Which servers failed lately, so that a run does not wait for them before it comes to those that answer, and which one
/// of those behind a URL was read last. Shared by all reads of the process.
#[derive(Debug, Default)]
pub struct Health {
    failed: Mutex<HashMap<String, Instant>>,
    /// By URL.
    last: Mutex<HashMap<String, Last>>,
}

/// The server behind a URL that was read last.
#[derive(Debug, Clone)]
struct Last {
    address: Option<SocketAddr>,
    name: String,
}

impl Health {
    /// Notes that a server cannot be used.
    pub(super) fn failed(&self, url: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= REMEMBERED {
            failed.retain(|_, at| at.elapsed() < AVOIDED);
        }
        if failed.len() < REMEMBERED {
            failed.insert(url.to_owned(), Instant::now());
        }
        // Another one behind the same URL may do better.
        self.last().remove(url);
    }

    /// Notes which server was read to the end.
    pub(super) fn read(&self, url: &str, address: Option<SocketAddr>, name: &str) {
        let mut last = self.last();
        if last.len() < REMEMBERED || last.contains_key(url) {
            last.insert(url.to_owned(), Last { address, name: name.to_owned() });
        }
    }

    /// The address of the server behind this URL that was read last.
    pub(super) fn last_address(&self, url: &str) -> Option<SocketAddr> {
        self.last().get(url).and_then(|last| last.address)
    }

    /// Whether another server than this was read last behind this URL and at this address, so that another connection
    /// may lead to it again.
    pub(super) fn was_another(&self, url: &str, address: Option<SocketAddr>, name: &str) -> bool {
        self.last().get(url).is_some_and(|last| last.name != name && last.address == address)
    }

    fn last(&self) -> MutexGuard<'_, HashMap<String, Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a server answered.
    pub(super) fn answered(&self, url: &str) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(url);
    }

    /// The servers in the order in which to try them: as given, but those that failed lately last, the one that failed
    /// longest ago first.
    pub(super) fn sort(&self, mut servers: Vec<Server>) -> Vec<Server> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        servers.sort_by_key(|server| failed.get(&server.url).filter(|at| at.elapsed() < AVOIDED).copied());
        servers
    }
}

/// The servers of a domain, from its SRV records (RFC 2782): `_ldap._tcp`, by priority, then by weight. The order is the
/// same as long as the records are, because a change of servers makes removals wait.
pub(super) async fn of_domain(config: &LdapConfig, domain: &str) -> Result<Vec<Server>, LdapError> {
    let query = format!("_ldap._tcp.{}.", domain.trim_end_matches('.'));
    let failed = |problem: String| LdapError::DomainUnknown { domain: domain.to_owned(), problem };
    let resolver = resolver(config).map_err(|error| failed(error.to_string()))?;
    let answer = tokio::time::timeout(config.timeouts.idle, resolver.srv_lookup(query.as_str()))
        .await
        .map_err(|_| failed("no name server answered in time".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    let mut records = Vec::new();
    for record in answer.answers() {
        let RData::SRV(record) = &record.data else { continue };
        let name = record.target.to_ascii().trim_end_matches('.').to_ascii_lowercase();
        // One dot alone says that there is decidedly no such service.
        if name.is_empty() {
            continue;
        }
        if !is_within(&name, domain) {
            return Err(LdapError::DomainLeads { domain: domain.to_owned(), host: name });
        }
        records.push((record.priority, std::cmp::Reverse(record.weight), name, record.port));
    }
    records.sort_unstable();
    records.dedup();
    records.truncate(SERVERS_OF_A_DOMAIN);
    if records.is_empty() {
        return Err(failed(format!("there is no SRV record {query}")));
    }
    let start_tls = config.tls.start_tls || config.tls.plaintext;
    Ok(records.into_iter().map(|(.., name, port)| server(name, port, start_tls)).collect())
}

/// The records give the port of the plain service; that of LDAPS is known.
fn server(host: String, port: u16, plain: bool) -> Server {
    let (scheme, port) = match (plain, port) {
        (true, port) => ("ldap", port),
        (false, 389) => ("ldaps", 636),
        (false, port) => ("ldaps", port),
    };
    Server { url: format!("{scheme}://{host}:{port}"), host, port, ldaps: !plain }
}

fn resolver(config: &LdapConfig) -> Result<TokioResolver, NetError> {
    let mut builder = if config.name_servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = config.name_servers.iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            server.connections.iter_mut().for_each(|connection| connection.port = address.port());
            server
        });
        let settings = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(settings, TokioRuntimeProvider::default())
    };
    builder.options_mut().cache_size = 0;
    builder.build()
}

/// Whether a name is a domain or lies in it.
fn is_within(name: &str, domain: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    name.strip_suffix(&domain).is_some_and(|host| host.is_empty() || host.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Vec<Server> {
        ["a", "b", "c"].map(|name| server(name.to_owned(), 389, false)).to_vec()
    }

    fn order(health: &Health) -> Vec<String> {
        health.sort(servers()).into_iter().map(|server| server.host).collect()
    }

    #[test]
    fn who_failed_lately_is_tried_last() {
        let health = Health::default();
        health.failed("ldaps://a:636");
        health.failed("ldaps://b:636");
        assert_eq!(order(&health), ["c", "a", "b"]);
        health.answered("ldaps://a:636");
        assert_eq!(order(&health), ["a", "c", "b"]);
    }

    #[test]
    fn the_server_behind_a_url_that_was_read_last_is_known_until_it_fails() {
        let health = Health::default();
        let (url, address) = ("ldaps://a:636", SocketAddr::from(([127, 0, 0, 1], 636)));
        assert!(!health.was_another(url, Some(address), "dc1"));
        health.read(url, Some(address), "dc1");
        assert_eq!(health.last_address(url), Some(address));
        assert!(health.was_another(url, Some(address), "dc2") && !health.was_another(url, Some(address), "dc1"));
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], 636));
        assert!(!health.was_another(url, Some(elsewhere), "dc2"), "no other connection leads back");
        health.failed(url);
        assert_eq!((health.last_address(url), health.was_another(url, Some(address), "dc2")), (None, false));
    }

    #[test]
    fn a_host_is_in_a_domain_by_whole_labels() {
        assert!(is_within("dc1.example.com", "Example.com.") && is_within("example.com", "example.com"));
        assert!(!is_within("dc1.evilexample.com", "example.com") && !is_within("example.org", "example.com"));
    }

    #[test]
    fn the_port_of_ldaps_is_not_that_of_the_records() {
        assert_eq!(server("dc1".to_owned(), 389, false).url, "ldaps://dc1:636");
        assert_eq!(server("dc1".to_owned(), 1636, false).url, "ldaps://dc1:1636");
        assert_eq!(server("dc1".to_owned(), 389, true).url, "ldap://dc1:389");
    }
}
