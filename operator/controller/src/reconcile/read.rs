//! Reading both sides, at the same time.

use super::ReconcileError;
use crate::connect::Connection;
use directory_sync_core::capabilities::Capabilities;
use directory_sync_core::read::{CompleteRead, SourceSide, TargetSide};
use std::time::{Duration, Instant};

/// Both sides, whole, and what the target has a place for.
#[derive(Debug)]
pub struct World {
    /// Where people come from.
    pub source: CompleteRead<SourceSide>,
    /// What is brought into line.
    pub target: CompleteRead<TargetSide>,
    /// What is compared.
    pub capabilities: Capabilities,
    /// How long the source took.
    pub source_took: Duration,
    /// How long the target took.
    pub target_took: Duration,
}

/// Reads both sides, or says which one could not be read whole.
pub async fn both(connection: &Connection) -> Result<World, ReconcileError> {
    let begun = Instant::now();
    let source = async {
        let read = connection.source.read().await.map_err(ReconcileError::Source)?;
        Ok::<_, ReconcileError>((read, begun.elapsed()))
    };
    let target = async {
        let capabilities = connection.target.discover().await.map_err(ReconcileError::Target)?;
        let read = connection.target.read().await.map_err(ReconcileError::Target)?;
        Ok((capabilities, read, begun.elapsed()))
    };
    let ((source, source_took), (capabilities, target, target_took)) = tokio::try_join!(source, target)?;
    let mut source = source;
    source.settle_nesting(capabilities.nested_groups);
    Ok(World { source, target, capabilities, source_took, target_took })
}
