//! The state as bytes: gzip of JSON lines, a header and one line per binding.

use super::{Binding, Bindings, SeenFields, State, Times};
use crate::password::Fingerprint;
use crate::snapshot::Counts;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jiff::Timestamp;
use std::io::{self, BufRead, BufReader, Read, Write};

/// Version of the format.
pub const STATE_VERSION: u32 = 1;

/// No line is longer: two ids and two times.
const LINE_LIMIT: u64 = 16 * 1024;

/// Not more bindings than a read may hold entries.
const BINDINGS_LIMIT: usize = 5_000_000;

/// Why stored bytes are no state. The caller stops: planning as if nothing were remembered would forget who is ours.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The bytes are damaged.
    #[error("the stored state cannot be read: {0}; restore it, or delete it to start anew from external ids")]
    Damaged(String),
    /// It was written by another version.
    #[error(
        "the stored state has version {found}, and this operator reads version {STATE_VERSION}; run the operator that wrote it"
    )]
    Version {
        /// Version of the stored state.
        found: u32,
    },
    /// It is larger than any state of ours.
    #[error("the stored state exceeds {BINDINGS_LIMIT} entries or {LINE_LIMIT} bytes in one of them")]
    TooLarge,
}

impl StateError {
    /// The stable name for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "StateDamaged",
            Self::Version { .. } => "StateVersionUnknown",
            Self::TooLarge => "StateTooLarge",
        }
    }

    /// What to do after it.
    pub fn disposition(&self) -> crate::Disposition {
        crate::Disposition::Stall
    }
}

impl crate::disposition::Classified for StateError {
    fn disposition(&self) -> crate::Disposition {
        Self::disposition(self)
    }

    fn reason(&self) -> &'static str {
        Self::reason(self)
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    users: usize,
    groups: usize,
    baseline: Option<Counts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(default)]
    seen: SeenFields,
}

/// Source id, target id, suspended at, missing since (seconds), fingerprint of the password.
#[derive(serde::Serialize, serde::Deserialize)]
struct Line(
    String,
    Option<String>,
    Option<i64>,
    Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<String>,
);

impl State {
    /// Writes the state, packed. The same state gives the same bytes.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut out = GzEncoder::new(out, Compression::default());
        let header = Header {
            version: STATE_VERSION,
            users: self.users.len(),
            groups: self.groups.len(),
            baseline: self.baseline,
            server: self.server.clone(),
            seen: self.seen,
        };
        write_line(&mut out, &header)?;
        for bindings in [&self.users, &self.groups] {
            let mut sorted: Vec<_> = bindings.iter().collect();
            sorted.sort_unstable_by(|a, b| a.source.cmp(&b.source));
            for Binding { source, target, times, password } in sorted {
                let seconds = |time: Option<Timestamp>| time.map(Timestamp::as_second);
                let password = password.map(Fingerprint::digits);
                let line = Line(source, target, seconds(times.suspended_at), seconds(times.missing_since), password);
                write_line(&mut out, &line)?;
            }
        }
        out.finish()?.flush()
    }

    /// Reads what [`State::write`] wrote.
    pub fn read(input: impl Read) -> Result<Self, StateError> {
        let mut input = BufReader::new(GzDecoder::new(input));
        let mut buffer = String::new();
        let header: Header = parse(&mut input, &mut buffer)?;
        if header.version != STATE_VERSION {
            return Err(StateError::Version { found: header.version });
        }
        if header.users.saturating_add(header.groups) > BINDINGS_LIMIT {
            return Err(StateError::TooLarge);
        }
        let mut read = |count: usize| {
            let mut bindings = Bindings::with_capacity(count);
            for _ in 0..count {
                let Line(source, target, suspended_at, missing_since, password) = parse(&mut input, &mut buffer)?;
                let time = |seconds: Option<i64>| {
                    seconds
                        .map(Timestamp::from_second)
                        .transpose()
                        .map_err(|error| StateError::Damaged(error.to_string()))
                };
                let times = Times { suspended_at: time(suspended_at)?, missing_since: time(missing_since)? };
                if !bindings.insert(&source, target.as_deref(), times) {
                    return Err(StateError::Damaged("an entry is there twice".to_owned()));
                }
                if let Some(digits) = password {
                    let no_password =
                        || StateError::Damaged("what is remembered of a password is no fingerprint".to_owned());
                    bindings.remember_password(&source, Fingerprint::of_digits(&digits).ok_or_else(no_password)?);
                }
            }
            Ok(bindings)
        };
        let (users, groups) = (read(header.users)?, read(header.groups)?);
        Ok(Self::of(users, groups, header.baseline).served_by(header.server).with_seen(header.seen))
    }
}

fn write_line(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn parse<T: serde::de::DeserializeOwned>(input: &mut impl BufRead, buffer: &mut String) -> Result<T, StateError> {
    let damaged = |error: &dyn std::fmt::Display| StateError::Damaged(error.to_string());
    buffer.clear();
    let read = input.take(LINE_LIMIT).read_line(buffer).map_err(|error| damaged(&error))?;
    if read as u64 == LINE_LIMIT && !buffer.ends_with('\n') {
        return Err(StateError::TooLarge);
    }
    if !buffer.ends_with('\n') {
        return Err(damaged(&"it ends too early"));
    }
    // The message of the parser could quote personal data.
    serde_json::from_str(buffer).map_err(|_| damaged(&"a line is not what was written"))
}
