//! The Kubernetes kinds of the directory sync operator: `directorysync.dev/v1alpha1`.
//!
//! One module per kind or concern. The types are what users write and read, so every field has a
//! description for `kubectl explain`, a bound, and where one exists a safe default. Rules that span
//! fields are CEL rules: the API server judges them when a resource is written, and [`admission`]
//! judges the same rules where there is no API server. [`convert`] turns a spec into what the core
//! works with, [`conditions`] turns the outcome of a run into conditions, and [`crds`] generates the
//! manifests in `crds/`, the chart's copies and the reference in `docs/reference/`.

// `KubeSchema` repeats every struct in a scope of its own, where `pub` reaches nobody.
#![allow(unreachable_pub)]
// Each printer column has its own name, type and path.
#![allow(clippy::duplicated_attributes)]

pub mod admission;
pub mod approval;
pub mod conditions;
pub mod exclusion;
pub mod limits;
pub mod mapping;
pub mod plan;
mod presets;
pub mod references;
pub mod removal;
pub mod schedule;
pub mod source;
pub mod state;
pub mod status;
pub mod sync;
pub mod target;

pub mod convert;
pub mod crds;

pub use approval::{DirectorySyncApproval, DirectorySyncApprovalSpec, DirectorySyncApprovalStatus};
pub use crds::generated_files;
pub use plan::{DirectorySyncPlan, DirectorySyncPlanSpec};
pub use state::{DirectorySyncState, DirectorySyncStateSpec};
pub use status::DirectorySyncStatus;
pub use sync::{DirectorySync, DirectorySyncSpec};

/// The API group of every kind.
pub const GROUP: &str = "directorysync.dev";

/// The API version of every kind.
pub const VERSION: &str = "v1alpha1";

/// Finalizer on a [`DirectorySync`]: lets a running apply end before the resource goes. It never
/// removes people.
pub const FINALIZER: &str = "directorysync.dev/finish-run";

/// Annotation whose every change of value asks for one run now.
pub const REQUESTED_AT: &str = "directorysync.dev/requestedAt";

/// The same annotation as Flux writes it (`flux reconcile`).
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Label on plans, approvals' plans and state that names the [`DirectorySync`] they belong to.
pub const SYNC_LABEL: &str = "directorysync.dev/sync";
