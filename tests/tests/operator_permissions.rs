//! What the chart grants is what the operator uses: the audit log of a whole life is set against the roles.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use anyhow::{Context, Result};
use base64::Engine as _;
use directory_sync_api::DirectorySyncPlan;
use directory_sync_api::plan::{MAX_PART_BYTES, MAX_STORED_BYTES};
use directory_sync_tests::audit::Rights;
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::control_plane::ControlPlane;
use directory_sync_tests::peers::operator::{Operator, OperatorOptions};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;
use directory_sync_tests::resources::{Resources, ready};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Where the resource of the story lives.
const NAMESPACE: &str = "identity";
/// Where another one lives, that is watched only by an operator that watches all namespaces.
const ELSEWHERE: &str = "elsewhere";

#[tokio::test(flavor = "multi_thread")]
async fn with_all_namespaces_every_right_is_used_and_none_is_missing() -> Result<()> {
    let world = World::start(&[]).await?;
    let elsewhere = Resources::new(world.control_plane.client().await?, ELSEWHERE);
    world.live().await?;
    assert_eq!(ready(&elsewhere.settled("idle").await?).1, "Suspended", "it is watched");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_some_namespaces_every_right_in_them_is_used_and_none_is_missing() -> Result<()> {
    let world = World::start(&[&format!("watchNamespaces={{{NAMESPACE}}}")]).await?;
    let elsewhere = Resources::new(world.control_plane.client().await?, ELSEWHERE);
    world.live().await?;
    let unseen = elsewhere.get("idle").await?.status.context("the default status")?;
    assert_eq!(unseen.observed_generation, -1, "it is not watched");
    world.end().await
}

/// An operator that may do what the chart grants, and what it works with.
struct World {
    control_plane: ControlPlane,
    client: Client,
    slapd: Slapd,
    scim: Scim2Server,
    operator: Operator,
    authority: CertificateAuthority,
}

impl World {
    async fn start(values: &[&str]) -> Result<Self> {
        let authority = CertificateAuthority::new("directory")?;
        let certificate = Some(authority.server_certificate(&["127.0.0.1"])?);
        let options = SlapdOptions { certificate, ..SlapdOptions::default() };
        let company = Company::small();
        let (control_plane, slapd, scim) = tokio::try_join!(
            ControlPlane::start(),
            Slapd::start(&options, &company),
            Scim2Server::start(Scim2ServerOptions::default()),
        )?;
        for namespace in [NAMESPACE, ELSEWHERE] {
            control_plane.create_namespace(namespace).await?;
        }
        let values = values.iter().map(|value| (*value).to_owned()).chain(["recheckInterval=1s".to_owned()]).collect();
        let operator = Operator::start(&control_plane, &OperatorOptions { values, ..Default::default() }).await?;
        let client = control_plane.client().await?;
        Ok(Self { control_plane, client, slapd, scim, operator, authority })
    }

    /// Everything that happens to a resource between its creation and its deletion.
    async fn live(&self) -> Result<()> {
        let resources = Resources::new(self.client.clone(), NAMESPACE);
        self.apply(ELSEWHERE, &[self.sync("idle", true)]).await?;
        let sync = self.sync("staff", false);
        self.apply(NAMESPACE, &[self.reader("password"), self.token(), self.authorities(), sync]).await?;

        let held = resources.settled("staff").await?;
        assert_eq!(ready(&held).1, "ApprovalRequired", "{held:#?}");
        let first = resources.approve("staff", "first").await?;
        assert_eq!(first.last_applied.context("something was sent")?.failed, 0);
        let people = self.scim.all("Users").await?.len();

        self.store_old_plans().await?;
        let leaver = Company::small().people.into_iter().find(|person| person.department == "Sales").unwrap();
        self.slapd.delete(&leaver.dn()).await?;
        let removal = resources.run("staff").await?;
        assert_eq!(removal.plan.context("a plan")?.summary.users.suspend, 1);
        assert!(self.stored_bytes().await? <= i64::try_from(MAX_STORED_BYTES)?, "old plans go when a new one comes");
        resources.approve("staff", "second").await?;
        assert_eq!(self.scim.all("Users").await?.len(), people, "who is suspended is still there");

        let quiet = resources.run_by("staff", "reconcile.fluxcd.io/requestedAt").await?;
        assert_eq!(ready(&quiet).1, "Succeeded", "{quiet:#?}");

        // Twice, so that the same event is told again.
        for _ in 0..2 {
            self.apply(NAMESPACE, &[self.reader("pass-word")]).await?;
            let stalled = resources.run("staff").await?;
            assert_eq!(ready(&stalled).1, "ReferenceKeyUnusable", "{stalled:#?}");
            self.apply(NAMESPACE, &[self.reader("password")]).await?;
            resources.until("staff", "mended", |_, status| ready(status).1 == "Succeeded").await?;
        }

        let suspended = resources.change("staff", &json!({ "spec": { "suspend": true } })).await?;
        assert_eq!(ready(&suspended).1, "Suspended", "{suspended:#?}");
        let delete = ["-n", NAMESPACE, "delete", "directorysync", "staff", "--timeout=20s"];
        self.control_plane.kubectl(&delete).await?;
        Ok(())
    }

    /// Ends the operator and judges what it asked for.
    async fn end(mut self) -> Result<()> {
        self.operator.terminate()?;
        let rights = Rights::compare(&self.control_plane, &self.client, "sync", self.operator.user()).await?;
        rights.ensure_nothing_beyond()?;
        rights.ensure_nothing_unused()
    }

    async fn apply(&self, namespace: &str, objects: &[Value]) -> Result<()> {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
        // A replaced Secret loses the keys that it had before.
        let command = ["-n", namespace, "apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.control_plane.kubectl_with_input(&command, &list).await?;
        Ok(())
    }

    fn reader(&self, password_key: &str) -> Value {
        let encode = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "reader" }, "data": {
            "username": encode(READER_DN),
            password_key: encode(self.slapd.reader_password().expose_secret()),
        } })
    }

    fn token(&self) -> Value {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "scim" },
            "stringData": { "token": self.scim.token().expose_secret() } })
    }

    fn authorities(&self) -> Value {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "authorities" },
            "data": { "ca.crt": self.authority.certificate_pem() } })
    }

    fn sync(&self, name: &str, suspend: bool) -> Value {
        json!({ "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync", "metadata": { "name": name }, "spec": {
            "source": { "ldap": {
                "urls": [self.slapd.ldaps_url()],
                "tls": { "caBundle": { "configMapKeyRef": { "name": "authorities", "key": "ca.crt" } } },
                "bind": { "simple": { "secretRef": { "name": "reader" } } },
                "users": [{ "baseDN": "ou=people,dc=example,dc=com", "filter": "(objectClass=inetOrgPerson)" }],
                "groups": [{ "baseDN": "ou=groups,dc=example,dc=com", "filter": "(objectClass=groupOfNames)" }],
            } },
            "target": { "scim": {
                "url": self.scim.url(),
                "tls": { "plaintext": "AllowTokenInClearText" },
                "auth": { "bearerTokenSecretRef": { "name": "scim", "key": "token" } },
                "requestsPerSecond": 1000,
            } },
            "approval": "Manual",
            "apply": true,
            "suspend": suspend,
        } })
    }

    /// More than may be kept of old plans, as many runs would leave it.
    async fn store_old_plans(&self) -> Result<()> {
        let plans: Api<DirectorySyncPlan> = Api::namespaced(self.client.clone(), NAMESPACE);
        let template = plans.list(&ListParams::default()).await?.items.into_iter().next().context("a stored plan")?;
        for number in 0..=MAX_STORED_BYTES / MAX_PART_BYTES {
            let mut old = template.clone();
            old.metadata.name = Some(format!("staff-old-{number}"));
            old.metadata.resource_version = None;
            old.spec.digest = format!("sha256:{number:064x}");
            for value in old.metadata.annotations.iter_mut().flat_map(|annotations| annotations.values_mut()) {
                let is_digest = *value == template.spec.digest;
                *value = if is_digest { old.spec.digest.clone() } else { MAX_PART_BYTES.to_string() };
            }
            old.spec.data = base64::prelude::BASE64_STANDARD.encode(vec![0; MAX_PART_BYTES]);
            old.spec.bytes = i64::try_from(MAX_PART_BYTES)?;
            plans.create(&PostParams::default(), &old).await?;
        }
        Ok(())
    }

    async fn stored_bytes(&self) -> Result<i64> {
        let plans: Api<DirectorySyncPlan> = Api::namespaced(self.client.clone(), NAMESPACE);
        Ok(plans.list(&ListParams::default()).await?.items.iter().map(|part| part.spec.bytes).sum())
    }
}
