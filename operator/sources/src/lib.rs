//! Directories that people are read from: one folder each, behind one trait.

mod description;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod google;
pub mod ldap;

pub use description::{Encryption, Fact, Sighting, Sightings, SourceDescription};

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

    /// Says what answers and how it is reached, for people who set it up. A plan needs none of it.
    async fn describe(&self) -> Result<SourceDescription, SourceError>;

    /// Looks for entries by an id, an address, a name or (in LDAP) a DN, without the filters, for people who wonder
    /// where somebody is. Nothing follows from an absence.
    async fn find(&self, text: &str) -> Sightings;
}
