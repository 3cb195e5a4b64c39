//! When a request is sent again, and after what pause.

use super::config::Backoff;
use super::error::GoogleError;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use std::time::Duration;

/// Longest pause on the other side's word; a longer one ends the request and is left to the next run.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often an answer that was lost on the way is asked for again. Pauses for Google's quotas outlast a minute; a way
/// that stays bad is left to the next run, so that nobody waits minutes for one that drips.
const LOST_TIMES: usize = 3;

/// The pauses of one request. Every request of a source only looks, or asks for a token, so that each may be repeated.
#[derive(Debug)]
pub(super) struct Pauses {
    backoff: ExponentialBackoff,
    /// How many answers were lost on the way.
    lost: usize,
}

impl Pauses {
    pub(super) fn new(backoff: Backoff) -> Self {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(backoff.first)
            .with_max_delay(backoff.longest)
            .with_max_times(backoff.times)
            .with_jitter();
        Self { backoff: pauses.build(), lost: 0 }
    }

    /// How long to wait before the request is sent again; `None`: the error is final.
    pub(super) fn after(&mut self, error: &GoogleError) -> Option<Duration> {
        let asked = match error {
            GoogleError::RateLimited { wait, .. } | GoogleError::ServerError { wait, .. } => *wait,
            GoogleError::Unreachable { .. } | GoogleError::TimedOut { .. } | GoogleError::CutShort { .. } => {
                self.lost += 1;
                if self.lost > LOST_TIMES {
                    return None;
                }
                None
            }
            _ => return None,
        };
        let pause = self.backoff.next()?.max(asked.unwrap_or_default());
        (pause <= LONGEST_WAIT).then_some(pause)
    }
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or an HTTP date. At most a day.
pub(super) fn retry_after(header: Option<&HeaderValue>, now: Timestamp) -> Option<Duration> {
    const DAY: u64 = 86_400;
    let text = header?.to_str().ok()?.trim();
    let seconds = if let Ok(seconds) = text.parse::<u64>() {
        seconds
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        u64::try_from(date.as_second().saturating_sub(now.as_second())).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds.min(DAY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(seconds: u64) -> GoogleError {
        let wait = Some(Duration::from_secs(seconds));
        GoogleError::RateLimited { url: String::new(), reason: String::new(), wait }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-06T08:49:30Z".parse().unwrap();
        let after = |text: &'static str| retry_after(Some(&HeaderValue::from_static(text)), now);
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Fri, 06 Nov 2026 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(after("soon"), None);
        assert_eq!(after("99999999999"), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn what_is_asked_for_is_waited_unless_it_is_long() {
        let mut pauses = Pauses::new(Backoff::default());
        assert!(pauses.after(&limited(7)).unwrap() >= Duration::from_secs(7));
        assert_eq!(pauses.after(&limited(600)), None);
    }

    #[test]
    fn pauses_come_to_an_end_and_refusals_get_none() {
        let mut pauses = Pauses::new(Backoff::default());
        assert_eq!((0..50).filter(|_| pauses.after(&limited(0)).is_some()).count(), Backoff::default().times);
        let lost = GoogleError::TimedOut { url: String::new(), after: Duration::ZERO };
        let mut pauses = Pauses::new(Backoff::default());
        assert_eq!((0..50).filter(|_| pauses.after(&lost).is_some()).count(), LOST_TIMES);
        let refused = GoogleError::NotFound { url: String::new(), detail: String::new() };
        assert_eq!(Pauses::new(Backoff::default()).after(&refused), None);
    }
}
