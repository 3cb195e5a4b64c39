//! Whether the process works, as its probes ask.
//!
//! What is watched is the task that watches the resources and starts runs: it no longer moves on if the runtime is
//! blocked or its watches hang. Runs are tasks of their own. One that waits for a server without end is not found here,
//! and ending the process would end all the others with it; `directorysync_reconcile_started_timestamp_seconds` shows it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often the task that starts runs says that it moves on.
pub const BEAT: Duration = Duration::from_secs(5);

/// Longest time without a beat: longer than any plan takes to be made, and runs that make plans may keep every thread
/// of the runtime busy.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// Whether the process works.
#[derive(Debug)]
pub struct Health {
    ready: AtomicBool,
    beat: Mutex<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        Self { ready: AtomicBool::new(false), beat: Mutex::new(Instant::now()) }
    }
}

impl Health {
    /// From now on every resource is known and watched.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether every resource is known and watched.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The task that starts runs moves on.
    pub fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the task that starts runs has moved on lately. It tells so itself, so that it is found out if it hangs
    /// though others still answer.
    pub fn is_live(&self) -> bool {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < LONGEST_SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_starts_no_more_runs_is_found_out() {
        let health = Health::default();
        assert!(health.is_live());
        tokio::time::sleep(LONGEST_SILENCE).await;
        assert!(!health.is_live());
        health.beat();
        assert!(health.is_live());
    }
}
