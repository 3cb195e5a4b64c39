//! The processes of a peer, and the folder that holds their data and logs.

use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// How long a process may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How much of the end of a log file an error quotes, in bytes.
const LOG_TAIL: u64 = 4096;

/// Processes that live and die together, and the temporary folder of their data and logs.
///
/// Dropping it stops them in the reverse order of their start and removes the folder. A watchdog does the same if this
/// process ends without dropping it, for instance by an interrupt or because it is held in a `static`.
#[derive(Debug)]
pub struct Processes {
    running: Vec<Running>,
    watchdog: Child,
    folder: TempDir,
}

/// What [`Processes::keep`] left running.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The folder of data and logs.
    pub folder: PathBuf,
    /// The process groups, in the order of their start.
    pub groups: Vec<u32>,
}

#[derive(Debug)]
struct Running {
    name: String,
    child: Child,
}

impl Processes {
    /// Makes the folder; no process runs yet. The name becomes part of the folder's name.
    pub fn new(name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("directory-sync-{name}-"))
            .tempdir()
            .context("cannot make a temporary folder")?;
        let watchdog = Command::new("sh")
            .args(["-c", include_str!("watchdog.sh"), "watchdog"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start the watchdog")?;
        Ok(Self { running: Vec::new(), watchdog, folder })
    }

    /// The folder of data and logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the output of a process goes.
    pub fn log_path(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.log"))
    }

    /// Starts a process in a group of its own, without input and with its output in `<name>.log`.
    pub fn spawn(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path(name))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        if let Some(watchdog) = &mut self.watchdog.stdin {
            writeln!(watchdog, "{}", child.id()).context("the watchdog is gone")?;
        }
        self.running.push(Running { name: name.to_owned(), child });
        Ok(())
    }

    /// Stops one of the processes and says how it ended; the others go on. Nothing happens if it does not run.
    pub fn stop(&mut self, name: &str) -> Option<ExitStatus> {
        end(&mut self.take(name)?)
    }

    /// Kills one of the processes, as a crash would end it; the others go on. Nothing happens if it does not run.
    pub fn kill(&mut self, name: &str) {
        if let Some(mut child) = self.take(name) {
            kill(&mut child);
        }
    }

    fn take(&mut self, name: &str) -> Option<Child> {
        let position = self.running.iter().position(|running| running.name == name)?;
        Some(self.running.remove(position).child)
    }

    /// Leaves the processes and the folder to themselves: nothing stops them when this process ends.
    pub fn keep(mut self) -> Kept {
        self.folder.disable_cleanup(true);
        let groups = self.running.drain(..).map(|running| running.child.id()).collect();
        Kept { folder: self.folder().to_owned(), groups }
    }

    /// Repeats `check` until it succeeds. Fails early if a process has ended, and after `limit` with the last answer of
    /// the check; both errors quote the end of the log.
    pub async fn wait_until<F, Checked>(&mut self, what: &str, limit: Duration, mut check: F) -> Result<()>
    where
        F: FnMut() -> Checked,
        Checked: Future<Output = Result<()>>,
    {
        let start = Instant::now();
        loop {
            self.ensure_running()?;
            let Err(error) = check().await else { return Ok(()) };
            if start.elapsed() > limit {
                let logs = self.running.iter().map(|running| self.log_tail(&running.name)).collect::<String>();
                return Err(error.context(format!("{what} within {limit:?} did not come about\n{logs}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fails if one of the processes has ended by itself.
    pub fn ensure_running(&mut self) -> Result<()> {
        for index in 0..self.running.len() {
            if let Some(status) = self.running[index].child.try_wait()? {
                let name = self.running[index].name.clone();
                bail!("{name} has ended ({status})\n{}", self.log_tail(&name));
            }
        }
        Ok(())
    }

    fn log_tail(&self, name: &str) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log_path(name))?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            Ok(String::from_utf8_lossy(&tail).into_owned())
        };
        match read() {
            Ok(tail) => format!("--- {name}.log ends with\n{tail}"),
            Err(error) => format!("--- {name}.log cannot be read: {error}\n"),
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        while let Some(mut running) = self.running.pop() {
            end(&mut running.child);
        }
        // The folder goes with its own drop, after this one; the watchdog has nothing left to do.
        if let Some(mut pipe) = self.watchdog.stdin.take() {
            let _ = writeln!(pipe, "done");
        }
        let _ = self.watchdog.wait();
    }
}

/// Asks the process group of a child to end, and kills what is left after the limit.
fn end(child: &mut Child) -> Option<ExitStatus> {
    if let Some(group) = group(child) {
        let _ = kill_process_group(group, Signal::TERM);
    }
    let start = Instant::now();
    while matches!(child.try_wait(), Ok(None)) && start.elapsed() < STOP_LIMIT {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Also when the child itself has ended: it may have left children of its own.
    kill(child)
}

fn kill(child: &mut Child) -> Option<ExitStatus> {
    if let Some(group) = group(child) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait().ok()
}

fn group(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Below the ports that systems give to connections (Linux from 32768, others from 49152), each of which could be taken
/// between the choice of a port and its use.
const PORTS: std::ops::Range<u32> = 15_000..32_000;

/// A TCP port of the loopback interface that is free, and that this process has not given out before.
pub fn free_port() -> Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    // Processes that run at the same time begin far from each other.
    let begin = std::process::id().wrapping_mul(7919);
    for _ in 0..count {
        let next = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(PORTS.start + next % count)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on the loopback interface")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> (Processes, u32) {
        let mut processes = Processes::new("sleeper").unwrap();
        processes.spawn("sleep", Command::new("sleep").arg("600")).unwrap();
        let id = processes.running[0].child.id();
        (processes, id)
    }

    fn lives(id: u32) -> bool {
        // A zombie has ended, and only waits for its parent to ask how.
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|state| !state.contains(") Z "))
    }

    #[test]
    fn dropping_stops_the_processes_and_removes_the_folder() {
        let (processes, id) = sleeper();
        let folder = processes.folder().to_owned();
        assert!(lives(id) && folder.exists());
        drop(processes);
        assert!(!lives(id) && !folder.exists());
    }

    #[test]
    fn the_watchdog_cleans_up_after_a_process_that_is_gone() {
        let (mut processes, id) = sleeper();
        let folder = processes.folder().to_owned();
        drop(processes.watchdog.stdin.take());
        assert!(processes.watchdog.wait().unwrap().success());
        assert!(!lives(id) && !folder.exists());
    }

    #[test]
    fn what_is_kept_goes_on_until_somebody_stops_it() {
        let (processes, id) = sleeper();
        let kept = processes.keep();
        assert!(lives(id) && kept.folder.exists());
        assert_eq!(kept.groups, [id]);
        let mut watchdog = Command::new("sh")
            .args(["-c", include_str!("watchdog.sh"), "watchdog"])
            .arg(&kept.folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(watchdog.stdin.take().unwrap(), "{id}").unwrap();
        assert!(watchdog.wait().unwrap().success());
        assert!(!lives(id) && !kept.folder.exists());
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_reported_with_its_last_words() {
        let mut processes = Processes::new("early").unwrap();
        processes.spawn("complaint", Command::new("sh").args(["-c", "echo no such option >&2; exit 3"])).unwrap();
        let waited = processes
            .wait_until("readiness", Duration::from_secs(60), || async { bail!("not yet") })
            .await
            .unwrap_err()
            .to_string();
        assert!(waited.contains("complaint has ended") && waited.contains("no such option"), "{waited}");
    }
}
