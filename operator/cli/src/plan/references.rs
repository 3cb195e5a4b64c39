//! The Secrets and `ConfigMap`s that a resource names, from the stream it stands in or from a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use async_trait::async_trait;
use directory_sync_controller::connect::{Kind, ReferenceError, Referenced, References};
use secrecy::SecretSlice;

use crate::manifest::Manifests;

/// Looks into the stream first, then into the folder.
#[derive(Debug)]
pub struct WrittenDown<'a> {
    /// The stream.
    pub manifests: &'a Manifests,
    /// The folder of `--secrets`.
    pub folder: Option<&'a Path>,
    /// The namespace of the resource.
    pub namespace: Option<&'a str>,
}

#[async_trait]
impl References for WrittenDown<'_> {
    async fn get(&self, kind: Kind, name: &str) -> Result<Option<Referenced>, ReferenceError> {
        // Nothing here changes while it is looked at, so one version does for all.
        let referenced = |values| Referenced { version: String::new(), values };
        if let Some(values) = self.manifests.values(kind, self.namespace, name) {
            return Ok(Some(referenced(values.clone())));
        }
        let Some(folder) = self.folder.map(|folder| folder.join(name)).filter(|folder| folder.is_dir()) else {
            return Ok(None);
        };
        match files(&folder) {
            Ok(values) => Ok(Some(referenced(values))),
            Err(error) => Err(ReferenceError {
                kind,
                name: name.to_owned(),
                message: format!("{error} (looked into {})", folder.display()),
            }),
        }
    }
}

/// The files of a folder, without those that Kubernetes puts beside the keys of a mounted Secret.
fn files(folder: &Path) -> io::Result<BTreeMap<String, SecretSlice<u8>>> {
    let mut values = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        let Some(key) = file.file_name().and_then(|key| key.to_str()) else { continue };
        if file.is_file() && !key.starts_with("..") {
            values.insert(key.to_owned(), fs::read(&file)?.into());
        }
    }
    Ok(values)
}
