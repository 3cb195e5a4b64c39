//! The process: watching the kinds, bringing each resource to run when it is due, and answering probes meanwhile.

mod attempt;
mod pass;
mod siblings;
mod undecodable;

use crate::backoff::{Attempts, Pauses};
use crate::cluster::{ClusterError, call, found};
use crate::events::Events;
use crate::exclusive::Exclusive;
use crate::health::{BEAT, Health};
use crate::metrics::Metrics;
use crate::server;
use crate::shared_reads::SharedReads;
use crate::status::Unwritten;
use directory_sync_api::{DirectorySync, DirectorySyncApproval, DirectorySyncPlan, DirectorySyncState};
use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::controller::{Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use siblings::Known;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Resources looked at at the same time. A look is short; one that becomes a run gives its place back, because runs are
/// bounded by themselves ([`RUNS`]), and however many wait for a slow target, other resources are still looked at.
const LOOKS: usize = 64;

/// Runs at the same time. Each holds two directories in memory.
const RUNS: usize = 4;

/// Reads that are kept at the same time for further resources, beside those that runs hold.
const KEPT_READS: usize = 4;

/// A resource as it is stored, whether or not this version understands it.
type Guarded = DeserializeGuard<DirectorySync>;

/// How the operator is set up.
#[derive(Debug, Clone)]
pub struct OperatorConfig {
    /// Namespaces that are watched; empty: all.
    pub namespaces: Vec<String>,
    /// Where metrics and probes are served.
    pub address: SocketAddr,
    /// How long to wait after failures.
    pub pauses: Pauses,
}

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A kind is not there.
    #[error("the cluster does not know {kind}; install the kinds first: kubectl apply --server-side -f crds/")]
    KindsMissing {
        /// Which one.
        kind: String,
    },
    /// The cluster cannot be asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Nothing can be served.
    #[error("metrics and probes cannot be served at {address}: {source}; free the port, or choose another")]
    Serve {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A metric is wrong.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The watches ended though nobody asked for it.
    #[error("the resources are no longer watched; a restart watches them again")]
    WatchEnded,
}

/// Everything that the looks at resources share.
struct Context {
    client: Client,
    metrics: Arc<Metrics>,
    events: Events,
    attempts: Attempts,
    unwritten: Unwritten,
    looks: Arc<Semaphore>,
    exclusive: Exclusive,
    shared_reads: SharedReads,
    pauses: Pauses,
    stop: CancellationToken,
}

/// Runs until `stop` is cancelled: then the request under way is finished, the state saved, and nothing begun.
///
/// Probes are answered from the start; ready is who knows every resource.
///
/// # Errors
/// At once if the address is taken, the kinds are not there or may not be read; later if the watches or the server
/// end by themselves.
pub async fn run(client: Client, config: OperatorConfig, stop: CancellationToken) -> Result<(), OperatorError> {
    let metrics = Arc::new(Metrics::new()?);
    let client = metrics.measured(client);
    let health = Arc::new(Health::default());
    let address = config.address;
    let of_server = |source| OperatorError::Serve { address, source };
    let listener = TcpListener::bind(address).await.map_err(of_server)?;
    // Whatever ends first takes the other with it.
    let all = stop.child_token();
    let server = async {
        let served = server::serve(listener, Arc::clone(&metrics), Arc::clone(&health), all.clone()).await;
        all.cancel();
        served.map_err(of_server)
    };
    let work = async {
        let worked = watch(client, config, Arc::clone(&metrics), &health, all.clone()).await;
        all.cancel();
        worked
    };
    let (watched, answered) = tokio::join!(work, server);
    watched.and(answered)
}

/// Watches until `stop` is cancelled.
async fn watch(
    client: Client,
    config: OperatorConfig,
    metrics: Arc<Metrics>,
    health: &Health,
    stop: CancellationToken,
) -> Result<(), OperatorError> {
    let scopes: Vec<Option<&str>> = match config.namespaces.as_slice() {
        [] => vec![None],
        namespaces => namespaces.iter().map(|namespace| Some(namespace.as_str())).collect(),
    };
    for scope in &scopes {
        check::<Guarded>(&client, *scope).await?;
        check::<DirectorySyncApproval>(&client, *scope).await?;
        check::<DirectorySyncPlan>(&client, *scope).await?;
        check::<DirectorySyncState>(&client, *scope).await?;
    }
    let controllers: Vec<_> = scopes.iter().map(|scope| controller(*scope, &client, &stop)).collect();
    let stores: Vec<_> = controllers.iter().map(Controller::store).collect();
    let context = Arc::new(Context {
        client: client.clone(),
        shared_reads: SharedReads::new(Known(stores.clone()), Arc::clone(&metrics), KEPT_READS),
        metrics,
        events: Events::new(client),
        attempts: Attempts::default(),
        unwritten: Unwritten::default(),
        looks: Arc::new(Semaphore::new(LOOKS)),
        exclusive: Exclusive::new(RUNS),
        pauses: config.pauses,
        stop: stop.clone(),
    });
    let looks = controllers.into_iter().map(|controller| looks(controller, &context));
    let ready = async {
        for store in &stores {
            // It fails only if the watch has ended, which is told below.
            let _ = store.wait_until_ready().await;
        }
        health.set_ready();
        tracing::info!(namespaces = ?config.namespaces, "watching");
        std::future::pending::<()>().await;
    };
    // The beats come from the task that watches the resources and starts looks, so that they stop when it hangs.
    let mut beats = tokio::time::interval(BEAT);
    let mut looks = futures::stream::select_all(looks);
    let work = async {
        loop {
            tokio::select! {
                look = looks.next() => if look.is_none() { break },
                _ = beats.tick() => health.beat(),
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = ready => {}
    }
    if stop.is_cancelled() { Ok(()) } else { Err(OperatorError::WatchEnded) }
}

/// Whether a kind is there and may be listed.
async fn check<K>(client: &Client, scope: Option<&str>) -> Result<(), OperatorError>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let list = scoped::<K>(client, scope);
    match found(call("list the kinds of the operator", list.list_metadata(&ListParams::default().limit(1))).await)? {
        Some(_) => Ok(()),
        None => Err(OperatorError::KindsMissing { kind }),
    }
}

/// What watches the resources of a scope, and what makes a look at them due.
fn controller(scope: Option<&str>, client: &Client, stop: &CancellationToken) -> Controller<Guarded> {
    let approvals: Api<DirectorySyncApproval> = scoped(client, scope);
    Controller::new(scoped::<Guarded>(client, scope), watcher::Config::default())
        .watches(approvals, watcher::Config::default(), |approval: DirectorySyncApproval| {
            let namespace = approval.namespace().unwrap_or_default();
            [ObjectRef::new(&approval.spec.sync).within(&namespace)]
        })
        // Unbounded here: looks are bounded by their slots.
        .with_config(Config::default().concurrency(0))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
}

/// A stream that looks at each resource whenever that may be due.
fn looks(controller: Controller<Guarded>, context: &Arc<Context>) -> BoxStream<'static, ()> {
    controller
        .run(pass::pass, pass::after_error, Arc::clone(context))
        .map(|result| {
            if let Err(error) = result {
                tracing::warn!(%error, "a resource could not be looked at");
            }
        })
        .boxed()
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
