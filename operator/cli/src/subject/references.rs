//! The Secrets and `ConfigMap`s that a resource names: from the stream it stands in, from a folder, or from a cluster.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use anyhow::anyhow;
use async_trait::async_trait;
use directory_sync_controller::connect::{
    ConnectError, Kind, KubernetesReferences, ReferenceError, Referenced, References,
};
use secrecy::SecretSlice;

use crate::manifest::Manifests;

/// Looks into the stream first, then into the folder, then into the cluster.
pub struct Places<'a> {
    /// The stream.
    pub manifests: &'a Manifests,
    /// The folder of `--secrets`.
    pub folder: Option<&'a Path>,
    /// The namespace of the resource, where it is known.
    pub namespace: Option<&'a str>,
    /// The cluster.
    pub cluster: Option<KubernetesReferences>,
}

impl Places<'_> {
    /// The error for a person who can mend it in any of the places that were looked into.
    pub fn explain(&self, error: ConnectError) -> anyhow::Error {
        let ConnectError::NotFound(missing) = error else { return error.into() };
        let mut places = Vec::new();
        if !self.manifests.is_empty() {
            places.push("the stream".to_owned());
        }
        places.extend(self.folder.map(|folder| format!("the folder {}", folder.display())));
        if self.cluster.is_some() {
            places.push(format!("the namespace {} of the cluster", self.namespace.unwrap_or("default")));
        }
        let remedy = match (self.folder, &self.cluster) {
            (None, None) => "add it there, or name a folder with --secrets or a cluster with --context",
            _ => "create it",
        };
        let places = places.join(" or ");
        anyhow!("{}: there is no {} named {} in {places}; {remedy}", missing.path, missing.kind, missing.name)
    }
}

#[async_trait]
impl References for Places<'_> {
    async fn get(&self, kind: Kind, name: &str) -> Result<Option<Referenced>, ReferenceError> {
        // Nothing here changes while it is looked at, so one version does for all.
        let referenced = |values| Referenced { version: String::new(), values };
        if let Some(values) = self.manifests.values(kind, self.namespace, name) {
            return Ok(Some(referenced(values.clone())));
        }
        if let Some(folder) = self.folder.map(|folder| folder.join(name)).filter(|folder| folder.is_dir()) {
            return files(&folder).map(|values| Some(referenced(values))).map_err(|error| ReferenceError {
                kind,
                name: name.to_owned(),
                message: format!("{error} (looked into {})", folder.display()),
            });
        }
        match &self.cluster {
            Some(cluster) => cluster.get(kind, name).await,
            None => Ok(None),
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
