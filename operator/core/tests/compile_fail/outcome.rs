//! An outcome without an approved operation cannot be made up.
use directory_sync_core::applied::{Answer, Applied, Outcome};
use directory_sync_core::operation::Operation;

fn cheat(operation: Operation) -> Applied {
    Applied::of(vec![Outcome::new(0, operation, Answer::Done { target_id: None })])
}

fn main() {}
