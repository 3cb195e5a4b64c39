//! Where assertions become tokens, and who may have which: the service account, domain-wide delegation, and the
//! workload that signs without a key.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A service account with domain-wide delegation.
#[derive(Debug)]
pub struct ServiceAccount {
    /// Its address.
    pub email: String,
    /// Its client ID.
    pub client_id: String,
    /// Id of its key.
    pub key_id: String,
    key: KeyPair,
}

/// What was refused: HTTP status, OAuth error, description.
pub(super) type Refusal = (u16, &'static str, &'static str);

/// A token that was given out.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// The scopes it is good for.
    pub(super) scopes: Vec<String>,
}

impl ServiceAccount {
    /// A service account with a new key.
    pub fn new() -> Result<Self> {
        Ok(Self::with_key(KeyPair::generate(KeySize::Rsa2048).context("no key could be made")?))
    }

    /// A service account with the key that all simulators of this process share, because keys take long to make.
    pub(super) fn shared() -> Result<Self> {
        static KEY: Mutex<Option<Vec<u8>>> = Mutex::new(None);
        let mut key = KEY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(der) = key.as_ref() {
            return Ok(Self::with_key(KeyPair::from_pkcs8(der).context("the shared key cannot be read")?));
        }
        let account = Self::new()?;
        *key = Some(account.private_der()?);
        Ok(account)
    }

    fn with_key(key: KeyPair) -> Self {
        Self {
            email: "reader@simulated.iam.gserviceaccount.com".to_owned(),
            client_id: "100000000000000000042".to_owned(),
            key_id: "key-of-the-simulation".to_owned(),
            key,
        }
    }

    fn private_der(&self) -> Result<Vec<u8>> {
        let der: Pkcs8V1Der<'_> = self.key.as_der().context("the key cannot be written down")?;
        Ok(der.as_ref().to_vec())
    }

    /// The private key as PEM (PKCS#8).
    pub(super) fn private_key(&self) -> Result<String> {
        Ok(pem("PRIVATE KEY", &self.private_der()?))
    }

    /// The public key as PEM.
    pub(super) fn public_key(&self) -> Result<String> {
        let der: PublicKeyX509Der<'_> = self.key.public_key().as_der().context("the key cannot be written down")?;
        Ok(pem("PUBLIC KEY", der.as_ref()))
    }

    /// The key file in JSON, as Google's console gives it out. `token_uri` is where Google's client library asks.
    pub fn key_file(&self, token_uri: &str) -> Result<String> {
        let file = json!({
            "type": "service_account",
            "project_id": "simulated",
            "private_key_id": self.key_id,
            "private_key": self.private_key()?,
            "client_email": self.email,
            "client_id": self.client_id,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
        });
        Ok(file.to_string())
    }

    /// Signs claims, as IAM does for a workload.
    pub(super) fn sign(&self, claims: &str) -> Result<String> {
        let header = json!({ "alg": "RS256", "kid": self.key_id, "typ": "JWT" }).to_string();
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .context("nothing could be signed")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of an assertion whose signature is right.
    fn verified(&self, assertion: &str) -> Option<Value> {
        let (signed, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public_key().as_ref().to_vec());
        key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let named = header.get("kid").is_none_or(|kid| *kid == self.key_id.as_str());
        if header["alg"] != "RS256" || !named {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// Judges a request for a token as Google does.
    pub(super) fn grant(
        &self,
        form: &BTreeMap<String, String>,
        audiences: &[String],
        delegated: &[String],
        is_user: impl Fn(&str) -> bool,
    ) -> Result<Grant, Refusal> {
        const NOW: fn() -> i64 = || jiff::Timestamp::now().as_second();
        if form.get("grant_type").map(String::as_str) != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
            return Err((400, "unsupported_grant_type", "Invalid grant_type."));
        }
        let assertion = form.get("assertion").ok_or((400, "invalid_request", "Missing assertion."))?;
        let claims = self.verified(assertion).ok_or((400, "invalid_grant", "Invalid JWT Signature."))?;
        if claims["iss"] != self.email.as_str() {
            return Err((400, "invalid_grant", "Invalid grant: account not found"));
        }
        if !audiences.iter().any(|audience| claims["aud"] == audience.as_str()) {
            return Err((400, "invalid_grant", "Invalid JWT: Failed audience check."));
        }
        let (issued, expires) = (claims["iat"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
        if (issued - NOW()).abs() > 300 || expires - issued > 3600 || expires <= NOW() {
            let description =
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
            return Err((400, "invalid_grant", description));
        }
        if !claims["sub"].as_str().is_some_and(is_user) {
            return Err((400, "invalid_grant", "Invalid email or User ID"));
        }
        let scopes: Vec<String> =
            claims["scope"].as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if scopes.is_empty() || scopes.iter().any(|scope| !scope.ends_with(".readonly")) {
            return Err((400, "invalid_scope", "Nobody needs more than to read here."));
        }
        if scopes.iter().any(|scope| !delegated.contains(scope)) {
            let description = "Client is unauthorized to retrieve access tokens using this method, or client not \
                               authorized for any of the scopes requested.";
            return Err((401, "unauthorized_client", description));
        }
        Ok(Grant { scopes })
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
