//! From a resource to what the core works with, and from what is in force back to the status.
//!
//! The API server has judged the schema and the rules by then, unless somebody switched them off; so nothing here
//! trusts them, and what cannot be used is an error with the path of its field.

mod duration;
mod effective;
mod mapping;
mod principals;
mod rules;

use directory_sync_core::disposition::{Classified, Disposition};

pub use duration::{duration, freshness, positive_duration};
pub use mapping::mapping;
pub use principals::{Principals, principals};
pub use rules::{limits, rules};

/// Why a resource cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A field of the mapping cannot be used.
    #[error("spec.mapping.{0}")]
    Mapping(#[from] directory_sync_core::mapping::MappingError),
    /// An exclusion or a protection cannot be used.
    #[error("{path}{message}")]
    Principal {
        /// The list.
        path: String,
        /// Place in the list, and what is wrong.
        message: String,
    },
    /// A text is no duration.
    #[error("{path}: {text:?} is no duration; write it like 90s, 15m or 720h")]
    Duration {
        /// The field.
        path: String,
        /// What it says.
        text: String,
    },
    /// A duration is zero or negative where time has to pass.
    #[error("{path}: {text:?} leaves no time; write a duration longer than zero, like 30s")]
    NoTime {
        /// The field.
        path: String,
        /// What it says.
        text: String,
    },
    /// A number is out of the bounds that the schema sets.
    #[error("{path}: {number} is out of bounds; write a number from 0 to {most}")]
    OutOfBounds {
        /// The field.
        path: String,
        /// What it says.
        number: i64,
        /// The greatest number allowed.
        most: u64,
    },
    /// Fields contradict each other.
    #[error("{path}: {sentence}")]
    Contradiction {
        /// The field.
        path: String,
        /// What contradicts what, and what to write instead.
        sentence: &'static str,
    },
}

impl Classified for ConvertError {
    fn disposition(&self) -> Disposition {
        Disposition::Stall
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Mapping(error) => error.reason(),
            Self::Principal { .. } => "InvalidExclusion",
            Self::Duration { .. } | Self::NoTime { .. } | Self::OutOfBounds { .. } | Self::Contradiction { .. } => {
                "InvalidSpec"
            }
        }
    }
}
