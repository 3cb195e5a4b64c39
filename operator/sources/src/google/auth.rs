//! Tokens: obtained in the name of an administrator, kept until they expire, and renewed once when one is refused.
//!
//! A service account with domain-wide delegation asserts that it acts for the administrator (RFC 7523, `sub`) and gets
//! a token for that. It signs the assertion with its key, or, without a key, the workload's own token is exchanged
//! (RFC 8693) for one with which IAM signs it.

use super::config::{Credentials, Endpoints, GoogleConfig};
use super::error::GoogleError;
use super::http::{self, Answer, Http, base};
use super::key::ServiceAccountKey;
use super::retry::Pauses;
use jiff::Timestamp;
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::Url;

/// How long an assertion is good for, in seconds; Google takes no more than an hour.
const ASSERTION_LIFETIME: i64 = 3600;

/// A token is renewed this long before it expires.
const MARGIN: Duration = Duration::from_secs(60);

/// Longest answer with a token, in bytes.
const ANSWER_CAP: usize = 256 * 1024;

/// Longest file of a workload's token, in bytes.
const TOKEN_FILE_CAP: u64 = 64 * 1024;

/// Obtains and keeps the token.
#[derive(Debug)]
pub(super) struct Authorizer {
    http: Http,
    endpoints: Endpoints,
    signer: Signer,
    delegated_admin: String,
    scopes: Vec<&'static str>,
    backoff: super::config::Backoff,
    kept: Mutex<Option<Token>>,
}

#[derive(Debug)]
enum Signer {
    Key(Box<ServiceAccountKey>),
    Workload { token_file: PathBuf, provider: String, service_account: String },
}

/// A token and when it has to be renewed.
#[derive(Debug, Clone)]
pub(super) struct Token {
    secret: SecretString,
    renew_at: Instant,
}

impl Token {
    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }
}

impl Authorizer {
    /// Reads the key; nothing is sent. Tokens are asked for with these scopes. Google gives none at all if one of them
    /// is not granted.
    pub(super) fn new(config: &GoogleConfig, scopes: &[&'static str], http: Http) -> Result<Self, GoogleError> {
        let signer = match &config.credentials {
            Credentials::JsonKey(file) => Signer::Key(ServiceAccountKey::from_json(file.expose_secret())?.into()),
            Credentials::P12Key { file, password, service_account } => {
                let (file, password) = (file.expose_secret(), password.expose_secret());
                Signer::Key(ServiceAccountKey::from_p12(file, password, service_account)?.into())
            }
            Credentials::Workload { token_file, provider, service_account } => Signer::Workload {
                token_file: token_file.clone(),
                provider: provider.clone(),
                service_account: service_account.clone(),
            },
        };
        Ok(Self {
            http,
            endpoints: config.endpoints.clone(),
            signer,
            delegated_admin: config.delegated_admin.clone(),
            scopes: scopes.to_vec(),
            backoff: config.backoff,
            kept: Mutex::new(None),
        })
    }

    /// Address of the service account.
    pub(super) fn service_account(&self) -> &str {
        match &self.signer {
            Signer::Key(key) => &key.service_account,
            Signer::Workload { service_account, .. } => service_account,
        }
    }

    /// The token that is kept, or a new one.
    pub(super) async fn token(&self) -> Result<Token, GoogleError> {
        // Held while a new one is asked for, so that many requests at once ask for one token.
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.clone());
        }
        let assertion = self.assertion().await?;
        let url = base(&self.endpoints.token)?;
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
        let answer = self.send(|| self.http.post(url.clone()).form(&form), &url).await?;
        if !answer.status.is_success() {
            return Err(self.token_refused(&answer, &assertion.into()));
        }
        Ok(kept.insert(token_of(&answer)?).clone())
    }

    /// Forgets a token that was refused, unless another request has done so already.
    pub(super) async fn forget(&self, refused: &Token) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.secret.expose_secret() == refused.secret.expose_secret()) {
            *kept = None;
        }
    }

    /// The signed statement that the service account acts for the administrator.
    async fn assertion(&self) -> Result<String, GoogleError> {
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": self.service_account(),
            "sub": self.delegated_admin,
            "scope": self.scopes.join(" "),
            "aud": self.endpoints.token,
            "iat": now,
            "exp": now + ASSERTION_LIFETIME,
        });
        match &self.signer {
            Signer::Key(key) => key.sign(&claims),
            Signer::Workload { token_file, provider, service_account } => {
                let workload = read_token(token_file).await?;
                let federated = self.exchange(&workload, provider).await?;
                self.sign_remotely(&federated, service_account, &claims).await
            }
        }
    }

    /// Exchanges the workload's token for one of Google's, with which IAM can be asked to sign (RFC 8693 §2.1).
    async fn exchange(&self, workload: &SecretString, provider: &str) -> Result<Token, GoogleError> {
        let url = base(&self.endpoints.exchange)?;
        let body = json!({
            "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": provider,
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
            "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
            "subjectToken": workload.expose_secret(),
        });
        let answer = self.send(|| self.http.post(url.clone()).json(&body), &url).await?;
        if !answer.status.is_success() {
            let (code, detail) = oauth_error(&answer, workload).ok_or_else(|| answer.not_google())?;
            let advice = "check provider, and that the token in the pod is issued for it";
            return Err(GoogleError::TokenRefused { url: answer.url, code, detail, advice });
        }
        token_of(&answer)
    }

    /// Has IAM sign in the service account's name (`projects.serviceAccounts.signJwt`).
    async fn sign_remotely(&self, token: &Token, service_account: &str, claims: &Value) -> Result<String, GoogleError> {
        let mut url = base(&self.endpoints.iam_credentials)?;
        let method = format!("{service_account}:signJwt");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["v1", "projects", "-", "serviceAccounts", &method]);
        }
        let body = json!({ "payload": claims.to_string() });
        let request = || self.http.post(url.clone()).bearer_auth(token.secret.expose_secret()).json(&body);
        let answer = self.send(request, &url).await?;
        let status = answer.status.as_u16();
        if !answer.status.is_success() {
            let refusal = answer.refusal();
            let message = refusal.as_ref().and_then(|body| body.get("error")?.get("message")?.as_str());
            let Some(message) = message else { return Err(answer.not_google()) };
            let detail = http::detail(message, &token.secret);
            let service_account = service_account.to_owned();
            return Err(GoogleError::ImpersonationRefused { url: answer.url, service_account, status, detail });
        }
        let url = answer.url.clone();
        let signed = answer.object()?.remove("signedJwt");
        let signed = signed.as_ref().and_then(Value::as_str).filter(|signed| is_token(signed)).map(str::to_owned);
        signed.ok_or_else(|| GoogleError::NotGoogle { url, found: "no signedJwt".to_owned() })
    }

    /// Sends a request, again after a pause where Google failed or the way there did.
    async fn send(&self, request: impl Fn() -> RequestBuilder, url: &Url) -> Result<Answer, GoogleError> {
        let mut pauses = Pauses::new(self.backoff);
        loop {
            let error = match self.http.send(request(), url, ANSWER_CAP).await {
                Ok(answer) if answer.status.as_u16() == 429 => {
                    GoogleError::RateLimited { url: answer.url, reason: "HTTP 429".to_owned(), wait: answer.wait }
                }
                Ok(answer) if answer.status.is_server_error() => GoogleError::ServerError {
                    url: answer.url,
                    status: answer.status.as_u16(),
                    reason: String::new(),
                    detail: String::new(),
                    wait: answer.wait,
                },
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = pauses.after(&error) else { return Err(error) };
            tracing::debug!(%error, ?pause, "the token is asked for again");
            tokio::time::sleep(pause).await;
        }
    }

    /// What the token endpoint means (RFC 6749 §5.2, and Google's use of it).
    fn token_refused(&self, answer: &Answer, assertion: &SecretString) -> GoogleError {
        let Some((code, detail)) = oauth_error(answer, assertion) else { return answer.not_google() };
        let url = answer.url.clone();
        if code == "unauthorized_client" || code == "access_denied" {
            let client = match &self.signer {
                Signer::Key(key) => key.client_id.clone(),
                Signer::Workload { service_account, .. } => service_account.clone(),
            };
            return GoogleError::DelegationMissing { url, detail, client, scopes: self.scopes.join(",") };
        }
        let says = |words: &str| detail.to_lowercase().contains(words);
        let advice = if code == "invalid_grant" && says("signature") {
            "the key is no key of this service account any more; create a new one and put it into the Secret"
        } else if code == "invalid_grant" && says("email or user id") {
            "write the address of an administrator of your organization as delegatedAdmin"
        } else if code == "invalid_grant" && says("account not found") {
            "the service account does not exist any more; create a new one"
        } else if code == "invalid_grant" && says("reasonable timeframe") {
            "set the clock of the node right"
        } else {
            "check the service account, its key and delegatedAdmin"
        };
        GoogleError::TokenRefused { url, code, detail, advice }
    }
}

/// The error of a token endpoint, without the secret that it was sent; `None` if it is not in that form.
pub(super) fn oauth_error(answer: &Answer, secret: &SecretString) -> Option<(String, String)> {
    let body = answer.refusal()?;
    let code = body.get("error").and_then(Value::as_str)?;
    let description = body.get("error_description").and_then(Value::as_str).unwrap_or_default();
    Some((http::one_line(code, secret), http::detail(description, secret)))
}

pub(super) fn token_of(answer: &Answer) -> Result<Token, GoogleError> {
    let not_google = |found: &str| GoogleError::NotGoogle { url: answer.url.clone(), found: found.to_owned() };
    let body = answer.object()?;
    let token = body.get("access_token").and_then(Value::as_str).filter(|token| is_token(token));
    let token = token.ok_or_else(|| not_google("no access_token"))?;
    let kind = body.get("token_type").and_then(Value::as_str).unwrap_or_default();
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(not_google("a token that is no bearer token"));
    }
    let seconds = body.get("expires_in").and_then(Value::as_u64).unwrap_or_default().min(3600);
    let good_for = Duration::from_secs(seconds).saturating_sub(MARGIN);
    Ok(Token { secret: token.to_owned().into(), renew_at: Instant::now() + good_for })
}

/// Whether a header can carry it.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

async fn read_token(path: &Path) -> Result<SecretString, GoogleError> {
    let failed = |cause: String| GoogleError::TokenFile { path: path.display().to_string(), cause };
    let length = tokio::fs::metadata(path).await.map_err(|error| failed(error.to_string()))?.len();
    if length > TOKEN_FILE_CAP {
        return Err(failed("it is too long for a token".to_owned()));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(error.to_string()))?;
    let token = text.trim();
    if is_token(token) { Ok(token.to_owned().into()) } else { Err(failed("it holds no token".to_owned())) }
}
