//! The cluster that a plan is made with. It is only read from, one named object at a time.

use anyhow::{Context as _, Result, bail};
use directory_sync_api::DirectorySync;
use directory_sync_controller::cluster::{call, found};
use directory_sync_controller::connect::KubernetesReferences;
use directory_sync_controller::store::States;
use directory_sync_core::state::State;
use kube::config::KubeConfigOptions;
use kube::{Api, Client, Config};

/// A cluster, and the namespace of it in which the resource lies.
pub struct Cluster {
    client: Client,
    /// The namespace.
    pub namespace: String,
}

impl Cluster {
    /// The cluster of a context, or of the current one. `namespace` is that of the resource where it is known already.
    ///
    /// # Errors
    /// If there is no kubeconfig, or no such context in it. Nobody is asked yet.
    pub async fn open(context: Option<&str>, namespace: Option<&str>) -> Result<Self> {
        let config = match context {
            Some(name) => {
                let options = KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
                let config = Config::from_kubeconfig(&options).await;
                config.with_context(|| format!("the kubeconfig has no usable context {name}"))?
            }
            None => Config::infer().await.context("no cluster is configured: name one with --context")?,
        };
        let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
        Ok(Self { client: Client::try_from(config)?, namespace })
    }

    /// The resource of this name, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn find(&self, name: &str) -> Result<Option<DirectorySync>> {
        let api = Api::<DirectorySync>::namespaced(self.client.clone(), &self.namespace);
        Ok(found(call("read the DirectorySync", api.get(name)).await)?)
    }

    /// The resource of this name.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub async fn sync(&self, name: &str) -> Result<DirectorySync> {
        match self.find(name).await? {
            Some(sync) => Ok(sync),
            None => bail!(
                "there is no DirectorySync named {name} in the namespace {} of the cluster; look for it with kubectl \
                 get directorysyncs --all-namespaces",
                self.namespace
            ),
        }
    }

    /// What the operator remembers of a resource; a new state if nothing.
    ///
    /// # Errors
    /// If the state is there and cannot be read.
    pub async fn state(&self, sync: &DirectorySync) -> Result<State> {
        Ok(States::new(self.client.clone(), &self.namespace).load(sync).await?.state)
    }

    /// The Secrets and `ConfigMap`s beside the resource.
    pub fn references(&self) -> KubernetesReferences {
        KubernetesReferences::new(self.client.clone(), &self.namespace)
    }
}
