//! `reference`: the pages of `docs/reference/` that are made from this program.

use std::fmt::Write as _;

use clap::CommandFactory as _;
use directory_sync_controller::{metrics, reasons};

use crate::arguments::{Arguments, Page};

/// A page, as Markdown.
pub fn page(page: Page) -> String {
    match page {
        Page::Metrics => metrics::reference(),
        Page::Reasons => reasons::reference(),
        Page::CommandLine => command_line(),
    }
}

/// The long help of every command.
fn command_line() -> String {
    let mut program = Arguments::command().term_width(100);
    program.build();
    let mut page = "# Command line\n\nWhat `--help` prints.\n".to_owned();
    add(&mut page, &mut program);
    add_below(&mut page, &mut program);
    page
}

/// The commands below one, and those below them.
fn add_below(page: &mut String, command: &mut clap::Command) {
    for command in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        add(page, command);
        add_below(page, command);
    }
}

fn add(page: &mut String, command: &mut clap::Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end());
}
