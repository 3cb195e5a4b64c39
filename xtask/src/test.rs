//! `cargo xtask test`: every check and every test.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use directory_sync_tests::peers::tools::{self, cargo::CargoTool};

use crate::steps::Steps;
use crate::{cargo, fuzz, generate, workspace};

/// How long each fuzz target runs.
const FUZZ_TIME: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only these steps, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Step>,
}

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Install what the tests run against.
    Tools,
    /// The code is formatted.
    Format,
    /// The code has no warnings.
    Lint,
    /// The generated files are those that the code generates.
    Generated,
    /// What is built in has the licences and the origin that deny.toml allows, and nothing twice.
    Deny,
    /// Tests of single modules.
    Unit,
    /// Tests of crates, of the chart, and of the whole operator against real peers.
    Integration,
    /// The examples in the documentation of the code.
    Doc,
    /// A minute of search for bytes from outside for which does not hold what has to.
    Fuzz,
}

impl Step {
    fn purpose(self) -> &'static str {
        match self {
            Self::Tools => "installing what the tests run against",
            Self::Format => "the code is formatted",
            Self::Lint => "the code has no warnings",
            Self::Generated => "the generated files are current",
            Self::Deny => "licences, duplicates and origins of what is built in",
            Self::Unit => "tests of single modules",
            Self::Integration => "tests of crates, of the chart, and of the whole against real peers",
            Self::Doc => "examples in the documentation",
            Self::Fuzz => "no bytes from outside break what has to hold",
        }
    }

    fn run(self, progress: tools::Progress<'_>) -> Result<()> {
        // The same packages in every test step: another choice would unite other features and build everything anew.
        match self {
            Self::Tools => tools::install(progress),
            Self::Format => tools::run(&mut cargo(&["fmt", "--all", "--check"])?, progress),
            Self::Lint => {
                tools::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?, progress)
            }
            Self::Generated => generate::check(progress),
            Self::Deny => tools::run(
                Command::new(CargoTool::Deny.program()?)
                    .args(["--offline", "--locked", "check", "-D", "warnings", "licenses", "bans", "sources"])
                    .current_dir(workspace()?),
                progress,
            ),
            Self::Unit => {
                tools::run(&mut cargo(&["test", "--workspace", "--no-fail-fast", "--lib", "--bins"])?, progress)
            }
            Self::Integration => {
                tools::run(&mut cargo(&["test", "--workspace", "--no-fail-fast", "--test", "*"])?, progress)
            }
            Self::Doc => tools::run(&mut cargo(&["test", "--workspace", "--doc"])?, progress),
            Self::Fuzz => fuzz::search(&fuzz::targets()?, FUZZ_TIME, progress),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::default();
    for &step in Step::value_variants() {
        if arguments.only.is_empty() || arguments.only.contains(&step) {
            let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            let passed = steps.run(&name, step.purpose(), |progress| step.run(progress));
            if !passed && step == Step::Tools {
                eprintln!(
                    "\nWithout these the rest is not tried. What needs none of them: \
                     cargo xtask test --only format,lint,generated,unit,doc"
                );
                break;
            }
        }
    }
    steps.finish()
}
