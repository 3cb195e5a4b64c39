//! The plan without a cluster, as a pipeline calls it: a real directory and a real SCIM server, and what is said when
//! something is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Output;

use assert_cmd::Command;
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use serde_json::{Value, json};

/// In every secret, and nowhere else.
const CANARY: &str = "canary-3f1c7d52";

/// A stream with the sync and, before it, its Secrets.
fn stream(ldap: &str, scim: &str, spec: &Value) -> String {
    let mut sync = json!({
        "apiVersion": "directorysync.dev/v1alpha1",
        "kind": "DirectorySync",
        "metadata": { "name": "staff" },
        "spec": {
            "source": { "ldap": {
                "urls": [ldap],
                "tls": { "plaintext": "AllowPasswordsInClearText" },
                "bind": { "simple": { "secretRef": { "name": "ldap-reader" } } },
                "users": [{ "baseDN": "ou=People,dc=example,dc=com", "filter": "(objectClass=inetOrgPerson)" }],
                "groups": [{ "baseDN": "ou=Groups,dc=example,dc=com", "filter": "(objectClass=groupOfNames)" }],
            } },
            "target": { "scim": {
                "url": scim,
                "tls": { "plaintext": "AllowTokenInClearText" },
                "auth": { "bearerTokenSecretRef": { "name": "scim-token", "key": "token" } },
            } },
        },
    });
    for (name, value) in spec.as_object().unwrap() {
        sync["spec"][name] = value.clone();
    }
    let reader = secret("ldap-reader", &json!({ "username": READER_DN, "password": CANARY }));
    [reader, secret("scim-token", &json!({ "token": CANARY })), sync].map(|object| format!("---\n{object}\n")).concat()
}

fn secret(name: &str, values: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": values })
}

/// Runs `plan` over a stream.
fn plan(stream: &str, arguments: &[&str]) -> Output {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator"))
        .args(["plan", "-f", "-"])
        .args(arguments)
        .env_remove("RUST_LOG")
        .write_stdin(stream)
        .output()
        .unwrap();
    for text in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(text).contains(CANARY), "a secret was printed");
    }
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What is said on standard error where nothing is printed.
fn complaint(stream: &str) -> String {
    let output = plan(stream, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    String::from_utf8(output.stderr).unwrap()
}

async fn peers() -> (Slapd, Scim2Server) {
    let slapd = SlapdOptions { reader_password: CANARY.into(), ..SlapdOptions::default() };
    let scim = Scim2ServerOptions { token: CANARY.into(), ..Scim2ServerOptions::default() };
    (Slapd::start(&slapd, &Company::small()).await.unwrap(), Scim2Server::start(scim).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_planned_in_every_format_and_nothing_is_sent() {
    let (slapd, scim) = peers().await;
    let stream = stream(&slapd.url(), &scim.url(), &json!({ "apply": true }));

    let text = plan(&stream, &[]);
    assert_eq!(text.status.code(), Some(2), "{}", String::from_utf8_lossy(&text.stderr));
    let company = Company::small();
    let mail = company.people.iter().find_map(|person| person.mail.clone().filter(|_| !person.disabled)).unwrap();
    assert!(stdout(&text).lines().any(|line| line.contains("create user") && line.contains(&mail)));
    assert!(!stdout(&text).contains('\u{1b}'), "colour where nobody looks");
    assert!(String::from_utf8(text.stderr).unwrap().contains("without the state"));

    let json: Value = serde_json::from_slice(&plan(&stream, &["-o", "json"]).stdout).unwrap();
    let operations = json["operations"].as_array().unwrap();
    assert_eq!(json["header"]["operations"].as_u64().unwrap(), operations.len() as u64);
    assert!(operations.len() > company.groups.len() + 100);

    assert!(stdout(&plan(&stream, &["-o", "csv"])).lines().count() > operations.len());
    let markdown = stdout(&plan(&stream, &["-o", "markdown"]));
    assert!(markdown.starts_with("### Plan `") && markdown.contains("| + | CreateUser | "), "{markdown}");

    assert_eq!(scim.all("Users").await.unwrap(), Vec::<Value>::new());
    assert_eq!(scim.all("Groups").await.unwrap(), Vec::<Value>::new());
}

/// Everything but the digest, which is of this run's target too.
fn without_digest(text: &str) -> String {
    let masked = |line: &str| {
        if line.starts_with("Digest: sha256:") { "Digest: sha256:…\n".into() } else { format!("{line}\n") }
    };
    text.lines().map(masked).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_shows_the_end_of_a_plan_as_it_is_printed() {
    let (slapd, scim) = peers().await;
    let printed = stdout(&plan(&stream(&slapd.url(), &scim.url(), &json!({ "apply": true })), &[]));
    let readme = include_str!("../../../README.md");
    let (_, shown) = readme.split_once("against an empty scim2-server ends like this:\n\n```\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(shown.lines().count() > 5, "next to nothing is shown");
    assert!(without_digest(&printed).ends_with(&without_digest(shown)), "printed:\n{printed}\nREADME.md:\n{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everything_waits_for_is_said_once() {
    let (slapd, scim) = peers().await;
    let shown = |spec: Value| stdout(&plan(&stream(&slapd.url(), &scim.url(), &spec), &[]));
    let off = shown(json!({ "apply": false }));
    assert!(!off.contains("waits:") && off.contains("\nHeld: the resource says apply: false.\n"), "{off}");
    let summary = off.lines().find(|line| line.starts_with("Plan: ")).unwrap();
    assert!(summary.contains(" users to create, ") && !summary.contains(" 0 "), "{summary}");
    let some = shown(json!({ "apply": true, "limits": {
        "groups": { "creates": { "max": 1 } }, "onExceeded": "HoldRemovals",
    } }));
    assert!(some.contains("waits: Held"), "{some}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_tells_a_held_plan_from_a_pending_one_and_from_none() {
    let (slapd, scim) = peers().await;
    let code = |spec: Value| plan(&stream(&slapd.url(), &scim.url(), &spec), &[]).status.code();
    assert_eq!(code(json!({})), Some(2));
    assert_eq!(code(json!({ "limits": { "users": { "creates": { "max": 10 } } } })), Some(3));
    assert_eq!(code(json!({ "approval": "Manual", "apply": true })), Some(3));
    let everybody = json!([{ "field": "email", "glob": "*" }, { "kind": "Group", "field": "name", "glob": "*" }]);
    assert_eq!(code(json!({ "exclude": { "source": everybody } })), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_cannot_be_read_is_told_with_its_reason() {
    let (slapd, mut scim) = peers().await;
    let wrong = stream(&slapd.url(), &scim.url(), &json!({})).replace(CANARY, "wrong");
    let refused = complaint(&wrong);
    assert!(refused.contains("cannot be read ("), "{refused}");
    scim.stop_serving();
    let absent = complaint(&stream(&slapd.url(), &scim.url(), &json!({})));
    assert!(absent.starts_with("error: the target cannot be read ("), "{absent}");
}

/// Nothing listens here; whatever is wrong has to be found before anybody connects.
fn unreachable(spec: &Value) -> String {
    stream("ldap://127.0.0.1:1", "http://127.0.0.1:1/v2", spec)
}

#[test]
fn what_the_operator_could_not_run_by_is_refused_before_anybody_connects() {
    for (spec, sentence) in [
        (json!({ "schedule": { "cron": "61 * * * *" } }), "spec.schedule.cron: \"61 * * * *\" names no due time"),
        (json!({ "schedule": { "timeZone": "Europe/Berlyn" } }), "spec.schedule.timeZone: \"Europe/Berlyn\""),
        (json!({ "approvalExpiresAfter": "0s" }), "spec.approvalExpiresAfter: \"0s\" leaves no time"),
    ] {
        let complaint = complaint(&unreachable(&spec));
        assert!(complaint.contains("DirectorySync staff") && complaint.contains(sentence), "{complaint}");
    }
}

#[test]
fn an_unknown_field_is_told_with_its_path() {
    let complaint = complaint(&unreachable(&json!({ "aply": true })));
    assert!(
        complaint.contains("DirectorySync staff (standard input, document 3) is refused:\n  spec.aply: "),
        "{complaint}"
    );
}

#[test]
fn a_secret_that_is_not_there_and_a_key_that_is_not_there_are_told_by_name() {
    let missing = complaint(
        &unreachable(&json!({}))
            .replace("\"name\":\"scim-token\"},\"stringData\"", "\"name\":\"other\"},\"stringData\""),
    );
    assert!(
        missing.contains(
            "there is no Secret named scim-token in the stream; add it there, or name a folder with --secrets or a \
             cluster with --context"
        ),
        "{missing}"
    );
    let keyless = complaint(&unreachable(&json!({})).replace("\"password\"", "\"passwort\""));
    assert!(keyless.contains("Secret ldap-reader has no key `password`"), "{keyless}");
}

#[test]
fn secrets_may_lie_in_a_folder_instead() {
    let folder = tempfile::tempdir().unwrap();
    let reader = folder.path().join("ldap-reader");
    std::fs::create_dir(&reader).unwrap();
    std::fs::write(reader.join("username"), READER_DN).unwrap();
    let sync = unreachable(&json!({})).rsplit_once("---\n").unwrap().1.to_owned();
    let output = plan(&sync, &["--secrets", folder.path().to_str().unwrap()]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("Secret ldap-reader has no key `password`"), "{complaint}");

    std::fs::write(reader.join("password"), CANARY).unwrap();
    let output = plan(&sync, &["--secrets", folder.path().to_str().unwrap()]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    let places = format!("named scim-token in the stream or the folder {}; create it", folder.path().display());
    assert!(complaint.contains(&places), "{complaint}");
}

#[test]
fn a_namespace_that_contradicts_the_manifest_is_refused() {
    let sync = unreachable(&json!({})).replace("\"name\":\"staff\"", "\"name\":\"staff\",\"namespace\":\"identity\"");
    let output = plan(&sync, &["--namespace", "other"]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("lies in the namespace identity, and --namespace says other"), "{complaint}");
}

#[test]
fn wrong_arguments_are_an_error_and_not_pending_changes() {
    let run = |arguments: &[&str]| {
        Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator")).args(arguments).output().unwrap()
    };
    assert_eq!(run(&["plan"]).status.code(), Some(1));
    assert_eq!(run(&["plan", "-f", "no-such-file.yaml"]).status.code(), Some(1));
    let level = run(&["plan", "-f", "no-such-file.yaml", "--log-level", "loud"]);
    assert!(String::from_utf8(level.stderr).unwrap().contains("--log-level `loud` is no level"));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    assert!(stdout(&run(&["version"])).starts_with("directory-sync-operator 0."));
}

#[test]
fn an_operator_that_cannot_run_says_so_in_its_log() {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator"))
        .arg("run")
        .env_clear()
        .env("KUBECONFIG", "no-such-file")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log: Vec<Value> = output.stderr.split(|&byte| byte == b'\n').flat_map(serde_json::from_slice).collect();
    let last = log.last().expect("every line is JSON where nobody looks");
    assert_eq!(last["level"], "ERROR");
    assert!(last["error"].as_str().unwrap().starts_with("no cluster is configured: "), "{last}");
}

#[test]
fn the_kinds_are_printed_as_yaml_documents() {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator")).arg("crd").output().unwrap();
    let text = stdout(&output);
    let kinds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "CustomResourceDefinition").count(), 4);
    assert!(kinds.contains(&"ValidatingAdmissionPolicy") && kinds.contains(&"ValidatingAdmissionPolicyBinding"));
}
