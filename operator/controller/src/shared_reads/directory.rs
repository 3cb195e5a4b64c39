//! Which resources read the same directory in the same way.

use crate::connect::Versions;
use directory_sync_api::mapping::Mapping;
use directory_sync_api::source::SourceSpec;
use directory_sync_api::{DirectorySync, convert};
use kube::ResourceExt;
use std::time::Duration;

/// A directory and the way it is read. Whoever has an equal one would read the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// What a resource refers to is looked for in its own namespace, so no read leaves one.
    namespace: String,
    source: SourceSpec,
    mapping: Option<Mapping>,
}

impl Directory {
    /// That of a resource, as it is stored. How old a read may be is no part of it.
    pub fn of(sync: &DirectorySync) -> Self {
        Self {
            namespace: sync.namespace().unwrap_or_default(),
            source: SourceSpec { freshness: String::new(), ..sync.spec.source.clone() },
            mapping: sync.spec.mapping.clone(),
        }
    }

    /// Whether a resource reads this directory in this way.
    pub fn is_of(&self, sync: &DirectorySync) -> bool {
        // Most are of another namespace, which is quickly told.
        sync.metadata.namespace.as_ref() == Some(&self.namespace) && *self == Self::of(sync)
    }
}

/// A directory, and the Secrets and `ConfigMap`s with which it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) directory: Directory,
    pub(super) versions: Versions,
}

/// A resource that may use the reads of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// Its UID.
    pub uid: String,
    /// How old a read may be for it.
    pub freshness: Duration,
}

impl Sibling {
    /// A resource as it is now; `None` if it makes no runs, or shares nothing.
    pub fn of(sync: &DirectorySync) -> Option<Self> {
        let runs = !sync.spec.suspend && sync.metadata.deletion_timestamp.is_none();
        let freshness = convert::freshness(&sync.spec.source).ok()?.unsigned_abs();
        let uid = sync.uid().filter(|_| runs && !freshness.is_zero())?;
        Some(Self { uid, freshness })
    }
}

/// The resources that there are.
pub trait Siblings: Send + Sync {
    /// Those that read this directory in this way, whoever asks among them.
    fn of(&self, directory: &Directory) -> Vec<Sibling>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Kind;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn resource() -> Value {
        json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": { "name": "staff", "namespace": "identity", "uid": "1", "generation": 1 },
            "spec": {
                "source": {
                    "ldap": {
                        "urls": ["ldaps://dc1.example.com", "ldaps://dc2.example.com"],
                        "tls": { "caBundle": { "configMapKeyRef": { "name": "ca", "key": "ca.crt" } } },
                        "bind": { "simple": { "secretRef": { "name": "reader" } } },
                        "users": [{ "baseDN": "ou=people,dc=example,dc=com", "filter": "(uid=*)" }],
                        "groups": [{ "baseDN": "ou=groups,dc=example,dc=com" }],
                        "onlyMailDomains": ["example.com"],
                        "pageSize": 500,
                    },
                    "freshness": "60s",
                },
                "mapping": {
                    "user": { "email": { "attribute": "mail" }, "orgUnit": { "cel": "'/' + entry.ou[0]" } },
                    "group": { "name": { "attribute": "cn" } },
                },
                "target": { "scim": {
                    "url": "https://app.example.com/scim/v2",
                    "auth": { "bearerTokenSecretRef": { "name": "scim", "key": "token" } },
                } },
                "exclude": { "source": [{ "kind": "User", "field": "Email", "glob": "svc-*" }] },
            },
        })
    }

    fn directory(resource: &Value) -> Directory {
        Directory::of(&serde_json::from_value(resource.clone()).unwrap())
    }

    /// Pointers to every text and number of a value.
    fn leaves(value: &Value, at: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| leaves(value, &format!("{at}/{name}"), into));
            }
            Value::Array(values) => {
                values.iter().enumerate().for_each(|(index, value)| leaves(value, &format!("{at}/{index}"), into));
            }
            _ => into.push(at.to_owned()),
        }
    }

    /// The resource with another value in one place.
    fn changed(pointer: &str) -> Value {
        let mut resource = resource();
        let leaf = resource.pointer_mut(pointer).unwrap();
        *leaf = match &*leaf {
            Value::Number(number) => json!(number.as_i64().unwrap() + 1),
            text => json!(format!("{}x", text.as_str().unwrap())),
        };
        resource
    }

    #[test]
    fn whatever_is_written_of_source_and_mapping_is_part_of_the_directory_and_nothing_else_is() {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for part in ["/spec/source/ldap", "/spec/mapping", "/metadata/namespace"] {
            leaves(resource().pointer(part).unwrap(), part, &mut inside);
        }
        for part in
            ["/spec/source/freshness", "/spec/target", "/metadata/name", "/metadata/uid", "/metadata/generation"]
        {
            leaves(resource().pointer(part).unwrap(), part, &mut outside);
        }
        assert!(inside.len() > 12 && outside.len() > 5, "{inside:?} {outside:?}");
        for pointer in inside {
            assert_ne!(directory(&changed(&pointer)), directory(&resource()), "{pointer}");
        }
        for pointer in outside {
            assert_eq!(directory(&changed(&pointer)), directory(&resource()), "{pointer}");
        }
    }

    #[test]
    fn what_is_left_out_is_left_out_on_both_sides() {
        let mut without = resource();
        without["spec"].as_object_mut().unwrap().remove("mapping");
        assert_eq!(directory(&without), directory(&without));
        assert_ne!(directory(&without), directory(&resource()));
    }

    #[test]
    fn who_makes_no_runs_or_shares_nothing_is_no_sibling() {
        let sibling = |field: &str, value: Value| {
            let mut resource = resource();
            *resource.pointer_mut(field).unwrap() = value;
            Sibling::of(&serde_json::from_value(resource).unwrap())
        };
        let minute = Sibling { uid: "1".to_owned(), freshness: Duration::from_secs(60) };
        assert_eq!(sibling("/spec/source/freshness", json!("1m")), Some(minute));
        for nothing in ["0s", "0h0m", "soon"] {
            assert_eq!(sibling("/spec/source/freshness", json!(nothing)), None, "{nothing}");
        }
        let mut suspended = resource();
        suspended["spec"]["suspend"] = json!(true);
        assert_eq!(Sibling::of(&serde_json::from_value(suspended).unwrap()), None);
    }

    fn versions() -> impl Strategy<Value = Versions> {
        let kind = prop_oneof![Just(Kind::Secret), Just(Kind::ConfigMap)];
        let noted = (kind, "[ab]", prop::option::of("[12]"));
        prop::collection::vec(noted, 0..4).prop_map(|all| {
            let mut versions = Versions::default();
            for (kind, name, version) in all {
                versions.note(kind, &name, version);
            }
            versions
        })
    }

    proptest! {
        #[test]
        fn other_versions_of_what_is_referred_to_are_another_key(one in versions(), two in versions()) {
            let key = |versions: &Versions| Key { directory: directory(&resource()), versions: versions.clone() };
            prop_assert_eq!(key(&one) == key(&two), one == two);
        }
    }
}
