//! LDAP directories.
//!
//! | module | what it does |
//! |---|---|
//! | `guard` | owns the connection: sockets, TLS, caps, structure of messages, decoding of entries |
//! | `servers` | which servers there are, and which of them failed lately |
//! | `connection` | binds and searches through the LDAP library behind the guard |
//! | `directory` | one search to its very end: pages, ranges of long attributes, referrals |
//! | `read` | all searches into a complete read |
//! | `selection`, `graph` | who is in the groups to which a source is limited |
//! | `passing` | groups that only pass their members on to the groups that they are in |
//! | `names`, `dn` | by what groups know people |
//! | `syntax`, `schema` | which values are bytes, and what they are written as |
//! | `confirm` | looks up people and groups before they are removed |
//! | `describe` | what answers, and where an entry is, for people |

mod ber;
mod config;
mod confirm;
mod connection;
mod describe;
mod directory;
mod dn;
mod error;
mod filter;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod graph;
mod guard;
mod names;
mod passing;
mod ranges;
mod read;
mod referral;
mod schema;
mod selection;
mod servers;
mod syntax;

pub use config::{Bind, Caps, ClientCertificate, Dereference, LdapConfig, Only, Scope, Search, Timeouts, Tls};
pub use error::LdapError;
pub use servers::Health;

use crate::{Sightings, Source, SourceDescription, SourceError};
use async_trait::async_trait;
use config::Server;
use directory::Directory;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_core::snapshot::Referencer;
use names::Names;
use std::sync::{Arc, Mutex, PoisonError};

/// How often a connection is made to come to the server that was read last, where one URL leads to many.
const SAME_SERVER_ATTEMPTS: usize = 4;

/// A directory that speaks `LDAPv3` (RFC 4511).
#[derive(Debug)]
pub struct LdapSource {
    config: LdapConfig,
    /// Those of the settings; none if a domain names them.
    servers: Vec<Server>,
    tls: Arc<rustls::ClientConfig>,
    /// By what groups know the people of the last read.
    names: Mutex<Arc<Names>>,
}

impl LdapSource {
    /// Checks the settings; nothing is sent yet.
    pub fn new(config: LdapConfig) -> Result<Self, LdapError> {
        let servers = config.validate()?;
        let tls = guard::client_config(&config.tls)?;
        Ok(Self { config, servers, tls, names: Mutex::default() })
    }

    /// Reads everything, or says why there is no snapshot.
    pub async fn read_all(&self) -> Result<CompleteRead<SourceSide>, LdapError> {
        let after = self.config.timeouts.read;
        let read = async {
            let mut directory = self.connect().await?;
            let (url, address) = (directory.connection.url().to_owned(), directory.connection.address());
            let (read, names) = match Box::pin(read::read(&mut directory)).await {
                Ok(read) => read,
                Err(error) => {
                    // It may be another server, to which a referral led, that failed.
                    if error.failed_server() == Some(&url) {
                        self.config.health.failed(&url);
                    }
                    return Err(error);
                }
            };
            self.config.health.read(&url, address, read.server().unwrap_or_default());
            directory.close().await;
            *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
            Ok(read)
        };
        tokio::time::timeout(after, read).await.unwrap_or_else(|_| {
            let url = self.config.domain.clone().unwrap_or_else(|| self.config.urls.join(", "));
            Err(LdapError::TimedOut { url, what: "come to the end of the read", after })
        })
    }

    /// Connects and binds to the first server that can be used; if its URL leads to many, to the one that was read last,
    /// as far as that can be brought about. Removals wait when it is another one.
    async fn connect(&self) -> Result<Directory<'_>, LdapError> {
        for _ in 1..SAME_SERVER_ATTEMPTS {
            let mut directory = self.connect_once().await?;
            let server = directory.server().await?;
            let (url, address) = (directory.connection.url(), directory.connection.address());
            if !self.config.health.was_another(url, address, &server) {
                directory.learn_syntaxes().await?;
                return Ok(directory);
            }
            directory.close().await;
        }
        let mut directory = self.connect_once().await?;
        directory.learn_syntaxes().await?;
        Ok(directory)
    }

    async fn connect_once(&self) -> Result<Directory<'_>, LdapError> {
        let found;
        let servers = match &self.config.domain {
            Some(domain) => {
                found = servers::of_domain(&self.config, domain).await?;
                &found
            }
            None => &self.servers,
        };
        let ldaps = servers.first().is_some_and(|server| server.ldaps);
        let totals = Arc::default();
        let connection = connection::connect(&self.config, servers, &self.tls, &totals).await?;
        Ok(Directory::new(&self.config, &self.tls, connection, ldaps, totals))
    }
}

#[async_trait]
impl Source for LdapSource {
    fn kind(&self) -> &'static str {
        "ldap"
    }

    async fn read(&self) -> Result<CompleteRead<SourceSide>, SourceError> {
        Ok(self.read_all().await?)
    }

    async fn confirm(&self, lookups: &[Lookup], referencer: &Referencer) -> Vec<Finding> {
        if lookups.is_empty() {
            return Vec::new();
        }
        let after = self.config.timeouts.read;
        let unreadable = |message: String| vec![Finding::Unreadable { message }; lookups.len()];
        let names = Arc::clone(&self.names.lock().unwrap_or_else(PoisonError::into_inner));
        let confirm = async {
            match self.connect().await {
                Ok(mut directory) => {
                    let findings = confirm::confirm(&mut directory, &names, lookups, referencer).await;
                    directory.close().await;
                    findings
                }
                Err(error) => unreadable(error.to_string()),
            }
        };
        tokio::time::timeout(after, confirm)
            .await
            .unwrap_or_else(|_| unreadable("the directory took too long to answer the look-ups".to_owned()))
    }

    async fn describe(&self) -> Result<SourceDescription, SourceError> {
        let mut directory = self.connect().await?;
        let description = describe::describe(&mut directory).await?;
        directory.close().await;
        Ok(description)
    }

    async fn find(&self, text: &str) -> Sightings {
        let mut directory = self.connect().await?;
        let sightings = describe::find(&mut directory, text).await?;
        directory.close().await;
        Ok(sightings)
    }
}
