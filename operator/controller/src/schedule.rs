//! Due times: a cron pattern in a time zone, later by an amount that is fixed for each resource.

use croner::Cron;
use directory_sync_core::disposition::{Classified, Disposition};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// When the runs of one resource are due.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    /// By how much every due time of this resource is later than the pattern says.
    offset: SignedDuration,
}

/// Why a schedule cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The pattern is no cron pattern, or names a day that never comes.
    #[error("spec.schedule.cron: {pattern:?} names no due time ({cause}); write five fields such as \"0 * * * *\"")]
    Cron {
        /// What was written.
        pattern: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The time zone is not known.
    #[error("spec.schedule.timeZone: {name:?} is no time zone known here; write an IANA name such as Europe/Berlin")]
    TimeZone {
        /// What was written.
        name: String,
    },
    /// The jitter is no duration.
    #[error("spec.schedule.jitter: {text:?} is no duration; write it as 90s or 2m")]
    Jitter {
        /// What was written.
        text: String,
    },
}

impl Classified for ScheduleError {
    fn disposition(&self) -> Disposition {
        Disposition::Stall
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Cron { .. } | Self::Jitter { .. } => "InvalidSchedule",
            Self::TimeZone { .. } => "InvalidTimeZone",
        }
    }
}

impl Schedule {
    /// Compiles a schedule for the resource with this `uid`, which fixes its offset within the jitter.
    pub fn of(spec: &directory_sync_api::schedule::Schedule, uid: &str) -> Result<Self, ScheduleError> {
        let invalid = |cause: String| ScheduleError::Cron { pattern: spec.cron.clone(), cause };
        let cron = Cron::from_str(spec.cron.trim()).map_err(|error| invalid(in_words(&error.to_string())))?;
        let zone =
            TimeZone::get(&spec.time_zone).map_err(|_| ScheduleError::TimeZone { name: spec.time_zone.clone() })?;
        let jitter = jiff::fmt::friendly::SpanParser::new()
            .parse_duration(&spec.jitter)
            .ok()
            .filter(|jitter| !jitter.is_negative())
            .ok_or_else(|| ScheduleError::Jitter { text: spec.jitter.clone() })?;
        let schedule = Self { cron, zone, offset: share(jitter, uid) };
        // A pattern such as `0 0 30 2 *` is well formed and never due.
        schedule
            .cron
            .find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), false)
            .map_err(|_| invalid("such a day never comes".to_owned()))?;
        Ok(schedule)
    }

    /// The first due time later than `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let unshifted = after.checked_sub(self.offset).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&unshifted, false).ok()?;
        next.timestamp().checked_add(self.offset).ok()
    }
}

/// `Component error: Number out of bounds.` as part of a sentence.
fn in_words(error: &str) -> String {
    let (_, cause) = error.split_once(": ").unwrap_or_default();
    let cause = if cause.is_empty() { error } else { cause };
    cause.trim_end_matches('.').to_lowercase()
}

/// A share of `jitter` in whole milliseconds that depends on nothing but `uid`.
fn share(jitter: SignedDuration, uid: &str) -> SignedDuration {
    let digest = Sha256::digest(uid.as_bytes());
    let part = digest.iter().take(4).fold(0_i128, |number, &byte| number << 8 | i128::from(byte));
    let milliseconds = jitter.as_millis() * part / i128::from(u32::MAX);
    SignedDuration::from_millis(i64::try_from(milliseconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: &str, jitter: &str, uid: &str) -> Result<Schedule, ScheduleError> {
        let spec = directory_sync_api::schedule::Schedule {
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
            jitter: jitter.to_owned(),
        };
        Schedule::of(&spec, uid)
    }

    fn next(schedule: &Schedule, after: &str) -> String {
        schedule.next_after(after.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_due_time_is_later_than_the_time_asked_from() {
        let hourly = schedule("0 * * * *", "UTC", "0s", "a").unwrap();
        assert_eq!(next(&hourly, "2026-03-01T09:59:59Z"), "2026-03-01T10:00:00Z");
        assert_eq!(next(&hourly, "2026-03-01T10:00:00Z"), "2026-03-01T11:00:00Z");
    }

    #[test]
    fn a_pattern_means_the_clock_on_the_wall_of_its_time_zone() {
        let daily = schedule("0 3 * * *", "Europe/Berlin", "0s", "a").unwrap();
        assert_eq!(next(&daily, "2026-01-10T12:00:00Z"), "2026-01-11T02:00:00Z");
        assert_eq!(next(&daily, "2026-07-10T12:00:00Z"), "2026-07-11T01:00:00Z");
    }

    #[test]
    fn a_due_time_that_the_clock_skips_in_spring_still_comes_that_day() {
        let daily = schedule("30 2 * * *", "Europe/Berlin", "0s", "a").unwrap();
        let due: Timestamp = next(&daily, "2026-03-28T12:00:00Z").parse().unwrap();
        assert_eq!(due.to_zoned(TimeZone::get("Europe/Berlin").unwrap()).date().to_string(), "2026-03-29");
    }

    #[test]
    fn jitter_is_the_same_at_every_due_time_of_one_resource_and_differs_between_resources() {
        let of = |uid| schedule("0 * * * *", "UTC", "10m", uid).unwrap();
        let first: Timestamp = next(&of("a"), "2026-03-01T09:30:00Z").parse().unwrap();
        let offset = first.duration_since("2026-03-01T10:00:00Z".parse().unwrap());
        assert!(offset >= SignedDuration::ZERO && offset <= SignedDuration::from_mins(10));
        let second = of("a").next_after(first).unwrap();
        assert_eq!(second.duration_since(first), SignedDuration::from_hours(1));
        assert_ne!(of("b").offset, of("a").offset);
    }

    #[test]
    fn what_cannot_be_followed_is_named_with_its_field() {
        for (cron, zone, jitter, field) in [
            ("61 * * * *", "UTC", "0s", "spec.schedule.cron"),
            ("0 0 30 2 *", "UTC", "0s", "spec.schedule.cron"),
            ("0 * * * *", "Europe/Atlantis", "0s", "spec.schedule.timeZone"),
            ("0 * * * *", "UTC", "soon", "spec.schedule.jitter"),
        ] {
            let error = schedule(cron, zone, jitter, "a").unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
            assert_eq!(error.disposition(), Disposition::Stall);
        }
    }
}
