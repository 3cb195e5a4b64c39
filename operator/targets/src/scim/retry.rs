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

/// The pauses of one request.
#[derive(Debug)]
pub(super) struct Retries {
    pauses: ExponentialBackoff,
    idempotent: bool,
}

impl Retries {
    /// Of a request that may (`idempotent`) or may not be sent a second time without doing its work twice.
    pub(super) fn new(idempotent: bool) -> Self {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(4)
            .with_jitter()
            .build();
        Self { pauses, idempotent }
    }

    /// How long to wait before the request is sent again; `None`: the error is final.
    pub(super) fn pause(&mut self, error: &ScimError) -> Option<Duration> {
        let asked = match error {
            // The service did not touch the request, so that even a creation may be sent again.
            ScimError::RateLimited { wait, .. } => Some(*wait),
            ScimError::ServerError { wait, .. } if self.idempotent => *wait,
            ScimError::Unreachable { sent, .. } | ScimError::TimedOut { sent, .. } if self.idempotent || !sent => None,
            _ => return None,
        };
        let pause = self.pauses.next()?.max(asked.unwrap_or_default());
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
    fn only_an_idempotent_request_is_sent_again_after_a_server_error() {
        assert!(Retries::new(true).pause(&server_error()).is_some());
        assert!(Retries::new(false).pause(&server_error()).is_none());
    }

    #[test]
    fn a_request_the_service_did_not_take_is_sent_again_whatever_it_is() {
        assert!(Retries::new(false).pause(&rate_limited(3)).unwrap() >= Duration::from_secs(3));
    }

    #[test]
    fn a_long_pause_is_left_to_the_next_run() {
        assert!(Retries::new(true).pause(&rate_limited(3600)).is_none());
    }

    #[test]
    fn retries_come_to_an_end() {
        let mut retries = Retries::new(true);
        assert_eq!((0..10).filter(|_| retries.pause(&server_error()).is_some()).count(), 4);
    }
}
