//! The operator as a process, run as its chart runs it.
//!
//! Real Helm installs the chart; the process then gets the arguments and the environment of the Deployment that stands
//! in the cluster, and a token of the chart's service account. Only what a pod would have and this machine has not is
//! replaced: the address to listen on, and fields of the pod in the environment.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, Namespace, PodSpec};
use kube::Api;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams};
use serde_json::{Value, json};

use super::control_plane::ControlPlane;
use super::helm::Helm;
use super::processes::{Kept, Processes, free_port};

const NAME: &str = "directory-sync-operator";
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How the chart is installed.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// The name of the release.
    pub release: String,
    /// The namespace of the release. It is made if it is not there, and enforces restricted pods.
    pub namespace: String,
    /// Values of the chart as `--set` takes them, such as `recheckInterval=2s` or `watchNamespaces={identity}`.
    pub values: Vec<String>,
    /// Whether Helm waits until the pods run. Only a control plane with a node can run them.
    pub wait: bool,
}

impl Default for OperatorOptions {
    fn default() -> Self {
        Self { release: "sync".to_owned(), namespace: "directory-sync".to_owned(), values: Vec::new(), wait: false }
    }
}

/// The running operator. Dropping it stops the process; the release stays in the cluster.
#[derive(Debug)]
pub struct Operator {
    processes: Processes,
    program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    port: u16,
    user: String,
    http: reqwest::Client,
}

impl Operator {
    /// Installs or upgrades the chart, builds the operator if it is not current, and starts it. It watches when this
    /// returns. Namespaces to watch must be there already.
    pub async fn start(control_plane: &ControlPlane, options: &OperatorOptions) -> Result<Self> {
        install(control_plane, options).await?;
        let deployment = deployment(control_plane, options).await?;
        let account = service_account(&deployment)?;
        let token = control_plane.create_token(&options.namespace, account).await?;
        let kubeconfig = control_plane.kubeconfig_for_token(account, &token)?;
        let program = tokio::task::spawn_blocking(program).await??;
        Self::start_deployed(&deployment, program, &kubeconfig).await
    }

    /// Starts this program as a Deployment that stands in the cluster of the kubeconfig file would run it. The file
    /// should be of the bearer of a token of [`service_account`]. It watches when this returns.
    pub async fn start_deployed(deployment: &Deployment, program: PathBuf, kubeconfig: &Path) -> Result<Self> {
        let account = service_account(deployment)?;
        let namespace = deployment.metadata.namespace.as_deref().context("the Deployment has no namespace")?;
        let name = deployment.metadata.name.as_deref().context("the Deployment has no name")?;
        let container = pod(deployment)?.containers.first().context("the pods have no container")?;

        let port = free_port()?;
        let mut environment = environment(container, name)?;
        environment.insert("KUBECONFIG".to_owned(), kubeconfig.display().to_string());
        let mut operator = Self {
            processes: Processes::new("operator")?,
            program,
            arguments: arguments(container, port)?,
            environment,
            port,
            user: format!("system:serviceaccount:{namespace}:{account}"),
            http: reqwest::Client::builder().no_proxy().build()?,
        };
        operator.restart().await?;
        Ok(operator)
    }

    /// Starts the process with the same arguments; one that runs is asked to end before. The log goes on.
    pub async fn restart(&mut self) -> Result<()> {
        self.processes.stop(NAME);
        let mut command = Command::new(&self.program);
        // In its image there is no environment but that of the pod.
        command.args(&self.arguments).env_clear().envs(&self.environment);
        self.processes.spawn(NAME, &mut command)?;
        let request = self.http.get(self.url("readyz"));
        self.processes
            .wait_until("an operator that is ready", READY_LIMIT, || async {
                let request = request.try_clone().context("a request without a body can be repeated")?;
                request.send().await?.error_for_status()?;
                Ok(())
            })
            .await
    }

    /// Ends the process as a crash does (SIGKILL).
    pub fn kill(&mut self) {
        self.processes.kill(NAME);
    }

    /// Ends the process as the kubelet does (SIGTERM). Fails if it does not end by itself with success.
    pub fn terminate(&mut self) -> Result<()> {
        match self.processes.stop(NAME) {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the operator ended with {status}:\n{}", self.log()?),
            None => bail!("the operator does not run"),
        }
    }

    /// Fails with the end of the log if the process has ended by itself.
    pub fn ensure_running(&mut self) -> Result<()> {
        self.processes.ensure_running()
    }

    /// Leaves it running when this process ends.
    pub fn keep(self) -> Kept {
        self.processes.keep()
    }

    /// The file that [`Self::log`] reads.
    pub fn log_path(&self) -> PathBuf {
        self.processes.log_path(NAME)
    }

    /// The name under which the API server knows the operator, as it stands in the audit log.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The arguments of the process.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Everything that the process has printed so far, over all restarts.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(self.processes.log_path(NAME))?).into_owned())
    }

    /// Whether the liveness probe would pass.
    pub async fn is_live(&self) -> bool {
        self.get("livez").await.is_ok()
    }

    /// Whether the readiness probe would pass.
    pub async fn is_ready(&self) -> bool {
        self.get("readyz").await.is_ok()
    }

    /// All metrics in Prometheus' text format.
    pub async fn metrics(&self) -> Result<String> {
        self.get("metrics").await
    }

    /// The sum over the series of a metric that bear all these labels; `None` if there is no such series.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<Option<f64>> {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let mut sum = None;
        for line in self.metrics().await?.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (series_name, series_labels) = series.split_once('{').unwrap_or((series, ""));
            let bears = |label: &String| series_labels.trim_end_matches('}').split(',').any(|other| other == label);
            if series_name == name && labels.iter().all(bears) {
                *sum.get_or_insert(0.0) += value.parse::<f64>()?;
            }
        }
        Ok(sum)
    }

    async fn get(&self, path: &str) -> Result<String> {
        Ok(self.http.get(self.url(path)).send().await?.error_for_status()?.text().await?)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// The folder of the chart.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/directory-sync-operator")
}

/// The service account of a Deployment's pods.
pub fn service_account(deployment: &Deployment) -> Result<&str> {
    pod(deployment)?.service_account_name.as_deref().context("the pods have no service account of their own")
}

fn pod(deployment: &Deployment) -> Result<&PodSpec> {
    deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).context("the Deployment has no pods")
}

async fn install(control_plane: &ControlPlane, options: &OperatorOptions) -> Result<()> {
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(options.namespace.clone()),
            labels: Some([("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let namespaces: Api<Namespace> = Api::all(control_plane.client().await?);
    namespaces
        .patch(&options.namespace, &PatchParams::apply("directory-sync-tests"), &Patch::Apply(&namespace))
        .await?;

    let chart = chart();
    let mut arguments = vec!["upgrade", "--install", &options.release, "-n", &options.namespace];
    arguments.push(chart.to_str().context("the path of the chart is not text")?);
    for value in &options.values {
        arguments.extend(["--set", value]);
    }
    if options.wait {
        arguments.extend(["--wait", "--timeout", "90s"]);
    }
    Helm::for_cluster(control_plane.kubeconfig())?.run(&arguments).await?;
    control_plane.kubectl(&["wait", "--for=condition=Established", "--all", "crd", "--timeout=60s"]).await?;
    Ok(())
}

async fn deployment(control_plane: &ControlPlane, options: &OperatorOptions) -> Result<Deployment> {
    let deployments: Api<Deployment> = Api::namespaced(control_plane.client().await?, &options.namespace);
    let selector = format!("app.kubernetes.io/instance={}", options.release);
    let found = deployments.list(&ListParams::default().labels(&selector)).await?;
    found.items.into_iter().next().with_context(|| format!("the release {} has no Deployment", options.release))
}

fn arguments(container: &Container, port: u16) -> Result<Vec<String>> {
    const ADDRESS: &str = "--metrics-address=";
    if container.command.is_some() {
        bail!("the chart replaces the entry point of the image, which is not tried here");
    }
    let mut arguments = container.args.clone().unwrap_or_default();
    let address = arguments.iter_mut().find(|argument| argument.starts_with(ADDRESS));
    *address.with_context(|| format!("the chart gives no {ADDRESS}"))? = format!("{ADDRESS}127.0.0.1:{port}");
    Ok(arguments)
}

fn environment(container: &Container, pod_name: &str) -> Result<BTreeMap<String, String>> {
    let value = |variable: &EnvVar| {
        let field = || Some(variable.value_from.as_ref()?.field_ref.as_ref()?.field_path.as_str());
        match (&variable.value, field()) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some("metadata.name")) => Ok(pod_name.to_owned()),
            _ => bail!("the environment variable {} of the chart has no value outside a pod", variable.name),
        }
    };
    container.env.iter().flatten().map(|variable| Ok((variable.name.clone(), value(variable)?))).collect()
}

/// The operator's program, built from the sources as they are now; cargo shows its progress.
pub fn program() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Of the whole workspace, as the tests are built: another choice would unite other features of the dependencies.
    let mut build = Command::new(cargo)
        .args(["build", "--workspace", "--bin", NAME, "--message-format=json-render-diagnostics"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo cannot be started")?;
    let output = build.stdout.take().context("no pipe from cargo")?;
    let mut program = None;
    for line in std::io::BufReader::new(output).lines() {
        let message: Value = serde_json::from_str(&line?).context("a message of cargo is not JSON")?;
        if message["target"]["name"] == json!(NAME)
            && let Some(executable) = message["executable"].as_str()
        {
            program = Some(PathBuf::from(executable));
        }
    }
    let status = build.wait()?;
    if !status.success() {
        bail!("the operator cannot be built ({status})");
    }
    program.context("cargo did not say where the operator lies")
}
