//! Google's own client library for Python, which judges the simulator from the other side.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::peers::tools::python::GoogleClientEnvironment;

/// The installed library.
#[derive(Clone, Debug)]
pub struct ClientLibrary {
    python: PathBuf,
}

impl ClientLibrary {
    /// The library in its virtual environment.
    pub fn installed() -> Result<Self> {
        Ok(Self { python: GoogleClientEnvironment::program()? })
    }

    /// The folder with the discovery documents.
    pub fn documents(&self) -> Result<PathBuf> {
        let environment = self.python.parent().and_then(|bin| bin.parent()).context("no virtual environment")?;
        let versions = fs::read_dir(environment.join("lib"))?.filter_map(Result::ok);
        let folders = versions
            .map(|version| version.path().join("site-packages/googleapiclient/discovery_cache/documents"))
            .find(|folder| folder.is_dir());
        folders.context("the client library has no discovery documents")
    }

    /// Runs a task of `tests/peers/google-client/client.py` with JSON as its argument, and takes the JSON it prints.
    pub fn run(&self, task: &str, argument: &Value) -> Result<Value> {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/google-client/client.py");
        let mut command = Command::new(&self.python);
        command.arg(script).arg(task).arg(argument.to_string()).env("NO_PROXY", "*");
        let output = command.output().context("cannot start Python")?;
        if !output.status.success() {
            bail!("Google's client library fails:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
