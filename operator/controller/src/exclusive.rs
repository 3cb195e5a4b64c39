//! No two runs on one target at a time, whichever resources they belong to.
//!
//! Runs of one resource never overlap because the runtime reconciles an object once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError, Weak};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// One lock for each target that is in use.
#[derive(Debug, Default)]
pub struct Exclusive {
    targets: Lock<HashMap<String, Weak<Mutex<()>>>>,
}

/// The right to be the only run on a target; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn(#[allow(dead_code, reason = "held for its drop")] OwnedMutexGuard<()>);

impl Exclusive {
    /// Waits for the turn on the target that `identity` names. Turns come in the order in which they are asked for.
    pub async fn turn(&self, identity: &str) -> Turn {
        let target = self.target(identity);
        Turn(target.lock_owned().await)
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
        let exclusive = Exclusive::default();
        let first = exclusive.turn("scim https://a").await;
        assert!(exclusive.turn("scim https://a").now_or_never().is_none());
        assert!(exclusive.turn("scim https://b").now_or_never().is_some());
        drop(first);
        assert!(exclusive.turn("scim https://a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_target_without_a_run_is_forgotten() {
        let exclusive = Exclusive::default();
        drop(exclusive.turn("scim https://a").await);
        let _other = exclusive.turn("scim https://b").await;
        assert_eq!(exclusive.targets.lock().unwrap().len(), 1);
    }
}
