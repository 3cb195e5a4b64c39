//! What is remembered of the last attempt at each resource while the process lives: how often it failed in a row, when
//! it may be tried again, and what it stalled on.
//!
//! Nothing here has to survive a restart. What was not done well is tried once again after one.

use crate::connect::Versions;
use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long to wait before trying again.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// After the first failure; doubled with each further one.
    pub shortest: Duration,
    /// Never longer than this.
    pub longest: Duration,
    /// Between looks at the Secrets and ConfigMaps of a stalled resource.
    pub recheck: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            shortest: Duration::from_secs(5),
            longest: Duration::from_secs(10 * 60),
            recheck: Duration::from_secs(10 * 60),
        }
    }
}

impl Pauses {
    /// The pause after so many failures in a row, lengthened at random by up to its half so that many resources that
    /// failed together do not return together.
    pub fn after(&self, failures: u32) -> Duration {
        let exact = ExponentialBuilder::new()
            .with_min_delay(self.shortest)
            .with_max_delay(self.longest)
            .without_max_times()
            .build()
            .nth(failures.saturating_sub(1).min(32) as usize)
            .unwrap_or(self.longest);
        let spread = ExponentialBuilder::new().with_jitter().with_min_delay(exact / 2).with_max_delay(exact).build();
        // The jittered delay is between one and two halves; the plain half on top of it makes it the pause itself.
        exact / 2 + spread.into_iter().next().unwrap_or(exact / 2)
    }
}

/// How the last attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Well: the schedule says when the next one is due.
    Good,
    /// With an error that may pass.
    Failing {
        /// Failures in a row.
        failures: u32,
        /// Not to be tried before this.
        until: Timestamp,
    },
    /// With an error that somebody has to mend first.
    Stalled {
        /// The Secrets and ConfigMaps as they were then.
        versions: Versions,
        /// When to look whether they are others now.
        recheck_at: Timestamp,
    },
}

/// The last attempt at one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Generation of the spec that was tried.
    pub generation: i64,
    /// Values of the annotations that ask for a run, as they were then.
    pub requested: BTreeSet<String>,
    /// UIDs of the approvals that were looked at.
    pub approvals: BTreeSet<String>,
    /// When it began.
    pub started: Timestamp,
    /// How it ended.
    pub standing: Standing,
}

impl Attempt {
    /// Failures in a row up to this attempt.
    pub fn failures(&self) -> u32 {
        match self.standing {
            Standing::Failing { failures, .. } => failures,
            Standing::Good | Standing::Stalled { .. } => 0,
        }
    }
}

/// The last attempts at all resources, by UID.
#[derive(Debug, Default)]
pub struct Attempts {
    by_uid: Mutex<HashMap<String, Attempt>>,
}

impl Attempts {
    /// The last attempt at a resource.
    pub fn get(&self, uid: &str) -> Option<Attempt> {
        self.lock().get(uid).cloned()
    }

    /// Remembers an attempt.
    pub fn remember(&self, uid: &str, attempt: Attempt) {
        self.lock().insert(uid.to_owned(), attempt);
    }

    /// Puts off the next look at the references of a stalled resource.
    pub fn recheck_later(&self, uid: &str, at: Timestamp) {
        if let Some(Attempt { standing: Standing::Stalled { recheck_at, .. }, .. }) = self.lock().get_mut(uid) {
            *recheck_at = at;
        }
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// How many resources wait after a failure.
    pub fn failing(&self) -> usize {
        self.lock().values().filter(|attempt| matches!(attempt.standing, Standing::Failing { .. })).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Attempt>> {
        // Every entry is written at once, so a panic elsewhere cannot have left half of one.
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment after another; the last one there is where the sum would lie beyond it.
pub fn later(now: Timestamp, pause: Duration) -> Timestamp {
    SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_add(pause).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(standing: Standing) -> Attempt {
        Attempt {
            generation: 1,
            requested: BTreeSet::new(),
            approvals: BTreeSet::new(),
            started: Timestamp::UNIX_EPOCH,
            standing,
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = Pauses::default();
        for (failures, seconds) in [(1, 5), (2, 10), (3, 20), (4, 40), (8, 600), (100, 600), (u32::MAX, 600)] {
            let pause = pauses.after(failures);
            let exact = Duration::from_secs(seconds);
            assert!(pause >= exact && pause <= exact * 3 / 2, "{failures}: {pause:?}");
        }
    }

    #[test]
    fn only_failing_resources_count_as_waiting_and_gone_ones_are_forgotten() {
        let attempts = Attempts::default();
        let until = Timestamp::UNIX_EPOCH;
        attempts.remember("a", attempt(Standing::Failing { failures: 2, until }));
        attempts.remember("b", attempt(Standing::Good));
        assert_eq!(attempts.failing(), 1);
        assert_eq!(attempts.get("a").unwrap().failures(), 2);
        attempts.forget("a");
        assert_eq!(attempts.failing(), 0);
        assert_eq!(attempts.get("a"), None);
    }
}
