//! No two runs on one target at a time, whichever resources they belong to.
//!
//! Runs of one resource never overlap because the runtime reconciles an object once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError, Weak};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// One lock for each target that is in use, and room for so many runs.
#[derive(Debug)]
pub struct Exclusive {
    targets: Lock<HashMap<String, Weak<Mutex<()>>>>,
    runs: Arc<Semaphore>,
}

/// The right to be the only run on a target, and one of the few there are; given back when dropped.
#[derive(Debug)]
#[must_use]
#[allow(dead_code, reason = "held for their drop")]
pub struct Turn {
    target: OwnedMutexGuard<()>,
    /// `None` cannot be: the semaphore is never closed.
    run: Option<OwnedSemaphorePermit>,
}

impl Exclusive {
    /// Room for so many runs at a time.
    pub fn new(runs: usize) -> Self {
        Self { targets: Lock::default(), runs: Arc::new(Semaphore::new(runs)) }
    }

    /// Waits for the turn on the target that `identity` names, and then for room. Turns come in the order in which
    /// they are asked for.
    pub async fn turn(&self, identity: &str) -> Turn {
        let target = self.target(identity).lock_owned().await;
        Turn { target, run: Arc::clone(&self.runs).acquire_owned().await.ok() }
    }

    fn target(&self, identity: &str) -> Arc<Mutex<()>> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|_, target| target.strong_count() > 0);
        if let Some(target) = targets.get(identity).and_then(Weak::upgrade) {
            return target;
        }
        let target = Arc::new(Mutex::new(()));
        targets.insert(identity.to_owned(), Arc::downgrade(&target));
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_second_run_on_the_same_target_waits_for_the_first() {
        let exclusive = Exclusive::new(4);
        let first = exclusive.turn("scim https://a").await;
        assert!(exclusive.turn("scim https://a").now_or_never().is_none());
        assert!(exclusive.turn("scim https://b").now_or_never().is_some());
        drop(first);
        assert!(exclusive.turn("scim https://a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn no_more_runs_than_there_is_room_for() {
        let exclusive = Exclusive::new(2);
        let (_a, b) = (exclusive.turn("a").await, exclusive.turn("b").await);
        assert!(exclusive.turn("c").now_or_never().is_none());
        drop(b);
        assert!(exclusive.turn("c").now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_target_without_a_run_is_forgotten() {
        let exclusive = Exclusive::new(4);
        drop(exclusive.turn("scim https://a").await);
        let _other = exclusive.turn("scim https://b").await;
        assert_eq!(exclusive.targets.lock().unwrap().len(), 1);
    }
}
