//! Google Workspace, through the Directory API of the Admin SDK.
//!
//! | module | what it does |
//! |---|---|
//! | `key`, `auth` | what a service account signs, and the tokens that it gets for it |
//! | `http`, `retry`, `pace` | one request and the whole of its answer; pauses; the rate of all |
//! | `json`, `page` | decoding within a budget of memory |
//! | `client`, `directory` | the calls of the API, judged |
//! | `attribute` | from JSON to the values of attributes |
//! | `scope`, `members`, `customer` | who is meant by `onlyGroups`; members of a group; whose directory it is |
//! | `read` | pages of all lists into a complete read |
//! | `confirm` | looks up people and groups before they are removed |
//! | `describe`, `encryption` | what there is to see, for people who set it up |

mod attribute;
mod auth;
mod client;
mod config;
mod confirm;
mod customer;
mod describe;
mod directory;
mod encryption;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod http;
mod json;
mod key;
mod members;
mod pace;
mod page;
mod read;
mod retry;
mod scope;
#[cfg(test)]
mod tests;

pub use config::{Backoff, Credentials, Endpoints, GoogleConfig, Groups, Timeouts};
pub use error::GoogleError;

use crate::{Sightings, Source, SourceDescription, SourceError};
use async_trait::async_trait;
use customer::Customer;
use directory::Directory;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_core::snapshot::Referencer;
use std::time::Duration;

/// How long it may take to describe the directory, or to find somebody in it.
const LONGEST_LOOK: Duration = Duration::from_secs(120);

/// The directory of a Google Workspace customer.
#[derive(Debug)]
pub struct GoogleSource {
    config: GoogleConfig,
    directory: Directory,
    customer: Customer,
}

impl GoogleSource {
    /// Checks the settings and reads the key; nothing is sent yet.
    pub fn new(config: GoogleConfig) -> Result<Self, GoogleError> {
        let directory = Directory::new(&config)?;
        let customer = Customer::new(&config.customer, &config.endpoints.directory);
        Ok(Self { config, directory, customer })
    }

    /// Reads everything, or says why there is no snapshot.
    pub async fn read_all(&self) -> Result<CompleteRead<SourceSide>, GoogleError> {
        let after = self.config.timeouts.read;
        let read = read::read(&self.directory, &self.config, &self.customer);
        tokio::time::timeout(after, read).await.unwrap_or(Err(GoogleError::ReadTimedOut { after }))
    }

    /// Bounds what somebody waits for at a terminal.
    async fn soon<T>(&self, asked: impl Future<Output = Result<T, GoogleError>>) -> Result<T, GoogleError> {
        let after = LONGEST_LOOK.min(self.config.timeouts.read);
        let url = || self.directory.url().to_owned();
        tokio::time::timeout(after, asked).await.unwrap_or_else(|_| Err(GoogleError::TimedOut { url: url(), after }))
    }
}

#[async_trait]
impl Source for GoogleSource {
    fn kind(&self) -> &'static str {
        "google"
    }

    async fn read(&self) -> Result<CompleteRead<SourceSide>, SourceError> {
        Ok(self.read_all().await?)
    }

    async fn confirm(&self, lookups: &[Lookup], referencer: &Referencer) -> Vec<Finding> {
        let after = self.config.timeouts.read;
        let confirm = confirm::confirm(&self.directory, &self.config, &self.customer, lookups, referencer);
        tokio::time::timeout(after, confirm).await.unwrap_or_else(|_| {
            let message = "Google took too long to answer the look-ups".to_owned();
            vec![Finding::Unreadable { message }; lookups.len()]
        })
    }

    async fn describe(&self) -> Result<SourceDescription, SourceError> {
        Ok(self.soon(describe::describe(&self.directory, &self.config)).await?)
    }

    async fn find(&self, text: &str) -> Sightings {
        Ok(self.soon(describe::find(&self.directory, text)).await?)
    }
}
