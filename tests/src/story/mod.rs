//! The operator's main job as a story in chapters: told to a person by `cargo xtask demo`, and to a test, so that it
//! stays true.
//!
//! The chapters run real commands against real parts and check everything that they claim.

mod chapters;
pub mod cluster;
pub mod kept;
pub mod manifest;
pub mod narrator;
pub mod stage;

use anyhow::Result;

pub use cluster::{Cluster, Existing};
pub use kept::KeptStage;
pub use narrator::{Narrator, Recording};
pub use stage::{Secrets, Setting, Stage};

/// The namespace of the resource.
pub const NAMESPACE: &str = "identity";
/// The namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "directory-sync";
/// The resource of the example.
pub const SYNC: &str = "staff";

/// Tells the whole story. What it brought about stays on the stage, also after a failure.
pub async fn tell(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage).await?;
    chapters::first_load::the_hold(stage).await?;
    chapters::first_load::the_approval(stage).await?;
    chapters::every_day::a_monday_morning(stage).await?;
    chapters::accidents::a_wrong_filter(stage).await?;
    chapters::accidents::an_outage(stage).await
}

/// Tells its beginning: until there is a plan.
pub async fn begin(stage: &mut Stage<'_>) -> Result<()> {
    chapters::install::the_parts(stage).await?;
    chapters::install::the_operator(stage).await?;
    chapters::first_load::the_plan(stage).await
}
