//! The key of a service account, and what it signs.

use super::error::GoogleError;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p12_keystore::Pkcs12Archive;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

/// Longest file that is looked at, in bytes.
const FILE_CAP: usize = 64 * 1024;

/// A service account that can sign for itself.
pub(super) struct ServiceAccountKey {
    /// Address of the service account.
    pub(super) service_account: String,
    /// Its client ID, by which domain-wide delegation knows it; the address where the file does not tell.
    pub(super) client_id: String,
    /// Which of its keys this is; empty where the file does not tell.
    key_id: String,
    key: KeyPair,
}

impl std::fmt::Debug for ServiceAccountKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServiceAccountKey")
            .field("service_account", &self.service_account)
            .finish_non_exhaustive()
    }
}

/// What is used of a key file in JSON. Where it sends its holder for tokens is not: tokens are asked for at Google's.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    private_key: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    client_id: String,
}

impl ServiceAccountKey {
    /// Reads a key file in JSON.
    pub(super) fn from_json(file: &str) -> Result<Self, GoogleError> {
        if file.len() > FILE_CAP {
            return Err(unusable("it is too long for a key file; put the file into the Secret as Google gave it out"));
        }
        // What the parser says may quote the file, so it is not shown.
        let file: KeyFile = serde_json::from_str(file)
            .map_err(|_| unusable("it is no JSON; put the file into the Secret as Google gave it out"))?;
        if file.kind != "service_account" {
            return Err(unusable(
                "its `type` is not `service_account`; create a key of a service account in Google's console",
            ));
        }
        if file.client_email.is_empty() {
            return Err(unusable("it has no client_email; put the file into the Secret as Google gave it out"));
        }
        let der = PrivateKeyDer::from_pem_slice(file.private_key.as_bytes())
            .map_err(|_| unusable("its private_key is no PEM; put the file into the Secret as Google gave it out"))?;
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(not_rsa()),
        };
        Ok(Self {
            client_id: if file.client_id.is_empty() { file.client_email.clone() } else { file.client_id },
            service_account: file.client_email,
            key_id: file.private_key_id,
            key: key.map_err(|_| not_rsa())?,
        })
    }

    /// Reads a key file in PKCS#12, which holds neither the service account's address nor the id of the key.
    pub(super) fn from_p12(file: &[u8], password: &str, service_account: &str) -> Result<Self, GoogleError> {
        if file.len() > FILE_CAP {
            return Err(unusable("it is too long for a key file; put the .p12 file into the Secret as it is"));
        }
        let archive = Pkcs12Archive::from_pkcs12(file, password).map_err(|_| {
            unusable(
                "it is no PKCS#12 file, or its password is another one; put the .p12 file into the Secret as it is, \
                 and its password beside it unless that is `notasecret`",
            )
        })?;
        let [key] = archive.keys.as_slice() else {
            let found = archive.keys.len();
            return Err(unusable(&format!("the PKCS#12 file holds {found} private keys; it must hold one")));
        };
        Ok(Self {
            service_account: service_account.to_owned(),
            client_id: service_account.to_owned(),
            key_id: String::new(),
            key: KeyPair::from_pkcs8(key.key.as_der()).map_err(|_| not_rsa())?,
        })
    }

    /// A JSON Web Token with these claims (RFC 7519), signed with RS256 (RFC 7518 §3.3).
    pub(super) fn sign(&self, claims: &serde_json::Value) -> Result<String, GoogleError> {
        let mut header = json!({ "typ": "JWT", "alg": "RS256" });
        if !self.key_id.is_empty() {
            header["kid"] = json!(self.key_id);
        }
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| unusable("nothing can be signed with it; create a new key"))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

fn unusable(problem: &str) -> GoogleError {
    GoogleError::KeyUnusable { problem: problem.to_owned() }
}

fn not_rsa() -> GoogleError {
    unusable("it is no RSA key of at least 2048 bits; create a new key of the service account")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(file: &str) -> String {
        ServiceAccountKey::from_json(file).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_is_no_service_account_key_is_refused_without_showing_it() {
        assert!(problem("canary").contains("it is no JSON"));
        assert!(problem(r#"{"type": "authorized_user", "refresh_token": "canary"}"#).contains("`service_account`"));
        let without_key = r#"{"type": "service_account", "client_email": "a@b", "private_key": "canary"}"#;
        assert!(problem(without_key).contains("private_key is no PEM"));
        for file in ["canary", without_key] {
            assert!(!problem(file).contains("canary"));
        }
        assert!(problem(&" ".repeat(FILE_CAP + 1)).contains("too long"));
    }

    /// Made by OpenSSL 3 of one throw-away key, with the algorithms of Google's console (RC2 with 40 bits, 3DES, SHA-1)
    /// and with those of today (PBES2, AES-256, SHA-256): `openssl pkcs12 -export [-legacy] -passout pass:notasecret`.
    const LEGACY: &[u8] = include_bytes!("../../testdata/google/legacy.p12");
    const MODERN: &[u8] = include_bytes!("../../testdata/google/modern.p12");

    #[test]
    fn a_p12_file_is_read_with_the_algorithms_of_googles_console_and_with_those_of_today() {
        let of = |file| ServiceAccountKey::from_p12(file, "notasecret", "reader@example.com").unwrap();
        let (legacy, modern) = (of(LEGACY), of(MODERN));
        assert_eq!((legacy.service_account.as_str(), legacy.key.public_modulus_len()), ("reader@example.com", 256));
        // PKCS #1 v1.5 signs the same with the same key.
        let claims = json!({ "sub": "admin@example.com" });
        assert_eq!(legacy.sign(&claims).unwrap(), modern.sign(&claims).unwrap());
        for file in [LEGACY, MODERN] {
            assert!(ServiceAccountKey::from_p12(file, "wrong", "reader@example.com").is_err());
        }
    }

    #[test]
    fn a_p12_file_that_cannot_be_read_is_refused() {
        let error = ServiceAccountKey::from_p12(b"canary", "notasecret", "reader@example.com").unwrap_err();
        assert!(error.to_string().contains("it is no PKCS#12 file, or its password is another one"));
    }
}
