//! A cluster in which the operator, run as the process that it is, has brought a SCIM server into line with a directory
//! and now waits for an approval of what changed since: two people left, one came.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use directory_sync_api::{DirectorySync, DirectorySyncStatus};
use directory_sync_tests::peers::company::{Company, Person};
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::processes::{Processes, free_port};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use kube::Api;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

/// Where everything lies.
pub(crate) const NAMESPACE: &str = "identity";
/// In every secret, and nowhere else.
pub(crate) const CANARY: &str = "canary-8d20b1aa";
/// The name of the operator's process.
const OPERATOR: &str = "directory-sync-operator";
const LIMIT: Duration = Duration::from_secs(90);

/// The cluster and everything around it.
pub(crate) struct Scene {
    /// The cluster.
    pub(crate) control_plane: ControlPlane,
    /// The target.
    pub(crate) scim: Scim2Server,
    /// The manifest of the resource, as it was applied.
    pub(crate) manifest: Value,
    /// Who left.
    pub(crate) leavers: Vec<Person>,
    /// What the operator says of the plan that waits.
    pub(crate) status: DirectorySyncStatus,
    operator: Processes,
    _slapd: Slapd,
}

impl Scene {
    /// Sets it all up; the operator has planned when this returns.
    pub(crate) async fn start() -> Self {
        let mut company = Company::small();
        company.people.truncate(40);
        company.groups.clear();
        let slapd_options = SlapdOptions { reader_password: CANARY.into(), ..SlapdOptions::default() };
        let scim_options = Scim2ServerOptions { token: CANARY.into(), ..Scim2ServerOptions::default() };
        let (control_plane, slapd, scim) = tokio::try_join!(
            ControlPlane::start(),
            Slapd::start(&slapd_options, &company),
            Scim2Server::start(scim_options)
        )
        .unwrap();
        let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds");
        control_plane.kubectl(&["apply", "--server-side", "-f", crds]).await.unwrap();
        let established = ["wait", "--for=condition=Established", "--all", "crd", "--timeout=30s"];
        control_plane.kubectl(&established).await.unwrap();
        control_plane.create_namespace(NAMESPACE).await.unwrap();

        let mut manifest = sync(&slapd, &scim);
        apply(&control_plane, &secret("reader", &json!({ "username": READER_DN, "password": CANARY }))).await;
        apply(&control_plane, &secret("scim", &json!({ "token": scim.token().expose_secret() }))).await;
        apply(&control_plane, &manifest).await;
        let operator = operator(&control_plane);
        let api: Api<DirectorySync> = Api::namespaced(control_plane.client().await.unwrap(), NAMESPACE);
        until(&api, |status| status.last_applied.is_some()).await;
        assert_eq!(scim.all("Users").await.unwrap().len(), 38, "all but one without an address and one inactive");

        let leavers: Vec<Person> = company.people.iter().take(2).cloned().collect();
        for leaver in &leavers {
            slapd.delete(&leaver.dn()).await.unwrap();
        }
        slapd.change(&Person::new("Noor", "Newcomer", "Sales", 900).ldif()).await.unwrap();
        manifest["spec"]["approval"] = json!("Manual");
        apply(&control_plane, &manifest).await;
        let is_held = |status: &DirectorySyncStatus| {
            status.conditions.iter().any(|condition| condition.type_ == "PlanHeld" && condition.status == "True")
        };
        let status = until(&api, is_held).await;
        Self { control_plane, scim, manifest, leavers, status, operator, _slapd: slapd }
    }

    /// The digest of the plan that waits.
    pub(crate) fn digest(&self) -> String {
        self.status.plan.as_ref().unwrap().digest.clone()
    }

    /// What the operator has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.operator.log_path(OPERATOR)).unwrap()
    }

    /// Ends the operator as the kubelet does, and gives its exit code.
    pub(crate) fn end_operator(&mut self) -> Option<i32> {
        self.operator.stop(OPERATOR).unwrap().code()
    }

    /// A kubeconfig file of a new service account; its context is named `production`.
    pub(crate) async fn account(&self, name: &str) -> PathBuf {
        self.control_plane.create_service_account(NAMESPACE, name).await.unwrap();
        let token = self.control_plane.create_token(NAMESPACE, name).await.unwrap();
        let path = self.control_plane.kubeconfig_for_token(name, &token).unwrap();
        let mut kubeconfig: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        kubeconfig["contexts"][0]["name"] = json!("production");
        kubeconfig["current-context"] = json!("production");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        path
    }

    /// Grants a role of the namespace to a service account of it, and waits until it may do one of the things.
    pub(crate) async fn bind(&self, role: &str, account: &str, verb: &str, resource: &str) {
        let name = format!("{role}-{account}");
        let (role, subject) = (format!("--role={role}"), format!("--serviceaccount={NAMESPACE}:{account}"));
        let arguments = ["--namespace", NAMESPACE, "create", "rolebinding", &name, &role, &subject];
        self.control_plane.kubectl(&arguments).await.unwrap();
        // The authorizer learns of a binding by its watch, a moment later.
        for _ in 0..100 {
            if self.can_i(account, verb, resource).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{account} never got the right to {verb} {resource}");
    }

    /// Whether a service account of the namespace may do something there.
    pub(crate) async fn can_i(&self, account: &str, verb: &str, resource: &str) -> bool {
        let user = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
        let arguments = ["auth", "can-i", verb, resource, "--namespace", NAMESPACE, &user];
        self.control_plane.kubectl_output(&arguments).await.unwrap().status.success()
    }
}

/// A Secret.
pub(crate) fn secret(name: &str, values: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": NAMESPACE }, "stringData": values,
    })
}

fn sync(slapd: &Slapd, scim: &Scim2Server) -> Value {
    json!({
        "apiVersion": "directorysync.dev/v1alpha1",
        "kind": "DirectorySync",
        "metadata": { "name": "staff", "namespace": NAMESPACE },
        "spec": {
            "source": { "ldap": {
                "urls": [slapd.url()],
                "tls": { "plaintext": "AllowPasswordsInClearText" },
                "bind": { "simple": { "secretRef": { "name": "reader" } } },
                "users": [{ "baseDN": "ou=People,dc=example,dc=com", "filter": "(objectClass=inetOrgPerson)" }],
            } },
            "mapping": { "user": { "active": { "cel": "entry.employeeType[0] != 'disabled'" } } },
            "target": { "scim": {
                "url": scim.url(),
                "tls": { "plaintext": "AllowTokenInClearText" },
                "auth": { "bearerTokenSecretRef": { "name": "scim", "key": "token" } },
                "requestsPerSecond": 1000,
            } },
            "apply": true,
        },
    })
}

async fn apply(control_plane: &ControlPlane, object: &Value) {
    control_plane.kubectl_with_input(&["apply", "-f", "-"], &object.to_string()).await.unwrap();
}

fn operator(control_plane: &ControlPlane) -> Processes {
    let mut processes = Processes::new("operator").unwrap();
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator"));
    command.args(["run", "--watch-namespace", NAMESPACE, "--metrics-address", &address]);
    command.env_clear().env("KUBECONFIG", control_plane.kubeconfig());
    processes.spawn(OPERATOR, &mut command).unwrap();
    processes
}

/// Waits until the status is as it should be after a run.
async fn until(api: &Api<DirectorySync>, holds: impl Fn(&DirectorySyncStatus) -> bool) -> DirectorySyncStatus {
    let start = Instant::now();
    loop {
        let status = api.get("staff").await.unwrap().status;
        if let Some(status) = status.as_ref().filter(|status| holds(status)) {
            return status.clone();
        }
        assert!(start.elapsed() < LIMIT, "the operator has not run: {status:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
