//! The chart, by real Helm on a real API server whose pods are run by a fake kubelet.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::helm::Helm;
use directory_sync_tests::peers::helm_unittest;

const NAMESPACE: &str = "directory-sync";

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/directory-sync-operator")
}

#[tokio::test]
async fn its_own_tests_pass() {
    helm_unittest::run(&chart()).await.unwrap();
}

#[tokio::test]
async fn it_passes_a_strict_lint() {
    let helm = Helm::without_cluster().unwrap();
    helm.run(&["lint", "--strict", chart().to_str().unwrap()]).await.unwrap();
}

#[tokio::test]
async fn it_is_installed_upgraded_rolled_back_and_uninstalled_where_pods_are_restricted() {
    let control_plane = ControlPlane::start_with_node().await.unwrap();
    control_plane.create_namespace(NAMESPACE).await.unwrap();
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    control_plane.kubectl(&["label", "namespace", NAMESPACE, restricted]).await.unwrap();
    let helm = Helm::for_cluster(control_plane.kubeconfig()).unwrap();
    let chart = chart();
    let path = chart.to_str().unwrap();
    let wait = ["-n", NAMESPACE, "--wait", "--timeout", "90s"];

    helm.run(&[&["install", "sync", path], &wait[..]].concat()).await.unwrap();
    let pods = ["get", "pods", "-n", NAMESPACE, "-o", "jsonpath={.items[*].status.phase}"];
    assert_eq!(control_plane.kubectl(&pods).await.unwrap(), "Running");
    let roles = ["get", "clusterroles", "-l", "app.kubernetes.io/instance=sync", "-o", "name"];
    assert!(control_plane.kubectl(&roles).await.unwrap().contains("sync-directory-sync-operator"));

    let watched = format!("watchNamespaces={{{NAMESPACE}}}");
    helm.run(&[&["upgrade", "sync", path, "--set", &watched], &wait[..]].concat()).await.unwrap();
    assert_eq!(control_plane.kubectl(&roles).await.unwrap(), "", "a Role takes the place of the ClusterRole");
    helm.run(&[&["rollback", "sync", "1"], &wait[..]].concat()).await.unwrap();
    assert!(control_plane.kubectl(&roles).await.unwrap().contains("sync-directory-sync-operator"));

    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/openldap-to-scim.yaml");
    control_plane.kubectl(&["apply", "-n", NAMESPACE, "-f", example.to_str().unwrap()]).await.unwrap();
    helm.run(&[&["uninstall", "sync"], &wait[..]].concat()).await.unwrap();
    let left = control_plane.kubectl(&["get", "directorysyncs", "-n", NAMESPACE, "-o", "name"]).await.unwrap();
    assert_eq!(left.trim(), "directorysync.directorysync.dev/staff", "resources outlive the chart");
}
