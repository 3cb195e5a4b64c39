//! The operator on a real API server with Google as its source: the example as people apply it, and beside it whatever
//! may answer in Google's place. What is hostile gets an ordinary error; everybody else goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use controller::{STAFF, Scene};
use directory_sync_api::DirectorySyncStatus;
use directory_sync_tests::google_directory::{Fault, GoogleDirectory, Tenant};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::resources::{condition, ready};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The resource of the example.
const EXAMPLE: &str = "google-staff";

/// Two people in `staff`, one of them in a nested group, one in `contractors`, and one whom nobody named.
async fn google() -> Result<GoogleDirectory> {
    let mut tenant = Tenant::with_administrator();
    let people = ["ada", "bob", "cy", "eve"].map(|name| tenant.user(&format!("{name}@example.com"), json!({})));
    let [staff, board, contractors] =
        ["staff", "board", "contractors"].map(|name| tenant.group(&format!("{name}@example.com")));
    tenant.join(&staff, &[&people[0], &board]);
    tenant.join(&board, &[&people[1]]);
    tenant.join(&contractors, &[&people[2]]);
    let directory = GoogleDirectory::start(tenant).await?;
    directory.page_by(2);
    Ok(directory)
}

/// The documents of the example, with the servers of the test in place of those of the world.
fn example(google: &GoogleDirectory, scim: &Scim2Server) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/google-to-scim.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(|one| Value::deserialize(one).unwrap());
    let items: Vec<Value> = documents
        .map(|mut document| {
            if document["kind"] == "Secret" {
                document["stringData"]["token"] = json!(scim.token().expose_secret());
            } else {
                point_to(&mut document, google, scim);
                document["spec"]["apply"] = json!(true);
                document["spec"].as_object_mut().unwrap().remove("schedule");
            }
            document
        })
        .collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

fn point_to(sync: &mut Value, google: &GoogleDirectory, scim: &Scim2Server) {
    let source = &mut sync["spec"]["source"]["google"];
    source["delegatedAdmin"] = json!("admin@example.com");
    source["baseURL"] = json!(google.url());
    source["tls"] = json!({ "plaintext": "AllowTokenInClearText" });
    sync["spec"]["target"]["scim"]["url"] = json!(scim.url());
    sync["spec"]["target"]["scim"]["tls"] = json!({ "plaintext": "AllowTokenInClearText" });
}

fn key(google: &GoogleDirectory) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "google-reader" },
            "stringData": { "key.json": google.key_file().unwrap() } })
}

/// What answers in place of the list of people, and the reason that the resource has then.
fn hostile() -> Vec<(&'static str, Fault, &'static str)> {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20]).unwrap();
    let empty = json!({ "kind": "admin#directory#users" }).to_string().into_bytes();
    let half = br#"{"kind":"admin#directory#users","users":[{"id":"1"#.to_vec();
    let again = json!({ "kind": "admin#directory#users", "nextPageToken": "again" });
    let many = vec![r#"{"a":0}"#; 2 << 20].join(",");
    let large = format!(r#"{{"kind":"admin#directory#users","users":[{{"id":"1","phones":[{many}]}}]}}"#).into_bytes();
    vec![
        ("gzip-bomb", Fault::Encoded("gzip", bomb.finish().unwrap()), "SourceMalformedAnswer"),
        ("html", Fault::Body(200, "text/html", b"<html>Sign in</html>".to_vec()), "SourceMalformedAnswer"),
        ("redirect", Fault::Redirect("http://127.0.0.1:1/login".to_owned()), "SourceRedirects"),
        ("bare", Fault::Json(200, json!({})), "SourceMalformedAnswer"),
        ("again", Fault::Json(200, again), "ReadRepeatsPages"),
        ("large", Fault::Body(200, "application/json", large), "SourceMalformedAnswer"),
        ("endless", Fault::Endless, "SourceLimitExceeded"),
        ("refused", Fault::Refused(400, "invalid", "Invalid Input: query"), "SourceQueryRefused"),
        ("cut-short", Fault::CutShort(half), "SourceReadIncomplete"),
        ("drip", Fault::Drip(empty, Duration::from_secs(1)), "SourceTimedOut"),
    ]
}

/// Whether the source is told to be at fault, in one sentence, and the resource to be tried again.
fn is_told(status: &DirectorySyncStatus, reason: &str) -> Result<()> {
    let healthy = condition(status, "SourceHealthy").map(|one| (one.status.as_str(), one.reason.as_str()));
    ensure!(ready(status).0 == "False" && ready(status).1 == reason, "Ready: {:?}", ready(status));
    ensure!(healthy == Some(("False", reason)), "SourceHealthy: {healthy:?}");
    ensure!(condition(status, "Reconciling").is_some() && condition(status, "Stalled").is_none(), "{status:#?}");
    ensure!(!ready(status).2.contains('\n') && ready(status).2.len() < 500, "{}", ready(status).2);
    ensure!(status.plan.is_none(), "there is no plan from such a read: {status:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hostile_in_googles_place_gets_an_ordinary_error_and_others_go_on() -> Result<()> {
    let scene = Scene::new("hostile-google", 3).await?;
    let (healthy, elsewhere) = (google().await?, Scim2Server::start(Scim2ServerOptions::default()).await?);
    let running = scene.start().await?;
    scene.create(&json!({})).await?;
    scene.apply(key(&healthy)).await?;
    scene.apply(example(&healthy, &scene.scim)).await?;
    let read = scene.resources.settled(EXAMPLE).await?;
    ensure!(ready(&read).0 == "True", "the example runs: {read:#?}");
    // The three of the named groups and their three groups; three more from the other directory, with one group.
    scene.until_people(|people| people == 6).await?;
    ensure!(scene.scim.all("Groups").await?.len() == 4, "the groups of the example are created");

    let token = json!({ "token": elsewhere.token().expose_secret() });
    scene
        .apply(
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "elsewhere" }, "stringData": token }),
        )
        .await?;
    let (ended, runs) = (CancellationToken::new(), AtomicUsize::new(0));
    let others = async {
        while !ended.is_cancelled() {
            for name in [STAFF, EXAMPLE] {
                let status = scene.resources.run(name).await?;
                ensure!(ready(&status).0 == "True", "{name} is disturbed: {status:#?}");
            }
            runs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let all = async {
        let mut told = Vec::new();
        for (name, fault, reason) in hostile() {
            let directory = google().await?;
            directory.fail(move |request| request.path.ends_with("/users").then(|| fault.clone()));
            let mut sync = scene.sync(name, &json!({}));
            sync["spec"]["source"] = json!({ "google": {
                "credentials": { "jsonKeySecretRef": { "name": "google-reader", "key": "key.json" } },
                "groups": {}, "timeout": if name == "drip" { "1500ms" } else { "30s" },
            } });
            point_to(&mut sync, &directory, &elsewhere);
            sync["spec"]["target"]["scim"]["auth"]["bearerTokenSecretRef"]["name"] = json!("elsewhere");
            scene.apply(sync).await?;
            let status = scene.resources.settled(name).await?;
            told.push(is_told(&status, reason).map_err(|error| error.context(name)));
            // So that its retries do not take the target's turns from the next.
            scene.resources.change(name, &json!({ "spec": { "suspend": true } })).await?;
        }
        ended.cancel();
        told.into_iter().collect::<Result<Vec<()>>>()
    };
    let (told, others) = tokio::join!(all, others);
    told?;
    others?;
    ensure!(runs.load(Ordering::Relaxed) > 3, "the others went on running");
    ensure!(scene.people().await? == 6, "nobody was lost");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_used_is_told_of_the_source() -> Result<()> {
    let scene = Scene::new("bad-google-key", 1).await?;
    let google = google().await?;
    let mut secret = key(&google);
    secret["stringData"]["key.json"] = json!("canary");
    scene.apply(secret).await?;
    scene.apply(example(&google, &scene.scim)).await?;
    let running = scene.start().await?;
    let status = scene.resources.settled(EXAMPLE).await?;
    let healthy = condition(&status, "SourceHealthy").map(|one| (one.status.as_str(), one.reason.as_str()));
    assert_eq!((ready(&status).1, healthy), ("SourceKeyInvalid", Some(("False", "SourceKeyInvalid"))));
    assert!(condition(&status, "Stalled").is_some() && !ready(&status).2.contains("canary"), "{status:#?}");
    // A stalled resource goes on as soon as its Secret is mended.
    scene.apply(key(&google)).await?;
    scene.resources.until(EXAMPLE, "good", |_, status| ready(status).0 == "True").await?;
    running.stop().await
}
