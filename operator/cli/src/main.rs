//! `directory-sync-operator`: the operator, the plan for people and pipelines, and the manifests of the kinds.
#![allow(unreachable_pub, reason = "a binary has no outside")]

mod arguments;
mod check;
mod crd;
mod explain;
mod logging;
mod manifest;
mod mapped;
mod output;
mod plan;
mod reference;
mod run;
mod subject;

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use crate::arguments::{Arguments, Command, SourceCommand};

/// Exit code of everything that went wrong, wrong arguments included: clap's own 2 would read as pending changes.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to tell if even this cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS };
        }
    };
    match perform(arguments) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::from(FAILED),
        Err(error) => {
            output::complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn perform(arguments: Arguments) -> Result<ExitCode> {
    // Before anything that could open a connection. It fails only if there is a provider already, which there is not.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match arguments.command {
        Command::Plan(arguments) => {
            logging::start(&arguments.log, "warn")?;
            Ok(runtime()?.block_on(plan::plan(&arguments))?.into())
        }
        Command::Explain(arguments) => {
            logging::start(&arguments.log, "warn")?;
            runtime()?.block_on(explain::explain(&arguments))
        }
        Command::Source(SourceCommand::Check(arguments)) => {
            logging::start(&arguments.log, "warn")?;
            runtime()?.block_on(check::check(&arguments))
        }
        Command::Run(arguments) => {
            logging::start(&arguments.log, "info")?;
            let end = runtime()?.block_on(run::run(&arguments));
            // The log is what is read of an operator, and it may be read by a machine.
            Ok(end.map_or_else(
                |error| {
                    tracing::error!(error = output::in_words(&error), "the operator cannot run");
                    ExitCode::from(FAILED)
                },
                |()| ExitCode::SUCCESS,
            ))
        }
        Command::Crd => crd::print().map(|()| ExitCode::SUCCESS),
        Command::Reference { page } => {
            output::print(&reference::page(page))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            output::print(&format!("directory-sync-operator {}\n", version()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The version, and the commit where the build was told it in the variable `DIRECTORY_SYNC_COMMIT`.
fn version() -> String {
    let commit = option_env!("DIRECTORY_SYNC_COMMIT").filter(|commit| !commit.is_empty());
    let commit = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
    format!("{}{commit}", env!("CARGO_PKG_VERSION"))
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Whether the reader of standard output has gone, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
