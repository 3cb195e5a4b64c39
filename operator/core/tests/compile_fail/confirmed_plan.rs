//! A plan cannot be called confirmed by hand.
use directory_sync_core::confirm::ConfirmedPlan;
use directory_sync_core::plan::Plan;

fn cheat(plan: Plan<'_>) -> ConfirmedPlan<'_> {
    ConfirmedPlan { plan, unconfirmed: Default::default(), digests: Default::default() }
}

fn main() {}
