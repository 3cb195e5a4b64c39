//! What a program asked of the API server, by the audit log, set against what the roles of its release grant.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Result, ensure};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::peers::control_plane::ControlPlane;

/// One kind of request, in the words of RBAC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// `None`: in all namespaces.
    namespace: Option<String>,
    group: String,
    resource: String,
    verb: String,
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, group, resource, verb } = self;
        write!(formatter, "{verb} {resource}.{group} in {}", namespace.as_deref().unwrap_or("all namespaces"))
    }
}

fn list(permissions: &BTreeSet<Permission>) -> String {
    let lines: Vec<_> = permissions.iter().map(ToString::to_string).collect();
    lines.join("\n  ")
}

/// Rights that a program has and those that it used.
#[derive(Debug)]
pub struct Rights {
    refused: BTreeSet<Permission>,
    unused: BTreeSet<Permission>,
    otherwise: BTreeSet<Permission>,
}

impl Rights {
    /// Reads the audit log so far, and the roles of the Helm release.
    pub async fn compare(control_plane: &ControlPlane, client: &Client, release: &str, account: &str) -> Result<Self> {
        let granted = granted(client, release).await?;
        ensure!(!granted.is_empty(), "the release grants nothing");
        let (mut used, mut refused) = (BTreeSet::new(), BTreeSet::new());
        for event in control_plane.audit_events()? {
            if event["user"]["username"] == json!(account) {
                let permission = asked(&event, &granted);
                let answers = if event["responseStatus"]["code"] == json!(403) { &mut refused } else { &mut used };
                answers.insert(permission);
            }
        }
        let unused = granted.difference(&used).cloned().collect();
        let otherwise = used.difference(&granted).cloned().collect();
        Ok(Self { refused, unused, otherwise })
    }

    /// Fails if a request was refused, or allowed by something else than the release.
    pub fn ensure_nothing_beyond(&self) -> Result<()> {
        let Self { refused, otherwise, .. } = self;
        ensure!(
            refused.is_empty() && otherwise.is_empty(),
            "refused, so the chart lacks:\n  {}\nallowed, but not by the chart:\n  {}",
            list(refused),
            list(otherwise),
        );
        Ok(())
    }

    /// Fails if something is granted that was never used.
    pub fn ensure_nothing_unused(&self) -> Result<()> {
        ensure!(self.unused.is_empty(), "granted by the chart and never used:\n  {}", list(&self.unused));
        Ok(())
    }
}

/// What an event of the audit log asked for: in all namespaces where that is how it was granted.
fn asked(event: &Value, granted: &BTreeSet<Permission>) -> Permission {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let resource = match object["subresource"].as_str() {
        Some(subresource) => format!("{}/{subresource}", text(&object["resource"])),
        None if object.is_null() => text(&event["requestURI"]),
        None => text(&object["resource"]),
    };
    let everywhere =
        Permission { namespace: None, group: text(&object["apiGroup"]), resource, verb: text(&event["verb"]) };
    if granted.contains(&everywhere) {
        return everywhere;
    }
    Permission { namespace: object["namespace"].as_str().map(str::to_owned), ..everywhere }
}

/// Every right in the roles of the release.
async fn granted(client: &Client, release: &str) -> Result<BTreeSet<Permission>> {
    let of_release = ListParams::default().labels(&format!("app.kubernetes.io/instance={release}"));
    let mut granted = BTreeSet::new();
    for role in Api::<ClusterRole>::all(client.clone()).list(&of_release).await? {
        granted.extend(expanded(None, &role.rules.unwrap_or_default()));
    }
    for role in Api::<Role>::all(client.clone()).list(&of_release).await? {
        granted.extend(expanded(role.namespace().as_deref(), &role.rules.unwrap_or_default()));
    }
    Ok(granted)
}

fn expanded(namespace: Option<&str>, rules: &[PolicyRule]) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    permissions.push(Permission {
                        namespace: namespace.map(str::to_owned),
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                    });
                }
            }
        }
    }
    permissions
}
