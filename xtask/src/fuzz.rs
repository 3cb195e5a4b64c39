//! `cargo xtask fuzz`: looks for bytes for which does not hold what `operator/sources/src/fuzzing.rs` says.
//!
//! The targets are in `tests/fuzz/targets`. What is built, the inputs that led further, and the finds lie in the target
//! folder, so that a later search goes on where an earlier one ended.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};
use directory_sync_tests::peers::tools::{self, cargo::CargoTool};

use crate::workspace;

/// How many targets run at once.
const AT_ONCE: usize = 2;
/// Longest input that is tried, in bytes; what is looked for shows in less.
const LENGTH: usize = 4096;
/// How long one input may take, in seconds.
const PATIENCE: u32 = 10;
/// How many lines of a find are shown; the message comes first.
const QUOTED: usize = 12;
/// How much memory one input may take at once, and a target in all, in MiB.
const ALLOCATION: u32 = 64;
const MEMORY: u32 = 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which targets to run, of the files in `tests/fuzz/targets`; left out: all.
    targets: Vec<String>,
    /// How long to run each.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut targets = targets()?;
    if let Some(unknown) = arguments.targets.iter().find(|target| !targets.contains(target)) {
        bail!("there is no target {unknown}; there are {}", targets.join(", "));
    }
    targets.retain(|target| arguments.targets.is_empty() || arguments.targets.contains(target));
    search(&targets, Duration::from_secs(arguments.seconds), &mut |line| eprintln!("{line}"))
}

/// The names of all targets.
pub(crate) fn targets() -> Result<Vec<String>> {
    let folder = workspace()?.join("tests/fuzz/targets");
    let files = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<String> = files
        .map(|file| Ok(file?.path().file_stem().map(|name| name.display().to_string()).unwrap_or_default()))
        .collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Builds the targets and runs each for this time. Fails with every find: where it is, and how it is kept.
pub(crate) fn search(targets: &[String], time: Duration, progress: tools::Progress<'_>) -> Result<()> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).context("xtask lies in no target folder")?.join("fuzz");
    let folder = Folder { built: build(&folder, targets, progress)?, all: folder };
    let open = Mutex::new(targets.iter());
    let (lines, told) = mpsc::channel();
    let failures = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (folder, open, lines) = (&folder, &open, lines.clone());
                scope.spawn(move || folder.run_all(open, time, &lines))
            })
            .collect();
        // The lines end when the last of the workers does.
        drop(lines);
        for line in told {
            let line: String = line;
            progress(&line);
        }
        let ended = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ended.flatten().map(|failure| format!("{failure:#}")).collect::<Vec<String>>()
    });
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

/// Builds all targets; gives the folder of the programs.
fn build(folder: &Path, targets: &[String], progress: tools::Progress<'_>) -> Result<PathBuf> {
    let mut build = Command::new(CargoTool::Fuzz.program()?);
    build
        .args(["fuzz", "build", "--fuzz-dir", "tests/fuzz"])
        // The sanitizers need a nightly compiler. The operator has no unsafe code, so that they would watch libraries.
        .args(["--sanitizer", "none", "--target-dir"])
        .arg(folder)
        .current_dir(workspace()?)
        // What the operator's own builds need takes long, and leaves panics without their place.
        .envs([("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_STRIP", "none")])
        .env_remove("CARGO_TARGET_DIR");
    tools::run(&mut build, progress)?;
    // cargo-fuzz names the kind of machine, so that its flags are not those of build scripts and macros.
    let kinds = fs::read_dir(folder)?.map(|kind| Ok(kind?.path().join("release"))).collect::<Result<Vec<_>>>()?;
    let holds_programs = |kind: &PathBuf| targets.iter().all(|target| kind.join(target).is_file());
    kinds.into_iter().find(holds_programs).context("cargo-fuzz built no targets")
}

/// Where everything of the search lies.
struct Folder {
    built: PathBuf,
    all: PathBuf,
}

impl Folder {
    /// Runs one target after the other until none is open; gives what went wrong.
    fn run_all(
        &self,
        open: &Mutex<std::slice::Iter<'_, String>>,
        time: Duration,
        lines: &mpsc::Sender<String>,
    ) -> Vec<anyhow::Error> {
        // The lock is not held while a target runs.
        let next = || open.lock().unwrap_or_else(PoisonError::into_inner).next();
        let targets = std::iter::from_fn(next);
        targets.filter_map(|target| self.run(target, time, lines).err()).collect()
    }

    /// Runs a target; the error is a find, or that it does not run.
    fn run(&self, target: &str, time: Duration, lines: &mpsc::Sender<String>) -> Result<()> {
        let (inputs, finds) = (self.all.join("inputs").join(target), self.all.join("finds").join(target));
        fs::create_dir_all(&inputs)?;
        fs::create_dir_all(&finds)?;
        let seeds = format!("tests/fuzz/seeds/{target}");
        let mut command = Command::new(self.built.join(target));
        command
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-max_len={LENGTH}"))
            .arg(format!("-timeout={PATIENCE}"))
            .arg(format!("-malloc_limit_mb={ALLOCATION}"))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-artifact_prefix={}/", finds.display()))
            .args([&inputs, Path::new(&seeds)])
            .current_dir(workspace()?);
        let mut find = None;
        let mut said = Vec::new();
        let outcome = tools::run(&mut command, &mut |line| {
            if let Some((_, path)) = line.split_once("Test unit written to ") {
                find = Some(path.to_owned());
            }
            // It tells of every input that leads further, some thousand in a minute.
            if ["pulse", "INITED", "DONE", "Done "].iter().any(|word| line.contains(word)) {
                let _ = lines.send(format!("{target}: {}", line.replace('\t', " ")));
            } else if !line.trim_start().starts_with('#') && !line.starts_with("INFO:") && said.len() < QUOTED {
                said.push(line.to_owned());
            }
        });
        let Some(find) = find else { return outcome };
        bail!(
            "{target} does not hold for {find}\n{}\nTo keep it: `cp {find} {seeds}/NAME`, with a name that says what it \
             is. Then `cargo test -p directory-sync-sources fuzzing` fails until it is mended.",
            said.join("\n")
        )
    }
}
