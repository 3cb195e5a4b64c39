//! Faults between the operator and the API server: a request at which everything stops, so that the operator can be
//! ended there, or requests that are refused.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use anyhow::Result;
use directory_sync_tests::peers::control_plane::ControlPlane;
use http::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::Notify;
use tower::{BoxError, Layer, Service};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Passes,
    /// It never arrives, and nothing after it does.
    StopsBefore,
    /// It arrives, but its answer does not, and nothing after it does.
    StopsAfter,
    /// It is refused.
    Refused,
}

type Decide = dyn Fn(&Method, &str) -> Fate + Send + Sync;

/// Decides about every request.
#[derive(Clone)]
pub(crate) struct Faults {
    decide: Arc<Decide>,
    stopped: Arc<AtomicBool>,
    reached: Arc<Notify>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Faults {
    /// Faults by method and path.
    pub(crate) fn new(decide: impl Fn(&Method, &str) -> Fate + Send + Sync + 'static) -> Self {
        Self { decide: Arc::new(decide), stopped: Arc::default(), reached: Arc::default(), seen: Arc::default() }
    }

    /// Everything stops at the writing request with this number, from 0, not counting events.
    pub(crate) fn at_write(number: usize, fate: Fate) -> Self {
        let writes = AtomicUsize::new(0);
        Self::new(move |method, path| {
            let is_write = *method != Method::GET && !path.contains("/events");
            if is_write && writes.fetch_add(1, Ordering::Relaxed) == number { fate } else { Fate::Passes }
        })
    }

    /// A client with the rights of the administrator whose requests meet these faults.
    pub(crate) async fn client(&self, control_plane: &ControlPlane) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(ClientBuilder::try_from(config)?.with_layer(self).build())
    }

    /// Waits until everything has stopped.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// The writing requests so far.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, faults: self.clone() }
    }
}

/// A service whose requests meet faults.
pub(crate) struct Faulty<S> {
    inner: S,
    faults: Faults,
}

impl<S> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let faults = self.faults.clone();
        if faults.stopped.load(Ordering::Acquire) {
            return Box::pin(std::future::pending());
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if method != Method::GET {
            faults.seen.lock().unwrap().push(format!("{method} {path}"));
        }
        match (faults.decide)(&method, &path) {
            Fate::Passes => {
                let answer = self.inner.call(request);
                Box::pin(async move { answer.await.map_err(Into::into) })
            }
            Fate::Refused => Box::pin(async { Err("refused by the test".into()) }),
            Fate::StopsBefore => {
                faults.stopped.store(true, Ordering::Release);
                faults.reached.notify_one();
                Box::pin(std::future::pending())
            }
            Fate::StopsAfter => {
                faults.stopped.store(true, Ordering::Release);
                let answer = self.inner.call(request);
                Box::pin(async move {
                    let _ = answer.await;
                    faults.reached.notify_one();
                    std::future::pending().await
                })
            }
        }
    }
}
