//! The servers around the operator, good and bad, and the resources that name them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use directory_sync_api::DirectorySyncStatus;
use directory_sync_tests::http_server::{HttpServer, Scripted};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::operator::{Operator, OperatorOptions};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::{CertificateAuthority, ServerCertificate};
use directory_sync_tests::resources::{Resources, ready};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Where the resources live.
pub const NAMESPACE: &str = "identity";

/// An operator as its chart runs it, a directory and a service that work, and directories whose certificates do not.
pub struct World {
    pub control_plane: ControlPlane,
    pub operator: Operator,
    pub resources: Resources,
    pub slapd: Slapd,
    pub expired: Slapd,
    pub foreign: Slapd,
    pub scim: Scim2Server,
    authority: CertificateAuthority,
}

impl World {
    pub async fn start() -> Result<Self> {
        let authority = CertificateAuthority::new("directory")?;
        let names = ["127.0.0.1"];
        let (control_plane, slapd, expired, foreign, scim) = tokio::try_join!(
            ControlPlane::start(),
            directory(authority.server_certificate(&names)?),
            directory(authority.expired_server_certificate(&names)?),
            directory(CertificateAuthority::new("somebody else's")?.server_certificate(&names)?),
            Scim2Server::start(Scim2ServerOptions::default()),
        )?;
        control_plane.create_namespace(NAMESPACE).await?;
        let values = vec!["recheckInterval=2s".to_owned()];
        let operator = Operator::start(&control_plane, &OperatorOptions { values, ..Default::default() }).await?;
        let resources = Resources::new(control_plane.client().await?, NAMESPACE);
        Ok(Self { control_plane, operator, resources, slapd, expired, foreign, scim, authority })
    }

    /// Creates a resource with Secrets and a `ConfigMap` of its own, and waits for its first good run.
    pub async fn create(&self, name: &str, service: &str) -> Result<DirectorySyncStatus> {
        let mut objects = self.referenced(name);
        objects.push(resource(name, &self.slapd.ldaps_url().unwrap_or_default(), service));
        self.apply(&objects).await?;
        let status = self.resources.settled(name).await?;
        anyhow::ensure!(ready(&status).0 == "True", "the first run should be good: {status:#?}");
        Ok(status)
    }

    pub async fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
        let command = ["-n", NAMESPACE, "apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.control_plane.kubectl_with_input(&command, &list).await?;
        Ok(())
    }

    pub async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        self.control_plane.kubectl(&["-n", NAMESPACE, "delete", kind, name]).await?;
        Ok(())
    }

    /// Waits for an event on a resource with a reason and a note of which something holds, and gives the note.
    pub async fn expect_event(&self, name: &str, reason: &str, holds: impl Fn(&str) -> bool) -> Result<String> {
        let events: Api<Event> = Api::namespaced(self.control_plane.client().await?, NAMESPACE);
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen = events.list(&ListParams::default()).await?.items;
            seen.retain(|event| event.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some(name)));
            let of_reason = seen.iter().filter(|event| event.reason.as_deref() == Some(reason));
            if let Some(note) = of_reason.filter_map(|event| event.note.as_deref()).find(|note| holds(note)) {
                return Ok(note.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let seen: Vec<_> = seen.iter().map(|event| (&event.reason, &event.note)).collect();
        anyhow::bail!("no event {reason} tells it\nonly: {seen:#?}")
    }

    /// What a resource refers to, as it should be.
    pub fn referenced(&self, name: &str) -> Vec<Value> {
        vec![
            reader(name, self.slapd.reader_password().expose_secret()),
            token(name, self.scim.token().expose_secret()),
            authorities(name, self.authority.certificate_pem()),
        ]
    }
}

/// A resource for a directory and a service, and with Secrets and a `ConfigMap` of its own.
pub fn resource(name: &str, directory: &str, service: &str) -> Value {
    let spec = json!({
        "source": { "ldap": {
            "urls": [directory],
            "tls": { "caBundle": { "configMapKeyRef": {
                "name": format!("{name}-authorities"),
                "key": "ca.crt",
            } } },
            "bind": { "simple": { "secretRef": { "name": format!("{name}-reader") } } },
            "users": [{ "baseDN": "ou=people,dc=example,dc=com", "filter": "(objectClass=inetOrgPerson)" }],
            "groups": [{ "baseDN": "ou=groups,dc=example,dc=com", "filter": "(objectClass=groupOfNames)" }],
        } },
        "target": { "scim": {
            "url": service,
            "tls": { "plaintext": "AllowTokenInClearText" },
            "auth": { "bearerTokenSecretRef": { "name": format!("{name}-token"), "key": "token" } },
            "requestsPerSecond": 1000,
        } },
    });
    json!({
        "apiVersion": "directorysync.dev/v1alpha1",
        "kind": "DirectorySync",
        "metadata": { "name": name },
        "spec": spec,
    })
}

async fn directory(certificate: ServerCertificate) -> Result<Slapd> {
    let options = SlapdOptions { certificate: Some(certificate), ..SlapdOptions::default() };
    Slapd::start(&options, &Company::of_size(12, 2, 4)).await
}

/// The Secret with the account that reads the directory.
pub fn reader(name: &str, password: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("{name}-reader") },
        "data": { "username": base64(READER_DN), "password": base64(password) } })
}

/// The Secret with the token of the service.
pub fn token(name: &str, token: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("{name}-token") },
        "data": { "token": base64(token) } })
}

/// Not as `stringData`, whose keys would stay where another version of the Secret lacks them.
fn base64(text: &str) -> String {
    base64::prelude::BASE64_STANDARD.encode(text)
}

/// The `ConfigMap` with the authorities to trust.
pub fn authorities(name: &str, pem: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("{name}-authorities") },
        "data": { "ca.crt": pem } })
}

/// An empty SCIM service that can be made to answer everything in one wrong way.
pub struct Service {
    server: HttpServer,
    broken: Arc<AtomicBool>,
}

impl Service {
    pub async fn start(wrong: Scripted) -> Result<Self> {
        let broken = Arc::new(AtomicBool::new(false));
        let is_broken = Arc::clone(&broken);
        let server = HttpServer::start(move |request| match request.path.as_str() {
            _ if is_broken.load(Ordering::Relaxed) => wrong.clone(),
            "/ServiceProviderConfig" => Scripted::json(200, &json!({ "patch": { "supported": true } })),
            "/Users" | "/Groups" => Scripted::json(200, &json!({ "totalResults": 0 })),
            _ => Scripted::json(404, &Value::Null),
        })
        .await?;
        Ok(Self { server, broken })
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn break_down(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    pub fn mend(&self) {
        self.broken.store(false, Ordering::Relaxed);
    }
}
