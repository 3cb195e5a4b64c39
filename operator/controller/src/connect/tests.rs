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

fn with_passwords() -> DirectorySyncSpec {
    let password = serde_json::json!({
        "attribute": "userPassword",
        "fingerprintKeySecretRef": { "name": "fingerprints", "key": "key" },
    });
    let mut spec = spec();
    spec.mapping = serde_json::from_value(serde_json::json!({ "user": { "password": password } })).unwrap();
    spec
}

#[tokio::test]
async fn passwords_are_remembered_under_the_key_of_the_secret() {
    let mut stored = complete();
    let refusal = refused(&with_passwords(), &stored).await;
    assert_eq!(refusal.reason(), "ReferenceNotFound");
    stored.0.insert("fingerprints", BTreeMap::from([("key", "short")]));
    let refusal = refused(&with_passwords(), &stored).await;
    assert_eq!(
        refusal.to_string(),
        "spec.mapping.user.password.fingerprintKeySecretRef: `key` of the Secret fingerprints is too short: it has 5 \
         bytes and needs at least 16; make one with `openssl rand -base64 32`"
    );
    stored.0.insert("fingerprints", BTreeMap::from([("key", "long enough for tests")]));
    let connection = connect(&with_passwords(), &stored, &mut Versions::default(), Arc::new(Unobserved)).await;
    assert!(connection.unwrap().password_key.is_some());
}

#[tokio::test]
async fn passwords_go_nowhere_without_tls() {
    let stored = Stored(
        [complete().0, BTreeMap::from([("fingerprints", BTreeMap::from([("key", "long enough for tests")]))])]
            .into_iter()
            .flatten()
            .collect(),
    );
    let mut to_plain = with_passwords();
    let scim = to_plain.target.scim.as_mut().unwrap();
    scim.url = "http://app.example.com/scim/v2".to_owned();
    scim.tls = serde_json::from_value(serde_json::json!({ "plaintext": "AllowTokenInClearText" })).unwrap();
    let refusal = refused(&to_plain, &stored).await.to_string();
    assert!(refusal.starts_with("spec.mapping.user.password: passwords are sent over TLS only"), "{refusal}");
    let mut from_plain = with_passwords();
    let ldap = from_plain.source.ldap.as_mut().unwrap();
    ldap.urls = vec!["ldap://ldap.example.com".to_owned()];
    ldap.tls = serde_json::from_value(serde_json::json!({ "plaintext": "AllowPasswordsInClearText" })).unwrap();
    assert_eq!(refused(&from_plain, &stored).await.reason(), "SourcePlaintextRefused");
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

#[test]
fn two_spellings_of_one_url_are_one_target_whose_runs_take_turns() {
    let identity = |url: &str| {
        let mut spec = spec();
        spec.target.scim.as_mut().unwrap().url = url.to_owned();
        target_identity(&spec)
    };
    let one = identity("https://app.example.com/scim/v2");
    for same in ["https://APP.example.com:443/scim/v2/", "https://app.example.com/%53CIM/v2"] {
        assert_eq!(identity(same), one, "{same}");
    }
    assert_ne!(identity("https://app.example.com/scim/v3"), one);
}
