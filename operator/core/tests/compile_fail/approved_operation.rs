//! The right to send an operation cannot be put together from its parts.
use directory_sync_core::gate::ApprovedOperation;
use directory_sync_core::operation::Operation;
use directory_sync_core::snapshot::Snapshot;

fn cheat<'w>(source: &'w Snapshot, target: &'w Snapshot, operation: Operation) -> ApprovedOperation<'w> {
    ApprovedOperation { source, target, position: 0, operation }
}

fn main() {}
