//! A real Kubernetes control plane on the loopback interface: etcd and the API server, and if wanted the controllers,
//! the scheduler and a node whose kubelet is fake.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Node, NodeStatus, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::kubectl;
use super::processes::{Kept, Processes, free_port};
use super::tls::{CertificateAuthority, signing_key_pem};
use super::tools::go::GoPart;
use super::tools::kubernetes::part;

/// The parts need a few seconds on a quiet machine.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Grants everything; nobody else can reach the server in its short life.
const ADMIN_TOKEN: &str = "administrator-of-a-test-cluster";

const CONTROLLERS: &str = "--controllers=clusterrole-aggregation-controller,daemonset-controller,deployment-controller,\
    disruption-controller,endpointslice-controller,garbage-collector-controller,job-controller,namespace-controller,\
    node-lifecycle-controller,replicaset-controller,serviceaccount-controller,statefulset-controller";

/// A running control plane. Dropping it stops it.
#[derive(Debug)]
pub struct ControlPlane {
    processes: Processes,
    port: u16,
    certificate_authority_pem: String,
    kubeconfig: PathBuf,
}

impl ControlPlane {
    /// Starts etcd and the API server, which is enough for everything but pods: no controller fills namespaces with
    /// service accounts or collects garbage. About three seconds.
    pub async fn start() -> Result<Self> {
        let mut processes = Processes::new("control-plane")?;
        let port = free_port()?;
        let authority = CertificateAuthority::new("test cluster")?;
        prepare_files(processes.folder(), &authority)?;
        let etcd_port = start_etcd(&mut processes)?;
        start_api_server(&mut processes, etcd_port, port)?;

        let certificate_authority_pem = authority.certificate_pem().to_owned();
        let kubeconfig = processes.folder().join("kubeconfig");
        write_kubeconfig(&kubeconfig, port, &certificate_authority_pem, ADMIN_TOKEN)?;
        let mut control_plane = Self { processes, port, certificate_authority_pem, kubeconfig };
        control_plane.wait_until_ready().await?;
        Ok(control_plane)
    }

    /// Starts also the controllers, the scheduler and a node on which every pod runs at once, though none of its
    /// containers does.
    pub async fn start_with_node() -> Result<Self> {
        let mut control_plane = Self::start().await?;
        control_plane.start_controllers()?;
        control_plane
            .kubectl_with_input(&["apply", "-f", "-"], include_str!("../../peers/kubernetes/node.yaml"))
            .await?;
        let client = control_plane.client().await?;
        control_plane
            .processes
            .wait_until("a ready node and a default service account", READY_LIMIT, || async {
                let node = Api::<Node>::all(client.clone()).get("node").await?;
                // The node lifecycle controller taints a node until it is ready.
                if node.spec.and_then(|spec| spec.taints).is_none_or(|taints| taints.is_empty())
                    && node.status.is_some_and(is_ready)
                {
                    Api::<ServiceAccount>::namespaced(client.clone(), "default").get("default").await?;
                    return Ok(());
                }
                bail!("the node is not ready")
            })
            .await?;
        Ok(control_plane)
    }

    /// The address of the API server.
    pub fn url(&self) -> String {
        server_url(self.port)
    }

    /// The certificate that clients are to trust, as PEM.
    pub fn certificate_authority_pem(&self) -> &str {
        &self.certificate_authority_pem
    }

    /// The folder of data, logs and configuration. It goes with the control plane.
    pub fn folder(&self) -> &Path {
        self.processes.folder()
    }

    /// A kubeconfig file of the administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Writes a kubeconfig file for the bearer of a token, for instance one of [`Self::create_token`].
    pub fn kubeconfig_for_token(&self, name: &str, token: &str) -> Result<PathBuf> {
        let path = self.folder().join(format!("kubeconfig-{name}"));
        write_kubeconfig(&path, self.port, &self.certificate_authority_pem, token)?;
        Ok(path)
    }

    /// A client with all rights.
    pub async fn client(&self) -> Result<Client> {
        client(kubeconfig(self.port, &self.certificate_authority_pem, ADMIN_TOKEN)).await
    }

    /// A client with the rights of the bearer of a token.
    pub async fn client_for_token(&self, token: &str) -> Result<Client> {
        client(kubeconfig(self.port, &self.certificate_authority_pem, token)).await
    }

    /// Makes a namespace.
    pub async fn create_namespace(&self, name: &str) -> Result<()> {
        let namespace = Namespace { metadata: named(name), ..Namespace::default() };
        Api::all(self.client().await?).create(&PostParams::default(), &namespace).await?;
        Ok(())
    }

    /// Makes a service account, as the controllers do only for the one named `default`.
    pub async fn create_service_account(&self, namespace: &str, name: &str) -> Result<()> {
        let account = ServiceAccount { metadata: named(name), ..ServiceAccount::default() };
        Api::namespaced(self.client().await?, namespace).create(&PostParams::default(), &account).await?;
        Ok(())
    }

    /// A token of a service account, as `kubectl create token` gives it; valid for an hour.
    pub async fn create_token(&self, namespace: &str, service_account: &str) -> Result<String> {
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let answer = accounts.create_token_request(service_account, &PostParams::default(), &request).await?;
        Ok(answer.status.context("the answer to the token request holds no token")?.token)
    }

    /// What `kubectl` prints when the administrator runs it. Fails with what it complains of.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl::run(&self.kubeconfig, arguments, None).await
    }

    /// The same with something to read on standard input, for `apply -f -`.
    pub async fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        kubectl::run(&self.kubeconfig, arguments, Some(input)).await
    }

    /// How `kubectl` ends, where a failure is what a test is about.
    pub async fn kubectl_output(&self, arguments: &[&str]) -> Result<Output> {
        kubectl::output(&self.kubeconfig, arguments, None).await
    }

    /// The audit log so far: one event for each finished request, without the objects.
    pub fn audit_events(&self) -> Result<Vec<serde_json::Value>> {
        let log = fs::read_to_string(self.folder().join("audit.log"))?;
        // The last line may be half written.
        let complete = log.rfind('\n').map_or("", |end| &log[..end]);
        complete.lines().map(|line| serde_json::from_str(line).context("a broken line in the audit log")).collect()
    }

    /// Stops everything and removes the folder; the same as dropping it.
    pub fn stop(self) {}

    /// Leaves it running when this process ends.
    pub fn keep(self) -> Kept {
        self.processes.keep()
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let client = self.client().await?;
        self.processes
            .wait_until("an API server that is ready", READY_LIMIT, || async {
                let request = http::Request::get("/readyz").body(Vec::new())?;
                client.request_text(request).await?;
                // The namespace controller inside the API server makes it shortly after readiness.
                Api::<Namespace>::all(client.clone()).get("default").await?;
                Ok(())
            })
            .await
    }

    fn start_controllers(&mut self) -> Result<()> {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig.display());
        let key = self.folder().join("service-accounts.key");
        self.processes.spawn(
            "kube-controller-manager",
            part("kube-controller-manager")?
                .args([&kubeconfig, "--leader-elect=false", "--secure-port=0", CONTROLLERS])
                .arg(format!("--service-account-private-key-file={}", key.display())),
        )?;
        self.processes.spawn(
            "kube-scheduler",
            part("kube-scheduler")?.args([&kubeconfig, "--leader-elect=false", "--secure-port=0"]),
        )?;
        let stages = self.folder().join("stages.yaml");
        fs::write(&stages, include_str!("../../peers/kubernetes/stages.yaml"))?;
        self.processes.spawn(
            "kwok",
            Command::new(GoPart::Kwok.built()?)
                .arg(&kubeconfig)
                .arg(format!("--config={}", stages.display()))
                .arg(format!("--server-address=127.0.0.1:{}", free_port()?))
                // Its default range for pods is the API server's range for services.
                .args(["--manage-all-nodes=true", "--node-ip=10.244.0.1", "--cidr=10.244.0.0/16"]),
        )
    }
}

fn prepare_files(folder: &Path, authority: &CertificateAuthority) -> Result<()> {
    let certificate = authority.server_certificate(&["127.0.0.1", "localhost"])?;
    fs::write(folder.join("server.crt"), certificate.certificate_pem)?;
    fs::write(folder.join("server.key"), certificate.key_pem)?;
    let (private_key, public_key) = signing_key_pem()?;
    fs::write(folder.join("service-accounts.key"), private_key)?;
    fs::write(folder.join("service-accounts.pub"), public_key)?;
    fs::write(folder.join("tokens.csv"), format!("{ADMIN_TOKEN},admin,admin,system:masters\n"))?;
    fs::write(folder.join("audit-policy.yaml"), include_str!("../../peers/kubernetes/audit-policy.yaml"))?;
    Ok(())
}

fn start_etcd(processes: &mut Processes) -> Result<u16> {
    let port = free_port()?;
    let client_url = format!("http://127.0.0.1:{port}");
    let data = processes.folder().join("etcd");
    processes.spawn(
        "etcd",
        part("etcd")?
            .arg(format!("--data-dir={}", data.display()))
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &format!("http://127.0.0.1:{}", free_port()?)])
            .arg("--unsafe-no-fsync"),
    )?;
    Ok(port)
}

fn start_api_server(processes: &mut Processes, etcd_port: u16, port: u16) -> Result<()> {
    let folder = processes.folder().to_owned();
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    processes.spawn(
        "kube-apiserver",
        part("kube-apiserver")?
            .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
            .arg(format!("--secure-port={port}"))
            .args([
                "--bind-address=127.0.0.1",
                // It refuses to announce a loopback address as an endpoint.
                "--endpoint-reconciler-type=none",
                "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--service-account-issuer=https://kubernetes.default.svc",
            ])
            .args([file("tls-cert-file", "server.crt"), file("tls-private-key-file", "server.key")])
            .args([file("cert-dir", "certificates"), file("token-auth-file", "tokens.csv")])
            .arg(file("service-account-key-file", "service-accounts.pub"))
            .arg(file("service-account-signing-key-file", "service-accounts.key"))
            .args([file("audit-policy-file", "audit-policy.yaml"), file("audit-log-path", "audit.log")]),
    )
}

fn server_url(port: u16) -> String {
    format!("https://{}:{port}", Ipv4Addr::LOCALHOST)
}

/// A kubeconfig file is JSON as well as YAML.
fn kubeconfig(port: u16, certificate_authority_pem: &str, token: &str) -> serde_json::Value {
    let authority = base64::engine::general_purpose::STANDARD.encode(certificate_authority_pem);
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": { "server": server_url(port), "certificate-authority-data": authority } }],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    })
}

fn write_kubeconfig(path: &Path, port: u16, certificate_authority_pem: &str, token: &str) -> Result<()> {
    let kubeconfig = serde_json::to_vec_pretty(&kubeconfig(port, certificate_authority_pem, token))?;
    fs::write(path, kubeconfig).with_context(|| format!("cannot write {}", path.display()))
}

async fn client(kubeconfig: serde_json::Value) -> Result<Client> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn is_ready(status: NodeStatus) -> bool {
    status
        .conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}
