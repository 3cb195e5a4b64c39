//! One directory for two services: how often it is read, whose read that was, and what somebody who asks or approves gets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use controller::{Running, Scene};
use directory_sync_api::DirectorySyncStatus;
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::resources::ready;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PEOPLE: usize = 25;
/// Longer than any test takes on a busy machine.
const LONG: &str = "1h";

/// A way to the directory that counts who comes: a read, and the look-ups of a run, are one connection each.
struct Door {
    address: SocketAddr,
    came: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Door {
    async fn to(url: &str) -> Result<Self> {
        let directory = url.strip_prefix("ldap://").context("a plain address")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, came) = (listener.local_addr()?, Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&came);
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let directory = directory.clone();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(directory).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(Self { address, came, task })
    }

    fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    fn connections(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The resources `one` and `two`: one source, and a service each.
struct Pair {
    scene: Scene,
    second: Scim2Server,
    door: Door,
}

impl Pair {
    async fn new(namespace: &str) -> Result<Self> {
        let scene = Scene::new(namespace, PEOPLE).await?;
        let second = Scim2Server::start(Scim2ServerOptions::default()).await?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "second" },
            "stringData": { "token": second.token().expose_secret() },
        });
        scene.apply(secret).await?;
        let door = Door::to(&scene.shared.slapd.url()).await?;
        Ok(Self { scene, second, door })
    }

    /// Both, as people apply them together.
    async fn apply(&self, freshness_of_two: &str) -> Result<Running> {
        let url = self.door.url();
        let one = self.scene.sync("one", &json!({ "source": { "ldap": { "urls": [url] }, "freshness": LONG } }));
        let two = self.scene.sync(
            "two",
            &json!({
                "source": { "ldap": { "urls": [url] }, "freshness": freshness_of_two },
                "target": { "scim": {
                    "url": self.second.url(),
                    "auth": { "bearerTokenSecretRef": { "name": "second" } },
                } },
            }),
        );
        self.scene.apply(json!({ "apiVersion": "v1", "kind": "List", "items": [one, two] })).await?;
        self.scene.start().await
    }

    async fn settled(&self) -> Result<[DirectorySyncStatus; 2]> {
        let resources = &self.scene.resources;
        let (one, two) = tokio::try_join!(resources.settled("one"), resources.settled("two"))?;
        assert_eq!((ready(&one).0, ready(&two).0), ("True", "True"), "{:?} {:?}", ready(&one), ready(&two));
        Ok([one, two])
    }

    /// People in the second service who may use it.
    async fn active_in_second(&self) -> Result<usize> {
        let users = self.second.all("Users").await?;
        Ok(users.iter().filter(|user| user["active"] != Value::Bool(false)).count())
    }
}

fn read_by(status: &DirectorySyncStatus) -> &str {
    status.source.as_ref().and_then(|source| source.read_by.as_deref()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_directory_for_two_services_is_read_once_and_again_for_whoever_asks() -> Result<()> {
    let pair = Pair::new("shared").await?;
    let running = pair.apply(LONG).await?;
    let [one, two] = pair.settled().await?;
    assert_eq!(pair.door.connections(), 1, "{:#?} {:#?}", one.source, two.source);
    assert_eq!((pair.scene.people().await?, pair.active_in_second().await?), (PEOPLE, PEOPLE));
    assert_eq!(read_by(&one), read_by(&two));
    assert!(["one", "two"].contains(&read_by(&one)));
    let [one, two] = [one, two].map(|status| status.source.unwrap());
    assert_eq!((one.read_at, one.duration), (two.read_at, two.duration), "the times are those of the read");
    for line in [
        "directorysync_source_fetch_duration_seconds_count{source=\"ldap\"} 1",
        "directorysync_source_reads_shared_total{source=\"ldap\"} 1",
        "directorysync_target_fetch_duration_seconds_count{target=\"scim\"} 2",
    ] {
        assert!(running.metric(line).await?.len() == 1, "{line}");
    }

    // Whoever asks for a run sees what is so now; what that run read then serves the other, look-ups included.
    pair.scene.shared.slapd.delete("uid=p7,ou=shared,dc=example,dc=com").await?;
    let one = pair.scene.resources.run("one").await?;
    assert_eq!((ready(&one).0, read_by(&one)), ("True", "one"), "{:?}", ready(&one));
    assert_eq!(pair.door.connections(), 3, "a read and its look-up");
    let two = pair.scene.resources.change("two", &json!({ "spec": { "planDetail": "CountsOnly" } })).await?;
    assert_eq!((ready(&two).0, read_by(&two)), ("True", "one"), "{:?}", ready(&two));
    assert_eq!(two.plan.unwrap().summary.users.suspend, 1);
    assert_eq!(pair.active_in_second().await?, PEOPLE - 1);
    assert_eq!(pair.door.connections(), 4, "another look-up, and no read");

    let two = pair.scene.resources.run("two").await?;
    assert_eq!((read_by(&two), pair.door.connections()), ("two", 5));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_used_after_a_read_that_began_after_it() -> Result<()> {
    let pair = Pair::new("approved").await?;
    let running = pair.apply(LONG).await?;
    pair.settled().await?;
    let (slapd, resources) = (&pair.scene.shared.slapd, &pair.scene.resources);
    let dn = "uid=p7,ou=approved,dc=example,dc=com";
    slapd.replace(dn, "sn", &["Mistake"]).await?;
    resources.run("one").await?;
    let held = resources.change("two", &json!({ "spec": { "approval": "Manual" } })).await?;
    assert_eq!((ready(&held).1, read_by(&held)), ("ApprovalRequired", "one"), "{:?}", ready(&held));

    // The mistake is in memory once more when it is taken back in the directory, and only then is it approved.
    resources.run("one").await?;
    slapd.replace(dn, "sn", &["Example"]).await?;
    let approval = json!({
        "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySyncApproval", "metadata": { "name": "late" },
        "spec": { "sync": "two", "plan": held.plan.unwrap().digest, "approvedBy": "admin" },
    });
    pair.scene.apply(approval).await?;
    // Not by the time of the run: both runs may fall into one second.
    let is_over = |status: &DirectorySyncStatus| !["ApprovalRequired", "Progressing"].contains(&ready(status).1);
    let two = resources.until("two", "run for the approval", |_, status| is_over(status)).await?;
    assert_eq!(read_by(&two), "two", "the read of the other began before the approval");
    let users = pair.second.all("Users").await?;
    let names: Vec<_> = users.iter().map(|user| user["name"]["familyName"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["Example"; PEOPLE]);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_with_a_freshness_of_zero_reads_for_itself() -> Result<()> {
    let pair = Pair::new("alone").await?;
    let running = pair.apply("0s").await?;
    let [one, two] = pair.settled().await?;
    assert_eq!((read_by(&one), read_by(&two), pair.door.connections()), ("one", "two", 2));
    let one = pair.scene.resources.change("one", &json!({ "spec": { "planDetail": "CountsOnly" } })).await?;
    assert_eq!((read_by(&one), pair.door.connections()), ("one", 3), "what is not shared is not given either");
    running.stop().await
}
