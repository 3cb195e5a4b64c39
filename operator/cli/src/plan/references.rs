//! The Secrets and `ConfigMap`s that a resource names, from the stream it stands in or from a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use directory_sync_api::references::{CaBundle, ConfigMapKeyReference, SecretKeyReference};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use thiserror::Error;

use crate::manifest::{BagKind, Manifests};

/// Why a value that a resource refers to cannot be had.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// Nobody has written it down.
    #[error(
        "{path} names the {kind} {name}, which is not there; write it into the YAML stream, or as {name}/<key> into the folder of --secrets"
    )]
    Missing {
        /// The field that refers to it.
        path: &'static str,
        /// Secret or `ConfigMap`.
        kind: BagKind,
        /// Its name.
        name: String,
    },
    /// It is there, the key is not.
    #[error("{path} needs the key {key} of the {kind} {name}, which has {}; add the key", listed(keys))]
    MissingKey {
        /// The field that refers to it.
        path: &'static str,
        /// Secret or `ConfigMap`.
        kind: BagKind,
        /// Its name.
        name: String,
        /// The key.
        key: String,
        /// The keys that are there.
        keys: Vec<String>,
    },
    /// The value is no text.
    #[error("{path}: the key {key} of the {kind} {name} is no UTF-8 text; write it as text")]
    NoText {
        /// The field that refers to it.
        path: &'static str,
        /// Secret or `ConfigMap`.
        kind: BagKind,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

fn listed(keys: &[String]) -> String {
    if keys.is_empty() { "no keys".to_owned() } else { keys.join(", ") }
}

/// Where values come from: the stream first, then the folder.
#[derive(Debug)]
pub struct References<'a> {
    /// The stream.
    pub manifests: &'a Manifests,
    /// The folder of `--secrets`.
    pub folder: Option<&'a Path>,
    /// The namespace of the resource.
    pub namespace: Option<&'a str>,
}

impl References<'_> {
    /// A value of a Secret.
    pub fn secret(&self, path: &'static str, reference: &SecretKeyReference) -> Result<SecretString, ReferenceError> {
        self.text(path, BagKind::Secret, &reference.name, &reference.key)
    }

    /// The certificates to trust, as PEM.
    pub fn certificates(&self, path: &'static str, bundle: &CaBundle) -> Result<Option<String>, ReferenceError> {
        let text = match (&bundle.config_map_key_ref, &bundle.secret_key_ref) {
            (Some(ConfigMapKeyReference { name, key }), _) => self.text(path, BagKind::ConfigMap, name, key)?,
            (None, Some(reference)) => self.secret(path, reference)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(text.expose_secret().to_owned()))
    }

    fn text(&self, path: &'static str, kind: BagKind, name: &str, key: &str) -> Result<SecretString, ReferenceError> {
        let values = match self.manifests.values(kind, self.namespace, name) {
            Some(values) => values.clone(),
            None => self.files(name)?.ok_or_else(|| ReferenceError::Missing { path, kind, name: name.to_owned() })?,
        };
        let value = values.get(key).ok_or_else(|| ReferenceError::MissingKey {
            path,
            kind,
            name: name.to_owned(),
            key: key.to_owned(),
            keys: values.keys().cloned().collect(),
        })?;
        let text = String::from_utf8(value.expose_secret().to_vec());
        text.map(SecretString::from).map_err(|_| ReferenceError::NoText {
            path,
            kind,
            name: name.to_owned(),
            key: key.to_owned(),
        })
    }

    /// The files of `<folder>/<name>`, without those that Kubernetes puts beside the keys of a mounted Secret.
    fn files(&self, name: &str) -> Result<Option<BTreeMap<String, SecretSlice<u8>>>, ReferenceError> {
        let Some(folder) = self.folder.map(|folder| folder.join(name)).filter(|folder| folder.is_dir()) else {
            return Ok(None);
        };
        let unreadable = |file: &Path| {
            let file = file.to_owned();
            move |error| ReferenceError::Unreadable { file, error }
        };
        let mut values = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(unreadable(&folder))? {
            let file = entry.map_err(unreadable(&folder))?.path();
            let Some(key) = file.file_name().and_then(|key| key.to_str()) else { continue };
            if file.is_file() && !key.starts_with("..") {
                values.insert(key.to_owned(), fs::read(&file).map_err(unreadable(&file))?.into());
            }
        }
        Ok(Some(values))
    }
}
