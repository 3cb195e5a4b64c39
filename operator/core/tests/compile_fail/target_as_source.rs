//! A target cannot be planned from as if it were the source.
use directory_sync_core::read::{CompleteRead, TargetSide};
use directory_sync_core::{capabilities::Capabilities, plan, rules::Rules, state::State};

fn cheat(target: &CompleteRead<TargetSide>, rules: &Rules, capabilities: &Capabilities, state: &State) {
    plan::plan(target, target, rules, capabilities, state, jiff::Timestamp::UNIX_EPOCH);
}

fn main() {}
