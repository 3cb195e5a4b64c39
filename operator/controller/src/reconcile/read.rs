//! Reading both sides, at the same time.

use super::ReconcileError;
use crate::connect::Connection;
use crate::shared_reads::{ReadFailure, SourceRead};
use directory_sync_core::capabilities::Capabilities;
use directory_sync_core::read::{CompleteRead, SourceSide, TargetSide};
use directory_sync_sources::Source;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Both sides, whole, and what the target has a place for.
pub struct World {
    /// Where people come from.
    pub source: CompleteRead<SourceSide>,
    /// What is brought into line.
    pub target: CompleteRead<TargetSide>,
    /// What is compared.
    pub capabilities: Capabilities,
    /// What read the source, and confirms what is missing there.
    pub source_reader: Arc<dyn Source>,
    /// Name of the resource that read the source.
    pub source_read_by: String,
    /// When the source was read whole.
    pub source_read_at: Timestamp,
    /// How long the source took.
    pub source_took: Duration,
    /// When the target was read whole.
    pub target_read_at: Timestamp,
    /// How long the target took.
    pub target_took: Duration,
}

/// Reads both sides for the resource of this name alone, or says which one could not be read whole.
pub async fn alone(connection: &Connection, name: &str) -> Result<World, ReconcileError> {
    let source = SourceRead::made_by(name.to_owned(), Arc::clone(&connection.source));
    both(connection, source).await
}

/// Reads the target, takes the read of the source that is given, or says which of them could not be read whole.
pub async fn both(
    connection: &Connection,
    source: impl Future<Output = Result<SourceRead, ReadFailure>>,
) -> Result<World, ReconcileError> {
    let begun = Instant::now();
    let source = async { source.await.map_err(ReconcileError::from) };
    let target = async {
        let capabilities = connection.target.discover().await.map_err(ReconcileError::Target)?;
        let read = connection.target.read().await.map_err(ReconcileError::Target)?;
        Ok((capabilities, read, Timestamp::now(), begun.elapsed()))
    };
    let (source, (capabilities, target, target_read_at, target_took)) = tokio::try_join!(source, target)?;
    let SourceRead { mut read, source: source_reader, by: source_read_by, at: source_read_at, took, .. } = source;
    read.settle_nesting(capabilities.nested_groups);
    Ok(World {
        source: read,
        target,
        capabilities,
        source_reader,
        source_read_by,
        source_read_at,
        source_took: took,
        target_read_at,
        target_took,
    })
}
