//! `cargo xtask demo`: the operator's main job on real software.

mod terminal;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use directory_sync_tests::peers::slapd::{ADMIN_DN, BASE_DN};
use directory_sync_tests::peers::tools::{self, go::GoPart};
use directory_sync_tests::story::{self, Existing, Narrator, Secrets, Setting, Stage};
use tokio::signal::unix::{SignalKind, signal};

use self::terminal::Terminal;
use crate::cargo;

const PROGRAM: &str = "directory-sync-operator";
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
    let program = prepare(&mut terminal)?;
    let existing = arguments.context.clone().map(|context| Existing { context, kubeconfig: None });
    let setting = Setting { program, existing, secrets: Secrets::random()?, chart_values: Vec::new() };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(show(&mut terminal, setting, arguments.keep, start))
}

/// Everything that takes long the first time.
fn prepare(terminal: &mut Terminal) -> Result<PathBuf> {
    terminal.say(
        "This shows what directory-sync-operator does, on real parts: Kubernetes, OpenLDAP and a SCIM service. The first \
         time they are built and installed, which takes some ten minutes; they are kept for later runs.",
    );
    terminal.begin("Looking for the parts");
    tools::install_with(&[GoPart::ControlPlane, GoPart::Helm], &mut |line| terminal.progress(line))?;
    terminal.end();
    terminal.begin("Building the operator");
    // As the tests build it: another choice of packages would unite other features, and build all dependencies anew.
    let mut build = cargo(&["build", "--workspace", "--bin", PROGRAM])?;
    tools::run(&mut build, &mut |line| terminal.progress(line))?;
    terminal.end();
    let program = std::env::current_exe()?.with_file_name(PROGRAM);
    ensure!(program.is_file(), "cargo built no {}", program.display());
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
        go_on(stage)?;
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

/// Leaves everything running, and says how to use and how to stop it.
fn go_on(stage: Stage<'_>) -> Result<()> {
    let admin = stage.slapd.admin_password_file()?;
    let log = stage.operator.as_ref().context("the operator does not run")?.log_path();
    let token = stage.folder().join("scim-token");
    let commands = format!(
        "export KUBECONFIG={}
kubectl get dsync,dsplan,dsapproval        # what there is
kubectl events                             # what happened
kubectl describe dsync staff
kubectl explain dsync.spec.limits          # every field is described
kubectl edit dsync staff
kubectl annotate dsync staff --overwrite directorysync.dev/requestedAt=\"$(date)\"   # run now

# A stored plan, whole:
kubectl get dsplan -o jsonpath='{{.items[0].spec.data}}' | base64 -d | gunzip | head -c 2000

# The directory, and the service:
ldapsearch -x -LLL -H {ldap} -D {ADMIN_DN} \\
    -y {admin} \\
    -b {BASE_DN} '(ou=Engineering)' mail
curl -s -H \"Authorization: Bearer $(cat {token})\" \\
    '{scim}/Users?count=3'

# The operator's log:
tail -f {log}",
        stage.cluster.kubeconfig().display(),
        ldap = stage.slapd.url(),
        admin = admin.display(),
        scim = stage.scim.url(),
        token = token.display(),
        log = log.display(),
    );
    stage.narrator.say("Everything still runs, and goes on until you stop it. Try:");
    stage.narrator.output(&commands);
    stage.narrator.say("To stop everything and remove its files:");
    let stop = stage.folder().join("stop");
    stage.narrator.output(&format!("sh {}", stop.display()));
    stage.keep()?;
    Ok(())
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
