//! One HTTP request to a SCIM service and what came of it.

use super::attribute::{self, Object};
use super::config::ScimConfig;
use super::error::{self, ScimError};
use super::retry::{self, Attempts, Retries};
use crate::RequestObserver;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH, LOCATION, RETRY_AFTER,
};
use reqwest::{Certificate, Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Longest body that is taken, in bytes.
const BODY_CAP: usize = 32 << 20;

/// Longest part of a refusal that is shown, in characters.
const DETAIL_CAP: usize = 200;

/// Longest time to get a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Talks to one service. Clones share connections and pacing.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    pacing: Arc<DefaultDirectRateLimiter>,
    observer: Arc<dyn RequestObserver>,
    timeout: Duration,
    stop: CancellationToken,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call<'c> {
    /// Name for metrics.
    pub operation: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path below the base: an endpoint, and possibly an id.
    pub path: &'c [&'c str],
    /// Query parameters.
    pub query: &'c [(&'c str, &'c str)],
    /// JSON body.
    pub body: Option<&'c Value>,
    /// Version that the object must still have; empty: any.
    pub version: &'c str,
}

impl<'c> Call<'c> {
    /// A request that only looks.
    pub(super) fn get(operation: &'static str, path: &'c [&'c str]) -> Self {
        Self { operation, method: Method::GET, path, query: &[], body: None, version: "" }
    }

    /// A request that changes or removes an existing object.
    pub(super) fn change(
        operation: &'static str,
        method: Method,
        path: &'c [&'c str],
        body: Option<&'c Value>,
    ) -> Self {
        Self { operation, method, path, query: &[], body, version: "" }
    }

    /// A creation: sent twice, it may create two objects.
    pub(super) fn create(path: &'c [&'c str], body: &'c Value) -> Self {
        Self::change("create", Method::POST, path, Some(body))
    }

    /// Whether it only looks, so that it may be sent again when it is not known what became of it. A change may not:
    /// between both somebody else may have changed the same object.
    fn only_looks(&self) -> bool {
        self.method == Method::GET
    }
}

/// A successful answer.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// The object in the body; empty where there was no body.
    pub body: Object,
    /// Last segment of the `Location` header: the id of what was created.
    pub location_id: Option<String>,
    /// Version that the object has now; empty where it is not told.
    pub version: String,
}

/// Requests come evenly: without this as many as a second allows would come at once, and as many again within that
/// second. A few may come together, because timers are too coarse for a thousand.
fn pace(per_second: NonZeroU32) -> Quota {
    let together = NonZeroU32::new(per_second.get() / 10).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(per_second).allow_burst(together)
}

impl Client {
    /// Checks the configuration and makes a client of it; nothing is sent.
    pub(super) fn new(config: &ScimConfig) -> Result<Self, ScimError> {
        let url = shown(&config.url);
        let plaintext = match config.url.scheme() {
            "https" => false,
            "http" if config.allow_plaintext => true,
            "http" => return Err(ScimError::PlaintextRefused { url }),
            _ => return Err(ScimError::BadUrl { url }),
        };
        if !config.url.has_host()
            || config.url.query().is_some()
            || config.url.fragment().is_some()
            || !config.url.username().is_empty()
            || config.url.password().is_some()
        {
            return Err(ScimError::BadUrl { url });
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("directory-sync-operator/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(&config.token).ok_or_else(|| ScimError::BadToken { url: url.clone() })?)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // The policy of this module is the only one.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
            .timeout(config.timeout);
        if plaintext {
            // An HTTP proxy would read the token; authorities are not needed.
            builder = builder.no_proxy().tls_certs_only([]);
        } else if let Some(pem) = &config.ca_pem {
            let authorities = Certificate::from_pem_bundle(pem).ok().filter(|list| !list.is_empty());
            builder = builder.tls_certs_only(authorities.ok_or_else(|| ScimError::BadCa { url: url.clone() })?);
        }
        let http = builder.build().map_err(|error| match config.ca_pem {
            Some(_) => ScimError::BadCa { url },
            None => ScimError::NoTls { url, cause: error.to_string() },
        })?;
        Ok(Self {
            http,
            base: config.url.clone(),
            token: config.token.clone(),
            pacing: Arc::new(RateLimiter::direct(pace(config.requests_per_second))),
            observer: Arc::clone(&config.observer),
            timeout: config.timeout,
            stop: CancellationToken::new(),
        })
    }

    /// The same client, whose pauses end when `stop` is cancelled; a request under way is finished.
    pub(super) fn until(&self, stop: &CancellationToken) -> Self {
        Self { stop: stop.clone(), ..self.clone() }
    }

    /// The URL of an endpoint or object, for requests and messages.
    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Sends a request, again after a pause where the retry policy allows it.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Reply, ScimError> {
        let mut retries = Retries::new(call.only_looks());
        loop {
            let error = match self.send_once(call).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let Some(pause) = retries.pause(&error) else { return Err(error) };
            tracing::debug!(%error, ?pause, "the request is sent again");
            if !self.wait(pause).await {
                return Err(error);
            }
        }
    }

    /// Waits after an error that leaves open what became of a change, and says whether the change may be tried again
    /// once the object was read.
    pub(super) async fn may_try_again(&self, attempts: &mut Attempts, error: &ScimError) -> bool {
        match attempts.pause(error) {
            Some(pause) => self.wait(pause).await,
            None => false,
        }
    }

    /// Waits, unless the run is to end; `false`: it is.
    async fn wait(&self, pause: Duration) -> bool {
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
    }

    async fn send_once(&self, call: &Call<'_>) -> Result<Reply, ScimError> {
        let mut url = self.url(call.path);
        let place = shown(&url);
        if call.path.iter().any(|segment| ["", ".", ".."].contains(segment)) {
            // Such a path would name the list, or what lies above it, in place of one object.
            return Err(ScimError::Refused {
                url: place,
                status: 400,
                scim_type: String::new(),
                detail: ": the id of the object is none that a URL can name".to_owned(),
            });
        }
        if self.stop.run_until_cancelled(self.pacing.until_ready()).await.is_none() {
            return Err(ScimError::Stopped { url: place });
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, "application/scim+json").body(body.to_string());
        }
        if let Some(version) = condition(call.version) {
            request = request.header(IF_MATCH, version);
        }
        let begun = Instant::now();
        let answer = match request.send().await {
            Ok(response) => {
                let status = response.status();
                self.observer.request("scim", call.operation, status.as_str(), begun.elapsed());
                self.take(response, place, call.body.and_then(password)).await
            }
            Err(error) => {
                self.observer.request("scim", call.operation, "error", begun.elapsed());
                Err(error::of_transport(&error, place, self.timeout))
            }
        };
        if matches!(answer, Err(ScimError::RateLimited { .. })) {
            self.observer.rate_limited("scim");
        }
        answer
    }

    /// `secret` is what must not be shown, should the service echo it.
    async fn take(&self, response: Response, url: String, secret: Option<&str>) -> Result<Reply, ScimError> {
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to =
                to.and_then(|to| response.url().join(to).ok()).map_or_else(|| "nowhere".to_owned(), |to| shown(&to));
            return Err(ScimError::Redirected { url, to });
        }
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let location_id = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| response.url().join(location).ok())
            .and_then(|location| location.path_segments()?.next_back().map(str::to_owned))
            // An id that had to be encoded is told by the object itself.
            .filter(|id| !id.is_empty() && !id.contains('%'));
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let media = response.headers().get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).map(str::to_lowercase);
        let body = self.body(response, &url).await;
        if !status.is_success() {
            // What stands in a refusal only explains it, so a body that cannot be read takes nothing away.
            let error = body.ok().and_then(|body| serde_json::from_slice::<Object>(&body).ok()).unwrap_or_default();
            return Err(self.refusal(status, &error, retry_after.as_ref(), url, secret));
        }
        let body = body?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Reply { body: Object::new(), location_id, version: etag.unwrap_or_default() });
        }
        if let Some(media) = media.filter(|media| !media.contains("json")) {
            let found = if media.contains("html") { "an HTML page".to_owned() } else { self.one_line(&media, secret) };
            return Err(ScimError::NotScim { url, found });
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Object(mut body)) => {
                attribute::write_ids_as_texts(&mut body);
                let version = etag.unwrap_or_else(|| attribute::version(&body).to_owned());
                Ok(Reply { body, location_id, version })
            }
            Ok(_) => Err(ScimError::NotScim { url, found: "JSON that is no object".to_owned() }),
            Err(_) => Err(ScimError::NotScim { url, found: "a text that is no JSON".to_owned() }),
        }
    }

    async fn body(&self, mut response: Response, url: &str) -> Result<Vec<u8>, ScimError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > BODY_CAP => {
                    return Err(ScimError::TooLarge { url: url.to_owned(), cap: BODY_CAP });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => return Err(error::of_transport(&error, url.to_owned(), self.timeout)),
            }
        }
    }

    fn refusal(
        &self,
        status: StatusCode,
        error: &Object,
        retry_after: Option<&HeaderValue>,
        url: String,
        secret: Option<&str>,
    ) -> ScimError {
        let mut detail = self.one_line(attribute::text(error, "detail"), secret);
        if !detail.is_empty() {
            detail.insert_str(0, ": ");
        }
        match status.as_u16() {
            401 => ScimError::Unauthorized { url, detail },
            403 => ScimError::Forbidden { url, detail },
            404 => ScimError::NotFound { url, detail },
            429 => ScimError::RateLimited { url, wait: retry::asked_pause(retry_after) },
            status @ 500.. => {
                let wait = retry::retry_after(retry_after, jiff::Timestamp::now());
                ScimError::ServerError { url, status, detail, wait }
            }
            status => {
                let scim_type = self.one_line(attribute::text(error, "scimType"), secret);
                ScimError::Refused { url, status, scim_type, detail }
            }
        }
    }

    /// What a service says, fit for a message: one line, cut short, without the token or a password should it be
    /// echoed.
    fn one_line(&self, text: &str, secret: Option<&str>) -> String {
        let mut text = text.replace(self.token.expose_secret(), "[token]");
        if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "[password]");
        }
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(DETAIL_CAP) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// The password that a body sets, as a whole object or as a PATCH.
fn password(body: &Value) -> Option<&str> {
    let patched = || {
        let operations = body.get("Operations")?.as_array()?;
        operations.iter().find(|operation| operation["path"] == "password")?.get("value")?.as_str()
    };
    body.get("password").and_then(Value::as_str).or_else(patched)
}

/// The header that makes a change depend on a version; `None` where there is no version, or none that a header can carry.
fn condition(version: &str) -> Option<HeaderValue> {
    if version.is_empty() { None } else { HeaderValue::from_bytes(version.as_bytes()).ok() }
}

fn headers(token: &SecretString) -> Option<HeaderMap> {
    let token = token.expose_secret();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    bearer.set_sensitive(true);
    let accept = HeaderValue::from_static("application/scim+json, application/json");
    Some(HeaderMap::from_iter([(AUTHORIZATION, bearer), (ACCEPT, accept)]))
}

/// A URL for messages: without user, password, query and fragment.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only for URLs that can have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use directory_sync_core::disposition::Classified;

    fn client(url: &str, token: &str) -> Result<Client, ScimError> {
        Client::new(&ScimConfig::new(Url::parse(url).unwrap(), token.into()))
    }

    #[test]
    fn a_token_in_clear_text_needs_an_opt_in() {
        let mut config = ScimConfig::new(Url::parse("http://scim.example.com/v2").unwrap(), "secret".into());
        assert_eq!(Client::new(&config).unwrap_err().reason(), "TargetPlaintextRefused");
        config.allow_plaintext = true;
        assert!(Client::new(&config).is_ok());
    }

    #[test]
    fn a_url_with_credentials_or_query_is_no_base_and_shows_none_of_them() {
        for url in ["https://u:pw@example.com/", "https://example.com/?key=pw", "https://example.com/#pw"] {
            let error = client(url, "t").unwrap_err();
            assert_eq!(error.reason(), "TargetUrlInvalid");
            assert!(!error.to_string().contains("pw"), "{error}");
        }
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused_without_showing_it() {
        for token in ["", "line\nbreak", "blank token"] {
            let error = client("https://example.com", token).unwrap_err();
            assert_eq!(error.reason(), "TargetTokenInvalid");
            assert!(token.is_empty() || !error.to_string().contains(token));
        }
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_the_path() {
        let client = client("https://example.com/scim/", "t").unwrap();
        for (id, written) in [
            ("a/../b?c", "a%2F..%2Fb%3Fc"),
            ("a#b", "a%23b"),
            ("%2e%2e", "%252e%252e"),
            ("..\\b", "..%5Cb"),
            ("ü ö", "%C3%BC%20%C3%B6"),
            ("ada@example.com", "ada@example.com"),
        ] {
            assert_eq!(client.url(&["Users", id]).as_str(), format!("https://example.com/scim/Users/{written}"));
        }
    }

    #[tokio::test]
    async fn an_id_that_would_name_the_list_is_not_sent() {
        let client = client("https://example.invalid/scim/", "t").unwrap();
        for id in ["", ".", ".."] {
            let error = client.send(&Call::change("delete", Method::DELETE, &["Users", id], None)).await.unwrap_err();
            assert_eq!(error.refusal(), Some(400), "{id:?}: {error}");
        }
    }

    #[test]
    fn a_version_that_no_header_can_carry_is_no_condition() {
        assert_eq!(condition("W/\"1\"").unwrap(), "W/\"1\"");
        assert!(condition("").is_none() && condition("1\r\nX: y").is_none());
    }

    #[test]
    fn what_a_service_says_is_shown_short_and_without_the_token() {
        let client = client("https://example.com", "hunter2").unwrap();
        assert_eq!(client.one_line("bad\r\n token hunter2", None), "bad token [token]");
        assert_eq!(client.one_line(&"x".repeat(1000), None).chars().count(), DETAIL_CAP + 1);
    }

    #[test]
    fn a_password_that_a_service_echoes_is_not_shown() {
        let client = client("https://example.com", "t0ken").unwrap();
        let patch = serde_json::json!({"Operations": [{"op": "replace", "path": "password", "value": "s3cret"}]});
        for body in [patch, serde_json::json!({"password": "s3cret"})] {
            assert_eq!(client.one_line("s3cret is too short", password(&body)), "[password] is too short");
        }
        assert_eq!(password(&serde_json::json!({"userName": "ada"})), None);
    }

    #[test]
    fn debug_shows_no_token() {
        let mut config = ScimConfig::new(Url::parse("https://example.com").unwrap(), "hunter2".into());
        config.ca_pem = None;
        assert!(!format!("{:?} {config:?}", Client::new(&config).unwrap()).contains("hunter2"));
    }
}
