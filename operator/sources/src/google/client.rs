//! Requests to the Directory API: paced, repeated where that helps, and refused where the answer is not Google's.

use super::attribute::Object;
use super::auth::{Authorizer, Token};
use super::config::{Backoff, GoogleConfig};
use super::error::GoogleError;
use super::http::{Answer, Http, base, detail, one_line};
use super::json;
use super::pace::{self, Pace};
use super::page::{Kept, List, Page};
use super::retry::Pauses;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use url::Url;

/// Longest answer with one resource, in bytes.
const RESOURCE_CAP: usize = 1 << 20;

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
    pace: Pace,
    backoff: Backoff,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Call<'c> {
    /// Path below `admin/directory/v1`.
    pub(super) path: &'c [&'c str],
    /// Query parameters.
    pub(super) query: Vec<(&'static str, &'c str)>,
}

impl Client {
    /// Checks endpoints and credentials; nothing is sent. `scopes` are those that tokens are asked for with.
    pub(super) fn new(config: &GoogleConfig, scopes: &[&'static str]) -> Result<Self, GoogleError> {
        let http = Http::new(config)?;
        let authorizer = Authorizer::new(config, scopes, http.clone())?;
        Ok(Self {
            pace: pace::shared(config, authorizer.service_account()),
            authorizer,
            http,
            base: base(&config.endpoints.directory)?,
            backoff: config.backoff,
        })
    }

    /// The base of the API.
    pub(super) fn base(&self) -> &str {
        self.base.as_str()
    }

    /// One page of at most `cap` bytes. `keep` reduces an element, or says what is wrong with it.
    pub(super) async fn page<T: Kept>(
        &self,
        mut call: Call<'_>,
        list: List,
        cap: usize,
        token: Option<&str>,
        keep: impl Fn(&Object) -> Result<T, String>,
    ) -> Result<Page<T>, GoogleError> {
        call.query.extend(token.map(|token| ("pageToken", token)));
        let decode = |text: &[u8]| Page::of(text, list, |element| keep(&element));
        self.answer(&call, cap, decode).await.map_err(|error| match error {
            GoogleError::Refused { url, status, detail, .. } if token.is_some() => {
                GoogleError::PageRefused { url, status, detail }
            }
            GoogleError::NotFound { url, detail } if token.is_some() => {
                GoogleError::PageRefused { url, status: 404, detail }
            }
            error => error,
        })
    }

    /// One resource, whose `kind` is checked.
    pub(super) async fn get(&self, call: &Call<'_>, kind: &'static str) -> Result<Object, GoogleError> {
        let decode = |text: &[u8]| {
            let object = json::object(text)?;
            match object.get("kind").and_then(Value::as_str) {
                Some(found) if found == kind => Ok(object),
                Some(found) => Err(format!("a resource of kind {found} in place of {kind}")),
                None => Err(format!("an object without the kind {kind}")),
            }
        };
        self.answer(call, RESOURCE_CAP, decode).await
    }

    async fn answer<T>(
        &self,
        call: &Call<'_>,
        cap: usize,
        decode: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, GoogleError> {
        let mut url = self.url(call);
        url.query_pairs_mut().extend_pairs(&call.query).append_pair("prettyPrint", "false");
        let mut pauses = Pauses::new(self.backoff);
        let mut renewed = false;
        loop {
            let token = self.authorizer.token().await?;
            let error = match self.answer_once(&url, &token, cap, &decode).await {
                Ok(decoded) => return Ok(decoded),
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

    async fn answer_once<T>(
        &self,
        url: &Url,
        token: &Token,
        cap: usize,
        decode: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, GoogleError> {
        self.pace.until_ready().await;
        let request = self.http.get(url.clone()).bearer_auth(token.secret().expose_secret());
        taken(&self.http.send(request, url, cap).await?, token, decode)
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["admin", "directory", "v1"]).extend(call.path);
        }
        url
    }
}

/// What `decode` makes of an answer, or what its refusal means.
pub(super) fn taken<T>(
    answer: &Answer,
    token: &Token,
    decode: impl Fn(&[u8]) -> Result<T, String>,
) -> Result<T, GoogleError> {
    if !answer.status.is_success() {
        return Err(refusal(answer, token));
    }
    answer.decoded(|text| decode(text).map_err(|found| one_line(&found, token.secret())))
}

/// What a refusal means, by Google's reason before the HTTP status.
pub(super) fn refusal(answer: &Answer, token: &Token) -> GoogleError {
    let url = answer.url.clone();
    let status = answer.status.as_u16();
    let wait = answer.wait;
    let body = answer.refusal();
    let error = body.as_ref().and_then(|body| body.get("error")).and_then(Value::as_object);
    let Some(error) = error else {
        // Something in between speaks. Its refusals say nothing about people; its failures may pass.
        return match status {
            401 => GoogleError::Unauthorized { url, detail: String::new() },
            429 => GoogleError::RateLimited { url, reason: "HTTP 429".to_owned(), wait },
            500.. => GoogleError::ServerError { url, status, reason: String::new(), detail: String::new(), wait },
            _ => answer.not_google(),
        };
    };
    let reason = one_line(name_of(error), token.secret());
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
        // What it says of people is believed only in Google's own words: others answer with 404 as well.
        (404, name) if is_absence(name) => GoogleError::NotFound { url, detail },
        (404, _) => answer.not_google(),
        (status, _) => GoogleError::Refused { url, status, reason, detail },
    }
}

/// Whether this is one of Google's names for what does not exist: `notFound`, `groupNotFound`, `NOT_FOUND`.
fn is_absence(name: &str) -> bool {
    name == "NOT_FOUND" || name.ends_with("notFound") || name.ends_with("NotFound")
}

/// Google's name for an error: in `errors`, in `details` on its newer surface, or else the canonical status.
fn name_of(error: &Map<String, Value>) -> &str {
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
            assert_eq!(name_of(error.as_object().unwrap()), name);
        }
    }
}
