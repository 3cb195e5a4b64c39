//! LDAP directories.
//!
//! | module | what it does |
//! |---|---|
//! | `guard` | owns the connection: sockets, TLS, caps, structure of messages, decoding of entries |
//! | `servers` | which servers there are, and which of them failed lately |
//! | `connection` | binds and searches through the LDAP library behind the guard |
//! | `access` | the way to a directory, and the thread on which it is worked with |
//! | `directory` | one search to its very end: pages, ranges of long attributes, referrals |
//! | `read` | all searches into a complete read |
//! | `selection`, `graph` | who is in the groups to which a source is limited |
//! | `passing` | groups that only pass their members on to the groups that they are in |
//! | `ranged`, `ranges` | attributes with so many values that they come in ranges |
//! | `names`, `dn` | by what groups know people |
//! | `syntax`, `schema` | which values are bytes, and what they are written as |
//! | `confirm` | looks up people and groups before they are removed |
//! | `describe` | what answers, and where an entry is, for people |

mod access;
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
mod ranged;
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
use access::Access;
use async_trait::async_trait;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_core::snapshot::Referencer;
use names::Names;
use std::sync::{Arc, Mutex, PoisonError};

/// A directory that speaks `LDAPv3` (RFC 4511).
#[derive(Debug)]
pub struct LdapSource {
    access: Arc<Access>,
    /// By what groups know the people of the last read.
    names: Mutex<Arc<Names>>,
}

impl LdapSource {
    /// Checks the settings; nothing is sent yet.
    pub fn new(config: LdapConfig) -> Result<Self, LdapError> {
        Ok(Self { access: Arc::new(Access::new(config)?), names: Mutex::default() })
    }

    /// Reads everything, or says why there is no snapshot.
    pub async fn read_all(&self) -> Result<CompleteRead<SourceSide>, LdapError> {
        let after = self.access.config().timeouts.read;
        let read = tokio::time::timeout(after, self.access.work(async |access| Box::pin(access.read()).await));
        let (read, names) = read.await.unwrap_or_else(|_| {
            let what = "come to the end of the read";
            Err(LdapError::TimedOut { url: self.access.place(), what, after })
        })?;
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
        Ok(read)
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
        let unreadable = |message: String| vec![Finding::Unreadable { message }; lookups.len()];
        let names = Arc::clone(&self.names.lock().unwrap_or_else(PoisonError::into_inner));
        let (asked, referencer) = (lookups.to_vec(), referencer.clone());
        let confirm = self.access.work(async move |access| {
            let mut directory = access.connect().await?;
            let findings = confirm::confirm(&mut directory, &names, &asked, &referencer).await;
            directory.close().await;
            Ok(findings)
        });
        match tokio::time::timeout(self.access.config().timeouts.read, confirm).await {
            Ok(Ok(findings)) => findings,
            Ok(Err(error)) => unreadable(error.to_string()),
            Err(_) => unreadable("the directory took too long to answer the look-ups".to_owned()),
        }
    }

    async fn describe(&self) -> Result<SourceDescription, SourceError> {
        let describe = async |access: &Access| {
            let mut directory = access.connect().await?;
            let description = describe::describe(&mut directory).await?;
            directory.close().await;
            Ok(description)
        };
        Ok(self.access.work(describe).await?)
    }

    async fn find(&self, text: &str) -> Sightings {
        let text = text.to_owned();
        let find = async move |access: &Access| {
            let mut directory = access.connect().await?;
            let sightings = describe::find(&mut directory, &text).await?;
            directory.close().await;
            Ok(sightings)
        };
        Ok(self.access.work(find).await?)
    }
}
