//! What the tests of the controller share: one control plane and one directory for all tests of a file, and for each
//! test a namespace, a branch of the directory and a SCIM server of its own.

#![allow(dead_code, reason = "each file of tests uses some of it")]

pub(crate) mod faults;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use directory_sync_controller::backoff::Pauses;
use directory_sync_controller::operator::{self, OperatorConfig, OperatorError};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use directory_sync_tests::resources::Resources;
use kube::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The name of the resource where there is but one.
pub(crate) const STAFF: &str = "staff";

/// Never due in the life of a test.
const NEW_YEAR: &str = "0 0 1 1 *";

/// What all tests of a file share.
pub(crate) struct Shared {
    pub(crate) control_plane: ControlPlane,
    pub(crate) slapd: Slapd,
}

/// Starts it with the first test; the watchdogs of the peers end it with the process.
pub(crate) async fn shared() -> Result<&'static Shared> {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED
        .get_or_try_init(|| async {
            let (company, options) = (Company { people: Vec::new(), groups: Vec::new() }, SlapdOptions::default());
            let (control_plane, slapd) = tokio::try_join!(ControlPlane::start(), Slapd::start(&options, &company))?;
            let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds");
            control_plane.kubectl(&["apply", "--server-side", "-f", crds]).await?;
            control_plane.kubectl(&["wait", "--for=condition=Established", "--all", "crd", "--timeout=60s"]).await?;
            Ok(Shared { control_plane, slapd })
        })
        .await
}

/// A namespace with the Secrets of a directory and a SCIM server.
pub(crate) struct Scene {
    pub(crate) shared: &'static Shared,
    pub(crate) namespace: String,
    pub(crate) scim: Scim2Server,
    pub(crate) client: Client,
    pub(crate) resources: Resources,
}

impl Scene {
    /// A branch of the directory with so many people, all in one group, and an empty SCIM server.
    pub(crate) async fn new(namespace: &str, people: usize) -> Result<Self> {
        let shared = shared().await?;
        let scim = Scim2Server::start(Scim2ServerOptions::default()).await?;
        shared.control_plane.create_namespace(namespace).await?;
        let client = shared.control_plane.client().await?;
        let resources = Resources::new(client.clone(), namespace);
        let scene = Self { shared, namespace: namespace.to_owned(), scim, client, resources };
        shared.slapd.change(&branch(namespace, people)).await?;
        scene
            .apply(json!({ "apiVersion": "v1", "kind": "List", "items": [
                { "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "reader" },
                  "stringData": { "username": READER_DN, "password": shared.slapd.reader_password().expose_secret() } },
                { "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "scim" },
                  "stringData": { "token": scene.scim.token().expose_secret() } },
            ] }))
            .await?;
        Ok(scene)
    }

    /// Applies manifests to the namespace.
    pub(crate) async fn apply(&self, manifests: Value) -> Result<()> {
        let arguments = ["-n", &self.namespace, "apply", "-f", "-"];
        self.shared.control_plane.kubectl_with_input(&arguments, &manifests.to_string()).await.map(drop)
    }

    /// A resource that sends what it plans, without limits and without being due by itself, with changes to its spec.
    pub(crate) fn sync(&self, name: &str, changes: &Value) -> Value {
        let base = format!("ou={},dc=example,dc=com", self.namespace);
        let mut spec = json!({
            "source": { "ldap": {
                "urls": [self.shared.slapd.url()],
                "tls": { "plaintext": "AllowPasswordsInClearText" },
                "bind": { "simple": { "secretRef": { "name": "reader" } } },
                "users": [{ "baseDN": base, "filter": "(objectClass=inetOrgPerson)" }],
                "groups": [{ "baseDN": base, "filter": "(objectClass=groupOfNames)" }],
            } },
            "target": { "scim": {
                "url": self.scim.url(),
                "tls": { "plaintext": "AllowTokenInClearText" },
                "auth": { "bearerTokenSecretRef": { "name": "scim", "key": "token" } },
                "requestsPerSecond": 1000,
            } },
            "schedule": { "cron": NEW_YEAR },
            "apply": true,
        });
        merge(&mut spec, changes);
        json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": { "name": name }, "spec": spec,
        })
    }

    /// Creates the resource `staff`.
    pub(crate) async fn create(&self, changes: &Value) -> Result<()> {
        self.apply(self.sync(STAFF, changes)).await
    }

    /// The operator on this namespace.
    pub(crate) async fn start(&self) -> Result<Running> {
        self.start_with(self.client.clone()).await
    }

    /// The same with this client.
    pub(crate) async fn start_with(&self, client: Client) -> Result<Running> {
        Running::start(client, vec![self.namespace.clone()]).await
    }

    /// People in the SCIM server.
    pub(crate) async fn people(&self) -> Result<usize> {
        Ok(self.scim.all("Users").await?.len())
    }

    /// Waits until something holds of the number of people in the SCIM server.
    pub(crate) async fn until_people(&self, holds: impl Fn(usize) -> bool) -> Result<usize> {
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                let people = self.people().await?;
                if holds(people) {
                    return anyhow::Ok(people);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        waited.await.context("the people in the SCIM server are never as expected")?
    }

    /// Events about a resource: type and reason, the oldest first.
    pub(crate) async fn events(&self, name: &str) -> Result<Vec<(String, String)>> {
        let events: kube::Api<k8s_openapi::api::events::v1::Event> =
            kube::Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = events.list(&kube::api::ListParams::default()).await?.items;
        events.retain(|event| event.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some(name)));
        events.sort_by_key(|event| event.event_time.clone().map(|time| time.0));
        Ok(events
            .into_iter()
            .map(|event| (event.type_.unwrap_or_default(), event.reason.unwrap_or_default()))
            .collect())
    }
}

/// People `p0`, `p1`, … and a group of all of them.
fn branch(name: &str, people: usize) -> String {
    let base = format!("ou={name},dc=example,dc=com");
    let group = format!(
        "dn: cn=all,{base}\nobjectClass: groupOfNames\nobjectClass: mailRecipient\ncn: all\n\
         mail: all@{name}.example.com"
    );
    let entries = (0..people).map(|number| person(name, &format!("p{number}")));
    let members = (0..people).map(|number| format!("member: uid=p{number},{base}"));
    let unit = format!("dn: {base}\nobjectClass: organizationalUnit\nou: {name}\n\n");
    [unit].into_iter().chain(entries).collect::<String>()
        + &[group].into_iter().chain(members).collect::<Vec<_>>().join("\n")
        + "\n"
}

/// A person in the branch of a test.
pub(crate) fn person(branch: &str, uid: &str) -> String {
    format!(
        "dn: uid={uid},ou={branch},dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid} Example\n\
         givenName: {uid}\nsn: Example\nmail: {uid}@{branch}.example.com\n\n"
    )
}

fn merge(value: &mut Value, changes: &Value) {
    match (value, changes) {
        (Value::Object(value), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(value.entry(key).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change.clone(),
    }
}

/// Short pauses, so that what is repeated is repeated soon.
pub(crate) fn pauses() -> Pauses {
    Pauses { shortest: Duration::from_millis(500), recheck: Duration::from_secs(1), ..Pauses::default() }
}

/// An operator that runs in this process.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), OperatorError>>,
}

impl Running {
    /// Starts it on some namespaces, and waits until it is ready.
    pub(crate) async fn start(client: Client, namespaces: Vec<String>) -> Result<Self> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let stop = CancellationToken::new();
        let config = OperatorConfig { namespaces, address, pauses: pauses() };
        let task = tokio::spawn(operator::run(client, config, stop.clone()));
        let running = Self { address, stop, task };
        let ready = async {
            while running.get("readyz").await.map(|answer| answer.0).unwrap_or_default() != 200 {
                anyhow::ensure!(!running.task.is_finished(), "the operator ended");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(Duration::from_secs(30), ready).await.context("never ready")??;
        Ok(running)
    }

    /// Status and body of one of the pages that it serves.
    pub(crate) async fn get(&self, page: &str) -> Result<(u16, String)> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let answer = http.get(format!("http://{}/{page}", self.address)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Lines of the metrics that name this metric.
    pub(crate) async fn metric(&self, name: &str) -> Result<Vec<String>> {
        let text = self.get("metrics").await?.1;
        Ok(text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect())
    }

    /// Tells it to end, as SIGTERM does, and waits until it has.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }

    /// Ends it where it stands, as a crash does.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
