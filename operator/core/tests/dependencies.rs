//! What the core and the binary are built from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::process::Command;

fn crates_of(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "-p", package, "-e", "normal,build", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are text");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_core_knows_no_kubernetes_no_runtime_no_network() {
    let crates = crates_of("directory-sync-core");
    assert!(crates.contains("jiff"), "the tree is read");
    for foreign in ["kube", "tokio", "reqwest", "ldap3", "k8s-openapi"] {
        assert!(!crates.contains(foreign), "{foreign}");
    }
}

#[test]
fn the_binary_has_one_tls_provider_and_one_clock() {
    let crates = crates_of("directory-sync-operator");
    assert!(crates.contains("aws-lc-rs"), "the tree is read");
    for foreign in ["ring", "openssl", "openssl-sys", "native-tls", "chrono"] {
        assert!(!crates.contains(foreign), "{foreign}");
    }
}
