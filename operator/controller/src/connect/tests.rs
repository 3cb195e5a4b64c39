//! What becomes of references that lead nowhere.

use super::*;
use directory_sync_core::disposition::Classified;
use directory_sync_targets::Unobserved;
use std::collections::BTreeMap;

/// Secrets by name and key.
struct Stored(BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>);

#[async_trait::async_trait]
impl References for Stored {
    async fn get(&self, kind: Kind, name: &str) -> Result<Option<Referenced>, ReferenceError> {
        let values = self.0.get(name).filter(|_| kind == Kind::Secret);
        Ok(values.map(|values| Referenced {
            version: "1".to_owned(),
            values: values.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec().into())).collect(),
        }))
    }
}

fn complete() -> Stored {
    Stored(BTreeMap::from([
        ("ldap-reader", BTreeMap::from([("username", "cn=reader"), ("password", "open sesame\n")])),
        ("scim-token", BTreeMap::from([("token", "t0ken")])),
    ]))
}

fn spec() -> DirectorySyncSpec {
    serde_json::from_value(serde_json::json!({
        "source": { "ldap": {
            "urls": ["ldaps://ldap.example.com"],
            "bind": { "simple": { "secretRef": { "name": "ldap-reader" } } },
            "users": [{ "baseDN": "ou=people,dc=example,dc=com" }],
        } },
        "target": { "scim": {
            "url": "https://app.example.com/scim/v2",
            "auth": { "bearerTokenSecretRef": { "name": "scim-token", "key": "token" } },
        } },
    }))
    .unwrap()
}

async fn refused(spec: &DirectorySyncSpec, stored: &Stored) -> ConnectError {
    let mut versions = Versions::default();
    match connect(spec, stored, &mut versions, Arc::new(Unobserved)).await {
        Ok(_) => panic!("this should not connect"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_complete_spec_leads_to_both_sides() {
    let mut versions = Versions::default();
    let connection = connect(&spec(), &complete(), &mut versions, Arc::new(Unobserved)).await.unwrap();
    assert_eq!((connection.source.kind(), connection.target.kind()), ("ldap", "scim"));
    let names = |versions: &Versions| versions.names().map(|(_, name)| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&versions), ["ldap-reader", "scim-token"], "the versions of the Secrets are noted");
    assert_eq!(names(&connection.source_versions), ["ldap-reader"], "those of the source apart as well");
}

#[tokio::test]
async fn a_freshness_that_is_no_duration_is_named_with_its_field() {
    let mut spec = spec();
    spec.source.freshness = "soon".to_owned();
    let error = refused(&spec, &complete()).await;
    assert!(error.to_string().starts_with("spec.source.freshness: \"soon\" is no duration"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_field() {
    let mut stored = complete();
    stored.0.remove("ldap-reader");
    let error = refused(&spec(), &stored).await;
    assert_eq!(
        error.to_string(),
        "spec.source.ldap.bind.simple.secretRef: there is no Secret named ldap-reader in the namespace of the \
         resource; create it"
    );
    assert_eq!(error.reason(), "ReferenceNotFound");

    let mut stored = complete();
    stored.0.insert("scim-token", BTreeMap::from([("tokn", "t0ken")]));
    let error = refused(&spec(), &stored).await.to_string();
    assert!(error.ends_with("the Secret scim-token has no key `token`; add it"), "{error}");
}

#[tokio::test]
async fn an_empty_password_is_refused_before_any_server_takes_it_for_an_anonymous_bind() {
    let mut stored = complete();
    stored.0.insert("ldap-reader", BTreeMap::from([("username", "cn=reader"), ("password", "\n")]));
    assert_eq!(refused(&spec(), &stored).await.reason(), "ReferenceKeyUnusable");
}
