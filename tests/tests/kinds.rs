//! The kinds on a real API server: what it refuses, what it fills in, and who may approve.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../operator/api/tests/cases/mod.rs"]
mod cases;

use std::path::{Path, PathBuf};

use directory_sync_api::{DirectorySync, DirectorySyncApproval, DirectorySyncApprovalSpec, GROUP, VERSION};
use directory_sync_tests::peers::control_plane::ControlPlane;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use cases::{changed, example, merge};

const NAMESPACE: &str = "identity";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A control plane with our kinds and a namespace for their resources.
async fn with_kinds() -> ControlPlane {
    let control_plane = ControlPlane::start().await.unwrap();
    let crds = repository().join("crds");
    control_plane.kubectl(&["apply", "-f", crds.to_str().unwrap()]).await.unwrap();
    control_plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all"]).await.unwrap();
    control_plane.create_namespace(NAMESPACE).await.unwrap();
    control_plane
}

/// What the API server says to an object, without storing it.
async fn verdict(client: &Client, object: &Value) -> Result<DirectorySync, String> {
    let api = Api::<DirectorySync>::namespaced(client.clone(), NAMESPACE);
    let parameters = PatchParams { dry_run: true, ..PatchParams::apply("test").validation_strict() };
    api.patch("staff", &parameters, &Patch::Apply(object)).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_resource_is_accepted_or_refused_with_a_sentence_that_says_what_to_write() {
    let control_plane = with_kinds().await;
    let client = control_plane.client().await.unwrap();

    let accepted = verdict(&client, &example()).await.unwrap();
    assert_eq!(accepted.spec.limits.memberships.removals.percent, Some(10), "defaults are filled in");
    assert!(!accepted.spec.apply);

    for case in cases::of_syncs() {
        let refusal = verdict(&client, &changed(&case.change)).await.expect_err(&case.wrong);
        assert!(refusal.contains(&case.sentence), "{}: {refusal}", case.wrong);
    }

    let misspelt = changed(&json!({ "removal": { "policyy": "Keep" } }));
    let refusal = verdict(&client, &misspelt).await.unwrap_err();
    assert!(refusal.contains("policyy"), "{refusal}");
}

#[tokio::test]
async fn approvals_plans_and_states_are_refused_where_they_contradict_themselves_or_are_changed() {
    let control_plane = with_kinds().await;
    let client = control_plane.client().await.unwrap();
    let resource = |kind: &str| ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind));
    let api = |kind: &str| Api::<DynamicObject>::namespaced_with(client.clone(), NAMESPACE, &resource(kind));
    let object =
        |kind: &str, name: &str, spec: &Value| DynamicObject::new(name, &resource(kind)).data(json!({ "spec": spec }));
    let cases = cases::of_other_kinds();
    for (kind, specs) in &cases.accepted {
        for (name, spec) in specs {
            api(kind).create(&PostParams::default(), &object(kind, name, spec)).await.unwrap();
        }
    }
    for case in &cases.refused {
        let answer = match (&case.create, &case.update) {
            (Some(change), None) => {
                let mut spec = cases.accepted[&case.kind][&case.of].clone();
                merge(&mut spec, change);
                api(&case.kind).create(&PostParams::default(), &object(&case.kind, "refused", &spec)).await
            }
            (None, Some(change)) => {
                let patch = Patch::Merge(json!({ "spec": change }));
                api(&case.kind).patch(&case.of, &PatchParams::default(), &patch).await
            }
            _ => panic!("{}: either create or update", case.wrong),
        };
        let refusal = answer.expect_err(&case.wrong).to_string();
        assert!(refusal.contains(&case.sentence), "{}: {refusal}", case.wrong);
    }
}

#[tokio::test]
async fn every_example_can_be_applied_as_it_stands() {
    let control_plane = with_kinds().await;
    let mut count = 0;
    for example in std::fs::read_dir(repository().join("examples")).unwrap() {
        let path = example.unwrap().path();
        let apply = ["apply", "--dry-run=server", "--namespace", NAMESPACE, "-f", path.to_str().unwrap()];
        control_plane.kubectl(&apply).await.unwrap();
        count += 1;
    }
    assert!(count > 1, "the examples are not where they are looked for");
}

#[tokio::test]
async fn what_is_stored_offline_and_by_the_api_server_is_the_same() {
    let control_plane = with_kinds().await;
    let client = control_plane.client().await.unwrap();
    let stored = verdict(&client, &example()).await.unwrap();
    let offline: DirectorySync = directory_sync_api::admission::admit(example()).unwrap();
    assert_eq!(stored.spec, offline.spec);
}

#[tokio::test]
async fn a_new_resource_is_not_taken_for_a_ready_one() {
    let control_plane = with_kinds().await;
    let api = Api::<DirectorySync>::namespaced(control_plane.client().await.unwrap(), NAMESPACE);
    let sync: DirectorySync = serde_json::from_value(example()).unwrap();
    api.create(&PostParams::default(), &sync).await.unwrap();
    assert_eq!(api.get("staff").await.unwrap().status.unwrap().observed_generation, -1);
}

#[tokio::test]
async fn an_approval_names_its_creator_and_is_never_changed() {
    let control_plane = with_kinds().await;
    let role = ["create", "role", "approver", "-n", NAMESPACE, "--verb=create,patch"];
    let resource = "--resource=directorysyncapprovals.directorysync.dev";
    control_plane.kubectl(&[&role[..], &[resource]].concat()).await.unwrap();
    let mut tokens = Vec::new();
    for account in ["ada", "grace"] {
        control_plane.create_service_account(NAMESPACE, account).await.unwrap();
        let subject = format!("--serviceaccount={NAMESPACE}:{account}");
        let binding = ["create", "rolebinding", account, "-n", NAMESPACE, "--role=approver", &subject];
        control_plane.kubectl(&binding).await.unwrap();
        tokens.push(control_plane.create_token(NAMESPACE, account).await.unwrap());
    }
    let approval = |name: &str, by: &str| {
        let plan = format!("sha256:{}", "0".repeat(64));
        let approved_by = format!("system:serviceaccount:{NAMESPACE}:{by}");
        DirectorySyncApproval::new(name, DirectorySyncApprovalSpec { sync: "staff".into(), plan, approved_by })
    };
    let [ada, grace] = [&tokens[0], &tokens[1]];
    let ada = Api::<DirectorySyncApproval>::namespaced(control_plane.client_for_token(ada).await.unwrap(), NAMESPACE);
    let grace =
        Api::<DirectorySyncApproval>::namespaced(control_plane.client_for_token(grace).await.unwrap(), NAMESPACE);

    let own = ada.create(&PostParams::default(), &approval("own", "ada")).await.unwrap();
    assert_eq!(own.spec.approved_by, format!("system:serviceaccount:{NAMESPACE}:ada"));
    let refusal = refused_for_another(&grace, &approval("borrowed", "ada")).await;
    assert!(refusal.contains("must be the user who creates the approval"), "{refusal}");
    assert!(refusal.contains(&format!("write system:serviceaccount:{NAMESPACE}:grace")), "{refusal}");

    let change = Patch::Merge(json!({ "spec": { "sync": "others" } }));
    let refusal = ada.patch("own", &PatchParams::default(), &change).await.unwrap_err().to_string();
    assert!(refusal.contains("an approval is never changed"), "{refusal}");
}

/// The policy is enforced a moment after it is created: asks until it is, without ever storing anything.
async fn refused_for_another(api: &Api<DirectorySyncApproval>, approval: &DirectorySyncApproval) -> String {
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    for _ in 0..100 {
        if let Err(error) = api.create(&parameters, approval).await {
            return error.to_string();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the policy is not enforced")
}
