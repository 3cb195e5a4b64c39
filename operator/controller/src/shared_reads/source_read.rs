//! One whole read of a source, and how it came about.

use directory_sync_core::disposition::{Classified, Disposition};
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_sources::Source;
use futures::FutureExt;
use jiff::Timestamp;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One whole read of a source. A clone holds nothing twice but the names.
#[derive(Clone)]
pub struct SourceRead {
    /// What was read.
    pub read: CompleteRead<SourceSide>,
    /// What read it. It alone may look up again what it has read: it knows by which names.
    pub source: Arc<dyn Source>,
    /// Name of the resource whose run began it.
    pub by: String,
    /// When it was whole, by the clock.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// When it began.
    pub begun: Instant,
    /// When it was whole.
    pub ended: Instant,
}

impl SourceRead {
    /// Reads for the resource of this name.
    pub async fn made_by(name: String, source: Arc<dyn Source>) -> Result<Self, ReadFailure> {
        let begun = Instant::now();
        // Others may wait for it: a mistake in the operator must be an answer to each of them.
        let read = AssertUnwindSafe(source.read()).catch_unwind().await.map_err(|_| ReadFailure::Panicked)??;
        let ended = Instant::now();
        Ok(Self { read, source, by: name, at: Timestamp::now(), took: ended - begun, begun, ended })
    }
}

/// Why a source was not read whole; the same for everybody who waited for that read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadFailure {
    /// What the source says.
    #[error("{0}")]
    Source(Arc<dyn Classified>),
    /// A mistake in the operator itself.
    #[error("a mistake in the operator itself ended the read")]
    Panicked,
}

impl From<Box<dyn Classified>> for ReadFailure {
    fn from(error: Box<dyn Classified>) -> Self {
        Self::Source(error.into())
    }
}

impl Classified for ReadFailure {
    fn disposition(&self) -> Disposition {
        match self {
            Self::Source(error) => error.disposition(),
            Self::Panicked => Disposition::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Source(error) => error.reason(),
            Self::Panicked => "InternalError",
        }
    }
}
