//! A plan whose removals nobody confirmed cannot be judged.
use directory_sync_core::{gate, plan::Plan, rules::Rules, state::State};

fn cheat(plan: Plan<'_>, rules: &Rules, state: &State) {
    gate::judge(plan, rules, state, None, jiff::Timestamp::UNIX_EPOCH);
}

fn main() {}
