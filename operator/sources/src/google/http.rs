//! One HTTP request and the whole of its answer, whoever is asked.

use super::config::GoogleConfig;
use super::error::GoogleError;
use super::retry;
use jiff::Timestamp;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::error::Error;
use std::time::Duration;
use url::Url;

/// Longest body that is taken, in bytes. A page of 500 users with everything about them has a few megabytes.
const BODY_CAP: usize = 32 << 20;

/// Longest part of a refusal that is shown, in characters.
const DETAIL_CAP: usize = 300;

/// Longest time to get a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client without credentials of its own.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    timeout: Duration,
}

/// An answer that came whole.
#[derive(Debug)]
pub(super) struct Answer {
    /// Which URL it is of, without query.
    pub(super) url: String,
    pub(super) status: StatusCode,
    /// `Retry-After`.
    pub(super) wait: Option<Duration>,
    /// The object in the body, or what came instead of one.
    pub(super) body: Result<Map<String, Value>, String>,
}

impl Http {
    /// Checks the endpoints and makes a client; nothing is sent.
    pub(super) fn new(config: &GoogleConfig) -> Result<Self, GoogleError> {
        let endpoints = &config.endpoints;
        for text in [&endpoints.directory, &endpoints.token, &endpoints.exchange, &endpoints.iam_credentials] {
            let url = base(text)?;
            if url.scheme() == "http" && !config.plaintext {
                return Err(GoogleError::PlaintextRefused { url: url.into() });
            }
        }
        let url = endpoints.directory.clone();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("directory-sync-operator/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // The policy of this module's callers is the only one.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeouts.request))
            .timeout(config.timeouts.request);
        if config.plaintext {
            // An HTTP proxy would read the token; authorities are not needed.
            builder = builder.no_proxy().tls_certs_only([]);
        } else if let Some(pem) = &config.ca_pem {
            let authorities = Certificate::from_pem_bundle(pem).ok().filter(|list| !list.is_empty());
            builder = builder.tls_certs_only(authorities.ok_or_else(|| GoogleError::BadCa { url: url.clone() })?);
        }
        let client = builder.build().map_err(|error| match config.ca_pem {
            Some(_) => GoogleError::BadCa { url },
            None => GoogleError::NoTls { url, cause: error.to_string() },
        })?;
        Ok(Self { client, timeout: config.timeouts.request })
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request once and takes its answer, whatever its status. Errors are of the way there and back.
    pub(super) async fn send(&self, request: RequestBuilder, url: &Url) -> Result<Answer, GoogleError> {
        let url = shown(url);
        let response = request.send().await.map_err(|error| of_transport(&error, &url, self.timeout))?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.and_then(|to| response.url().join(to).ok()).map(|to| to.origin().ascii_serialization());
            return Err(GoogleError::Redirected { url, to: to.unwrap_or_else(|| "nowhere".to_owned()) });
        }
        let wait = retry::retry_after(response.headers().get(RETRY_AFTER), Timestamp::now());
        let text =
            |header: Option<&HeaderValue>| header.and_then(|h| h.to_str().ok()).unwrap_or_default().to_lowercase();
        let encoding = text(response.headers().get(CONTENT_ENCODING));
        let media = text(response.headers().get(CONTENT_TYPE));
        let body = self.body(response, &url).await?;
        // No compression was offered, so that none has to be undone and no answer can be larger than it looks.
        let body = if !matches!(encoding.as_str(), "" | "identity") {
            Err("a body in an encoding that was not asked for".to_owned())
        } else if media.contains("html") {
            Err("an HTML page".to_owned())
        } else {
            object_in(&body)
        };
        Ok(Answer { url, status, wait, body })
    }

    async fn body(&self, mut response: Response, url: &str) -> Result<Vec<u8>, GoogleError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > BODY_CAP => {
                    return Err(GoogleError::TooLarge { url: url.to_owned(), cap: BODY_CAP });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) if error.is_timeout() => return Err(of_transport(&error, url, self.timeout)),
                Err(error) => {
                    return Err(GoogleError::CutShort { url: url.to_owned(), cause: last_cause(&error) });
                }
            }
        }
    }
}

impl Answer {
    /// The object of a success.
    pub(super) fn object(self) -> Result<Map<String, Value>, GoogleError> {
        self.body.map_err(|found| match found.as_str() {
            "JSON that breaks off" => GoogleError::CutShort { url: self.url, cause: found },
            _ => GoogleError::NotGoogle { url: self.url, found },
        })
    }

    /// That the status is not what was hoped for, and what came with it.
    pub(super) fn not_google(&self) -> GoogleError {
        let found = match &self.body {
            Ok(_) => "an object".to_owned(),
            Err(found) => found.clone(),
        };
        GoogleError::NotGoogle { url: self.url.clone(), found: format!("HTTP {} and {found}", self.status.as_u16()) }
    }
}

/// The object in a body, or what stands there instead of one.
pub(super) fn object_in(body: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("JSON that is no object".to_owned()),
        Err(error) if error.is_eof() && !body.is_empty() => Err("JSON that breaks off".to_owned()),
        Err(_) => Err("a text that is no JSON".to_owned()),
    }
}

/// A URL that can be asked: HTTP, with a host, and without user, query and fragment.
pub(super) fn base(text: &str) -> Result<Url, GoogleError> {
    let problem = "it cannot be the base of an API; write https://HOST without user, query or fragment";
    let refused = || super::config::invalid("source.google.baseURL", problem);
    let url = Url::parse(text).map_err(|_| refused())?;
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if plain && url.has_host() && matches!(url.scheme(), "https" | "http") { Ok(url) } else { Err(refused()) }
}

/// A URL for messages: without query.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// What the other side says, fit for a message: one line, cut short, without the token should it be echoed.
pub(super) fn one_line(text: &str, token: &SecretString) -> String {
    let text = text.replace(token.expose_secret(), "[token]");
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(DETAIL_CAP) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The same as an addition to a message.
pub(super) fn detail(text: &str, token: &SecretString) -> String {
    let line = one_line(text, token);
    if line.is_empty() { line } else { format!(": {line}") }
}

/// Tells what kept a request from being answered.
fn of_transport(error: &reqwest::Error, url: &str, timeout: Duration) -> GoogleError {
    let url = url.to_owned();
    if let Some(tls) = find::<rustls::Error>(error) {
        let cause = tls.to_string();
        return match tls {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                GoogleError::CertificateUntrusted { url, cause }
            }
            _ => GoogleError::TlsFailed { url, cause },
        };
    }
    if error.is_timeout() {
        return GoogleError::TimedOut { url, after: timeout };
    }
    if error.is_connect() && chain(error).any(|error| error.to_string().starts_with("dns error")) {
        return GoogleError::HostUnknown { url };
    }
    GoogleError::Unreachable { url, cause: last_cause(error) }
}

fn last_cause(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// Finds an error in a chain, also where an I/O error wraps it: `io::Error::source` skips what it wraps.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    chain(error).find_map(|error| {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        error.downcast_ref().or_else(|| inner.and_then(|inner| find_in(inner)))
    })
}

fn find_in<'e, E: Error + 'static>(error: &'e (dyn Error + Send + Sync + 'static)) -> Option<&'e E> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref().or_else(|| inner.and_then(|inner| find_in(inner)))
}
