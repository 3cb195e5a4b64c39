//! A real SCIM 2.0 server (scim2-server) on the loopback interface. It keeps everything in memory.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::processes::{Kept, Processes, free_port};
use super::tools::python::Scim2ServerEnvironment;

const READY_LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "scim2-server";

/// How a [`Scim2Server`] is set up.
#[derive(Clone, Debug)]
pub struct Scim2ServerOptions {
    /// The bearer token that it demands.
    pub token: SecretString,
    /// The `ServiceProviderConfig` that it announces and keeps to (RFC 7643 §5). Without one: everything but cursors.
    pub configuration: Option<Value>,
}

impl Default for Scim2ServerOptions {
    fn default() -> Self {
        Self { token: "client-of-a-test-server".into(), configuration: None }
    }
}

impl Scim2ServerOptions {
    /// A server that pages by cursor alone (RFC 9865), so many resources at most on a page.
    pub fn with_cursors(page_size: u32) -> Self {
        let mut configuration = full_configuration();
        configuration["pagination"] = json!({
            "cursor": true,
            "index": false,
            "defaultPaginationMethod": "cursor",
            "defaultPageSize": page_size,
            "maxPageSize": page_size,
        });
        Self { configuration: Some(configuration), ..Self::default() }
    }

    /// A server without these features, each named as in `ServiceProviderConfig`: `patch`, `filter`, `etag`, `bulk`.
    pub fn without(features: &[&str]) -> Self {
        let mut configuration = full_configuration();
        for feature in features {
            configuration[feature]["supported"] = json!(false);
        }
        Self { configuration: Some(configuration), ..Self::default() }
    }
}

/// A running server. Dropping it stops it and forgets what it holds.
#[derive(Debug)]
pub struct Scim2Server {
    processes: Processes,
    port: u16,
    options: Scim2ServerOptions,
    http: reqwest::Client,
}

impl Scim2Server {
    /// Starts a server without users and groups.
    pub async fn start(options: Scim2ServerOptions) -> Result<Self> {
        let mut server = Self {
            processes: Processes::new(NAME)?,
            port: free_port()?,
            options,
            http: reqwest::Client::builder().no_proxy().build()?,
        };
        server.start_serving().await?;
        Ok(server)
    }

    /// The base of the resources' addresses.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v2", self.port)
    }

    /// The bearer token that it demands.
    pub fn token(&self) -> &SecretString {
        &self.options.token
    }

    /// Stops the server, which loses everything that it holds.
    pub fn stop_serving(&mut self) {
        self.processes.stop(NAME);
    }

    /// Starts the server again, empty, at the same address.
    pub async fn start_serving(&mut self) -> Result<()> {
        let mut command = Command::new(Scim2ServerEnvironment::program()?);
        command.args(["--hostname", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--bearer-token", self.options.token.expose_secret()]);
        if let Some(configuration) = &self.options.configuration {
            let path = self.processes.folder().join("configuration.json");
            fs::write(&path, serde_json::to_vec(configuration)?)?;
            command.arg("--service-provider-config").arg(path);
        }
        self.processes.spawn(NAME, &mut command)?;
        let request =
            authorized(&self.http, Method::GET, &format!("{}/ServiceProviderConfig", self.url()), self.token());
        self.processes
            .wait_until("a SCIM server that answers", READY_LIMIT, || async {
                let request = request.try_clone().context("a request without a body can be repeated")?;
                request.send().await?.error_for_status()?;
                Ok(())
            })
            .await
    }

    /// Every resource of a kind, `Users` or `Groups`, read without the client that is under test.
    pub async fn all(&self, kind: &str) -> Result<Vec<Value>> {
        let mut resources = Vec::new();
        let mut position = match self.options.configuration.as_ref().map(|value| &value["pagination"]["cursor"]) {
            Some(Value::Bool(true)) => "cursor=".to_owned(),
            _ => "startIndex=1".to_owned(),
        };
        loop {
            let page = self.request(Method::GET, &format!("{kind}?{position}&count=100"), None).await?;
            let entries = page["Resources"].as_array().cloned().unwrap_or_default();
            let last = entries.is_empty();
            resources.extend(entries);
            position = match page["nextCursor"].as_str() {
                Some(cursor) => format!("cursor={cursor}"),
                None if position.starts_with("cursor") || last => return Ok(resources),
                None => format!("startIndex={}", resources.len() + 1),
            };
        }
    }

    /// Creates a resource of a kind, `Users` or `Groups`, and returns it as the server tells it.
    pub async fn create(&self, kind: &str, resource: &Value) -> Result<Value> {
        self.request(Method::POST, kind, Some(resource)).await
    }

    /// Any request: the path after [`Self::url`] and its slash. The answer is `null` if it has no body. Fails if the
    /// server refuses.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = authorized(&self.http, method.clone(), &format!("{}/{path}", self.url()), self.token());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let body = response.text().await?;
        if !status.is_success() {
            bail!("{method} {path}: {status}: {body}");
        }
        if body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&body)?) }
    }

    /// Stops the server; the same as dropping it.
    pub fn stop(self) {}

    /// Leaves it running when this process ends.
    pub fn keep(self) -> Kept {
        self.processes.keep()
    }
}

fn authorized(http: &reqwest::Client, method: Method, url: &str, token: &SecretString) -> reqwest::RequestBuilder {
    http.request(method, url).bearer_auth(token.expose_secret())
}

/// What the server announces by itself, to be changed.
fn full_configuration() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": true, "maxOperations": 1000, "maxPayloadSize": 1_048_576 },
        "filter": { "supported": true, "maxResults": 1000 },
        "changePassword": { "supported": true },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "HTTP bearer token (RFC 6750)",
        }],
    })
}
