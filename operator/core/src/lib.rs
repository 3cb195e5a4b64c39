//! The pure heart of the operator: people, groups, reading, mapping, planning and judging.
//!
//! Nothing here knows Kubernetes, HTTP, LDAP, a clock or a network. Input is data, output is data, and the
//! types that pass from one step to the next can be made only by the step before:
//!
//! | type | made only by | taken by |
//! |---|---|---|
//! | [`read::CompleteRead`] | [`read::Read::finish`] | [`plan::plan`] |
//! | [`confirm::ConfirmedPlan`] | [`confirm::confirm`] | [`gate::judge`] |
//! | [`gate::Approved`] | [`gate::judge`] | a target's `send` |
//! | [`applied::Applied`] | the target's answers to approved operations | the report |

pub mod address;
pub mod applied;
pub mod capabilities;
pub mod confirm;
pub mod disposition;
pub mod gate;
pub mod inspect;
mod keyed_hash;
pub mod mapping;
pub mod matcher;
pub mod operation;
pub mod password;
pub mod plan;
pub mod read;
pub mod rules;
pub mod snapshot;
pub mod state;

pub use disposition::Disposition;
