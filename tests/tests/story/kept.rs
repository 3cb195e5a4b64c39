//! What `cargo xtask demo --keep` leaves running: whoever goes on by hand has what the printed commands call, and the
//! printed script leaves nothing behind.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::Result;
use directory_sync_tests::peers::{operator, tools};
use directory_sync_tests::story::{KeptStage, Recording, Secrets, Setting, Stage, begin};

/// Everything else that the printed commands may call, on a machine that has neither kubectl nor curl.
const PROGRAMS: [&str; 12] =
    ["sh", "base64", "gunzip", "gzip", "head", "date", "ldapsearch", "sleep", "readlink", "dirname", "cat", "rm"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_used_by_the_printed_commands_and_stopped_by_the_printed_script() -> Result<()> {
    let mut recording = Recording::default();
    let setting = Setting {
        program: tokio::task::spawn_blocking(operator::program).await??,
        existing: None,
        secrets: Secrets::random()?,
        chart_values: Vec::new(),
    };
    let mut stage = Stage::set(&mut recording, setting).await?;
    begin(&mut stage).await?;
    let kept = stage.keep()?;
    let machine = tempfile::tempdir()?;
    for name in PROGRAMS {
        symlink(tools::program(name).unwrap(), machine.path().join(name))?;
    }

    let tried = tokio::task::block_in_place(|| try_all(&kept, machine.path()));
    let stopped = shell(machine.path(), &format!("sh '{}'", kept.stop.display()));
    assert!(stopped.status.success() && stopped.stderr.is_empty(), "{stopped:?}");
    tried?;
    for part in &kept.parts {
        assert!(!part.folder.exists(), "{} is left behind", part.folder.display());
        let left: Vec<_> = part.groups.iter().filter(|group| lives(**group)).collect();
        assert!(left.is_empty(), "{left:?} of {} still run", part.folder.display());
    }
    assert!(kept.parts.iter().flat_map(|part| &part.groups).count() >= 5, "not everything was kept: {kept:?}");
    Ok(())
}

fn try_all(kept: &KeptStage, machine: &Path) -> Result<()> {
    let environment = kept.environment.join("\n");
    for (what, command) in &kept.commands {
        // One wants an editor, the other never ends.
        if command.starts_with("kubectl edit") || command.starts_with("tail -f") {
            continue;
        }
        let output = shell(machine, &format!("{environment}\n{command}"));
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(output.status.success() && output.stderr.is_empty(), "{what}: `{command}`: {output:?}");
        let expected = match *what {
            "what there is" => "directorysyncplan.directorysync.dev/",
            "what happened" => "LimitExceeded",
            "all about the resource" => "Conditions:",
            "what a field means; every field is described" => "FIELDS:",
            "a run, now" => "directorysync.directorysync.dev/staff annotated",
            "a stored plan, whole" => "\"digest\"",
            "the directory" => "mail: ",
            "the service" => "\"userName\"",
            other => anyhow::bail!("{other} is not tried"),
        };
        anyhow::ensure!(shown.contains(expected), "{what}: `{command}` shows no {expected}: {shown}");
    }
    Ok(())
}

/// Runs a script where nothing but these programs is in `PATH`, as in a new terminal.
fn shell(programs: &Path, script: &str) -> Output {
    let home = std::env::var_os("HOME").unwrap_or_default();
    Command::new("/bin/sh").args(["-c", script]).env_clear().env("PATH", programs).env("HOME", home).output().unwrap()
}

/// Whether a process group has a member, after the moment that ending takes.
fn lives(group: u32) -> bool {
    let start = Instant::now();
    let state_file = format!("/proc/{group}/stat");
    while std::fs::read_to_string(&state_file).is_ok_and(|state| !state.contains(") Z ")) {
        if start.elapsed() > Duration::from_secs(5) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
