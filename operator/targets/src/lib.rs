//! Services that are brought into line with a source: one folder each, behind one trait.

pub mod scim;

use async_trait::async_trait;
use directory_sync_core::applied::{Applied, Outcome};
use directory_sync_core::capabilities::Capabilities;
use directory_sync_core::disposition::Classified;
use directory_sync_core::gate::Approved;
use directory_sync_core::read::{CompleteRead, TargetSide};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why a target could not be asked or read: any error that knows its name and what to do after it.
pub type TargetError = Box<dyn Classified>;

/// A service that is brought into line.
#[async_trait]
pub trait Target: Send + Sync {
    /// Kind of target as a metric label: `scim`.
    fn kind(&self) -> &'static str;

    /// Asks the service what it can hold and do.
    async fn discover(&self) -> Result<Capabilities, TargetError>;

    /// Reads everything, or says why there is no snapshot.
    async fn read(&self) -> Result<CompleteRead<TargetSide>, TargetError>;

    /// Sends approved operations in their order and returns what the service answered, one outcome each. A failure
    /// of one object does not stop the others. `answered` hears of every outcome as it comes. When `stop` is
    /// cancelled the request under way is finished and the rest is not sent.
    async fn send(
        &self,
        approved: Approved<'_>,
        answered: &(dyn for<'o> Fn(&'o Outcome) + Send + Sync),
        stop: &CancellationToken,
    ) -> Applied;
}

/// Hears of every request to a target; the controller makes metrics of it.
pub trait RequestObserver: Send + Sync + std::fmt::Debug {
    /// A request was answered (`code` is the HTTP status, or `error` where there was no answer).
    fn request(&self, target: &'static str, operation: &'static str, code: &str, elapsed: Duration);

    /// The service asked to slow down.
    fn rate_limited(&self, target: &'static str);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl RequestObserver for Unobserved {
    fn request(&self, _: &'static str, _: &'static str, _: &str, _: Duration) {}

    fn rate_limited(&self, _: &'static str) {}
}
