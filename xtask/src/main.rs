//! The commands of a developer: `cargo xtask <command>`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool speaks by printing")]

mod bench;
mod demo;
mod fuzz;
mod generate;
mod spinner;
mod steps;
mod test;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use directory_sync_tests::peers::tools;

/// Builds, tests and shows directory-sync-operator.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show what the operator does, on real software.
    Demo(demo::Arguments),
    /// Run every check and every test; install what they need.
    Test(test::Arguments),
    /// Write the files that are generated from the code: manifests of the kinds and the reference.
    Generate(generate::Arguments),
    /// Look for bytes from outside for which does not hold what has to.
    Fuzz(fuzz::Arguments),
    /// Measure what has a budget.
    Bench(bench::Arguments),
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Generate(arguments) => generate::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
    }
}

/// The top folder of the checkout.
fn workspace() -> Result<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(folder.parent().context("xtask lies in a folder of the workspace")?.to_owned())
}

/// The operator's program, built from the sources as they are now.
fn operator(progress: tools::Progress<'_>) -> Result<PathBuf> {
    const PROGRAM: &str = "directory-sync-operator";
    // As the tests build it: another choice of packages would unite other features, and build all dependencies anew.
    tools::run(&mut cargo(&["build", "--workspace", "--bin", PROGRAM])?, progress)?;
    let program = std::env::current_exe()?.with_file_name(PROGRAM);
    ensure!(program.is_file(), "cargo built no {}", program.display());
    Ok(program)
}

/// The cargo that started this, in the top folder.
fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace()?);
    Ok(command)
}
