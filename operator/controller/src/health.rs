//! Whether the process works, as its probes ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often whoever does the work says that it moves on.
pub const BEAT: Duration = Duration::from_secs(5);

/// Longest time without a beat: longer than any plan takes to be made, which is done between two beats.
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

    /// The work moves on.
    pub fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the work has moved on lately. It is told by the task that does the work, so that a task that hangs is
    /// found out though others still answer.
    pub fn is_live(&self) -> bool {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < LONGEST_SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_move_on_is_found_out() {
        let health = Health::default();
        assert!(health.is_live());
        tokio::time::sleep(LONGEST_SILENCE).await;
        assert!(!health.is_live());
        health.beat();
        assert!(health.is_live());
    }
}
