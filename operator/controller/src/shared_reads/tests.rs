//! Who uses whose read, and how long one is kept.

use super::*;
use crate::connect::Kind;
use async_trait::async_trait;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::{Classified, Disposition};
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, SourceSide};
use directory_sync_core::snapshot::Referencer;
use directory_sync_sources::{Sightings, SourceDescription, SourceError};
use serde_json::{Value, json};
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{advance, sleep};

/// How long every read takes.
const READING: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// How a read ends.
#[derive(Clone, Copy)]
enum End {
    Whole,
    Fails,
    Panics,
}

/// A directory without anybody that takes its time.
struct Slow {
    begun: Arc<AtomicUsize>,
    end: End,
}

#[derive(Debug, thiserror::Error)]
#[error("it is down")]
struct Down;

impl Classified for Down {
    fn disposition(&self) -> Disposition {
        Disposition::Stall
    }

    fn reason(&self) -> &'static str {
        "SourceUnavailable"
    }
}

#[async_trait]
impl Source for Slow {
    fn kind(&self) -> &'static str {
        "ldap"
    }

    async fn read(&self) -> Result<CompleteRead<SourceSide>, SourceError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        sleep(READING).await;
        match self.end {
            End::Whole => {
                let mut read = Read::start(ReadCaps::default());
                let section = read.open("everybody");
                read.page(section, Next::End).unwrap();
                Ok(read.finish().unwrap())
            }
            End::Fails => Err(Down.into()),
            End::Panics => panic!("a mistake"),
        }
    }

    async fn confirm(&self, _: &[Lookup], _: &Referencer) -> Vec<Finding> {
        Vec::new()
    }

    async fn describe(&self) -> Result<SourceDescription, SourceError> {
        Err(Down.into())
    }

    async fn find(&self, _: &str) -> Sightings {
        Err(Down.into())
    }
}

/// The resources of a cluster.
struct Cluster(Vec<DirectorySync>);

impl Siblings for Cluster {
    fn of(&self, directory: &Directory) -> Vec<Sibling> {
        self.0.iter().filter(|sync| directory.is_of(sync)).filter_map(Sibling::of).collect()
    }
}

/// A resource whose UID is its name.
fn resource(name: &str, freshness: &str) -> DirectorySync {
    changed(name, freshness, |_| {})
}

fn changed(name: &str, freshness: &str, change: impl FnOnce(&mut Value)) -> DirectorySync {
    let mut resource = json!({
        "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
        "metadata": { "name": name, "namespace": "identity", "uid": name },
        "spec": {
            "source": { "ldap": {
                "urls": ["ldaps://dc1.example.com"],
                "bind": { "simple": { "secretRef": { "name": "reader" } } },
                "users": [{ "baseDN": "ou=people,dc=example,dc=com" }],
            }, "freshness": freshness },
            "target": { "scim": {
                "url": format!("https://{name}.example.com/scim/v2"),
                "auth": { "bearerTokenSecretRef": { "name": name, "key": "token" } },
            } },
        },
    });
    change(&mut resource);
    serde_json::from_value(resource).unwrap()
}

#[derive(Clone)]
struct World {
    reads: SharedReads,
    metrics: Arc<Metrics>,
    begun: Arc<AtomicUsize>,
}

impl World {
    fn of(resources: &[&DirectorySync]) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let cluster = Cluster(resources.iter().map(|&sync| sync.clone()).collect());
        Self { reads: SharedReads::new(cluster, Arc::clone(&metrics), 2), metrics, begun: Arc::default() }
    }

    fn source(&self, end: End) -> Arc<dyn Source> {
        Arc::new(Slow { begun: Arc::clone(&self.begun), end })
    }

    async fn with(
        &self,
        sync: &DirectorySync,
        after: Option<Instant>,
        end: End,
        version: &str,
    ) -> Result<SourceRead, ReadFailure> {
        let mut versions = Versions::default();
        versions.note(Kind::Secret, "reader", Some(version.to_owned()));
        let freshness = directory_sync_api::convert::freshness(&sync.spec.source).unwrap().unsigned_abs();
        self.reads.read(Wanted { sync, versions: &versions, freshness, after }, self.source(end)).await
    }

    /// Whose read a run uses.
    async fn run(&self, sync: &DirectorySync) -> String {
        self.with(sync, None, End::Whole, "1").await.unwrap().by
    }

    /// What the read of a run holds, to see whether it is still held when the run is over.
    async fn held_by(&self, sync: &DirectorySync) -> Weak<dyn Source> {
        Arc::downgrade(&self.with(sync, None, End::Whole, "1").await.unwrap().source)
    }

    /// Whose read a run uses that somebody asks for now.
    async fn asked(&self, sync: &DirectorySync) -> String {
        let seen = Instant::now();
        sleep(SECOND).await;
        self.with(sync, Some(seen), End::Whole, "1").await.unwrap().by
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    fn kept(&self) -> usize {
        self.reads.0.lock().kept.len()
    }

    /// A run in a task of its own, a second after it began.
    async fn under_way(
        &self,
        sync: &DirectorySync,
        end: End,
    ) -> tokio::task::JoinHandle<Result<SourceRead, ReadFailure>> {
        let (world, sync) = (self.clone(), sync.clone());
        let task = tokio::spawn(async move { world.with(&sync, None, end, "1").await });
        sleep(SECOND).await;
        task
    }

    fn metric(&self, line: &str) -> bool {
        String::from_utf8(self.metrics.render().unwrap()).unwrap().lines().any(|known| known == line)
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_due_while_another_reads_waits_for_that_read() {
    let (a, b) = (resource("a", "60s"), resource("b", "60s"));
    let world = World::of(&[&a, &b]);
    let (first, second) = tokio::join!(world.run(&a), world.run(&b));
    assert_eq!((first.as_str(), second.as_str(), world.begun()), ("a", "a", 1));
    assert!(world.metric("directorysync_source_fetch_duration_seconds_count{source=\"ldap\"} 1"));
    assert!(world.metric("directorysync_source_reads_shared_total{source=\"ldap\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn the_window_counts_from_the_end_of_the_read() {
    let [a, b, c] = ["a", "b", "c"].map(|name| resource(name, "60s"));
    let world = World::of(&[&a, &b, &c]);
    world.run(&a).await;
    advance(Duration::from_secs(59)).await;
    assert_eq!(world.run(&b).await, "a");
    advance(SECOND).await;
    assert_eq!(world.run(&c).await, "c");
}

#[tokio::test(start_paused = true)]
async fn everybody_judges_by_its_own_window() {
    let [a, b, c] = [("a", "60s"), ("b", "5s"), ("c", "1h")].map(|(name, freshness)| resource(name, freshness));
    let world = World::of(&[&a, &b, &c]);
    world.run(&a).await;
    advance(Duration::from_secs(6)).await;
    assert_eq!(world.run(&b).await, "b", "too old for this one");
    advance(Duration::from_secs(3000)).await;
    assert_eq!(world.run(&c).await, "b");
}

#[tokio::test(start_paused = true)]
async fn no_two_runs_of_a_resource_use_one_read() {
    let (a, b) = (resource("a", "60s"), resource("b", "60s"));
    let world = World::of(&[&a, &b]);
    assert_eq!((world.run(&a).await.as_str(), world.run(&b).await.as_str()), ("a", "a"));
    advance(SECOND).await;
    assert_eq!((world.run(&b).await.as_str(), world.begun()), ("b", 2), "a second read is one");
    assert_eq!((world.run(&a).await.as_str(), world.begun()), ("b", 2), "which is new to the other");
    advance(SECOND).await;
    assert_eq!((world.run(&a).await.as_str(), world.begun()), ("a", 3));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_began_before_the_last_one_was_whole_is_no_second_read() {
    let (a, b) = (resource("a", "60s"), resource("b", "60s"));
    let world = World::of(&[&a, &b]);
    let first = world.under_way(&a, End::Whole).await;
    // Whoever is asked reads on its own, and both reads see the directory in the same ten seconds.
    assert_eq!(world.asked(&b).await, "b");
    first.await.unwrap().unwrap();
    advance(SECOND).await;
    assert_eq!((world.run(&a).await.as_str(), world.begun()), ("a", 3));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_asked_uses_only_what_was_begun_after_that() {
    let [a, b, c] = ["a", "b", "c"].map(|name| resource(name, "60s"));
    let world = World::of(&[&a, &b, &c]);
    let old = world.under_way(&a, End::Whole).await;
    let seen = Instant::now();
    sleep(SECOND).await;
    assert_eq!(world.with(&b, Some(seen), End::Whole, "1").await.unwrap().by, "b", "not by the one under way");
    old.await.unwrap().unwrap();
    assert_eq!(world.with(&c, Some(seen), End::Whole, "1").await.unwrap().by, "b", "which began after it was asked");
    assert_eq!(world.asked(&c).await, "c", "nor by one that is kept");
}

#[tokio::test(start_paused = true)]
async fn a_freshness_of_zero_neither_takes_nor_gives() {
    let (a, b) = (resource("a", "60s"), resource("b", "0s"));
    let world = World::of(&[&a, &b]);
    let (first, second) = tokio::join!(world.run(&a), world.run(&b));
    assert_eq!((first.as_str(), second.as_str(), world.begun(), world.kept()), ("a", "b", 2, 0));
    let (second, first) = tokio::join!(world.run(&b), world.run(&a));
    assert_eq!((first.as_str(), second.as_str(), world.begun(), world.kept()), ("a", "b", 4, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_otherwise_or_elsewhere_or_with_another_secret_reads_alone() {
    let a = resource("a", "60s");
    let filtered = changed("b", "60s", |sync| sync["spec"]["source"]["ldap"]["users"][0]["filter"] = json!("(uid=*)"));
    let mapped =
        changed("c", "60s", |sync| sync["spec"]["mapping"] = json!({ "user": { "email": { "attribute": "mail" } } }));
    let elsewhere = changed("d", "60s", |sync| sync["metadata"]["namespace"] = json!("finance"));
    let same = resource("e", "60s");
    let world = World::of(&[&a, &filtered, &mapped, &elsewhere, &same]);
    assert_eq!(world.run(&a).await, "a");
    for (name, sync) in [("b", &filtered), ("c", &mapped), ("d", &elsewhere)] {
        assert_eq!(world.run(sync).await, name);
    }
    assert_eq!(world.with(&same, None, End::Whole, "2").await.unwrap().by, "e", "the password is another");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_whoever_waited_and_to_nobody_after() {
    let [a, b, c] = ["a", "b", "c"].map(|name| resource(name, "60s"));
    let world = World::of(&[&a, &b, &c]);
    let (first, second) = tokio::join!(world.with(&a, None, End::Fails, "1"), world.with(&b, None, End::Fails, "1"));
    for failure in [first, second].map(|read| read.err().unwrap()) {
        assert_eq!((failure.reason(), failure.disposition()), ("SourceUnavailable", Disposition::Stall));
    }
    assert_eq!(world.begun(), 1, "an account is not tried twice with one wrong password");
    assert_eq!((world.run(&c).await.as_str(), world.begun()), ("c", 2));
    assert!(world.metric("directorysync_source_fetch_duration_seconds_count{source=\"ldap\"} 1"), "whole reads count");
    assert_eq!(world.run(&a).await, "c", "a failure was no read that it used");
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_the_operator_is_an_answer_to_everybody_who_waited() {
    let (a, b) = (resource("a", "60s"), resource("b", "60s"));
    let world = World::of(&[&a, &b]);
    let (first, second) = tokio::join!(world.with(&a, None, End::Panics, "1"), world.with(&b, None, End::Panics, "1"));
    assert_eq!([first, second].map(|read| read.err().unwrap().reason()), ["InternalError"; 2]);
    assert_eq!((world.run(&b).await.as_str(), world.begun()), ("b", 2));
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_on_for_the_others_when_the_run_that_began_it_is_given_up() {
    let (a, b) = (resource("a", "60s"), resource("b", "60s"));
    let world = World::of(&[&a, &b]);
    let (first, second) = (world.under_way(&a, End::Whole).await, world.under_way(&b, End::Whole).await);
    first.abort();
    let read = second.await.unwrap().unwrap();
    assert_eq!((read.by.as_str(), world.begun()), ("a", 1));
    assert!(read.took < READING + SECOND, "it did not begin again");
}

#[tokio::test(start_paused = true)]
async fn a_read_ends_when_nobody_waits_for_it_any_more() {
    let (a, b) = (resource("a", "60s"), resource("b", "60s"));
    let world = World::of(&[&a, &b]);
    let first = world.under_way(&a, End::Whole).await;
    first.abort();
    let _ = first.await;
    assert_eq!((world.run(&b).await.as_str(), world.begun()), ("b", 2));
}

#[tokio::test(start_paused = true)]
async fn a_read_is_dropped_when_its_window_ends() {
    let (a, b) = (resource("a", "60s"), resource("b", "60s"));
    let world = World::of(&[&a, &b]);
    let source = world.held_by(&a).await;
    assert!(world.kept() == 1 && source.upgrade().is_some());
    sleep(Duration::from_secs(59)).await;
    assert_eq!(world.kept(), 1);
    sleep(Duration::from_secs(2)).await;
    assert!(world.kept() == 0 && source.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_read_is_not_kept_where_nobody_else_may_use_it() {
    let a = resource("a", "60s");
    let suspended = changed("b", "60s", |sync| sync["spec"]["suspend"] = json!(true));
    let other = changed("c", "60s", |sync| sync["metadata"]["namespace"] = json!("finance"));
    let world = World::of(&[&a, &suspended, &other, &resource("d", "0s")]);
    let source = world.held_by(&a).await;
    assert!(world.kept() == 0 && source.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_read_is_dropped_when_everybody_has_used_it() {
    let [a, b, c] = [("a", "60s"), ("b", "60s"), ("c", "1h")].map(|(name, freshness)| resource(name, freshness));
    let world = World::of(&[&a, &b, &c]);
    world.run(&a).await;
    world.run(&c).await;
    assert_eq!(world.kept(), 1);
    world.run(&b).await;
    assert_eq!(world.kept(), 0);
    // With the hour of the third gone, the minute of the second is what counts.
    advance(SECOND).await;
    world.run(&a).await;
    world.run(&c).await;
    sleep(Duration::from_secs(61)).await;
    assert_eq!(world.kept(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_reads_are_kept_and_the_oldest_goes_first() {
    let filtered = |name: &str, number: usize| {
        let filter = format!("(uid=p{number}*)");
        changed(name, "1h", |sync| sync["spec"]["source"]["ldap"]["users"][0]["filter"] = json!(filter))
    };
    let readers: Vec<_> = (0..3).map(|number| filtered(&format!("reader-{number}"), number)).collect();
    let others: Vec<_> = (0..3).map(|number| filtered(&format!("other-{number}"), number)).collect();
    let world = World::of(&readers.iter().chain(&others).collect::<Vec<_>>());
    for reader in &readers {
        world.run(reader).await;
    }
    assert_eq!(world.kept(), 2);
    let whose = [world.run(&others[1]).await, world.run(&others[2]).await, world.run(&others[0]).await];
    assert_eq!(whose, ["reader-1", "reader-2", "other-0"]);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_gone_is_forgotten_and_its_read_serves_the_others() {
    let (a, b) = (resource("a", "60s"), resource("b", "60s"));
    let world = World::of(&[&a, &b]);
    world.run(&a).await;
    world.reads.forget("a");
    assert!(world.reads.0.lock().last.is_empty());
    assert_eq!(world.run(&b).await, "a");
}
