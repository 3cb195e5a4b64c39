//! The story of `cargo xtask demo`, told to nobody: every chapter checks what it claims. Every secret in it is a canary
//! that is then looked for in everything that anybody could see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod canaries;
mod kept;
mod personal;

use anyhow::Result;
use directory_sync_tests::audit::Rights;
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::operator;
use directory_sync_tests::peers::slapd::READER_DN;
use directory_sync_tests::story::{Existing, NAMESPACE, Recording, Secrets, Setting, Stage, tell};
use secrecy::ExposeSecret;

use canaries::{Canary, Place};

/// A token may hold these characters (RFC 6750 §2.1), and every encoding changes some of them.
const LDAP_PASSWORD: &str = "canary+of/the~directory=5e3a";
const SCIM_TOKEN: &str = "canary+of/the~service=81c7";
const WRONG_PASSWORD: &str = "canary+of/a~wrong~password=7d20";
const WRONG_TOKEN: &str = "canary+of/a~wrong~token=b46f";

#[tokio::test(flavor = "multi_thread")]
async fn the_story_comes_to_its_end_and_shows_neither_a_secret_nor_in_its_logs_a_person() -> Result<()> {
    let mut recording = Recording::default();
    let setting = Setting {
        program: tokio::task::spawn_blocking(operator::program).await??,
        existing: None,
        secrets: Secrets { ldap_password: LDAP_PASSWORD.into(), scim_token: SCIM_TOKEN.into() },
        chart_values: vec!["log.level=debug".to_owned()],
    };
    let mut stage = Stage::set(&mut recording, setting).await?;
    let told = tell(&mut stage).await;
    if told.is_ok() {
        let arguments = stage.operator.as_ref().unwrap().arguments();
        assert!(arguments.iter().any(|argument| argument == "--log-level=debug"), "{arguments:?}");
        refused(&mut stage, "ldap-reader", "password", WRONG_PASSWORD, LDAP_PASSWORD).await?;
        refused(&mut stage, "scim-token", "token", WRONG_TOKEN, SCIM_TOKEN).await?;
        let user = stage.operator.as_ref().unwrap().user();
        let control_plane = stage.cluster.control_plane().unwrap();
        let client = control_plane.client().await?;
        Rights::compare(control_plane, &client, "sync", user).await?.ensure_nothing_beyond()?;
    }
    let mut places = places(&stage).await?;
    drop(stage);
    places.push(Place::new("what the demo shows", recording.text()));
    println!("{}", recording.text());
    told?;
    shown_in_the_readme(recording.text());

    // The name is no password, but it stands in a Secret too.
    let secrets = [LDAP_PASSWORD, SCIM_TOKEN, WRONG_PASSWORD, WRONG_TOKEN, READER_DN];
    let canaries: Vec<_> = secrets.iter().map(|secret| Canary::new(secret)).collect();
    let found: Vec<_> = places.iter().flat_map(|place| place.search(&canaries)).collect();
    assert!(found.is_empty(), "secrets were shown: {found:#?}");

    let log = &places.iter().find(|place| place.name == "the operator's log").unwrap().text();
    assert!(log.lines().count() > 10, "the operator logs next to nothing:\n{log}");
    let personal = personal::above_debug(log);
    assert!(personal.is_empty(), "people in the log above debug level:\n{}", personal.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_there_before_is_afterwards_as_it_was() -> Result<()> {
    let control_plane = ControlPlane::start_with_node().await?;
    let setting = async || {
        let kubeconfig = Some(control_plane.kubeconfig().to_owned());
        anyhow::Ok(Setting {
            program: tokio::task::spawn_blocking(operator::program).await??,
            existing: Some(Existing { context: "test".to_owned(), kubeconfig }),
            secrets: Secrets::random()?,
            chart_values: Vec::new(),
        })
    };
    let kinds = "crds,namespaces,clusterroles,clusterrolebindings,\
                 validatingadmissionpolicies,validatingadmissionpolicybindings";
    let before = control_plane.kubectl(&["get", kinds, "-o", "name"]).await?;
    let mut recording = Recording::default();
    let mut stage = Stage::set(&mut recording, setting().await?).await?;
    let told = tell(&mut stage).await;

    let mut other = Recording::default();
    let refusal = Stage::set(&mut other, setting().await?).await.err().map(|error| error.to_string());
    assert!(refusal.is_some_and(|refusal| refusal.contains("has the kinds of directorysync.dev already")));

    stage.clear().await?;
    drop(stage);
    println!("{}", recording.text());
    told?;
    assert_eq!(control_plane.kubectl(&["get", kinds, "-o", "name"]).await?, before);
    Ok(())
}

/// The README shows a plan that is held, as the story prints it: but for times, and for how wide a column is.
fn shown_in_the_readme(told: &str) {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let told: Vec<_> = told.lines().map(words).collect();
    let readme = include_str!("../../../README.md");
    let (_, shown) = readme.split_once("From the demo:\n\n```\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let (table, status) = shown.split_once("\n\n").unwrap();
    let [_, header, row] = table.lines().collect::<Vec<_>>()[..] else { panic!("no table: {table}") };
    // Name, readiness, reason, and the three counts of the plan; times follow.
    let row = words(row).split(' ').take(6).collect::<Vec<_>>().join(" ");
    assert!(told.contains(&words(header)), "nothing printed has the columns {header}");
    assert!(told.iter().any(|line| line.starts_with(&row)), "nothing printed begins with {row}");
    let status: Vec<_> = status.lines().skip(1).map(words).collect();
    assert!(told.windows(status.len()).any(|lines| lines == status), "nothing printed says {status:#?}");
}

/// What is said about a secret that is not right.
async fn refused(stage: &mut Stage<'_>, secret: &str, key: &str, wrong: &str, right: &str) -> Result<()> {
    for (value, expected) in [(wrong, "False"), (right, "True")] {
        let patch = serde_json::json!({ "stringData": { key: value } }).to_string();
        stage.cluster.kubectl(&["patch", "secret", secret, "--type=merge", "-p", &patch]).await?;
        let status = stage.run_now().await?.status.unwrap();
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(ready.status, expected, "{ready:?}");
    }
    Ok(())
}

/// Everything that somebody without the right to read Secrets could see.
async fn places(stage: &Stage<'_>) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    if let Some(operator) = &stage.operator {
        places.push(Place::new("the operator's log", &operator.log()?));
        places.push(Place::new("the operator's metrics", &operator.metrics().await?));
        places.push(Place::new("the operator's arguments", &operator.arguments().join(" ")));
    }
    for kind in ["directorysyncs", "directorysyncplans", "directorysyncapprovals", "directorysyncstates"] {
        let objects = stage.cluster.kubectl(&["-n", NAMESPACE, "get", kind, "-o", "json"]).await?;
        let objects: serde_json::Value = serde_json::from_str(&objects)?;
        places.push(Place::new(kind, &objects.to_string()));
        if let Some(unpacked) = canaries::unpacked(&objects) {
            places.push(Place::of_bytes(&format!("{kind}, unpacked"), unpacked));
        }
    }
    let unpacked =
        |kind: &str| places.iter().any(|place| place.name.starts_with(kind) && place.name.ends_with("unpacked"));
    assert!(unpacked("directorysyncplans") && unpacked("directorysyncstates"), "nothing was stored");
    let events = stage.cluster.kubectl(&["get", "events.events.k8s.io", "-A", "-o", "json"]).await?;
    assert!(events.contains("directory-sync-operator"), "the operator published no event: {events}");
    places.push(Place::new("events", &events));
    let folder = stage.cluster.control_plane().unwrap().folder();
    for name in ["audit.log", "kube-apiserver.log"] {
        places.push(Place::of_bytes(name, std::fs::read(folder.join(name))?));
    }
    assert!(LDAP_PASSWORD != stage.setting.secrets.scim_token.expose_secret());
    Ok(places)
}
