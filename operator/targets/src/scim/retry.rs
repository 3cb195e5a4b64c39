//! When a request is sent again, and after what pause.

use super::error::ScimError;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use std::time::Duration;

/// Longest pause of one request on the service's word; a longer one ends the request and is left to the next run.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Pause after a 429 that does not say how long.
const UNSPECIFIED_WAIT: Duration = Duration::from_secs(5);

/// How often a request that only looks, or that the service did not take, is sent again.
const REPETITIONS: usize = 4;

/// How often a change is tried again after the object was read: a change in between (412) or a lost answer costs one.
const FURTHER_ATTEMPTS: usize = 2;

fn pauses(most: usize) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(most)
        .with_jitter()
        .build()
}

/// The next pause, at least as long as the service asks for; `None`: there was the last, or it asks for too long.
fn next(pauses: &mut ExponentialBackoff, asked: Option<Duration>) -> Option<Duration> {
    let pause = pauses.next()?.max(asked.unwrap_or_default());
    (pause <= LONGEST_WAIT).then_some(pause)
}

/// The pauses of one request.
#[derive(Debug)]
pub(super) struct Retries {
    pauses: ExponentialBackoff,
    only_looks: bool,
}

impl Retries {
    /// Of a request that only looks, or of one that changes something and is sent again only where it is certain that
    /// the service did not take it.
    pub(super) fn new(only_looks: bool) -> Self {
        Self { pauses: pauses(REPETITIONS), only_looks }
    }

    /// How long to wait before the request is sent again; `None`: the error is final.
    pub(super) fn pause(&mut self, error: &ScimError) -> Option<Duration> {
        let asked = match error {
            // The service did not touch the request, so that even a creation may be sent again.
            ScimError::RateLimited { wait, .. } => Some(*wait),
            ScimError::ServerError { wait, .. } if self.only_looks => *wait,
            ScimError::Unreachable { sent, .. } | ScimError::TimedOut { sent, .. } if self.only_looks || !sent => None,
            _ => return None,
        };
        next(&mut self.pauses, asked)
    }
}

/// The attempts at one change. Between two of them the object is read again.
#[derive(Debug)]
pub(super) struct Attempts {
    pauses: ExponentialBackoff,
}

impl Attempts {
    /// Before the first attempt.
    pub(super) fn new() -> Self {
        Self { pauses: pauses(FURTHER_ATTEMPTS) }
    }

    /// How long to wait before the object is read after an error that leaves open what became of the change; `None`:
    /// not at all, and the change is not tried again. What is still under way at the service has this time to end.
    pub(super) fn pause(&mut self, error: &ScimError) -> Option<Duration> {
        let pause = next(&mut self.pauses, error.asked_to_wait())?;
        // Of a refusal it is known what became of it.
        Some(if error.is_ambiguous() { pause } else { Duration::ZERO })
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

/// The pause that a 429 asks for.
pub(super) fn asked_pause(header: Option<&HeaderValue>) -> Duration {
    retry_after(header, Timestamp::now()).unwrap_or(UNSPECIFIED_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<Duration> {
        let now: Timestamp = "2026-11-06T08:49:30Z".parse().unwrap();
        retry_after(Some(&HeaderValue::from_str(text).unwrap()), now)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Fri, 06 Nov 2026 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(after("Fri, 06 Nov 2026 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        assert_eq!(after("99999999999"), Some(Duration::from_secs(86_400)));
    }

    fn server_error() -> ScimError {
        ScimError::ServerError { url: String::new(), status: 500, detail: String::new(), wait: None }
    }

    fn rate_limited(seconds: u64) -> ScimError {
        ScimError::RateLimited { url: String::new(), wait: Duration::from_secs(seconds) }
    }

    #[test]
    fn only_a_request_that_looks_is_sent_again_after_a_server_error_or_a_lost_answer() {
        let lost = || ScimError::TimedOut { url: String::new(), after: Duration::ZERO, sent: true };
        assert!(Retries::new(true).pause(&lost()).is_some());
        assert!(Retries::new(false).pause(&lost()).is_none());
        assert!(Retries::new(true).pause(&server_error()).is_some());
        assert!(Retries::new(false).pause(&server_error()).is_none());
    }

    #[test]
    fn a_request_the_service_did_not_take_is_sent_again_whatever_it_is() {
        assert!(Retries::new(false).pause(&rate_limited(3)).unwrap() >= Duration::from_secs(3));
    }

    #[test]
    fn a_request_that_certainly_did_not_arrive_is_sent_again_whatever_it_is() {
        let unsent = ScimError::Unreachable { url: String::new(), cause: String::new(), sent: false };
        assert!(Retries::new(false).pause(&unsent).is_some());
    }

    #[test]
    fn a_long_pause_is_left_to_the_next_run() {
        assert!(Retries::new(true).pause(&rate_limited(3600)).is_none());
        let error = ScimError::ServerError {
            url: String::new(),
            status: 503,
            detail: String::new(),
            wait: Some(Duration::from_secs(3600)),
        };
        assert!(Attempts::new().pause(&error).is_none());
    }

    #[test]
    fn a_change_is_tried_three_times_in_all() {
        let mut attempts = Attempts::new();
        assert_eq!((0..10).filter(|_| attempts.pause(&server_error()).is_some()).count(), 2);
    }

    #[test]
    fn retries_come_to_an_end() {
        let mut retries = Retries::new(true);
        assert_eq!((0..10).filter(|_| retries.pause(&server_error()).is_some()).count(), 4);
    }
}
