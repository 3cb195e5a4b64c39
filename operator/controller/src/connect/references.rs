//! The Secrets and ConfigMaps that a resource names, always in its own namespace.

use crate::cluster::{call, found};
use async_trait::async_trait;
use directory_sync_core::disposition::{Classified, Disposition};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use secrecy::SecretSlice;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the tokens of workloads are mounted into the operator's pod: a folder per namespace, so that nobody uses what
/// was mounted for others.
const WORKLOAD_TOKENS: &str = "/var/run/secrets/directorysync.dev/workload-identity";

/// What can be referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::IntoStaticStr)]
pub enum Kind {
    /// A `v1` Secret.
    Secret,
    /// A `v1` ConfigMap.
    ConfigMap,
}

/// A Secret or ConfigMap that was read.
#[derive(Debug, Clone)]
pub struct Referenced {
    /// Which version this is: the same text as long as nothing in it changes.
    pub version: String,
    /// The values by key.
    pub values: BTreeMap<String, SecretSlice<u8>>,
}

/// Where Secrets and ConfigMaps come from: a cluster, a folder, or a stream of YAML.
#[async_trait]
pub trait References: Send + Sync {
    /// A Secret or ConfigMap by name; `None` if there is none.
    async fn get(&self, kind: Kind, name: &str) -> Result<Option<Referenced>, ReferenceError>;

    /// The file of a token that the workload itself has for the resources of this namespace; `None` where this is no
    /// workload, or the name is no file name. Whether the file is there is seen when it is read.
    fn workload_token(&self, _name: &str) -> Option<PathBuf> {
        None
    }
}

/// Why it is not known whether a Secret or ConfigMap is there.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind} {name} could not be read: {message}")]
pub struct ReferenceError {
    /// What was to be read.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Why it could not be.
    pub message: String,
}

impl Classified for ReferenceError {
    fn disposition(&self) -> Disposition {
        Disposition::Retry
    }

    fn reason(&self) -> &'static str {
        "ReferenceUnavailable"
    }
}

/// The versions of everything a spec refers to, as they were at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<(Kind, String), Option<String>>);

impl Versions {
    /// Notes the version of one reference; `None` if it is not there.
    pub fn note(&mut self, kind: Kind, name: &str, version: Option<String>) {
        self.0.insert((kind, name.to_owned()), version);
    }

    /// Notes what others noted.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().map(|(reference, version)| (reference.clone(), version.clone())));
    }

    /// What was looked at.
    pub fn names(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.0.keys().map(|(kind, name)| (*kind, name.as_str()))
    }
}

/// Reads from one namespace of a cluster, by `get` alone.
#[derive(Clone)]
pub struct KubernetesReferences {
    secrets: Api<Secret>,
    config_maps: Api<ConfigMap>,
    namespace: String,
}

impl KubernetesReferences {
    /// Reads from this namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            config_maps: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        }
    }
}

#[async_trait]
impl References for KubernetesReferences {
    async fn get(&self, kind: Kind, name: &str) -> Result<Option<Referenced>, ReferenceError> {
        let read = match kind {
            Kind::Secret => found(call("read the Secret", self.secrets.get(name)).await).map(|found| found.map(secret)),
            Kind::ConfigMap => {
                found(call("read the ConfigMap", self.config_maps.get(name)).await).map(|found| found.map(config_map))
            }
        };
        read.map_err(|error| ReferenceError { kind, name: name.to_owned(), message: error.to_string() })
    }

    fn workload_token(&self, name: &str) -> Option<PathBuf> {
        let is_name = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        };
        let both = is_name(&self.namespace) && is_name(name);
        both.then(|| Path::new(WORKLOAD_TOKENS).join(&self.namespace).join(name))
    }
}

fn secret(secret: Secret) -> Referenced {
    let values = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0.into())).collect();
    Referenced { version: secret.metadata.resource_version.unwrap_or_default(), values }
}

fn config_map(config_map: ConfigMap) -> Referenced {
    let text = config_map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes().into()));
    let binary = config_map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0.into()));
    Referenced {
        version: config_map.metadata.resource_version.unwrap_or_default(),
        values: text.chain(binary).collect(),
    }
}
