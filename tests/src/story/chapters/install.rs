//! The parts, and the operator among them.

use std::fs;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use super::super::{NAMESPACE, OPERATOR_NAMESPACE, SYNC, Stage};
use crate::peers::company::Company;
use crate::peers::helm::Helm;
use crate::peers::operator::{Operator, chart, service_account};
use crate::peers::slapd::BASE_DN;

const RELEASE: &str = "sync";
/// The account that the service has for somebody of the company before the operator comes.
pub(super) const MADE_BY_HAND: &str = "vera.ueda@example.com";
/// Somebody in the service who does not belong to the company.
pub(super) const PARTNER: &str = "kim@partner.example";

/// Shows the directory and the service as they are before the operator comes.
pub(in super::super) async fn the_parts(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.chapter("A directory and a service");
    let entries = |filter: &'static str| {
        let slapd = &stage.slapd;
        async move {
            let found = slapd.search(&[filter, "1.1"]).await?;
            anyhow::Ok(found.lines().filter(|line| line.starts_with("dn:")).count())
        }
    };
    let people = entries("(objectClass=inetOrgPerson)").await?;
    let groups = entries("(objectClass=groupOfNames)").await?;
    let without_address = entries("(&(objectClass=inetOrgPerson)(!(mail=*)))").await?;
    let with_aliases = entries("(&(objectClass=inetOrgPerson)(mailAlternateAddress=*))").await?;
    let disabled = entries("(employeeType=disabled)").await?;
    let longest = longest_name(&stage.company);
    let umlauts = stage.company.people.iter().filter(|person| !person.display_name().is_ascii()).count();
    ensure!(
        (people, groups, without_address, disabled) == (200, 20, 1, 1) && with_aliases > 10 && umlauts > 50,
        "the directory does not hold the company that the story is about"
    );
    ensure!(longest.chars().count() > 70, "nobody in the company has a long name");
    stage.narrator.say(&format!(
        "Example Company keeps its {people} people and {groups} groups in OpenLDAP. As in any real directory there are \
         oddities: {umlauts} names with letters such as ü, ł or ş, {with_aliases} people with further addresses, one \
         without any address, one whose account is disabled, a group of groups, and somebody called {longest}."
    ));
    for (name, given, family) in [(MADE_BY_HAND, "Vera", "U."), (PARTNER, "Kim", "Partner")] {
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "displayName": format!("{given} {family}"),
            "active": true,
        });
        stage.scim.create("Users", &user).await?;
    }
    stage.narrator.say(
        "The people shall have accounts in a service with a SCIM 2.0 interface. Two accounts were made there by hand: \
         one for a colleague, and one for a partner from another company.",
    );
    stage.show_scim("Users", &["userName", "displayName", "active"]).await?;
    Ok(())
}

/// Installs the chart, and starts the operator as the chart's Deployment would.
pub(in super::super) async fn the_operator(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.chapter("The operator is installed");
    let mut words = vec!["install", RELEASE, "charts/directory-sync-operator"];
    words.extend(["--namespace", OPERATOR_NAMESPACE, "--create-namespace"]);
    let values: Vec<_> =
        stage.setting.chart_values.iter().flat_map(|value| ["--set", value]).map(str::to_owned).collect();
    words.extend(values.iter().map(String::as_str));
    let shown: Vec<_> = ["helm"].iter().chain(&words).map(|word| (*word).to_owned()).collect();
    stage.narrator.command(&shown, None);
    let chart = chart();
    words[2] = chart.to_str().context("the path of the chart is not text")?;
    // Its pods would need an image of the operator; so they wait for a node that there is not.
    words.extend(["--set-string", "nodeSelector.directory-sync-demo=none"]);
    Helm::for_cluster(stage.cluster.kubeconfig())?.run(&words).await?;
    stage.kubectl_unseen(&["wait", "--for=condition=Established", "--all", "crd", "--timeout=60s"]).await?;
    stage.narrator.say(
        "The chart brings four kinds, a service account with the few rights that the operator needs (of Secrets: to read \
         one by its name), and a policy about approvals.",
    );
    stage.kubectl(&["api-resources", "--api-group=directorysync.dev", "-o", "name"]).await?;
    start_operator(stage).await?;
    stage.narrator.say(
        "No image is pulled here: the operator runs as a process on this machine, with the arguments of the chart's \
         Deployment and a token of its service account, so with no more rights than its pod would have.",
    );
    Ok(())
}

async fn start_operator(stage: &mut Stage<'_>) -> Result<()> {
    stage.narrator.begin("Starting the operator");
    let deployment = stage.kubectl_unseen(&["get", "deployment", "-n", OPERATOR_NAMESPACE, "-o", "json"]).await?;
    let mut deployments: serde_json::Value = serde_json::from_str(&deployment)?;
    let deployment: Deployment = serde_json::from_value(deployments["items"][0].take())?;
    let account = service_account(&deployment)?;
    let token = stage.kubectl_unseen(&["create", "token", account, "-n", OPERATOR_NAMESPACE, "--duration=24h"]).await?;
    let kubeconfig = stage.folder().join("kubeconfig-operator");
    fs::copy(stage.cluster.kubeconfig(), &kubeconfig)?;
    let path = kubeconfig.to_str().context("the folder's path is not text")?;
    let config = |arguments: &'static [&'static str]| [&["--kubeconfig", path, "config"], arguments].concat();
    // A flag that comes later wins over the file of the administrator.
    let token_flag = format!("--token={}", token.trim());
    stage.kubectl_unseen(&[&config(&["set-credentials", "operator"])[..], &[&token_flag]].concat()).await?;
    stage.kubectl_unseen(&config(&["set-context", "--current", "--user=operator"])).await?;
    let operator = Operator::start_deployed(&deployment, stage.setting.program.clone(), &kubeconfig).await?;
    stage.operator = Some(operator);
    stage.narrator.end();
    Ok(())
}

/// Takes everything away that the story made in the cluster.
pub(in super::super) async fn remove(stage: &mut Stage<'_>) -> Result<()> {
    let gently = ["-n", NAMESPACE, "delete", "directorysyncs", "--all", "--timeout=30s"];
    let kinds_are_there = stage.kubectl_unseen(&["get", "crds", "-o", "name"]).await?.contains("directorysync.dev");
    if kinds_are_there && stage.kubectl_unseen(&gently).await.is_err() {
        // Without an operator nobody takes the finalizer away.
        let patch = r#"{"metadata":{"finalizers":null}}"#;
        let _ = stage.kubectl_unseen(&["-n", NAMESPACE, "patch", "dsync", SYNC, "--type=merge", "-p", patch]).await;
    }
    stage.operator = None;
    let helm = Helm::for_cluster(stage.cluster.kubeconfig())?;
    helm.run(&["uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found"]).await?;
    let crds = chart().join("../../crds");
    let crds = crds.to_str().context("the path of the checkout is not text")?;
    stage.kubectl_unseen(&["delete", "-f", crds, "--ignore-not-found", "--timeout=60s"]).await?;
    let namespaces = ["delete", "namespace", NAMESPACE, OPERATOR_NAMESPACE, "--ignore-not-found", "--timeout=60s"];
    stage.kubectl_unseen(&namespaces).await?;
    Ok(())
}

fn longest_name(company: &Company) -> String {
    let names = company.people.iter().map(crate::peers::company::Person::display_name);
    names.max_by_key(|name| name.chars().count()).unwrap_or_default()
}

/// The name of the entry of a group.
pub(super) fn group_dn(name: &str) -> String {
    format!("cn={name},ou=Groups,{BASE_DN}")
}
