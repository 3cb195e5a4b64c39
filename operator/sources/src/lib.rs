//! Directories that people are read from: one folder each, behind one trait.

pub mod google;
pub mod ldap;

use async_trait::async_trait;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_core::snapshot::Referencer;

/// Why a source could not be read: any error that knows its name and what to do after it.
pub type SourceError = Box<dyn Classified>;

/// A directory whose people are the truth.
#[async_trait]
pub trait Source: Send + Sync {
    /// Kind of source as a metric label: `google`, `ldap`.
    fn kind(&self) -> &'static str;

    /// Reads everything, or says why there is no snapshot.
    async fn read(&self) -> Result<CompleteRead<SourceSide>, SourceError>;

    /// Looks up people and groups by immutable id and without the filters, in the order given, one finding each.
    /// References in the findings are made with `referencer`, that of the read. A failure to look up is a finding
    /// ([`Finding::Unreadable`]), never an absence.
    async fn confirm(&self, lookups: &[Lookup], referencer: &Referencer) -> Vec<Finding>;
}
