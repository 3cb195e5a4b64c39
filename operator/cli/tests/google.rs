//! The plan of a pipeline whose source is Google Workspace, against a stand-in for Google and a real SCIM server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Output;

use assert_cmd::Command;
use directory_sync_tests::google_directory::{FURTHER_SCOPES, GoogleDirectory, SCOPES, Tenant};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Staff with a nested group, and somebody who belongs to neither.
async fn google() -> GoogleDirectory {
    let mut tenant = Tenant::with_administrator();
    let mut person = |name: &str| tenant.user(&format!("{name}@example.com"), json!({}));
    let people = ["ada", "bob", "eve"].map(&mut person);
    let (staff, board) = (tenant.group("staff@example.com"), tenant.group("board@example.com"));
    tenant.join(&staff, &[&people[0], &board]);
    tenant.join(&board, &[&people[1]]);
    GoogleDirectory::start(tenant).await.unwrap()
}

/// Runs `plan` with these credentials.
fn plan(google: &GoogleDirectory, scim: &Scim2Server, credentials: &Value) -> Output {
    run(google, scim, credentials, &["plan"])
}

/// Runs a command with these credentials; no token and no part of the key is printed.
fn run(google: &GoogleDirectory, scim: &Scim2Server, credentials: &Value, command: &[&str]) -> Output {
    let secret = |name: &str, values: Value| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": values });
    let sync = json!({
        "apiVersion": "directorysync.dev/v1alpha1",
        "kind": "DirectorySync",
        "metadata": { "name": "staff" },
        "spec": {
            "source": { "google": {
                "delegatedAdmin": "admin@example.com",
                "credentials": credentials,
                "onlyGroups": ["staff@example.com"],
                "groups": {},
                "baseURL": google.url(),
                "tls": { "plaintext": "AllowTokenInClearText" },
            } },
            "target": { "scim": {
                "url": scim.url(),
                "tls": { "plaintext": "AllowTokenInClearText" },
                "auth": { "bearerTokenSecretRef": { "name": "scim-token", "key": "token" } },
            } },
        },
    });
    let key = secret("google-reader", json!({ "key.json": google.key_file().unwrap() }));
    let token = secret("scim-token", json!({ "token": scim.token().expose_secret() }));
    let stream = [key, token, sync].map(|object| format!("---\n{object}\n")).concat();
    let output = Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator"))
        .args(command)
        .args(["-f", "-"])
        .env_remove("RUST_LOG")
        .write_stdin(stream)
        .output()
        .unwrap();
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("canary") && !text.contains("PRIVATE KEY"), "a secret was printed: {text}");
    }
    output
}

fn key() -> Value {
    json!({ "jsonKeySecretRef": { "name": "google-reader", "key": "key.json" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_a_google_group_are_planned_for_a_scim_server() {
    let (google, scim) = (google().await, Scim2Server::start(Scim2ServerOptions::default()).await.unwrap());
    let output = plan(&google, &scim, &key());
    let (text, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(output.status.code(), Some(2), "{said}");
    for created in ["ada@example.com", "bob@example.com", "staff", "board"] {
        assert!(text.lines().any(|line| line.contains("create") && line.contains(created)), "{created}: {text}");
    }
    assert!(!text.contains("eve@example.com") && !text.contains("admin@example.com"), "{text}");
    assert_eq!(scim.all("Users").await.unwrap(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_granted_is_said_in_one_sentence() {
    let (google, scim) = (google().await, Scim2Server::start(Scim2ServerOptions::default()).await.unwrap());
    google.delegate(&SCOPES[..1]);
    let output = plan(&google, &scim, &key());
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("Domain-wide delegation, grant the client 100000000000000000042"), "{complaint}");
    assert!(complaint.contains(&SCOPES.join(",")), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn google_says_whose_directory_it_is_and_where_somebody_is_left_out() {
    let (google, scim) = (google().await, Scim2Server::start(Scim2ServerOptions::default()).await.unwrap());
    let output = run(&google, &scim, &key(), &["source", "check"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "Google Workspace",
        "admin@example.com, by a key of the service account",
        "2 read, 2 mapped",
        "customer",
        "none: everything is sent in clear text",
        "at most 500 users, 200 groups and 200 members a page",
        "30 requests a second at most",
        "not shown, which is no failure; to see them here, grant the scope https://www.googleapis.com/auth/admin.directory.domain.readonly",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    google.delegate_also(&FURTHER_SCOPES);
    let shown = String::from_utf8(run(&google, &scim, &key(), &["source", "check"]).stdout).unwrap();
    assert!(shown.contains("example.com (primary)") && shown.contains("org units  none"), "{shown}");
    let said = |who: &str| String::from_utf8(run(&google, &scim, &key(), &["explain", who]).stdout).unwrap();
    assert!(said("ada@example.com").contains("create user ada@example.com"));
    let eve = said("eve@example.com");
    assert!(eve.contains("not read") && eve.contains("no search reaches it"), "{eve}");
}
