//! The plan with a cluster: the operator's own, made with the rights of a person who may only look.

use std::path::Path;
use std::process::Output;

use crate::scene::{CANARY, NAMESPACE, Scene, secret};
use assert_cmd::Command;
use serde_json::{Value, json};

/// Runs `plan` with a kubeconfig file.
fn plan(kubeconfig: &Path, arguments: &[&str], stream: &str) -> Output {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator"))
        .arg("plan")
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("KUBECONFIG", kubeconfig)
        .write_stdin(stream)
        .output()
        .unwrap();
    for text in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(text).contains(CANARY), "a secret was printed");
    }
    output
}

fn digest(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no plan: {complaint}"));
    document["header"]["digest"].as_str().unwrap().to_owned()
}

/// What is said on standard error where nothing is printed.
fn complaint(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true));
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn remarks(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_plan_that_the_operator_stores_and_nothing_is_written() {
    let mut scene = Scene::start().await;
    let kubeconfig = scene.account("planner").await;
    let stream = scene.manifest.to_string();
    let all = ["-o", "json", "--context", "production"];
    let from_cluster = [&["staff", "--namespace", NAMESPACE], &all[..]].concat();
    let from_stream = [&["-f", "-"], &all[..]].concat();

    assert_missing_rights_are_told_one_by_one(&scene, &kubeconfig, &from_cluster).await;

    let whole = plan(&kubeconfig, &from_cluster, "");
    assert_eq!(digest(&whole), scene.digest(), "{}", remarks(&whole));
    assert_eq!(whole.status.code(), Some(3), "it waits for an approval");
    assert!(remarks(&whole).contains("this is the plan that the status of the resource shows"), "{}", remarks(&whole));
    assert!(!remarks(&whole).contains("no state"), "the state is known: {}", remarks(&whole));

    let written = plan(&kubeconfig, &from_stream, &stream);
    assert_eq!(digest(&written), scene.digest(), "{}", remarks(&written));
    let current_context = plan(&kubeconfig, &["-f", "-", "--cluster", "-o", "json"], &stream);
    assert_eq!(digest(&current_context), scene.digest());

    let mut other = scene.manifest.clone();
    other["spec"]["removal"] = json!({ "policy": "Keep" });
    let other = plan(&kubeconfig, &from_stream, &other.to_string());
    assert_ne!(digest(&other), scene.digest(), "the manifest of the stream is what is planned with");

    let text = plan(&kubeconfig, &["staff", "-n", NAMESPACE], "");
    let text = String::from_utf8(text.stdout).unwrap();
    for leaver in &scene.leavers {
        assert!(text.lines().any(|line| line.contains("suspend user") && line.contains(&leaver.mail.clone().unwrap())));
    }

    let wrong = secret("reader", &json!({ "username": "cn=nobody,dc=example,dc=com", "password": "wrong" }));
    let wrong = plan(&kubeconfig, &from_stream, &format!("{stream}\n---\n{wrong}\n"));
    assert!(complaint(&wrong).contains("the source cannot be read ("), "the Secret of the stream wins");
    let beside = [&["staff", "--namespace", NAMESPACE, "-f", "-"], &all[..]].concat();
    let right = plan(&kubeconfig, &beside, &secret("scim", &json!({ "token": CANARY })).to_string());
    assert_eq!(digest(&right), scene.digest(), "a stream of Secrets goes with a resource of the cluster");

    let elsewhere = stream.replace("\"name\":\"scim\"", "\"name\":\"scim-2\"");
    let elsewhere = complaint(&plan(&kubeconfig, &from_stream, &elsewhere));
    let sentence = "there is no Secret named scim-2 in the stream or the namespace identity of the cluster; create it";
    assert!(elsewhere.contains(sentence), "{elsewhere}");
    let nobody = complaint(&plan(&kubeconfig, &["nobody", "-n", NAMESPACE], ""));
    assert!(nobody.contains("no DirectorySync named nobody in the namespace identity of the cluster"), "{nobody}");
    let nowhere = complaint(&plan(&kubeconfig, &["staff", "--context", "nowhere"], ""));
    assert!(nowhere.contains("the kubeconfig has no usable context nowhere"), "{nowhere}");

    let events = scene.control_plane.audit_events().unwrap();
    let by_planner = |event: &&Value| event["user"]["username"] == "system:serviceaccount:identity:planner";
    let mut verbs: Vec<_> = events.iter().filter(by_planner).map(|event| event["verb"].as_str().unwrap()).collect();
    verbs.dedup();
    assert_eq!(verbs, ["get"], "a plan only reads");
    let people = scene.scim.all("Users").await.unwrap();
    assert!(people.iter().all(|person| person["active"] == true), "nothing was sent");

    let log = scene.log();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).expect("logs are JSON where nobody looks");
    assert_eq!(first["level"], "INFO");
    assert!(!log.contains(CANARY) && !log.contains("@example.com"), "neither secrets nor people in the log: {log}");
    assert_eq!(scene.end_operator(), Some(0), "told to end, it ends well");
}

/// Grants the rights in the order in which they are needed. What is missing is told each time.
async fn assert_missing_rights_are_told_one_by_one(scene: &Scene, kubeconfig: &Path, arguments: &[&str]) {
    for (resource, what) in [
        ("directorysyncs.directorysync.dev", "read the DirectorySync"),
        ("secrets", "read the Secret"),
        ("directorysyncstates.directorysync.dev", "read the state"),
    ] {
        let refused = complaint(&plan(kubeconfig, arguments, ""));
        assert!(refused.contains(&format!("this account may not {what}: ")), "{refused}");
        assert!(refused.contains("system:serviceaccount:identity:planner"), "{refused}");
        let (role, granted) = (resource.split('.').next().unwrap(), format!("--resource={resource}"));
        let create = ["--namespace", NAMESPACE, "create", "role", role, "--verb=get", &granted];
        scene.control_plane.kubectl(&create).await.unwrap();
        scene.bind(role, "planner", "get", resource).await;
    }
}
