//! LDAP directories.
//!
//! | module | what it does |
//! |---|---|
//! | `guard` | owns the connection: sockets, TLS, caps, structure of messages, decoding of entries |
//! | `servers` | which servers there are, and which of them failed lately |
//! | `connection` | binds and searches through the LDAP library behind the guard |
//! | `directory` | one search to its very end: pages, ranges of long attributes, referrals |
//! | `read` | all searches into a complete read |
//! | `selection` | who is in the groups to which a source is limited |
//! | `names`, `dn`, `syntax` | by what groups know people, and what values that are bytes are written as |
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
mod guard;
mod names;
mod ranges;
mod read;
mod referral;
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
            let url = directory.connection.url().to_owned();
            let has_several_servers = self.servers.len() > 1 || self.config.domain.is_some();
            let (read, names) = match read::read(&mut directory, has_several_servers).await {
                Ok(read) => read,
                Err(error) => {
                    if error.is_of_this_server_only() {
                        self.config.health.failed(&url);
                    }
                    return Err(error);
                }
            };
            directory.close().await;
            *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
            Ok(read)
        };
        tokio::time::timeout(after, read).await.unwrap_or_else(|_| {
            let url = self.config.domain.clone().unwrap_or_else(|| self.config.urls.join(", "));
            Err(LdapError::TimedOut { url, what: "come to the end of the read", after })
        })
    }

    /// Connects and binds to the first server that can be used.
    async fn connect(&self) -> Result<Directory<'_>, LdapError> {
        let found;
        let servers = match &self.config.domain {
            Some(domain) => {
                found = servers::of_domain(&self.config, domain).await?;
                &found
            }
            None => &self.servers,
        };
        let ldaps = servers.first().is_some_and(|server| server.ldaps);
        let connection = connection::connect(&self.config, servers, &self.tls).await?;
        Ok(Directory::new(&self.config, &self.tls, connection, ldaps))
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
