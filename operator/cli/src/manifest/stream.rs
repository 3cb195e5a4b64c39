//! Reads `DirectorySync`s, Secrets and `ConfigMap`s from YAML streams.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use directory_sync_api::admission::{Refusal, admit};
use directory_sync_api::{DirectorySync, GROUP, VERSION};
use directory_sync_controller::connect::Kind;
use kube::ResourceExt as _;
use secrecy::SecretSlice;
use serde::Deserialize as _;
use serde_json::Value;
use thiserror::Error;

/// Why manifests cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// A file cannot be read.
    #[error("cannot read {origin}: {error}")]
    Unreadable {
        /// The file.
        origin: String,
        /// Why not.
        error: io::Error,
    },
    /// A file is not YAML.
    #[error("{origin} is no valid YAML: {error}")]
    NotYaml {
        /// The file.
        origin: String,
        /// What is wrong, with line and column.
        error: serde_yaml::Error,
    },
    /// A document is no Kubernetes object.
    #[error("document {number} of {origin} is no Kubernetes object; write apiVersion, kind and metadata.name")]
    NoObject {
        /// The file.
        origin: String,
        /// Number of the document in the file, from 1.
        number: usize,
    },
    /// A `DirectorySync` of a version that is not known.
    #[error("{object} has the apiVersion {found}; write {GROUP}/{VERSION}")]
    WrongVersion {
        /// The object and its file.
        object: String,
        /// The version it has.
        found: String,
    },
    /// The API server would refuse the object.
    #[error("{object} is refused:{}", listed(refusal))]
    Refused {
        /// The object and its file.
        object: String,
        /// Everything that is wrong with it.
        refusal: Refusal,
    },
    /// A value of a Secret or `ConfigMap` cannot be read.
    #[error("{object}: {path} {problem}")]
    BadValue {
        /// The object and its file.
        object: String,
        /// Path of the value.
        path: String,
        /// What is wrong, without the value.
        problem: &'static str,
    },
    /// One object twice.
    #[error("{object} appears twice; remove one")]
    Twice {
        /// The object and its file.
        object: String,
    },
    /// No `DirectorySync`.
    #[error("no DirectorySync in {origin}; write one, or name the file that holds it with -f")]
    NoSync {
        /// The files.
        origin: String,
    },
    /// Several `DirectorySync`s.
    #[error("{origin} holds the DirectorySyncs {}; choose one by its name", names.join(", "))]
    SeveralSyncs {
        /// The files.
        origin: String,
        /// Their names.
        names: Vec<String>,
    },
    /// No `DirectorySync` of the name asked for.
    #[error("{origin} holds no DirectorySync named {name}; there is {}", names.join(", "))]
    NoSuchSync {
        /// The files.
        origin: String,
        /// The name asked for.
        name: String,
        /// The names there are.
        names: Vec<String>,
    },
}

fn listed(refusal: &Refusal) -> String {
    refusal.0.iter().flat_map(|violation| ["\n  ".to_owned(), violation.to_string()]).collect()
}

/// What the streams hold.
#[derive(Debug, Default)]
pub struct Manifests {
    origins: Vec<String>,
    syncs: Vec<DirectorySync>,
    bags: Vec<Bag>,
}

/// A Secret or a `ConfigMap`.
#[derive(Debug)]
struct Bag {
    kind: Kind,
    namespace: Option<String>,
    name: String,
    values: BTreeMap<String, SecretSlice<u8>>,
}

impl Manifests {
    /// Reads files; `-` is standard input. Kinds that have nothing to do with a plan are skipped.
    ///
    /// # Errors
    /// If a file cannot be read, is no YAML, or holds a Secret, `ConfigMap` or `DirectorySync` that is not as it should be.
    pub fn read<P: AsRef<Path>>(files: &[P]) -> Result<Self, ManifestError> {
        let mut manifests = Self::default();
        for file in files {
            let file = file.as_ref();
            let (origin, text) = if file.as_os_str() == "-" {
                let mut text = String::new();
                ("standard input".to_owned(), io::stdin().read_to_string(&mut text).map(|_| text))
            } else {
                (file.display().to_string(), fs::read_to_string(file))
            };
            let text = text.map_err(|error| ManifestError::Unreadable { origin: origin.clone(), error })?;
            manifests.add(&origin, &text)?;
        }
        Ok(manifests)
    }

    /// Adds the documents of one stream.
    fn add(&mut self, origin: &str, text: &str) -> Result<(), ManifestError> {
        for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
            let not_yaml = |error| ManifestError::NotYaml { origin: origin.to_owned(), error };
            // By way of YAML's own values, which refuse a key that appears twice.
            let document = serde_yaml::Value::deserialize(document).map_err(not_yaml)?;
            let document = serde_yaml::from_value::<Value>(document).map_err(not_yaml)?;
            if !document.is_null() {
                self.add_object(&Place { origin, number: index + 1 }, document)?;
            }
        }
        self.origins.push(origin.to_owned());
        Ok(())
    }

    fn add_object(&mut self, place: &Place<'_>, mut object: Value) -> Result<(), ManifestError> {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else { return Err(place.no_object()) };
        match (version, kind) {
            ("v1", "List") => {
                let items =
                    object.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
                items.into_iter().try_for_each(|item| self.add_object(place, item))
            }
            ("v1", "Secret") => self.add_bag(place, Kind::Secret, &object),
            ("v1", "ConfigMap") => self.add_bag(place, Kind::ConfigMap, &object),
            (version, "DirectorySync") if version.split('/').next() == Some(GROUP) => {
                let version = version.to_owned();
                self.add_sync(place, &version, object)
            }
            _ => Ok(()),
        }
    }

    fn add_sync(&mut self, place: &Place<'_>, version: &str, object: Value) -> Result<(), ManifestError> {
        let described = place.object("DirectorySync", name_of(&object).ok_or_else(|| place.no_object())?);
        if version != format!("{GROUP}/{VERSION}") {
            return Err(ManifestError::WrongVersion { object: described, found: version.to_owned() });
        }
        let sync: DirectorySync =
            admit(object).map_err(|refusal| ManifestError::Refused { object: described.clone(), refusal })?;
        let same = |other: &DirectorySync| other.name_any() == sync.name_any() && other.namespace() == sync.namespace();
        if self.syncs.iter().any(same) {
            return Err(ManifestError::Twice { object: described });
        }
        self.syncs.push(sync);
        Ok(())
    }

    fn add_bag(&mut self, place: &Place<'_>, kind: Kind, object: &Value) -> Result<(), ManifestError> {
        let name = name_of(object).ok_or_else(|| place.no_object())?.to_owned();
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned);
        let described = place.object(&kind.to_string(), &name);
        if self.bags.iter().any(|bag| (bag.kind, &bag.name, &bag.namespace) == (kind, &name, &namespace)) {
            return Err(ManifestError::Twice { object: described });
        }
        let mut values = BTreeMap::new();
        // The later field wins, as it does in the API server.
        let fields: [(&str, bool); 2] = match kind {
            Kind::Secret => [("data", true), ("stringData", false)],
            Kind::ConfigMap => [("data", false), ("binaryData", true)],
        };
        for (field, is_base64) in fields {
            for (key, value) in object.get(field).and_then(Value::as_object).into_iter().flatten() {
                let bad = |problem| ManifestError::BadValue {
                    object: described.clone(),
                    path: format!("{field}.{key}"),
                    problem,
                };
                let text = value.as_str().ok_or_else(|| bad("is no text; put it in quotes"))?;
                let bytes = if is_base64 {
                    let packed: String = text.split_ascii_whitespace().collect();
                    BASE64.decode(packed).map_err(|_| bad("is no base64; encode it, or write it under stringData"))?
                } else {
                    text.as_bytes().to_vec()
                };
                values.insert(key.clone(), SecretSlice::from(bytes));
            }
        }
        self.bags.push(Bag { kind, namespace, name, values });
        Ok(())
    }

    /// Whether no stream was read.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Whether there is any `DirectorySync`.
    pub fn has_syncs(&self) -> bool {
        !self.syncs.is_empty()
    }

    /// The only `DirectorySync`, or the one of that name.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn sync(&self, name: Option<&str>) -> Result<&DirectorySync, ManifestError> {
        let origin = self.origins.join(", ");
        let names = || self.syncs.iter().map(kube::ResourceExt::name_any).collect();
        let mut wanted = self.syncs.iter().filter(|sync| name.is_none_or(|name| sync.name_any() == name));
        match (wanted.next(), wanted.next(), name) {
            (Some(sync), None, _) => Ok(sync),
            (Some(_), Some(_), _) => Err(ManifestError::SeveralSyncs { origin, names: names() }),
            (None, _, Some(name)) if !self.syncs.is_empty() => {
                Err(ManifestError::NoSuchSync { origin, name: name.to_owned(), names: names() })
            }
            (None, ..) => Err(ManifestError::NoSync { origin }),
        }
    }

    /// The values of a Secret or `ConfigMap` that a resource in `namespace` can see. A manifest without a namespace
    /// is taken to be in the resource's own.
    pub fn values(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<&BTreeMap<String, SecretSlice<u8>>> {
        let visible = |bag: &&Bag| {
            let own = bag.namespace.as_deref();
            bag.kind == kind && bag.name == name && (own.is_none() || namespace.is_none() || own == namespace)
        };
        self.bags.iter().find(visible).map(|bag| &bag.values)
    }
}

/// A document in a stream.
struct Place<'a> {
    origin: &'a str,
    number: usize,
}

impl Place<'_> {
    fn object(&self, kind: &str, name: &str) -> String {
        format!("{kind} {name} ({}, document {})", self.origin, self.number)
    }

    fn no_object(&self) -> ManifestError {
        ManifestError::NoObject { origin: self.origin.to_owned(), number: self.number }
    }
}

fn name_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/name").and_then(Value::as_str).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    const SYNC: &str = r"
apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: { name: staff, namespace: identity }
spec:
  source:
    ldap:
      urls: [ldaps://ldap.example.com]
      bind: { simple: { secretRef: { name: ldap-bind } } }
      users: [{ baseDN: 'ou=people,dc=example,dc=com' }]
  target:
    scim:
      url: https://app.example.com/scim/v2
      auth: { bearerTokenSecretRef: { name: scim, key: token } }
";

    fn manifests(text: &str) -> Result<Manifests, ManifestError> {
        let mut manifests = Manifests::default();
        manifests.add("sync.yaml", text).map(|()| manifests)
    }

    fn refusal(text: &str) -> String {
        manifests(text).unwrap_err().to_string()
    }

    fn value(manifests: &Manifests, name: &str, key: &str) -> Option<String> {
        let values = manifests.values(Kind::Secret, Some("identity"), name)?;
        Some(String::from_utf8(values.get(key)?.expose_secret().to_vec()).unwrap())
    }

    #[test]
    fn a_stream_holds_the_sync_its_secrets_and_whatever_else_a_pipeline_renders() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: ldap-bind }\ndata: { username: Y249cmVhZGVy }\nstringData: { password: open sesame }\n";
        let manifests = manifests(&format!(
            "---\n{SYNC}\n---\n{secret}---\napiVersion: v1\nkind: Namespace\nmetadata: {{ name: identity }}\n---\n"
        ))
        .unwrap();
        assert_eq!(manifests.sync(None).unwrap().name_any(), "staff");
        assert_eq!(value(&manifests, "ldap-bind", "username").as_deref(), Some("cn=reader"));
        assert_eq!(value(&manifests, "ldap-bind", "password").as_deref(), Some("open sesame"));
    }

    #[test]
    fn a_list_as_kubectl_prints_it_is_a_stream_too() {
        let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", SYNC.trim().replace('\n', "\n  "));
        assert_eq!(manifests(&list).unwrap().sync(None).unwrap().name_any(), "staff");
    }

    #[test]
    fn a_secret_of_another_namespace_is_not_seen() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: ldap-bind, namespace: other }\nstringData: { password: p }\n";
        assert_eq!(value(&manifests(secret).unwrap(), "ldap-bind", "password"), None);
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: ldap-bind }\nstringData: { password: canary }\n";
        assert!(!format!("{:?}", manifests(secret).unwrap()).contains("canary"));
    }

    #[test]
    fn one_of_several_syncs_is_chosen_by_name() {
        let both = manifests(&format!("{SYNC}\n---\n{}", SYNC.replace("staff", "guests"))).unwrap();
        assert_eq!(both.sync(Some("guests")).unwrap().name_any(), "guests");
        assert_eq!(
            both.sync(None).unwrap_err().to_string(),
            "sync.yaml holds the DirectorySyncs staff, guests; choose one by its name"
        );
        assert_eq!(
            both.sync(Some("nobody")).unwrap_err().to_string(),
            "sync.yaml holds no DirectorySync named nobody; there is staff, guests"
        );
    }

    #[test]
    fn a_stream_without_a_sync_says_so() {
        assert_eq!(
            manifests("").unwrap().sync(None).unwrap_err().to_string(),
            "no DirectorySync in sync.yaml; write one, or name the file that holds it with -f"
        );
    }

    #[test]
    fn bad_yaml_is_told_with_line_and_column() {
        let refusal = refusal("kind: DirectorySync\n\tapiVersion: x\n");
        assert!(refusal.starts_with("sync.yaml is no valid YAML:") && refusal.contains("line 2"), "{refusal}");
    }

    #[test]
    fn a_key_that_appears_twice_is_refused() {
        let refusal = refusal("apiVersion: v1\nkind: Secret\nkind: Secret\n");
        assert!(refusal.contains("duplicate"), "{refusal}");
    }

    #[test]
    fn a_document_that_is_no_object_is_told_by_its_number() {
        assert_eq!(
            refusal(&format!("{SYNC}\n---\nhello: world\n")),
            "document 2 of sync.yaml is no Kubernetes object; write apiVersion, kind and metadata.name"
        );
    }

    #[test]
    fn another_version_is_refused_with_the_known_one() {
        assert_eq!(
            refusal(&SYNC.replace("v1alpha1", "v2")),
            "DirectorySync staff (sync.yaml, document 1) has the apiVersion directorysync.dev/v2; write directorysync.dev/v1alpha1"
        );
    }

    #[test]
    fn every_fault_of_a_sync_is_told_at_once() {
        let faulty = SYNC.replace("name: ldap-bind", "nam: ldap-bind") + "  aply: true\n";
        let refusal = refusal(&faulty);
        assert!(refusal.starts_with("DirectorySync staff (sync.yaml, document 1) is refused:\n  spec."), "{refusal}");
        for place in [
            "spec.aply: ",
            "spec.source.ldap.bind.simple.secretRef.nam: ",
            "spec.source.ldap.bind.simple.secretRef.name: ",
        ] {
            assert_eq!(refusal.matches(&format!("\n  {place}")).count(), 1, "{refusal}");
        }
    }

    #[test]
    fn a_value_that_is_no_base64_is_told_without_the_value() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: scim }\ndata: { token: 'not base64!' }\n";
        assert_eq!(
            refusal(secret),
            "Secret scim (sync.yaml, document 1): data.token is no base64; encode it, or write it under stringData"
        );
    }

    #[test]
    fn one_secret_twice_is_refused() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: scim }\n";
        assert_eq!(
            refusal(&format!("{secret}---\n{secret}")),
            "Secret scim (sync.yaml, document 2) appears twice; remove one"
        );
    }
}
