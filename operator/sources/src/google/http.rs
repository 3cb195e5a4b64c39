//! One HTTP request and the whole of its answer, whoever is asked.

use super::attribute::Object;
use super::config::GoogleConfig;
use super::error::GoogleError;
use super::json::{self, BREAKS_OFF};
use super::retry;
use jiff::Timestamp;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, ClientBuilder, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use std::error::Error;
use std::time::Duration;
use url::Url;

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
    /// The body if it may be JSON, or what came instead.
    pub(super) body: Result<Vec<u8>, String>,
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
        let client = Self::builder(config)?.build().map_err(|error| {
            let url = endpoints.directory.clone();
            match config.ca_pem {
                Some(_) => GoogleError::BadCa { url },
                None => GoogleError::NoTls { url, cause: error.to_string() },
            }
        })?;
        Ok(Self { client, timeout: config.timeouts.request })
    }

    /// What every client of Google is made by.
    pub(super) fn builder(config: &GoogleConfig) -> Result<ClientBuilder, GoogleError> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("directory-sync-operator/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // The policy of this module's callers is the only one.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeouts.request))
            .timeout(config.timeouts.request);
        if config.plaintext {
            // An HTTP proxy would read the token; authorities are not needed.
            return Ok(builder.no_proxy().tls_certs_only([]));
        }
        let Some(pem) = &config.ca_pem else { return Ok(builder) };
        let authorities = Certificate::from_pem_bundle(pem).ok().filter(|list| !list.is_empty());
        let bad = || GoogleError::BadCa { url: config.endpoints.directory.clone() };
        Ok(builder.tls_certs_only(authorities.ok_or_else(bad)?))
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request once and takes its answer, whatever its status, unless it is longer than `cap` bytes. Errors are
    /// of the way there and back.
    pub(super) async fn send(&self, request: RequestBuilder, url: &Url, cap: usize) -> Result<Answer, GoogleError> {
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
        let body = self.body(response, &url, cap).await?;
        // No compression was offered, so that none has to be undone and no answer can be larger than it looks.
        let body = if !matches!(encoding.as_str(), "" | "identity") {
            Err("a body in an encoding that was not asked for".to_owned())
        } else if media.contains("html") {
            Err("an HTML page".to_owned())
        } else {
            Ok(body)
        };
        Ok(Answer { url, status, wait, body })
    }

    async fn body(&self, mut response: Response, url: &str, cap: usize) -> Result<Vec<u8>, GoogleError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > cap => {
                    return Err(GoogleError::TooLarge { url: url.to_owned(), cap });
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
    pub(super) fn object(&self) -> Result<Object, GoogleError> {
        self.decoded(json::object)
    }

    /// The object of a refusal; `None` if there is none.
    pub(super) fn refusal(&self) -> Option<Object> {
        json::object(self.body.as_deref().ok()?).ok()
    }

    /// What `decode` makes of the body of a success.
    pub(super) fn decoded<T>(&self, decode: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, GoogleError> {
        self.body.as_deref().map_err(Clone::clone).and_then(decode).map_err(|found| match found.as_str() {
            BREAKS_OFF => GoogleError::CutShort { url: self.url.clone(), cause: found },
            _ => GoogleError::NotGoogle { url: self.url.clone(), found },
        })
    }

    /// That the status is not what was hoped for, and what came with it.
    pub(super) fn not_google(&self) -> GoogleError {
        let found = match self.body.as_deref().map_err(Clone::clone).and_then(json::object) {
            Ok(_) => "an object that is no error of Google's".to_owned(),
            Err(found) => found,
        };
        GoogleError::NotGoogle { url: self.url.clone(), found: format!("HTTP {} and {found}", self.status.as_u16()) }
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
