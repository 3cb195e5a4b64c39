//! Looking up, one by one, who is about to be removed.

use super::read::World;
use directory_sync_core::confirm::{ConfirmedPlan, confirm, lookups};
use directory_sync_core::plan::Plan;

/// Most look-ups of one run. More removals than that exceed every sensible limit and wait anyway.
pub const LOOKUP_BOUND: usize = 1000;

/// Asks the source once more about everybody who is about to lose something, by way of what read it.
pub async fn removals<'w>(plan: Plan<'w>, world: &World) -> ConfirmedPlan<'w> {
    let lookups = lookups(&plan, LOOKUP_BOUND);
    let findings = if lookups.is_empty() {
        Vec::new()
    } else {
        world.source_reader.confirm(lookups.as_slice(), world.source.snapshot().referencer()).await
    };
    confirm(plan, lookups, findings)
}
