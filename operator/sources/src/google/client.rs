//! Requests to the Directory API: paced, repeated where that helps, and refused where the answer is not Google's.

use super::auth::{Authorizer, Token};
use super::config::{Backoff, GoogleConfig};
use super::error::GoogleError;
use super::http::{Answer, Http, base, detail, one_line};
use super::retry::Pauses;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use url::Url;

/// Longest page token that is taken, in bytes.
pub(super) const PAGE_TOKEN_CAP: usize = 4096;

/// Google's names for too many requests, which come with the status 403 or 429.
const RATE_REASONS: [&str; 6] = [
    "quotaExceeded",
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "sharingRateLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
];

/// Google's names for failures of its own, whatever their status.
const PASSING_REASONS: [&str; 5] = ["backendError", "badGateway", "gatewayTimeout", "internalError", "transientError"];

/// Talks to the Directory API.
#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    authorizer: Authorizer,
    base: Url,
    pacing: DefaultDirectRateLimiter,
    backoff: Backoff,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Call<'c> {
    /// Path below `admin/directory/v1`.
    pub(super) path: &'c [&'c str],
    /// Query parameters.
    pub(super) query: Vec<(&'static str, &'c str)>,
    /// `kind` of the answer. Google leaves empty lists out, so that without it a bare `{}` from something in between
    /// would pass for an empty directory.
    pub(super) kind: &'static str,
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page {
    /// The elements.
    pub(super) items: Vec<Map<String, Value>>,
    /// The token of the next page; `None`: this was all.
    pub(super) next: Option<String>,
}

impl Page {
    /// Reads a page from the answer that has its elements in `list`; or says what stands there instead.
    pub(super) fn of(mut answer: Map<String, Value>, list: &str) -> Result<Self, String> {
        let items = match answer.remove(list) {
            // Google leaves empty lists out.
            None => Vec::new(),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::Object(item) => Ok(item),
                    _ => Err(format!("an element of {list} that is no object")),
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(format!("{list} that is no list")),
        };
        let next = match answer.remove("nextPageToken") {
            None => None,
            Some(Value::String(next)) if next.is_empty() => None,
            Some(Value::String(next)) if next.len() <= PAGE_TOKEN_CAP => Some(next),
            Some(_) => return Err("a nextPageToken that is none".to_owned()),
        };
        Ok(Self { items, next })
    }
}

impl Client {
    /// Checks endpoints and credentials; nothing is sent.
    pub(super) fn new(config: &GoogleConfig) -> Result<Self, GoogleError> {
        let http = Http::new(config)?;
        Ok(Self {
            authorizer: Authorizer::new(config, http.clone())?,
            http,
            base: base(&config.endpoints.directory)?,
            pacing: RateLimiter::direct(Quota::per_second(config.requests_per_second)),
            backoff: config.backoff,
        })
    }

    /// The base of the API.
    pub(super) fn base(&self) -> &str {
        self.base.as_str()
    }

    /// One page: `list` is the name of its elements in the answer.
    pub(super) async fn page(&self, mut call: Call<'_>, list: &str, token: Option<&str>) -> Result<Page, GoogleError> {
        let url = self.url(&call);
        let shown = url.to_string();
        let begun: Vec<(&'static str, String)> =
            token.map(|token| ("pageToken", token.to_owned())).into_iter().collect();
        call.query.extend(begun.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = self.get(&call).await.map_err(|error| match error {
            GoogleError::Refused { url, status, detail, .. } if token.is_some() => {
                GoogleError::PageRefused { url, status, detail }
            }
            GoogleError::NotFound { url, detail } if token.is_some() => {
                GoogleError::PageRefused { url, status: 404, detail }
            }
            error => error,
        })?;
        Page::of(answer, list).map_err(|found| GoogleError::NotGoogle { url: shown, found })
    }

    /// Any resource, whose `kind` is checked.
    pub(super) async fn get(&self, call: &Call<'_>) -> Result<Map<String, Value>, GoogleError> {
        let mut url = self.url(call);
        url.query_pairs_mut().extend_pairs(&call.query).append_pair("prettyPrint", "false");
        let mut pauses = Pauses::new(self.backoff);
        let mut renewed = false;
        loop {
            let token = self.authorizer.token().await?;
            let error = match self.get_once(&url, &token, call.kind).await {
                Ok(object) => return Ok(object),
                Err(GoogleError::Unauthorized { .. }) if !renewed => {
                    renewed = true;
                    self.authorizer.forget(&token).await;
                    continue;
                }
                Err(error) => error,
            };
            let Some(pause) = pauses.after(&error) else { return Err(error) };
            tracing::debug!(%error, ?pause, "the request is sent again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn get_once(&self, url: &Url, token: &Token, kind: &str) -> Result<Map<String, Value>, GoogleError> {
        self.pacing.until_ready().await;
        let request = self.http.get(url.clone()).bearer_auth(token.secret().expose_secret());
        resource(self.http.send(request, url).await?, kind, token)
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["admin", "directory", "v1"]).extend(call.path);
        }
        url
    }
}

/// The resource of this kind that an answer brings.
pub(super) fn resource(answer: Answer, kind: &str, token: &Token) -> Result<Map<String, Value>, GoogleError> {
    if !answer.status.is_success() {
        return Err(refusal(&answer, token));
    }
    let url = answer.url.clone();
    let object = answer.object()?;
    match object.get("kind").and_then(Value::as_str) {
        Some(found) if found == kind => Ok(object),
        Some(found) => {
            let found = format!("a resource of kind {} in place of {kind}", one_line(found, token.secret()));
            Err(GoogleError::NotGoogle { url, found })
        }
        None => Err(GoogleError::NotGoogle { url, found: format!("an object without the kind {kind}") }),
    }
}

/// What a refusal means, by Google's reason before the HTTP status.
fn refusal(answer: &Answer, token: &Token) -> GoogleError {
    let url = answer.url.clone();
    let status = answer.status.as_u16();
    let wait = answer.wait;
    let error = answer.body.as_ref().ok().and_then(|body| body.get("error")).and_then(Value::as_object);
    let Some(error) = error else {
        // Something in between speaks. Its refusals say nothing about people; its failures may pass.
        return match status {
            401 => GoogleError::Unauthorized { url, detail: String::new() },
            429 => GoogleError::RateLimited { url, reason: "HTTP 429".to_owned(), wait },
            500.. => GoogleError::ServerError { url, status, reason: String::new(), detail: String::new(), wait },
            _ => answer.not_google(),
        };
    };
    let reason = one_line(reason(error), token.secret());
    let detail = detail(error.get("message").and_then(Value::as_str).unwrap_or_default(), token.secret());
    match (status, reason.as_str()) {
        (429, _) => GoogleError::RateLimited { url, reason, wait },
        (_, reason) if RATE_REASONS.contains(&reason) => {
            GoogleError::RateLimited { url, reason: reason.to_owned(), wait }
        }
        (500.., _) => GoogleError::ServerError { url, status, reason, detail, wait },
        (_, name) if PASSING_REASONS.contains(&name) => GoogleError::ServerError { url, status, reason, detail, wait },
        (401, _) => GoogleError::Unauthorized { url, detail },
        (403, "accessNotConfigured" | "domainCannotUseApis" | "SERVICE_DISABLED") => {
            GoogleError::ApiDisabled { url, reason, detail }
        }
        (403, _) => GoogleError::Forbidden { url, reason, detail },
        (404, _) => GoogleError::NotFound { url, detail },
        (status, _) => GoogleError::Refused { url, status, reason, detail },
    }
}

/// Google's name for an error: in `errors`, in `details` on its newer surface, or else the canonical status.
fn reason(error: &Map<String, Value>) -> &str {
    let first = |list: &str| {
        let list = error.get(list)?.as_array()?;
        list.iter().find_map(|error| error.get("reason")?.as_str())
    };
    first("errors").or_else(|| first("details")).or_else(|| error.get("status")?.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_name_of_an_error_is_found_on_the_old_surface_and_on_the_new() {
        for (error, name) in [
            (json!({ "errors": [{ "reason": "quotaExceeded" }], "status": "PERMISSION_DENIED" }), "quotaExceeded"),
            (json!({ "details": [{ "@type": "x" }, { "reason": "SERVICE_DISABLED" }] }), "SERVICE_DISABLED"),
            (json!({ "status": "RESOURCE_EXHAUSTED" }), "RESOURCE_EXHAUSTED"),
            (json!({ "errors": "none" }), ""),
        ] {
            assert_eq!(reason(error.as_object().unwrap()), name);
        }
    }
}
