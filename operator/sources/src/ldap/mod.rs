//! LDAP directories.
//!
//! | module | what it does |
//! |---|---|
//! | `guard` | owns the connection: sockets, TLS, caps, structure of messages, decoding of entries |
//! | `connection` | binds and searches through the LDAP library behind the guard |
//! | `read` | pages of all searches into a complete read |
//! | `confirm` | looks up people and groups before they are removed |

mod ber;
mod config;
mod confirm;
mod connection;
mod dn;
mod error;
mod filter;
mod guard;
mod read;

pub use config::{Bind, Caps, LdapConfig, Scope, Search, Timeouts, Tls};
pub use error::LdapError;

use crate::{Source, SourceError};
use async_trait::async_trait;
use config::Server;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_core::snapshot::Referencer;
use std::sync::Arc;

/// A directory that speaks `LDAPv3` (RFC 4511).
#[derive(Debug)]
pub struct LdapSource {
    config: LdapConfig,
    servers: Vec<Server>,
    tls: Arc<rustls::ClientConfig>,
}

impl LdapSource {
    /// Checks the settings; nothing is sent yet.
    pub fn new(config: LdapConfig) -> Result<Self, LdapError> {
        let servers = config.validate()?;
        let tls = guard::client_config(&config.tls)?;
        Ok(Self { config, servers, tls })
    }

    /// Reads everything, or says why there is no snapshot.
    pub async fn read_all(&self) -> Result<CompleteRead<SourceSide>, LdapError> {
        let after = self.config.timeouts.read;
        let read = async {
            let mut connection = connection::connect(&self.config, &self.servers, &self.tls).await?;
            let read = read::read(&mut connection, &self.config).await?;
            connection.close().await;
            Ok(read)
        };
        tokio::time::timeout(after, read).await.unwrap_or_else(|_| {
            let url = self.config.urls.join(", ");
            Err(LdapError::TimedOut { url, what: "come to the end of the read", after })
        })
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
        let confirm = async {
            match connection::connect(&self.config, &self.servers, &self.tls).await {
                Ok(mut connection) => {
                    let findings = confirm::confirm(&mut connection, &self.config, lookups, referencer).await;
                    connection.close().await;
                    findings
                }
                Err(error) => unreadable(error.to_string()),
            }
        };
        tokio::time::timeout(after, confirm)
            .await
            .unwrap_or_else(|_| unreadable("the directory took too long to answer the look-ups".to_owned()))
    }
}
