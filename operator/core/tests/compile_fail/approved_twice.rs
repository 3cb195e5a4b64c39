//! The right to send an operation is used once.
use directory_sync_core::applied::{Answer, Outcome};
use directory_sync_core::gate::ApprovedOperation;

fn cheat(operation: ApprovedOperation<'_>) -> [Outcome; 2] {
    let again = operation.clone();
    [
        operation.answered(Answer::Done { target_id: None }),
        again.answered(Answer::Done { target_id: None }),
    ]
}

fn main() {}
