//! The peers are what the other tests take them for.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::Path;

use directory_sync_tests::peers::company::{Company, Person};
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::helm::Helm;
use directory_sync_tests::peers::helm_unittest;
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{BASE_DN, READER_DN, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::ListParams;
use reqwest::Method;
use serde_json::json;

mod control_plane {
    use super::*;

    #[tokio::test]
    async fn it_serves_our_kinds() {
        let control_plane = ControlPlane::start().await.unwrap();
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
        control_plane.kubectl(&["apply", "-f", crds.to_str().unwrap()]).await.unwrap();
        let sync = "crd/directorysyncs.directorysync.dev";
        control_plane.kubectl(&["wait", "--for=condition=Established", sync]).await.unwrap();
        let kinds = control_plane.kubectl(&["api-resources", "--api-group=directorysync.dev", "-o", "name"]).await;
        assert!(kinds.unwrap().contains("directorysyncs.directorysync.dev"));
    }

    #[tokio::test]
    async fn a_token_has_the_rights_of_its_service_account_and_the_audit_log_tells_who_asked() {
        let control_plane = ControlPlane::start().await.unwrap();
        control_plane.create_namespace("identity").await.unwrap();
        control_plane.create_service_account("identity", "reader").await.unwrap();
        let role = ["create", "role", "reader", "--verb=list", "--resource=configmaps", "-n", "identity"];
        control_plane.kubectl(&role).await.unwrap();
        let subject = "--serviceaccount=identity:reader";
        let binding = ["create", "rolebinding", "reader", "--role=reader", subject, "-n", "identity"];
        control_plane.kubectl(&binding).await.unwrap();

        let token = control_plane.create_token("identity", "reader").await.unwrap();
        let client = control_plane.client_for_token(&token).await.unwrap();
        Api::<ConfigMap>::namespaced(client.clone(), "identity").list(&ListParams::default()).await.unwrap();
        let refusal = Api::<Pod>::namespaced(client, "identity").list(&ListParams::default()).await.unwrap_err();
        assert!(refusal.to_string().contains("forbidden"), "{refusal}");

        let seen: Vec<_> = control_plane
            .audit_events()
            .unwrap()
            .into_iter()
            .filter(|event| event["user"]["username"] == "system:serviceaccount:identity:reader")
            .map(|event| (event["objectRef"]["resource"].clone(), event["responseStatus"]["code"].clone()))
            .collect();
        assert_eq!(seen, [(json!("configmaps"), json!(200)), (json!("pods"), json!(403))]);
    }

    #[tokio::test]
    async fn helm_installs_a_chart_whose_pods_run_on_the_node() {
        let control_plane = ControlPlane::start_with_node().await.unwrap();
        let chart = sample_chart();
        let helm = Helm::for_cluster(control_plane.kubeconfig()).unwrap();
        let path = chart.path().to_str().unwrap();
        helm.run(&["install", "sample", path, "--wait", "--timeout", "60s"]).await.unwrap();
        let pods = control_plane.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].status.phase}"]).await.unwrap();
        assert_eq!(pods, "Running");
        helm.run(&["uninstall", "sample", "--wait", "--timeout", "60s"]).await.unwrap();
    }
}

mod charts {
    use super::*;

    #[tokio::test]
    async fn a_chart_without_tests_does_not_pass() {
        let chart = sample_chart();
        let refusal = helm_unittest::run(chart.path()).await.unwrap_err().to_string();
        assert!(refusal.contains("has no tests"), "{refusal}");
    }

    #[tokio::test]
    async fn a_test_of_a_chart_is_judged() {
        let chart = sample_chart();
        fs::create_dir(chart.path().join("tests")).unwrap();
        let test = |replicas: u32| {
            let assertion = format!("- equal: {{ path: spec.replicas, value: {replicas} }}");
            let suite = format!(
                "suite: deployment\ntests:\n- it: has pods\n  template: deployment.yaml\n  asserts:\n  {assertion}\n"
            );
            fs::write(chart.path().join("tests/deployment_test.yaml"), suite).unwrap();
            helm_unittest::run(chart.path())
        };
        test(1).await.unwrap();
        test(2).await.unwrap_err();
    }
}

mod slapd {
    use super::*;

    async fn start() -> Slapd {
        Slapd::start(&SlapdOptions::default(), &Company::small()).await.unwrap()
    }

    async fn count(slapd: &Slapd, filter: &str) -> usize {
        slapd.search(&[filter, "1.1"]).await.unwrap().lines().filter(|line| line.starts_with("dn:")).count()
    }

    #[tokio::test]
    async fn it_serves_the_company_to_the_reader() {
        let slapd = start().await;
        assert_eq!(count(&slapd, "(objectClass=inetOrgPerson)").await, 200);
        assert_eq!(count(&slapd, "(objectClass=groupOfNames)").await, 20);
        assert_eq!(count(&slapd, "(&(objectClass=inetOrgPerson)(!(mail=*)))").await, 1);
        assert_eq!(count(&slapd, "(employeeType=disabled)").await, 1);
        assert!(count(&slapd, "(mailAlternateAddress=*)").await > 10);
        let person = Company::small().people.swap_remove(1);
        let found = slapd.search(&[&format!("(mail={})", person.mail.as_ref().unwrap()), "entryUUID"]).await.unwrap();
        assert!(found.contains(&person.entry_uuid()), "{found}");
        let reader = slapd.search(&["-s", "base", "-b", READER_DN, "(objectClass=*)", "*"]).await.unwrap();
        assert!(reader.contains("cn: reader") && !reader.contains("userPassword"), "{reader}");
    }

    #[tokio::test]
    async fn its_entries_can_be_added_changed_and_removed() {
        let slapd = start().await;
        let hire = Person::new("Ada", "Lövenskiöld", "Research", 201);
        slapd.change(&hire.ldif()).await.unwrap();
        assert_eq!(count(&slapd, "(mail=ada.loevenskioeld@example.com)").await, 1);
        slapd.replace(&hire.dn(), "sn", &["Müller"]).await.unwrap();
        assert_eq!(count(&slapd, "(&(uid=ada.loevenskioeld)(sn=Müller))").await, 1);
        slapd.delete(&hire.dn()).await.unwrap();
        assert_eq!(count(&slapd, "(objectClass=inetOrgPerson)").await, 200);
    }

    #[tokio::test]
    async fn it_keeps_to_the_limits_of_the_reader() {
        let options = SlapdOptions { reader_limits: "size=50".to_owned(), ..SlapdOptions::default() };
        let slapd = Slapd::start(&options, &Company::small()).await.unwrap();
        let refusal = slapd.search(&["-E", "pr=20/noprompt", "(objectClass=inetOrgPerson)"]).await.unwrap_err();
        assert!(refusal.to_string().contains("Size limit exceeded"), "{refusal}");
    }

    #[tokio::test]
    async fn it_speaks_tls_with_the_certificate_given() {
        let authority = CertificateAuthority::new("directory").unwrap();
        let certificate = authority.server_certificate(&["127.0.0.1"]).unwrap();
        let options = SlapdOptions { certificate: Some(certificate), ..SlapdOptions::default() };
        let slapd = Slapd::start(&options, &Company::small()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let works = |trusted: &CertificateAuthority, url: &str, arguments: &[&str]| {
            let file = folder.path().join("ca.crt");
            fs::write(&file, trusted.certificate_pem()).unwrap();
            let mut command = slapd.search_command(url).unwrap();
            command.env("LDAPTLS_CACERT", file).args(arguments).args(["-s", "base", "(objectClass=*)", "1.1"]);
            command.output().unwrap().status.success()
        };
        assert!(works(&authority, &slapd.ldaps_url().unwrap(), &[]));
        assert!(works(&authority, &slapd.url(), &["-ZZ"]));
        assert!(!works(&CertificateAuthority::new("stranger").unwrap(), &slapd.url(), &["-ZZ"]));
    }

    #[tokio::test]
    async fn it_keeps_its_data_over_a_restart() {
        let mut slapd = start().await;
        slapd.stop_serving();
        assert!(slapd.search(&["-s", "base", "-b", BASE_DN]).await.is_err());
        slapd.start_serving().await.unwrap();
        assert_eq!(count(&slapd, "(objectClass=inetOrgPerson)").await, 200);
    }
}

mod scim2_server {
    use super::*;

    async fn start(options: Scim2ServerOptions, users: usize) -> Scim2Server {
        let server = Scim2Server::start(options).await.unwrap();
        for number in 0..users {
            let user = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": format!("user{number}@example.com"),
            });
            server.create("Users", &user).await.unwrap();
        }
        server
    }

    #[tokio::test]
    async fn it_tells_what_it_can_to_the_bearer_of_the_token() {
        let server = start(Scim2ServerOptions::default(), 0).await;
        let configuration = server.request(Method::GET, "ServiceProviderConfig", None).await.unwrap();
        assert_eq!(configuration["patch"]["supported"], true);
        assert_eq!(configuration["pagination"], json!(null));
        let stranger = reqwest::get(format!("{}/Users", server.url())).await.unwrap();
        assert_eq!(stranger.status(), 401);
    }

    #[tokio::test]
    async fn it_pages_by_index() {
        let server = start(Scim2ServerOptions::default(), 101).await;
        let first = server.request(Method::GET, "Users?count=10", None).await.unwrap();
        assert_eq!(first["Resources"].as_array().unwrap().len(), 10);
        assert_eq!(server.all("Users").await.unwrap().len(), 101);
    }

    #[tokio::test]
    async fn it_pages_by_cursor() {
        let server = start(Scim2ServerOptions::with_cursors(10), 25).await;
        let first = server.request(Method::GET, "Users?cursor=", None).await.unwrap();
        assert_eq!(first["Resources"].as_array().unwrap().len(), 10);
        assert!(first["nextCursor"].is_string(), "{first}");
        assert_eq!(server.all("Users").await.unwrap().len(), 25);
    }

    #[tokio::test]
    async fn it_does_without_what_it_does_not_announce() {
        let server = start(Scim2ServerOptions::without(&["patch"]), 1).await;
        let users = server.all("Users").await.unwrap();
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": "active", "value": false }],
        });
        let user = format!("Users/{}", users[0]["id"].as_str().unwrap());
        assert!(server.request(Method::PATCH, &user, Some(&patch)).await.is_err());
    }
}

/// A chart with one deployment of one pod.
fn sample_chart() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("Chart.yaml", "apiVersion: v2\nname: sample\nversion: 0.1.0\n");
    write("values.yaml", "{}\n");
    fs::create_dir(folder.path().join("templates")).unwrap();
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "sample" },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": "sample" } },
            "template": {
                "metadata": { "labels": { "app": "sample" } },
                "spec": { "containers": [{ "name": "sample", "image": "example.com/sample" }] },
            },
        },
    });
    write("templates/deployment.yaml", &deployment.to_string());
    folder
}
