//! A stand-in for Google's Directory API and the places where its tokens come from, for what cannot be run here.
//!
//! It is written after the discovery documents of Google's own client library and judged by them at every request:
//! what is asked and what is answered, with every field. Google's client library itself drives it too. A test that asks
//! for, or is answered with, something that is not in the documents fails.

mod answer;
mod client_library;
mod discovery;
mod fault;
mod tenant;
mod token;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use client_library::ClientLibrary;
pub use discovery::Discovery;
pub use fault::{Damage, Fault};
pub use tenant::{CUSTOMER, Tenant};
pub use token::ServiceAccount;

/// The scopes with which people and groups can be read.
pub const SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.member.readonly",
];

/// The scopes with which more can be seen than is needed: domains and org units.
pub const FURTHER_SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/admin.directory.domain.readonly",
    "https://www.googleapis.com/auth/admin.directory.orgunit.readonly",
];

/// The provider that trusts [`WORKLOAD_TOKEN`].
pub const PROVIDER: &str =
    "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/clusters/providers/simulated";

/// The token of the simulated workload.
pub const WORKLOAD_TOKEN: &str = "header.canary-workload.signature";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path, percent-decoded.
    pub path: String,
    /// Parameters in the query.
    pub query: BTreeMap<String, String>,
    /// Body as text.
    pub body: String,
    /// The bearer token; empty if there is none.
    pub token: String,
    /// How many requests with this method and path came before.
    pub before: usize,
}

/// Chooses what goes wrong with a request; `None`: nothing.
pub type Faults = dyn Fn(&Request) -> Option<Fault> + Send + Sync;

/// What the simulator knows.
struct World {
    /// The bases by which it is reached.
    names: Vec<String>,
    tenant: Tenant,
    account: ServiceAccount,
    delegated: Vec<String>,
    grants: BTreeMap<String, token::Grant>,
    issued: usize,
    most_per_page: usize,
    faults: Option<Arc<Faults>>,
    received: Vec<Request>,
    violations: Vec<String>,
}

struct Shared {
    base: String,
    library: ClientLibrary,
    directory: Discovery,
    iam_credentials: Discovery,
    exchange: Discovery,
    world: Mutex<World>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running simulator. Dropping it stops it, and fails the test if a request or an answer was not as documented.
pub struct GoogleDirectory {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl GoogleDirectory {
    /// Starts it on the loopback interface with what the customer holds.
    pub async fn start(tenant: Tenant) -> Result<Self> {
        let library = ClientLibrary::installed()?;
        let documents = library.documents()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let world = World {
            names: vec![base.clone()],
            tenant,
            account: ServiceAccount::shared()?,
            delegated: SCOPES.map(str::to_owned).to_vec(),
            grants: BTreeMap::new(),
            issued: 0,
            most_per_page: usize::MAX,
            faults: None,
            received: Vec::new(),
            violations: Vec::new(),
        };
        let shared = Arc::new(Shared {
            base,
            library,
            directory: Discovery::read(&documents, "admin.directory_v1")?,
            iam_credentials: Discovery::read(&documents, "iamcredentials.v1")?,
            exchange: Discovery::read(&documents, "sts.v1")?,
            world: Mutex::new(world),
        });
        let state = Arc::clone(&shared);
        let router = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let shared = Arc::clone(&state);
            async move { answer::answer(&shared, &method, &uri, &headers, &body) }
        });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { shared, task })
    }

    /// Its base, without a slash at the end.
    pub fn url(&self) -> String {
        self.shared.base.clone()
    }

    /// Notes another base by which it is reached, for which assertions may be made out then.
    pub fn also_known_as(&self, base: &str) {
        self.shared.world().names.push(base.to_owned());
    }

    /// Google's client library, which was installed with the discovery documents.
    pub fn library(&self) -> &ClientLibrary {
        &self.shared.library
    }

    /// The key file of the service account.
    pub fn key_file(&self) -> Result<String> {
        self.shared.world().account.key_file(&format!("{}/token", self.shared.base))
    }

    /// The key of the service account: private and public, as PEM.
    pub fn key(&self) -> Result<(String, String)> {
        let world = self.shared.world();
        Ok((world.account.private_key()?, world.account.public_key()?))
    }

    /// Address of the service account.
    pub fn service_account(&self) -> String {
        self.shared.world().account.email.clone()
    }

    /// Changes what the customer holds.
    pub fn change<T>(&self, change: impl FnOnce(&mut Tenant) -> T) -> T {
        change(&mut self.shared.world().tenant)
    }

    /// Answers with at most so many elements per page, whatever is asked for.
    pub fn page_by(&self, most: usize) {
        self.shared.world().most_per_page = most;
    }

    /// Grants the service account these scopes by domain-wide delegation, in place of all.
    pub fn delegate(&self, scopes: &[&str]) {
        self.shared.world().delegated = scopes.iter().map(|&scope| scope.to_owned()).collect();
    }

    /// Grants it these as well.
    pub fn delegate_also(&self, scopes: &[&str]) {
        self.shared.world().delegated.extend(scopes.iter().map(|&scope| scope.to_owned()));
    }

    /// Lets no token be good any more.
    pub fn revoke_tokens(&self) {
        self.shared.world().grants.clear();
    }

    /// Decides from now on what goes wrong.
    pub fn fail(&self, faults: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static) {
        self.shared.world().faults = Some(Arc::new(faults));
    }

    /// Everything that arrived so far.
    pub fn received(&self) -> Vec<Request> {
        self.shared.world().received.clone()
    }
}

impl Drop for GoogleDirectory {
    fn drop(&mut self) {
        self.task.abort();
        let violations = std::mem::take(&mut self.shared.world().violations);
        assert!(
            violations.is_empty() || std::thread::panicking(),
            "not as Google documents it:\n{}",
            violations.join("\n")
        );
    }
}
