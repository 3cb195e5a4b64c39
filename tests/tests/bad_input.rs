//! Whatever is wrong with what people write, or with the servers that they name: the resource says so in one sentence,
//! keeps its plan, and goes on as soon as it is mended. Others beside it are not disturbed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unreachable_pub, reason = "a test has no outside")]

#[path = "bad_input/cases.rs"]
mod cases;
#[path = "bad_input/world.rs"]
mod world;

use std::collections::BTreeMap;

use anyhow::Result;
use cases::{Case, Fault};
use directory_sync_tests::audit::Rights;
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::resources::{condition, ready};
use futures::future::join_all;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_one_sentence_and_mending_it_is_enough() -> Result<()> {
    let world = World::start().await?;
    let cases = cases::all(&world).await?;
    world.create("healthy", &world.scim.url()).await?;
    let ended = CancellationToken::new();
    // Cases that the metric counts under the same labels run one after the other: each has to be counted by itself.
    let mut groups: BTreeMap<_, Vec<&Case>> = BTreeMap::new();
    for case in &cases {
        groups.entry((case.reason, case.stalls)).or_default().push(case);
    }
    let all = async {
        let failures = join_all(groups.values().map(async |cases| {
            let mut failures = Vec::new();
            for case in cases {
                let outcome = Box::pin(case.run(&world)).await;
                failures.extend(outcome.err().map(|error| format!("{}: {error:#}", case.name)));
            }
            failures
        }));
        let failures = failures.await.concat();
        ended.cancel();
        failures
    };
    let (failures, healthy_runs) = tokio::join!(all, undisturbed(&world, &ended));
    assert!(failures.is_empty(), "{}\n", failures.join("\n\n"));
    assert!(healthy_runs? > 3, "the healthy resource went on running");

    let log = world.operator.log()?;
    assert!(log.contains("TargetForbidden"), "the log names reasons");
    assert!(!log.contains(cases::PERSON), "the log names nobody whom a server named");
    let client = world.control_plane.client().await?;
    Rights::compare(&world.control_plane, &client, "sync", world.operator.user()).await?.ensure_nothing_beyond()
}

/// Runs the healthy resource again and again, which has to succeed, and says how often it did.
async fn undisturbed(world: &World, ended: &CancellationToken) -> Result<usize> {
    let mut runs = 0;
    while !ended.is_cancelled() {
        let status = world.resources.run("healthy").await?;
        anyhow::ensure!(ready(&status).0 == "True", "{status:#?}");
        runs += 1;
    }
    Ok(runs)
}

/// Whether a message is the sentence, where `…` stands for what systems word differently.
fn says(message: &str, sentence: &str) -> bool {
    let Some((start, end)) = sentence.split_once('…') else { return message == sentence };
    let rest = message.strip_prefix(start).unwrap_or_default();
    let is_end = |at| rest.is_char_boundary(at) && says(&rest[at..], end);
    !rest.is_empty() && (1..=rest.len()).any(is_end)
}

impl Case {
    /// From a good run to the fault, and from there back to a good run.
    async fn run(&self, world: &World) -> Result<()> {
        let service = match &self.fault {
            Fault::Service(service) => service.url(),
            _ => world.scim.url(),
        };
        let good = world.create(self.name, &service).await?;
        let spec = world.resources.get(self.name).await?.spec;
        let labels = [("reason", self.reason), ("retryable", if self.stalls { "false" } else { "true" })];
        let errors = async || world.operator.metric("directorysync_reconcile_errors_total", &labels).await;
        let counted_before = errors().await?.unwrap_or_default();

        let failed = match &self.fault {
            Fault::Spec(patch) => world.resources.change(self.name, &json!({ "spec": patch })).await?,
            Fault::Replaced(wrong) => {
                world.apply(std::slice::from_ref(wrong)).await?;
                world.resources.run(self.name).await?
            }
            Fault::Deleted { kind, name } => {
                world.delete(kind, name).await?;
                world.resources.run(self.name).await?
            }
            Fault::Service(service) => {
                service.break_down();
                world.resources.run(self.name).await?
            }
        };
        let (status, reason, message) = ready(&failed);
        anyhow::ensure!(
            (status, reason) == ("False", self.reason) && says(message, &self.sentence),
            "Ready is {status}, {reason}:\n     is: {message}\n should: {}",
            self.sentence
        );
        let standing = if self.stalls { "Stalled" } else { "Reconciling" };
        anyhow::ensure!(condition(&failed, standing).is_some(), "it should be {standing}: {:#?}", failed.conditions);
        let plan =
            |status: &directory_sync_api::DirectorySyncStatus| status.plan.as_ref().map(|plan| plan.digest.clone());
        anyhow::ensure!(plan(&failed).is_some() && plan(&failed) == plan(&good), "the plan before stays: {failed:#?}");
        let note = world.expect_event(self.name, self.reason, |note| note == message || says(message, note)).await?;
        let quotes = self.quoted.is_some_and(|words| note.contains(words));
        anyhow::ensure!(!quotes && (note == message) == self.quoted.is_none(), "the event repeats a server: {note}");
        let counted = errors().await?.unwrap_or_default();
        anyhow::ensure!(counted > counted_before, "no metric counts {labels:?}: {counted_before}, then {counted}");

        match &self.fault {
            Fault::Spec(_) => {
                Box::pin(world.resources.specify(self.name, spec)).await?;
            }
            Fault::Replaced(_) | Fault::Deleted { .. } => world.apply(&world.referenced(self.name)).await?,
            Fault::Service(service) => service.mend(),
        }
        let mended = world.resources.until(self.name, "good again", |_, status| ready(status).0 == "True").await?;
        anyhow::ensure!(plan(&mended) == plan(&good), "the same plan again: {mended:#?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_seen_from_the_resource_alone_is_refused_by_the_api_server() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds");
    control_plane.kubectl(&["apply", "--server-side", "-f", crds]).await?;
    control_plane.kubectl(&["wait", "--for=condition=Established", "--all", "crd", "--timeout=60s"]).await?;
    let staff = world::resource("staff", "ldaps://ldap.example.com", "http://app.example.com/scim/v2").to_string();
    control_plane.kubectl_with_input(&["apply", "-f", "-"], &staff).await?;
    for (patch, sentence) in cases::refused() {
        let patch = json!({ "spec": patch }).to_string();
        let answer =
            control_plane.kubectl_output(&["patch", "directorysync", "staff", "--type=merge", "-p", &patch]).await?;
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(!answer.status.success() && said.contains(sentence), "{patch} should be refused: {sentence}\n{said}");
    }
    Ok(())
}
