//! The command line.
#![allow(clippy::doc_markdown, reason = "these comments are printed as help, where backticks are noise")]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// Keeps the people and groups of a service like those of a directory.
///
/// What is to be kept is described by DirectorySync resources in a Kubernetes cluster. `run` is the operator that keeps
/// it; `source check` shows what the directory gives, `plan` what would change, and `explain` what becomes of one person.
#[derive(Parser, Debug)]
#[command(name = "directory-sync-operator", version, propagate_version = true, max_term_width = 100)]
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
    /// Both sides are read, compared, and judged by limits and guards. Whoever would be suspended, deleted or removed
    /// from a group is looked up in the source once more. Nothing is ever sent to the target or written to a cluster.
    #[command(after_long_help = PLAN_NOTES)]
    Plan(PlanArguments),
    /// Follow one person or group from the source to the target, and say where and why it stops.
    ///
    /// Reads and plans as `plan` does, and looks for the person or group in the source without the filters as well.
    /// Nothing is ever sent to the target or written to a cluster.
    #[command(after_long_help = EXPLAIN_NOTES)]
    Explain(ExplainArguments),
    /// Look at the source alone.
    #[command(subcommand)]
    Source(SourceCommand),
    /// Run the operator, until SIGTERM or SIGINT.
    ///
    /// The cluster is that of the pod's service account, or of the current context of the kubeconfig (KUBECONFIG, or
    /// ~/.kube/config). On SIGTERM the request under way is finished and the state is saved. Exit codes: 0 told to
    /// end, 1 could not run.
    Run(RunArguments),
    /// Print the CustomResourceDefinitions and the policy that guards approvals, as YAML.
    ///
    /// To install them: directory-sync-operator crd | kubectl apply --server-side -f -
    Crd,
    /// Print a page of the reference, as Markdown.
    Reference {
        /// Which page.
        #[arg(value_enum)]
        page: Page,
    },
    /// Print the version and, where the build knows it, the commit.
    Version,
}

const PLAN_NOTES: &str = "\
Secrets and ConfigMaps are looked for in the streams of -f, then in the folder of --secrets, then in the cluster. \
The first that has one of the name gives all its keys: what stands beside a manifest is what the cluster will hold \
once it is applied.

Exit codes:
  0  nothing to do
  2  changes are pending
  3  changes are held by a limit or a guard, or wait for an approval
  1  something went wrong, and nothing is known

With a cluster the plan has the digest that the operator stores, because the state is known: whom it manages, who was \
suspended when, and what the last good read found. Approvals are not looked at. Without a cluster, or before the \
operator's first run, a note on standard error says which guards cannot work.

The account of the context needs the right to get directorysyncs and directorysyncstates and, unless they stand in a \
stream or a folder, the Secrets and ConfigMaps that the DirectorySync names. It needs no other right.

Examples:
  directory-sync-operator plan -f sync.yaml --secrets secrets -o markdown
  directory-sync-operator plan -f sync.yaml --context production
  directory-sync-operator plan staff --namespace identity";

const CHECK_NOTES: &str = "\
Exit codes:
  0  the source was read whole, and there is nothing to warn of
  2  the source was read whole, with warnings
  1  it could not be read, or the mapping finds nobody

Example:
  directory-sync-operator source check -f sync.yaml --secrets secrets --limit 3";

const EXPLAIN_NOTES: &str = "\
Exit codes:
  0  nothing is to be changed: in line with the source, or left alone
  2  changes are pending
  3  changes are held by a limit or a guard, or wait for an approval
  1  nobody was found on either side, or something went wrong

Without a cluster the state is not known: see plan.

Examples:
  directory-sync-operator explain -f sync.yaml ada@example.com
  directory-sync-operator explain --sync staff --namespace identity 'uid=ada,ou=People,dc=example,dc=com'";

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Namespace to watch, instead of all. May be given more than once.
    #[arg(long = "watch-namespace", value_name = "NAMESPACE")]
    pub watch_namespaces: Vec<String>,
    /// Where metrics (/metrics) and probes (/livez, /readyz) are served.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    pub metrics_address: SocketAddr,
    /// How often it is looked whether a Secret or ConfigMap was changed that a resource stalled on, such as 10m.
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub recheck_interval: String,
    /// How logs are written.
    #[command(flatten)]
    pub log: LogArguments,
}

/// Arguments of `plan`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("subject").args(["name", "files"]).required(true).multiple(true))]
pub struct PlanArguments {
    /// Name of the DirectorySync: which one of a stream that holds several, or which one of the cluster where no stream
    /// holds any.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where it is described.
    #[command(flatten)]
    pub place: PlaceArguments,
    /// How the plan is printed.
    #[arg(short = 'o', long, value_enum, default_value_t = PlanFormat::Text)]
    pub output: PlanFormat,
    /// No colour, even on a terminal. NO_COLOR in the environment does the same.
    #[arg(long)]
    pub no_color: bool,
    /// How logs are written.
    #[command(flatten)]
    pub log: LogArguments,
}

/// Where a DirectorySync and what it refers to are.
#[derive(Args, Debug)]
pub struct PlaceArguments {
    /// YAML with the DirectorySync and, beside it, Secrets and ConfigMaps; - is standard input. May be given more than
    /// once. Without it everything comes from the cluster.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Folder with Secrets and ConfigMaps as files: DIR/<name>/<key>.
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Context of the kubeconfig (KUBECONFIG, or ~/.kube/config) whose cluster is read: the state, and what no stream
    /// and no folder holds.
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// Read the cluster of the current context or, in a pod, of its service account. Implied where there is no -f.
    #[arg(long, conflicts_with = "context")]
    pub cluster: bool,
    /// Namespace of the DirectorySync, where its manifest does not say it. Without this: that of the context.
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

/// What about the source.
#[derive(Subcommand, Debug)]
pub enum SourceCommand {
    /// Read the source and say what it gives, before any plan.
    ///
    /// Connects, reads everything and maps it, and says what answered, as whom and how encrypted, how many entries
    /// became people and groups and how many did not and why, and who the first ones are. The target is not looked at.
    #[command(after_long_help = CHECK_NOTES)]
    Check(CheckArguments),
}

/// Arguments of `source check`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("subject").args(["name", "files"]).required(true).multiple(true))]
pub struct CheckArguments {
    /// Name of the DirectorySync: which one of a stream that holds several, or which one of the cluster where no stream
    /// holds any.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where it is described.
    #[command(flatten)]
    pub place: PlaceArguments,
    /// How many people, and how many groups, are shown as they are mapped.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub limit: usize,
    /// How it is printed.
    #[arg(short = 'o', long, value_enum, default_value_t = TextFormat::Text)]
    pub output: TextFormat,
    /// How logs are written.
    #[command(flatten)]
    pub log: LogArguments,
}

/// Arguments of `explain`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("subject").args(["sync", "files"]).required(true).multiple(true))]
pub struct ExplainArguments {
    /// The person or group: an address, an alias, an id of either side, the name of a group or, in LDAP, a DN.
    #[arg(value_name = "WHO", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub who: String,
    /// Name of the DirectorySync: which one of a stream that holds several, or which one of the cluster where no stream
    /// holds any.
    #[arg(long, value_name = "NAME")]
    pub sync: Option<String>,
    /// Where it is described.
    #[command(flatten)]
    pub place: PlaceArguments,
    /// How it is printed.
    #[arg(short = 'o', long, value_enum, default_value_t = TextFormat::Text)]
    pub output: TextFormat,
    /// How logs are written.
    #[command(flatten)]
    pub log: LogArguments,
}

/// How something is printed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How a plan is printed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// As it is stored.
    Json,
    /// For spreadsheets: one line for each change.
    Csv,
    /// For a pull request.
    Markdown,
}

/// A page of the reference.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// What /metrics serves.
    Metrics,
    /// What the reasons in conditions, events and metrics mean, and what to do.
    Reasons,
    /// This command line.
    CommandLine,
}

/// How logs are written.
#[derive(Args, Debug)]
pub struct LogArguments {
    /// Format of the logs, which go to standard error.
    #[arg(long, env = "LOG_FORMAT", hide_env_values = true, value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,
    /// Lowest level that is logged: error, warn, info, debug or trace, or directives such as
    /// info,directory_sync_targets=debug. Without it: info for run, warn for plan. Libraries are heard from warnings on
    /// at any level. Personal data may appear from debug on, secrets never.
    #[arg(long, env = "RUST_LOG", hide_env_values = true, value_name = "LEVEL")]
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

    #[test]
    fn a_plan_needs_a_stream_or_a_name() {
        let parses = |arguments: &[&str]| {
            let all = ["directory-sync-operator", "plan"].iter().chain(arguments);
            Arguments::try_parse_from(all).is_ok()
        };
        assert!(!parses(&[]) && !parses(&["--context", "production"]));
        assert!(parses(&["-f", "sync.yaml"]) && parses(&["staff", "--context", "production"]));
        assert!(!parses(&["staff", "--context", "production", "--cluster"]));
    }
}
