//! What `cargo xtask test` says on a machine that is not prepared.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use directory_sync_tests::peers::tools::kubernetes::write_program;

/// A machine with an old Go and an old Python, on which nothing can be installed.
fn old_machine(programs: &Path) {
    write_program(programs, "go", "echo go1.19.8\n").unwrap();
    write_program(programs, "python3", "echo Python 3.9.2\n").unwrap();
    write_program(programs, "cargo", "echo no network >&2\nexit 101\n").unwrap();
    write_program(programs, "apt-get", "exit 100\n").unwrap();
    write_program(programs, "samba", "echo Version 0\n").unwrap();
    write_program(programs, "samba-tool", "exit 1\n").unwrap();
}

#[test]
fn all_that_is_missing_is_told_last_and_nothing_else_is_tried() {
    let (programs, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    old_machine(programs.path());
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("test")
        .env_clear()
        .env("PATH", programs.path())
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    let (_, list) = told.split_once("not everything that is needed is here:\n").unwrap();
    for missing in [
        "python3 is \"Python 3.9.2\", which is too old. Python runs the SCIM server and a client library \
         of Google: install 3.11 or newer, with venv",
        "go is go1.19.8, which is too old. Go builds the Kubernetes control plane, Helm and the fake kubelet: install \
         1.26 or newer as https://go.dev/doc/install says",
        "cannot build cargo-deny",
    ] {
        assert_eq!(list.matches(missing).count(), 1, "{missing}: {told}");
    }
    assert!(list.contains("Without these the rest is not tried."), "{told}");
    assert!(!told.contains("==> format"), "{told}");
}
