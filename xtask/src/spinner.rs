//! A sign of life beside a long step.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A spinner with what runs, how long it has, and the newest line of it as its message.
pub(crate) fn spinner(what: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} ({elapsed}) {wide_msg:.dim}") {
        spinner.set_style(style);
    }
    spinner.set_prefix(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
