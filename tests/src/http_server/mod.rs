//! An HTTP server that answers as a test tells it to, to stand in for services that misbehave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// HTTP method.
    pub method: Method,
    /// Path with its leading slash.
    pub path: String,
    /// Query, percent-encoded, without the question mark.
    pub query: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// Body as JSON; `null` where there is none.
    pub body: Value,
    /// How many requests with this method and path came before.
    pub before: usize,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Scripted {
    /// HTTP status.
    pub status: u16,
    /// Headers; `content-type` is `application/scim+json` unless given here.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Pause before the answer.
    pub delay: Duration,
}

impl Scripted {
    /// A SCIM answer.
    pub fn json(status: u16, body: &Value) -> Self {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        Self { status, headers: Vec::new(), body, delay: Duration::ZERO }
    }

    /// The same answer with a header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same answer after a pause.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct HttpServer {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Starts a server on the loopback interface that answers every request with `answer`.
    pub async fn start(answer: impl Fn(&Received) -> Scripted + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&received), Arc::new(answer));
        let router = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                let request = record(&log, method, &uri, &headers, &body);
                let scripted = answer(&request);
                tokio::time::sleep(scripted.delay).await;
                respond(scripted)
            }
        });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, received, task })
    }

    /// Its base, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything that arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn record(log: &Mutex<Vec<Received>>, method: Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Received {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let before = log.iter().filter(|other| other.method == method && other.path == uri.path()).count();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let request = Received {
        method,
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: serde_json::from_slice(body).unwrap_or_default(),
        before,
    };
    log.push(request.clone());
    request
}

fn respond(scripted: Scripted) -> Response {
    let mut response = Response::builder().status(scripted.status);
    if !scripted.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        response = response.header("content-type", "application/scim+json");
    }
    for (name, value) in scripted.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(scripted.body)).unwrap_or_else(|_| {
        let mut broken = Response::default();
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
