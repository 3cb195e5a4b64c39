//! One search to its very end: page by page, in ranges where an attribute is too long, and on other servers where
//! referrals lead and may be followed.

use super::config::{LdapConfig, Scope, Search, Server};
use super::connection::{Connection, Request};
use super::dn;
use super::error::{LdapError, excerpt};
use super::guard::{EntrySink, TlsClient, Totals};
use super::names::{self, MemberName};
use super::ranged::Ranged;
use super::ranges;
use super::referral::{HOPS, Target};
use super::schema;
use super::syntax::{self, Syntaxes};
use directory_sync_core::mapping::Entry;
use directory_sync_core::read::{IncompleteRead, Next};
use std::collections::HashSet;
use std::sync::Arc;

/// Most continuation references of one search.
const REFERENCES: usize = 1000;
/// Most bytes of these together.
const REFERENCE_BYTES: usize = 256 * 1024;

/// Takes what a search finds.
pub(super) trait Collector: EntrySink {
    /// The search begins at this entry of this server, or goes on there.
    fn begin(&mut self, base: &str, url: &str);

    /// A page is over.
    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead>;

    /// The continuation references so far, to be emptied.
    fn references(&mut self) -> &mut References;

    /// Member attributes of which only a range came, since the last call.
    fn take_ranged(&mut self) -> Vec<Ranged> {
        Vec::new()
    }

    /// Takes all members that such an attribute names; `None` if they could not be read whole.
    fn ranged(&mut self, _ranged: &Ranged, _members: Option<Vec<MemberName>>) -> Result<(), LdapError> {
        Ok(())
    }
}

/// Continuation references: each a choice of servers that hold one part of the answer.
#[derive(Debug, Default)]
pub(super) struct References {
    all: Vec<Vec<String>>,
    bytes: usize,
    /// There were more than are kept.
    more: bool,
}

impl References {
    /// Takes one. What is too much is not kept, and fails the search.
    pub(super) fn add(&mut self, targets: &[&str]) {
        self.bytes = self.bytes.saturating_add(targets.iter().map(|target| target.len()).sum());
        self.more |= self.all.len() >= REFERENCES || self.bytes > REFERENCE_BYTES;
        if !self.more {
            self.all.push(targets.iter().map(|&target| target.to_owned()).collect());
        }
    }

    /// Gives them out, unless there were too many.
    fn take(&mut self, url: &str) -> Result<Vec<Vec<String>>, LdapError> {
        let Self { all, more, .. } = std::mem::take(self);
        if more {
            let problem = format!(
                "more than {REFERENCES} references to other servers, or more than {REFERENCE_BYTES} bytes of them"
            );
            return Err(LdapError::CapExceeded { url: url.to_owned(), problem });
        }
        Ok(all)
    }
}

/// A directory that is being read.
pub(super) struct Directory<'d> {
    pub(super) config: &'d LdapConfig,
    pub(super) tls: &'d TlsClient,
    pub(super) connection: Connection,
    pub(super) ldaps: bool,
    totals: Arc<Totals>,
    syntaxes: Arc<Syntaxes>,
    root: Option<Root>,
}

/// What the root of a server's tree says (RFC 4512 §5.1).
#[derive(Debug, Clone, Default)]
pub(super) struct Root {
    /// The tops of the trees that the server holds.
    pub(super) naming_contexts: Vec<String>,
    /// The name of the server; only Active Directory says it.
    pub(super) host_name: Option<String>,
    /// The entry that holds the schema (RFC 4512 §4.2).
    pub(super) schema: Option<String>,
    /// The entry below which the schema lies in Active Directory, one entry per attribute.
    pub(super) attribute_schemas: Option<String>,
    /// The tops, in normal form, of the partitions that every forest of Active Directory has for its own
    /// configuration and for DNS. A search from the top of the domain is referred to each of them, and none of them
    /// holds people.
    system_partitions: Vec<Vec<u8>>,
}

/// A search that is still to be made.
struct Open {
    search: Search,
    /// Where; `None`: where everything is read.
    server: Option<Server>,
    /// What referred to it.
    referral: String,
}

impl<'d> Directory<'d> {
    /// Reads over this connection.
    pub(super) fn new(
        config: &'d LdapConfig,
        tls: &'d TlsClient,
        connection: Connection,
        ldaps: bool,
        totals: Arc<Totals>,
    ) -> Self {
        Self { config, tls, connection, ldaps, totals, syntaxes: Arc::default(), root: None }
    }

    /// Asks the server what the values of the mapped attributes are, if any is not known.
    pub(super) async fn learn_syntaxes(&mut self) -> Result<(), LdapError> {
        let groups = self.config.group_mapping.as_ref().map(|mapping| mapping.attributes()).unwrap_or_default();
        let mapped = self.config.user_mapping.attributes().iter().chain(groups).map(String::as_str);
        let password = self.config.user_mapping.password_attribute();
        let mapped = mapped.filter(|&attribute| Some(attribute) != password);
        let unknown = syntax::unknown(mapped);
        if !unknown.is_empty() {
            let root = self.root().await?;
            let learnt = schema::learn(&mut self.connection, &root, &unknown).await?;
            self.syntaxes = Arc::new(Syntaxes::new(learnt));
            self.connection.set_syntaxes(&self.syntaxes);
        }
        Ok(())
    }

    /// What the values of attributes are.
    pub(super) fn syntaxes(&self) -> Arc<Syntaxes> {
        Arc::clone(&self.syntaxes)
    }

    /// The name of the server that answers: its own, where it is a domain controller and says it, else its URL, with the
    /// address that the name in the URL stands for. One URL may lead to many servers.
    pub(super) async fn server(&mut self) -> Result<String, LdapError> {
        // Asked of domain controllers only, because they alone answer.
        let own = if self.config.primary_groups { self.root().await?.host_name } else { None };
        Ok(own.unwrap_or_else(|| self.connection.place().to_owned()))
    }

    /// The entries from which everything can be found that lies in the trees of these searches: the tops of the trees,
    /// or, where the server does not name them, the bases.
    pub(super) async fn tops(&mut self, searches: &[Search]) -> Result<Vec<String>, LdapError> {
        let trees = self.root().await?.naming_contexts;
        let mut tops: Vec<String> = Vec::new();
        for search in searches {
            let form = dn::normal_form(search.base_dn.as_bytes());
            let tree = trees.iter().find(|tree| dn::is_within(&form, &dn::normal_form(tree.as_bytes())));
            let top = tree.unwrap_or(&search.base_dn);
            if !tops.contains(top) {
                tops.push(top.clone());
            }
        }
        Ok(tops)
    }

    /// Whether a search finds anything. What the server refuses to search counts as not found.
    pub(super) async fn finds(&mut self, base: &str, filter: &str) -> Result<bool, LdapError> {
        let mut any = AnyEntry(false);
        let request = Request { base, scope: Scope::Subtree, filter, page: None, size_limit: 1 };
        match self.connection.search(&request, &mut any).await {
            Ok(_) => Ok(any.0),
            Err(error) if error.is_of_this_search_only() => Ok(any.0),
            Err(error) => Err(error),
        }
    }

    /// Makes a search to its end, wherever that is; anything less is an error.
    pub(super) async fn search<C: Collector>(&mut self, search: &Search, sink: &mut C) -> Result<(), LdapError> {
        let mut open = vec![Open { search: search.clone(), server: None, referral: String::new() }];
        let mut seen = HashSet::new();
        while let Some(Open { search, server, referral }) = open.pop() {
            let url = server.as_ref().map_or_else(|| self.connection.url().to_owned(), |server| server.url.clone());
            let place = (url.clone(), dn::normal_form(search.base_dn.as_bytes()));
            if !seen.insert(place) || seen.len() > HOPS + 1 {
                return Err(LdapError::ReferralLoop { base: search.base_dn, target: excerpt(&referral), cap: HOPS });
            }
            let ended = match &server {
                None => pages(&mut self.connection, self.config, &search, sink).await,
                Some(server) => {
                    let mut connection = Connection::open(self.config, server, self.tls, &self.totals).await?;
                    connection.set_syntaxes(&self.syntaxes);
                    let ended = pages(&mut connection, self.config, &search, sink).await;
                    connection.close().await;
                    ended
                }
            };
            let mut references = sink.references().take(&url)?;
            // The whole search may be referred elsewhere, instead of a part of it.
            let whole = match ended {
                Ok(()) => None,
                Err(LdapError::Referral { targets, .. }) if !self.config.referral_hosts.is_empty() => Some(targets),
                Err(error) => return Err(error),
            };
            let is_whole = whole.is_some();
            references.extend(whole);
            for targets in references {
                open.extend(self.follow(&search, &url, &targets, is_whole).await?);
            }
        }
        Ok(())
    }

    /// Where a reference leads; `None` if what it points to is none of ours.
    async fn follow(
        &mut self,
        search: &Search,
        url: &str,
        targets: &[String],
        is_whole: bool,
    ) -> Result<Option<Open>, LdapError> {
        let parsed: Vec<Target> = targets.iter().filter_map(|target| Target::parse(target)).collect();
        if !parsed.is_empty() && parsed.iter().all(Target::may_be_system_partition) {
            let system = self.root().await?.system_partitions;
            if parsed.iter().all(|target| target.is_one_of(&system)) {
                return Ok(None);
            }
        }
        let found = parsed.into_iter().find_map(|target| Some((target.server(self.config, self.ldaps)?, target)));
        let Some((server, target)) = found else {
            return Err(LdapError::Referral {
                url: url.to_owned(),
                base: search.base_dn.clone(),
                targets: targets.to_vec(),
            });
        };
        // Below a search of one level, the entry referred to is the one at that level (RFC 4511 §4.5.3.1).
        let scope = match search.scope {
            Scope::OneLevel if !is_whole => Scope::Base,
            scope => scope,
        };
        let search = Search {
            base_dn: target.base.unwrap_or_else(|| search.base_dn.clone()),
            scope: target.scope.unwrap_or(scope),
            filter: target.filter.unwrap_or_else(|| search.filter.clone()),
        };
        Ok(Some(Open { search, server: Some(server), referral: targets.first().cloned().unwrap_or_default() }))
    }

    /// What the root of the server's tree says; nothing if the server hides it.
    pub(super) async fn root(&mut self) -> Result<Root, LdapError> {
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        let mut sink = RootSink::default();
        let request = Request { base: "", scope: Scope::Base, filter: "(objectClass=*)", page: None, size_limit: 0 };
        match self.connection.search(&request, &mut sink).await {
            Ok(_) | Err(LdapError::BaseNotFound { .. } | LdapError::AccessDenied { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(self.root.insert(sink.root).clone())
    }

    /// Says goodbye to the server.
    pub(super) async fn close(self) {
        self.connection.close().await;
    }
}

/// The pages of a search on one server, and the ranges of its groups.
async fn pages<C: Collector>(
    connection: &mut Connection,
    config: &LdapConfig,
    search: &Search,
    sink: &mut C,
) -> Result<(), LdapError> {
    sink.begin(&search.base_dn, connection.url());
    let mut cookie = Vec::new();
    loop {
        let first = cookie.is_empty();
        let request = Request {
            base: &search.base_dn,
            scope: search.scope,
            filter: &search.filter,
            page: Some((config.page_size, cookie)),
            size_limit: 0,
        };
        match connection.search(&request, sink).await?.cookie {
            Some(next) if !next.is_empty() => {
                sink.page(Next::Page(&next))?;
                cookie = next;
            }
            // A server that pages must say which page is the last (RFC 2696 §3); one that does not page sends all.
            None if !first => {
                let section = format!("{} on {}", search.base_dn, connection.url());
                return Err(IncompleteRead::MissingEnd { section }.into());
            }
            Some(_) | None => break,
        }
    }
    for ranged in sink.take_ranged() {
        let make = names::members(&ranged.referencer, &ranged.attribute);
        let cap = config.caps.read.memberships;
        let members = ranges::values(connection, &ranged.entry, &ranged.attribute, cap, &make).await?;
        sink.ranged(&ranged, members)?;
    }
    Ok(sink.page(Next::End)?)
}

/// Takes the root.
struct RootSink {
    wanted: [String; 7],
    root: Root,
}

impl Default for RootSink {
    fn default() -> Self {
        let wanted = [
            "namingContexts",
            "configurationNamingContext",
            "defaultNamingContext",
            "rootDomainNamingContext",
            "dnsHostName",
            "subschemaSubentry",
            "schemaNamingContext",
        ];
        Self { wanted: wanted.map(str::to_owned), root: Root::default() }
    }
}

impl EntrySink for RootSink {
    fn attributes(&self) -> &[String] {
        &self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let texts = |place: usize| {
            let values = entry.values.get(place).map(Vec::as_slice).unwrap_or_default();
            values.iter().filter_map(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
        };
        self.root.naming_contexts = texts(0).collect();
        // Only Active Directory has these attributes (MS-ADTS §3.1.1.3.2), and these partitions (§3.1.1.1.5).
        let partitions = texts(1)
            .chain(texts(2).map(|domain| format!("DC=DomainDnsZones,{domain}")))
            .chain(texts(3).map(|domain| format!("DC=ForestDnsZones,{domain}")));
        (self.root.schema, self.root.attribute_schemas) = (texts(5).next(), texts(6).next());
        self.root.host_name = texts(4).next().map(|name| excerpt(&name)).filter(|name| !name.is_empty());
        self.root.system_partitions = partitions.map(|name| dn::normal_form(name.as_bytes())).collect();
        Ok(())
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}

/// Notes whether there is an entry.
struct AnyEntry(bool);

impl EntrySink for AnyEntry {
    fn attributes(&self) -> &[String] {
        &[]
    }

    fn entry(&mut self, _: &Entry<'_>) -> Result<(), LdapError> {
        self.0 = true;
        Ok(())
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_kept_up_to_a_number_and_a_size() {
        let kept = |count: usize, length: usize| {
            let mut references = References::default();
            for _ in 0..count {
                references.add(&[&"u".repeat(length)]);
            }
            references.take("ldap://dc1").map(|all| all.len())
        };
        assert_eq!(kept(REFERENCES, 1).unwrap(), REFERENCES);
        assert!(kept(REFERENCES + 1, 1).is_err());
        assert_eq!(kept(32, 8192).unwrap(), 32);
        assert!(kept(33, 8192).is_err());
    }
}
