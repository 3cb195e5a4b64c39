//! The resource that a command is about: from a stream or a cluster, with what it refers to.

mod cluster;
mod references;

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use directory_sync_api::DirectorySync;
use directory_sync_controller::connect::{Connection, Versions, connect, source};
use directory_sync_controller::reconcile::ReconcileError;
use directory_sync_core::disposition::Classified as _;
use directory_sync_core::state::State;
use directory_sync_sources::Source;
use directory_sync_targets::Unobserved;
use kube::ResourceExt as _;

use crate::arguments::PlaceArguments;
use crate::manifest::Manifests;
pub use cluster::Cluster;
pub use references::Places;

/// The resource that a command is about.
pub struct Subject {
    /// The resource, with its namespace where that is known.
    pub sync: DirectorySync,
    /// The cluster, if one is to be read.
    pub cluster: Option<Cluster>,
}

impl Subject {
    /// Finds the resource and reads its state.
    ///
    /// # Errors
    /// If there is none, or the cluster cannot be read.
    pub async fn find(place: &PlaceArguments, name: Option<&str>, manifests: &Manifests) -> Result<Self> {
        subject(place, name, manifests).await
    }

    /// Where what the resource refers to is looked for.
    pub fn places<'a>(&'a self, place: &'a PlaceArguments, manifests: &'a Manifests) -> Places<'a> {
        Places {
            manifests,
            folder: place.secrets.as_deref(),
            namespace: self.sync.metadata.namespace.as_deref(),
            cluster: self.cluster.as_ref().map(Cluster::references),
        }
    }

    /// Both sides, ready to be read.
    ///
    /// # Errors
    /// If the resource, or something that it refers to, is not as it should be.
    pub async fn connection(&self, places: &Places<'_>) -> Result<Connection> {
        let connection = connect(&self.sync.spec, places, &mut Versions::default(), Arc::new(Unobserved)).await;
        connection.map_err(|error| places.explain(error)).with_context(|| self.title())
    }

    /// The source, ready to be read.
    ///
    /// # Errors
    /// If the resource, or something that its source refers to, is not as it should be.
    pub async fn source(&self, places: &Places<'_>) -> Result<Box<dyn Source>> {
        let source = source(&self.sync.spec, places, &mut Versions::default()).await;
        source.map_err(|error| places.explain(error)).with_context(|| self.title())
    }

    /// What is remembered of the resource; a new state without a cluster.
    ///
    /// # Errors
    /// If the state is there and cannot be read.
    pub async fn state(&self) -> Result<State> {
        match &self.cluster {
            Some(cluster) => cluster.state(&self.sync).await,
            None => Ok(State::new()),
        }
    }

    /// What it is called in messages.
    pub fn title(&self) -> String {
        format!("DirectorySync {}", self.sync.name_any())
    }
}

/// What kept one of the sides from being read.
pub fn unread(error: ReconcileError) -> anyhow::Error {
    let side = match &error {
        ReconcileError::Source(_) => "source",
        ReconcileError::Target(_) => "target",
        _ => return error.into(),
    };
    anyhow!("the {side} cannot be read ({}): {error}", error.reason())
}

/// Finds the resource: in the streams if they hold any, else in the cluster.
async fn subject(arguments: &PlaceArguments, name: Option<&str>, manifests: &Manifests) -> Result<Subject> {
    let uses_cluster = arguments.cluster || arguments.context.is_some() || manifests.is_empty();
    if let (false, true, Some(name)) = (manifests.has_syncs(), uses_cluster, name) {
        let cluster = Cluster::open(arguments.context.as_deref(), arguments.namespace.as_deref()).await?;
        return Ok(Subject { sync: cluster.sync(name).await?, cluster: Some(cluster) });
    }
    let mut sync = manifests.sync(name)?.clone();
    let namespace = match (sync.namespace(), arguments.namespace.clone()) {
        (Some(written), Some(wanted)) if written != wanted => bail!(
            "DirectorySync {} lies in the namespace {written}, and --namespace says {wanted}; drop one of them",
            sync.name_any()
        ),
        (written, wanted) => written.or(wanted),
    };
    if !uses_cluster {
        sync.metadata.namespace = namespace;
        return Ok(Subject { sync, cluster: None });
    }
    let cluster = Cluster::open(arguments.context.as_deref(), namespace.as_deref()).await?;
    sync.metadata.namespace = Some(cluster.namespace.clone());
    // The state belongs to the resource that is there now, not to every one of its name.
    let present = cluster.find(&sync.name_any()).await?.unwrap_or_else(|| sync.clone());
    (sync.metadata.uid, sync.status) = (present.metadata.uid, present.status);
    Ok(Subject { sync, cluster: Some(cluster) })
}
