//! `cargo xtask demo`: the operator's main job on real software.

mod terminal;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use directory_sync_tests::peers::tools::{self, kubernetes};
use directory_sync_tests::story::{self, Cluster, Existing, KeptStage, Narrator, Secrets, Setting, Stage};
use tokio::signal::unix::{SignalKind, signal};

use self::terminal::Terminal;
use crate::operator;

const INTERRUPTED: &str = "Interrupted. Everything that was started is stopped again.";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leave everything running at the end, to go on by hand.
    #[arg(long, conflicts_with = "context")]
    keep: bool,
    /// Wait for Enter after every chapter.
    #[arg(long)]
    step: bool,
    /// Use the cluster of this context of your kubeconfig instead of a new one. It gets the kinds and two namespaces,
    /// which are removed at the end.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Do not ask whether the cluster may be used.
    #[arg(long, requires = "context")]
    yes: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut terminal = Terminal::new(arguments.step);
    if let Some(context) = &arguments.context
        && !arguments.yes
    {
        ask(context)?;
    }
    let start = Instant::now();
    let runtime = tokio::runtime::Runtime::new()?;
    let existing = arguments.context.clone().map(|context| Existing { context, kubeconfig: None });
    terminal.say(
        "This shows what directory-sync-operator does, on real parts: Kubernetes, OpenLDAP and a SCIM service. The first \
         time they are built and installed, which takes some ten minutes; they are kept for later runs.",
    );
    if let Some(existing) = &existing {
        look_at(existing, &mut terminal, &runtime)?;
    }
    let program = prepare(&mut terminal, existing.is_some())?;
    let setting = Setting { program, existing, secrets: Secrets::random()?, chart_values: Vec::new() };
    runtime.block_on(show(&mut terminal, setting, arguments.keep, start))
}

/// Fails if the cluster may not be used, before anything is built that needs minutes.
fn look_at(existing: &Existing, terminal: &mut Terminal, runtime: &tokio::runtime::Runtime) -> Result<()> {
    terminal.begin("Looking at your cluster");
    kubernetes::install(&kubernetes::CLIENT, &mut |line| terminal.progress(line))?;
    let folder = tempfile::tempdir()?;
    runtime.block_on(Cluster::existing(existing, folder.path()))?;
    terminal.end();
    Ok(())
}

/// Everything that takes long the first time.
fn prepare(terminal: &mut Terminal, is_there_a_cluster: bool) -> Result<PathBuf> {
    terminal.begin("Looking for the parts");
    let parts: &[&str] = if is_there_a_cluster { &kubernetes::CLIENT } else { &kubernetes::CLUSTER };
    tools::install_for_demo(parts, &mut |line| terminal.progress(line))?;
    terminal.end();
    terminal.begin("Building the operator");
    let program = operator(&mut |line| terminal.progress(line))?;
    terminal.end();
    Ok(program)
}

async fn show(terminal: &mut Terminal, setting: Setting, keep: bool, start: Instant) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut interrupted = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let stage = tokio::select! {
        stage = Stage::set(terminal, setting) => Some(stage),
        () = interrupted() => None,
    };
    let Some(stage) = stage else {
        terminal.say(INTERRUPTED);
        std::process::exit(130);
    };
    let mut stage = stage?;
    let told = tokio::select! {
        told = story::tell(&mut stage) => Some(told),
        () = interrupted() => None,
    };
    let cleared = stage.clear().await;
    let Some(told) = told else {
        drop(stage);
        terminal.say(INTERRUPTED);
        cleared?;
        std::process::exit(130);
    };
    if let Err(error) = told {
        if let Some(log) = stage.operator.as_ref().and_then(|operator| operator.log().ok()) {
            let tail: Vec<_> = log.lines().rev().take(10).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            stage.narrator.say("The operator's log ends with:");
            stage.narrator.output(&tail.join("\n"));
        }
        drop(stage);
        terminal.say("Everything that was started is stopped again.");
        return cleared.and(Err(error));
    }
    cleared?;
    stage.narrator.chapter("Go on");
    if keep {
        let kept = stage.keep()?;
        go_on(terminal, &kept);
    } else {
        drop(stage);
        terminal.say(
            "Everything is stopped and removed again. To go on by hand, with kubectl, in the same cluster: \
             `cargo xtask demo --keep`.",
        );
    }
    println!("\n({} s)", start.elapsed().as_secs());
    Ok(())
}

/// Says how to use what was left running, and how to stop it.
fn go_on(terminal: &mut Terminal, kept: &KeptStage) {
    terminal.say("Everything still runs, and goes on until you stop it. In a shell that has been told where it is:");
    terminal.verbatim(&kept.environment.join("\n"));
    terminal.say("Try:");
    let commands = kept.commands.iter().map(|(what, command)| format!("# {what}\n{command}"));
    terminal.verbatim(&commands.collect::<Vec<_>>().join("\n"));
    terminal.say("To stop everything and remove its files:");
    terminal.verbatim(&format!("sh {}", kept.stop.display()));
}

fn ask(context: &str) -> Result<()> {
    ensure!(
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
        "whether the cluster of the context {context} may be used has to be answered on a terminal, or by --yes"
    );
    eprint!(
        "The demo installs the kinds of directorysync.dev, a ClusterRole, a policy and two namespaces into the cluster of \
         the context {context}, and removes them at the end.\nMay it do so? [y/N] "
    );
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "nothing was done");
    Ok(())
}
