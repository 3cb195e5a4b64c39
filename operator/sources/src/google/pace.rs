//! How fast requests are sent. Google counts them by project and administrator, so resources that have both in common
//! share one pace.

use super::config::GoogleConfig;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

/// Lets so many requests per second pass.
pub(super) type Pace = Arc<DefaultDirectRateLimiter>;

/// What requests are counted by: where they go, the project of the service account, the administrator, and the rate.
/// Resources with different rates each keep their own.
type Quarter = (String, String, String, NonZeroU32);

/// The paces of this process that are in use.
static PACES: LazyLock<Mutex<HashMap<Quarter, Weak<DefaultDirectRateLimiter>>>> = LazyLock::new(Mutex::default);

/// The pace that this source has in common with others.
pub(super) fn shared(config: &GoogleConfig, service_account: &str) -> Pace {
    // `reader@PROJECT.iam.gserviceaccount.com`
    let project = service_account.rsplit_once('@').map_or(service_account, |(_, project)| project);
    let rate = config.requests_per_second;
    let quarter =
        (config.endpoints.directory.clone(), project.to_owned(), config.delegated_admin.to_ascii_lowercase(), rate);
    let mut paces = PACES.lock().unwrap_or_else(PoisonError::into_inner);
    paces.retain(|_, pace| pace.strong_count() > 0);
    if let Some(pace) = paces.get(&quarter).and_then(Weak::upgrade) {
        return pace;
    }
    let pace = Arc::new(RateLimiter::direct(Quota::per_second(rate)));
    paces.insert(quarter, Arc::downgrade(&pace));
    pace
}
