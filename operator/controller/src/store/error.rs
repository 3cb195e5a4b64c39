//! Why something could not be kept or found again.

use crate::cluster::ClusterError;
use directory_sync_core::disposition::{Classified, Disposition};
use directory_sync_core::plan::document::DocumentError;
use directory_sync_core::state::StateError;

/// Why something could not be kept or found again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The API server did not do what was asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Packing failed, which has no cause outside this process.
    #[error("what is to be kept could not be packed: {0}")]
    Pack(#[from] std::io::Error),
    /// The stored plan cannot be read.
    #[error("the plan {digest} cannot be used: {source}")]
    Plan {
        /// Which plan.
        digest: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// The stored state cannot be read.
    #[error("the state {name} cannot be used: {source}")]
    State {
        /// Its head object.
        name: String,
        /// What is wrong with it.
        source: StateError,
    },
    /// A part is missing or damaged.
    #[error("the state {name} is incomplete: {what}")]
    Damaged {
        /// Its head object.
        name: String,
        /// Which part, and what is wrong with it.
        what: String,
    },
    /// A newer operator wrote it.
    #[error(
        "the state {name} has format {found}, which this version of the operator does not know; run the version that \
         wrote it, or a newer one"
    )]
    NewerState {
        /// Its head object.
        name: String,
        /// The format it has.
        found: i32,
    },
}

impl Classified for StoreError {
    fn disposition(&self) -> Disposition {
        match self {
            Self::Cluster(error) => error.disposition(),
            Self::Pack(_) | Self::Plan { .. } => Disposition::Retry,
            Self::State { .. } | Self::Damaged { .. } | Self::NewerState { .. } => Disposition::Stall,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Cluster(error) => error.reason(),
            Self::Pack(_) => "PackingFailed",
            Self::Plan { .. } => "StoredPlanUnusable",
            Self::State { .. } | Self::Damaged { .. } => "StateUnusable",
            Self::NewerState { .. } => "StateTooNew",
        }
    }
}
