//! Durations as the API writes them: `90s`, `15m`, `720h`.

use jiff::{SignedDuration, fmt::friendly::SpanParser};

use super::ConvertError;
use crate::source::SourceSpec;

/// The duration that the field at `path` names; zero is allowed, as for a jitter.
///
/// # Errors
/// If the text is no duration, or a negative one.
pub fn duration(path: &str, text: &str) -> Result<SignedDuration, ConvertError> {
    SpanParser::new()
        .parse_duration(text)
        .ok()
        .filter(|duration| !duration.is_negative())
        .ok_or_else(|| ConvertError::Duration { path: path.to_owned(), text: text.to_owned() })
}

/// The duration that the field at `path` names, longer than zero, as for a timeout.
///
/// # Errors
/// If the text is no duration, or none that lets time pass.
pub fn positive_duration(path: &str, text: &str) -> Result<SignedDuration, ConvertError> {
    let duration = duration(path, text)?;
    if duration.is_zero() {
        return Err(ConvertError::NoTime { path: path.to_owned(), text: text.to_owned() });
    }
    Ok(duration)
}

/// How old a read of another resource may be for this one to use it; zero: it shares nothing.
///
/// # Errors
/// If the text is no duration, or a negative one.
pub fn freshness(spec: &SourceSpec) -> Result<SignedDuration, ConvertError> {
    duration("spec.source.freshness", &spec.freshness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("720h", 2_592_000), ("1h30m", 5400), ("0s", 0)] {
            assert_eq!(duration("spec.x", text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("spec.x", "250ms"), Ok(SignedDuration::from_millis(250)));
    }

    #[test]
    fn what_is_no_duration_is_named_with_its_field() {
        let error = duration("spec.removal.deleteAfter", "soon").unwrap_err().to_string();
        assert_eq!(error, "spec.removal.deleteAfter: \"soon\" is no duration; write it like 90s, 15m or 720h");
        assert!(duration("spec.x", "-5s").is_err());
    }

    #[test]
    fn a_timeout_of_zero_is_refused() {
        assert!(matches!(positive_duration("spec.x", "0s"), Err(ConvertError::NoTime { .. })));
    }
}
