//! `docs/approving.md`, done to the letter on a real cluster: the Roles that it shows are applied, and a person who has
//! one of them and nothing else goes through its commands.

use std::path::Path;
use std::process::Command;

use crate::scene::{NAMESPACE, Scene};
use directory_sync_tests::peers::tools::kubernetes::{write_kubectl, write_program};
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../../../docs/approving.md");

/// The blocks of the document in this language, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    DOCUMENT.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A folder with the programs that the document calls.
fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_kubectl(folder.path()).unwrap();
    let operator = assert_cmd::cargo::cargo_bin!("directory-sync-operator").display();
    write_program(folder.path(), "directory-sync-operator", &format!("exec '{operator}' \"$@\"\n")).unwrap();
    folder
}

/// A kubeconfig file with the account of the first file, and with the context `production` of the second.
fn with_context_of(approver: &Path, planner: &Path) {
    let read = |path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let (mut kubeconfig, planner) = (read(approver), read(planner));
    kubeconfig["contexts"][0]["name"] = json!("approver");
    kubeconfig["current-context"] = json!("approver");
    kubeconfig["users"].as_array_mut().unwrap().push(json!({ "name": "planner", "user": planner["users"][0]["user"] }));
    let cluster = planner["contexts"][0]["context"]["cluster"].clone();
    let production = json!({ "name": "production", "context": { "cluster": cluster, "user": "planner" } });
    kubeconfig["contexts"].as_array_mut().unwrap().push(production);
    std::fs::write(approver, kubeconfig.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_may_do_nothing_but_approve_reviews_and_approves() {
    let scene = Scene::start().await;
    for manifest in blocks("yaml") {
        scene.control_plane.kubectl_with_input(&["apply", "-f", "-"], manifest).await.unwrap();
    }
    let (approver, planner) = (scene.account("ada").await, scene.account("pipeline").await);
    with_context_of(&approver, &planner);
    scene.bind("directory-sync-approver", "ada", "create", "directorysyncapprovals.directorysync.dev").await;
    scene.bind("directory-sync-planner", "pipeline", "get", "directorysyncstates.directorysync.dev").await;
    for (verb, resource) in [
        ("patch", "directorysyncs.directorysync.dev"),
        ("patch", "directorysyncs.directorysync.dev/status"),
        ("create", "directorysyncplans.directorysync.dev"),
        ("patch", "directorysyncapprovals.directorysync.dev/status"),
        ("get", "secrets/reader"),
    ] {
        assert!(!scene.can_i("ada", verb, resource).await, "who approves may not {verb} {resource}");
    }

    let programs = programs();
    let folder = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-e", "-u", "-x", "-o", "pipefail", "-c", &blocks("sh").concat()])
        .env("KUBECONFIG", &approver)
        .env("PATH", path)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (said, shown) = (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap());
    assert!(output.status.success(), "{said}\n{shown}");

    assert!(
        shown.contains(&scene.digest()) && shown.contains("DirectorySyncApproval with spec.sync: staff"),
        "{shown}"
    );
    assert!(said.contains("this is the plan that the status of the resource shows"), "{said}");
    let lines = std::fs::read_to_string(folder.path().join("plan.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [header, changes @ ..] = lines.as_slice() else { panic!("an empty plan") };
    assert_eq!(header["digest"], scene.digest());
    assert_eq!(header["operations"], changes.len());
    let markdown = std::fs::read_to_string(folder.path().join("plan.md")).unwrap();
    assert!(markdown.contains(&scene.digest()), "{markdown}");

    let approvals = ["--namespace", NAMESPACE, "get", "directorysyncapprovals", "--output", "json"];
    let approvals: Value = serde_json::from_str(&scene.control_plane.kubectl(&approvals).await.unwrap()).unwrap();
    assert_eq!(approvals["items"][0]["spec"]["approvedBy"], format!("system:serviceaccount:{NAMESPACE}:ada"));
    assert_eq!(approvals["items"][0]["status"]["sent"], changes.len());
    let people = scene.scim.all("Users").await.unwrap();
    let inactive: Vec<_> = people.iter().filter(|person| person["active"] == false).collect();
    assert_eq!(inactive.len(), scene.leavers.len(), "what was approved was sent");
}
