//! Logs: text on a terminal, JSON otherwise, always on standard error.

use std::io;

use anyhow::{Context as _, Result, ensure};
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::arguments::{LogArguments, LogFormat};
use crate::output;

/// What all crates of this project are called at the beginning.
const OUR_CRATES: &str = "directory_sync";

/// Starts logging, at `usual_level` unless another one is asked for.
///
/// Libraries are heard from the level of warnings on, whatever level is asked for: what they say in more detail may
/// quote what they carry, passwords and people included.
///
/// # Errors
/// If the level is no level.
pub fn start(arguments: &LogArguments, usual_level: &str) -> Result<()> {
    let level = arguments.log_level.as_deref().unwrap_or(usual_level);
    let wrong = || format!("--log-level `{level}` is no level; write error, warn, info, debug or trace");
    // The filter would take any other word for the name of a library, and log all of that and nothing else.
    ensure!(level.split(',').all(|part| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok()), wrong());
    let level = EnvFilter::try_new(level).with_context(wrong)?;
    let ours_or_grave = filter_fn(|event| *event.level() <= Level::WARN || event.target().starts_with(OUR_CRATES));
    let filter = level.and(ours_or_grave);
    let registry = tracing_subscriber::registry();
    if is_json(arguments.log_format) {
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr);
        registry.with(lines.with_filter(filter)).init();
    } else {
        let lines =
            tracing_subscriber::fmt::layer().with_ansi(output::may_colour(&io::stderr())).with_writer(io::stderr);
        registry.with(lines.with_filter(filter)).init();
    }
    Ok(())
}

fn is_json(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => !output::stderr_is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}
