//! Requests to the Kubernetes API server, measured around the client so that nobody who asks has to think of it.

use super::Metrics;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tower::Service;

impl Metrics {
    /// A client whose requests are measured here.
    pub fn measured(self: &Arc<Self>, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        Client::new(Measured { client, metrics: Arc::clone(self) }, namespace)
    }
}

struct Measured {
    client: Client,
    metrics: Arc<Metrics>,
}

impl Service<Request<Body>> for Measured {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, kube::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        // The client waits for its own readiness when it sends.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (client, metrics) = (self.client.clone(), Arc::clone(&self.metrics));
        let (method, begun) = (request.method().clone(), Instant::now());
        async move {
            let answer = client.send(request).await;
            let code = match &answer {
                Ok(answer) => answer.status().as_u16().to_string(),
                Err(kube::Error::Api(status)) => status.code.to_string(),
                Err(_) => "error".to_owned(),
            };
            metrics.kube_requests.with_label_values(&[method.as_str(), &code]).inc();
            let took = begun.elapsed().as_secs_f64();
            metrics.kube_request_duration.with_label_values(&[method.as_str()]).observe(took);
            answer
        }
        .boxed()
    }
}
