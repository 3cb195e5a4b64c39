//! Time and memory of a process.

use std::fmt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// How often its memory is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// What a process needed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// From its start to its end.
    pub(crate) wall: Duration,
    /// The most memory that it held at once (resident), in KiB.
    pub(crate) peak: u64,
}

impl Measured {
    pub(crate) fn peak_mebibytes(self) -> u64 {
        self.peak.div_ceil(1024)
    }

    /// Both, one after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, peak: self.peak.max(other.peak) }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.3} s and {} MiB", self.wall.as_secs_f64(), self.peak_mebibytes())
    }
}

/// Runs a command to its end. Its memory is looked at while it runs, because what the kernel tells of it afterwards
/// (`ru_maxrss`) includes what this process held when it started the other.
pub(crate) fn measure(command: &mut Command) -> Result<Measured> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let (peak, has_ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let (ended, wall) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                peak.fetch_max(resident_peak(&status).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(INTERVAL);
            }
        });
        let ended = child.wait();
        let wall = start.elapsed();
        has_ended.store(true, Ordering::Relaxed);
        (ended, wall)
    });
    let ended = ended?;
    ensure!(ended.success(), "{} ended with {ended}", command.get_program().display());
    Ok(Measured { wall, peak: peak.into_inner() })
}

/// The most memory so far, in KiB; none once it has ended.
fn resident_peak(status: &str) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
