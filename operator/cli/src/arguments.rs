//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps the people and groups of a service like those of a directory.
#[derive(Parser, Debug)]
#[command(name = "directory-sync-operator", version, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print the plan that the operator would store, without applying anything.
    ///
    /// Exit codes: 0 nothing to do, 2 changes pending, 3 held, 1 error.
    Plan(PlanArguments),
    /// Run the operator.
    Run(RunArguments),
    /// Print the `CustomResourceDefinitions` and the policy that guards approvals, as YAML.
    Crd,
    /// Print the version.
    Version,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Namespace to watch, instead of all. May be given more than once.
    #[arg(long = "watch-namespace", value_name = "NAMESPACE")]
    pub watch_namespaces: Vec<String>,
    /// Where metrics and probes are served.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    pub metrics_address: SocketAddr,
    /// How often it is looked whether a Secret or `ConfigMap` was changed that a resource stalled on, such as 10m.
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub recheck_interval: String,
    /// How logs are written.
    #[command(flatten)]
    pub log: LogArguments,
}

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub struct PlanArguments {
    /// YAML with the `DirectorySync` and, beside it, Secrets and `ConfigMaps`; `-` is standard input. May be given
    /// more than once.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Which `DirectorySync`, if there are several.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Folder with Secrets and `ConfigMaps` as files: DIR/<name>/<key>.
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// How the plan is printed.
    #[arg(short = 'o', long, value_enum, default_value_t = PlanFormat::Text)]
    pub output: PlanFormat,
    /// No colour, even on a terminal.
    #[arg(long)]
    pub no_color: bool,
    /// How logs are written.
    #[command(flatten)]
    pub log: LogArguments,
}

/// How a plan is printed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// As it is stored.
    Json,
    /// One line for each change.
    Csv,
    /// For a pull request.
    Markdown,
}

/// How logs are written.
#[derive(Args, Debug)]
pub struct LogArguments {
    /// Format of the logs; `auto` is text on a terminal and JSON otherwise.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,
    /// Lowest level that is logged, such as `info`, or directives such as `info,directory_sync_targets=debug`.
    /// Without it: `warn`. Libraries are heard from warnings on at any level.
    /// Personal data may appear from `debug` on.
    #[arg(long, env = "RUST_LOG", value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Format of logs.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object for each line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
