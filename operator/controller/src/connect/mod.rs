//! From a spec and what it refers to, to a source and a target.

mod error;
mod google;
mod ldap;
mod references;
mod scim;

pub use error::ConnectError;
pub use references::{Kind, KubernetesReferences, ReferenceError, Referenced, References, Versions};

use directory_sync_api::convert;
use directory_sync_api::sync::DirectorySyncSpec;
use directory_sync_core::password::FingerprintKey;
use directory_sync_sources::Source;
use directory_sync_targets::{RequestObserver, Target};
use error::Place;
use secrecy::{ExposeSecret, SecretSlice};
use std::sync::Arc;
use std::time::Duration;

/// Both sides of a resource, ready to be read.
pub struct Connection {
    /// Where people come from.
    pub source: Arc<dyn Source>,
    /// The versions of what the source refers to.
    pub source_versions: Versions,
    /// How old a read of another resource may be; zero: none is shared.
    pub freshness: Duration,
    /// What is brought into line.
    pub target: Box<dyn Target>,
    /// Under what passwords are remembered, where the mapping names a key.
    pub password_key: Option<FingerprintKey>,
}

/// Reads what the spec refers to and checks all of it; connects to nothing. The versions of everything that was
/// looked at are noted, also where it fails.
pub async fn connect(
    spec: &DirectorySyncSpec,
    references: &dyn References,
    versions: &mut Versions,
    observer: Arc<dyn RequestObserver>,
) -> Result<Connection, ConnectError> {
    let attributes = convert::mapping(spec)?.0.managed_attributes().map(str::to_owned).collect();
    let freshness = convert::freshness(&spec.source)?.unsigned_abs();
    let mut source_versions = Versions::default();
    let source = source(spec, references, &mut source_versions).await;
    versions.extend(&source_versions);
    let source = source?.into();
    let mut lookup = Lookup { references, versions };
    let target = match &spec.target.scim {
        Some(scim) => scim::target(scim, attributes, &mut lookup, observer).await?,
        None => return Err(ConnectError::Missing { path: "spec.target", what: "scim" }),
    };
    let password_key = password_key(spec, &mut lookup).await?;
    Ok(Connection { source, source_versions, freshness, target, password_key })
}

/// The key of the fingerprints of passwords.
async fn password_key(
    spec: &DirectorySyncSpec,
    lookup: &mut Lookup<'_>,
) -> Result<Option<FingerprintKey>, ConnectError> {
    const PATH: &str = "spec.mapping.user.password.fingerprintKeySecretRef";
    let password = spec.mapping.as_ref().and_then(|mapping| mapping.user.as_ref()?.password.as_ref());
    if password.is_some()
        && let Some(scim) = &spec.target.scim
        && !scim.url.trim_start().to_ascii_lowercase().starts_with("https://")
    {
        return Err(ConnectError::Invalid {
            path: "spec.mapping.user.password",
            message: "passwords are sent over TLS only; write an https:// URL in spec.target.scim.url, or remove it"
                .to_owned(),
        });
    }
    let Some(reference) = password.and_then(|password| password.fingerprint_key_secret_ref.as_ref()) else {
        return Ok(None);
    };
    let key = lookup.value(PATH, Kind::Secret, &reference.name, &reference.key).await?;
    let key = FingerprintKey::new(key.expose_secret()).map_err(|error| ConnectError::KeyTooShort {
        place: Place { path: PATH.to_owned(), kind: Kind::Secret, name: reference.name.clone() },
        key: reference.key.clone(),
        error,
    })?;
    Ok(Some(key))
}

/// The source alone; what the target refers to is not looked at.
pub async fn source(
    spec: &DirectorySyncSpec,
    references: &dyn References,
    versions: &mut Versions,
) -> Result<Box<dyn Source>, ConnectError> {
    let (users, groups) = convert::mapping(spec)?;
    let mut lookup = Lookup { references, versions };
    match (&spec.source.ldap, &spec.source.google) {
        (Some(ldap), None) => ldap::source(ldap, users, groups, &mut lookup).await,
        (None, Some(google)) => google::source(google, spec.mapping.as_ref(), users, groups, &mut lookup).await,
        _ => Err(ConnectError::Missing { path: "spec.source", what: "exactly one of ldap and google" }),
    }
}

/// The identity of the target by the spec alone, so that runs on one target can take turns before any connection. All
/// spellings of one URL are one target; so are two that differ in case, because many services do not tell them apart.
pub fn target_identity(spec: &DirectorySyncSpec) -> String {
    let url = spec.target.scim.as_ref().map(|scim| scim.url.as_str()).unwrap_or_default();
    let identity = url.parse().map_or_else(|_| url.to_owned(), |url| directory_sync_targets::scim::identity(&url));
    identity.to_ascii_lowercase()
}

/// Looks up references and notes their versions.
struct Lookup<'r> {
    references: &'r dyn References,
    versions: &'r mut Versions,
}

impl Lookup<'_> {
    /// One value, or which part of the way to it is missing.
    async fn value(&mut self, path: &str, kind: Kind, name: &str, key: &str) -> Result<SecretSlice<u8>, ConnectError> {
        let place = || Place { path: path.to_owned(), kind, name: name.to_owned() };
        let found = self.references.get(kind, name).await?;
        self.versions.note(kind, name, found.as_ref().map(|found| found.version.clone()));
        let Some(mut found) = found else { return Err(ConnectError::NotFound(place())) };
        found.values.remove(key).ok_or_else(|| ConnectError::NoKey { place: place(), key: key.to_owned() })
    }

    /// One value as text, without the line end that `echo` and editors leave at the end.
    async fn text(&mut self, path: &str, kind: Kind, name: &str, key: &str) -> Result<String, ConnectError> {
        let bytes = self.value(path, kind, name, key).await?;
        let place = || Place { path: path.to_owned(), kind, name: name.to_owned() };
        let text = std::str::from_utf8(bytes.expose_secret())
            .map_err(|_| ConnectError::NotText { place: place(), key: key.to_owned() })?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(ConnectError::Empty { place: place(), key: key.to_owned() });
        }
        Ok(text.to_owned())
    }

    /// The certificates of a `caBundle`, as PEM.
    async fn ca_bundle(
        &mut self,
        path: &str,
        bundle: &directory_sync_api::references::CaBundle,
    ) -> Result<String, ConnectError> {
        match (&bundle.config_map_key_ref, &bundle.secret_key_ref) {
            (Some(from), None) => {
                self.text(&format!("{path}.configMapKeyRef"), Kind::ConfigMap, &from.name, &from.key).await
            }
            (None, Some(from)) => self.text(&format!("{path}.secretKeyRef"), Kind::Secret, &from.name, &from.key).await,
            _ => Err(ConnectError::Missing { path: "caBundle", what: "configMapKeyRef or secretKeyRef" }),
        }
    }
}

#[cfg(test)]
mod tests;
