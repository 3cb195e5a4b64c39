//! The examples of LDAP directories, read from the servers that they are for: only addresses, names and credentials are
//! of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use directory_sync_api::DirectorySync;
use directory_sync_api::admission::admit;
use directory_sync_controller::connect::{Kind, ReferenceError, Referenced, References, Versions, source};
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_core::snapshot::{Group, User};
use directory_sync_sources::Source;
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::company::active_directory::{ALL_STAFF_DN, BASE_DN, GROUPS_DN};
use directory_sync_tests::peers::samba::{READER_PRINCIPAL, SambaDomainController};
use directory_sync_tests::peers::slapd::{ODDITIES_DN, Overlay, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the example refers to, by the names of objects and keys.
struct Objects(BTreeMap<(&'static str, &'static str), String>);

#[async_trait::async_trait]
impl References for Objects {
    async fn get(&self, _: Kind, name: &str) -> Result<Option<Referenced>, ReferenceError> {
        let of_object = self.0.iter().filter(|((object, _), _)| *object == name);
        let values = of_object.map(|((_, key), value)| ((*key).to_owned(), value.as_bytes().to_vec().into()));
        Ok(Some(Referenced { version: "1".to_owned(), values: values.collect() }))
    }
}

/// The resource of an example, with changes to its LDAP source.
fn example(file: &str, changes: &Value) -> DirectorySync {
    let path = format!("{}/../examples/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut documents = serde_yaml::Deserializer::from_str(&text).map(|one| Value::deserialize(one).unwrap());
    let mut sync = documents.find(|document| document["kind"] == "DirectorySync").unwrap();
    for (field, value) in changes.as_object().unwrap() {
        assert!(!sync["spec"]["source"]["ldap"][field].is_null(), "the example has no {field}");
        sync["spec"]["source"]["ldap"][field] = value.clone();
    }
    admit(sync).unwrap()
}

async fn source_of(sync: &DirectorySync, objects: Objects) -> Box<dyn Source> {
    source(&sync.spec, &objects, &mut Versions::default()).await.unwrap()
}

fn addresses(read: &CompleteRead<SourceSide>) -> Vec<&str> {
    let mut addresses: Vec<&str> = read.snapshot().users().map(User::address).collect();
    addresses.sort_unstable();
    addresses
}

#[tokio::test]
async fn the_example_of_active_directory_leads_to_the_members_of_its_group() {
    let controller = SambaDomainController::start().await.unwrap();
    let sync = example(
        "active-directory-to-scim.yaml",
        &json!({
            "urls": [controller.ldaps_url()],
            "users": [{ "baseDN": BASE_DN }],
            "groups": [{ "baseDN": GROUPS_DN }],
            "onlyGroups": [ALL_STAFF_DN],
            "onlyMailDomains": ["example.com"],
        }),
    );
    let objects = Objects(BTreeMap::from([
        (("domain-reader", "username"), READER_PRINCIPAL.to_owned()),
        (("domain-reader", "password"), controller.reader_password().expose_secret().to_owned()),
        (("domain-ca", "ca.crt"), controller.authority().certificate_pem().to_owned()),
    ]));
    let source = source_of(&sync, objects).await;
    let read = source.read().await.unwrap();
    assert!(read.snapshot().user_count() > 1000, "{}", read.snapshot().user_count());
    assert!(read.snapshot().users().any(|user| !user.active()), "disabled accounts are told");
    assert!(read.snapshot().groups().count() > 0 && read.snapshot().counts().memberships > 1000);
}

#[tokio::test]
async fn the_example_of_unix_accounts_leads_to_them_by_its_client_certificate() {
    let authority = CertificateAuthority::new("test").unwrap();
    let own = authority.server_certificate(&["reader"]).unwrap();
    let options = SlapdOptions {
        certificate: Some(authority.server_certificate(&["127.0.0.1"]).unwrap()),
        client_authority_pem: Some(authority.certificate_pem().to_owned()),
        overlays: vec![Overlay::PasswordPolicy],
        oddities: true,
        ..SlapdOptions::default()
    };
    let server = Slapd::start(&options, &Company::small()).await.unwrap();
    let unix = format!("ou=Unix,{ODDITIES_DN}");
    let sync = example(
        "openldap-posix-to-scim.yaml",
        &json!({
            "urls": [server.url()],
            "tls": { "startTLS": true, "caBundle": { "configMapKeyRef": { "name": "test-ca", "key": "ca.crt" } } },
            "users": [{ "baseDN": unix, "filter": "(objectClass=posixAccount)" }],
            "groups": [{ "baseDN": unix, "filter": "(objectClass=posixGroup)" }],
        }),
    );
    let objects = Objects(BTreeMap::from([
        (("ldap-client", "tls.crt"), own.certificate_pem),
        (("ldap-client", "tls.key"), own.key_pem),
        (("test-ca", "ca.crt"), authority.certificate_pem().to_owned()),
    ]));
    let source = source_of(&sync, objects).await;
    let read = source.read().await.unwrap();
    assert_eq!(addresses(&read), ["root.of.all@example.com", "shell.user@example.com"]);
    let members = |group: Group<'_>| (group.name().to_owned(), group.members().len());
    let groups: BTreeMap<_, _> = read.snapshot().groups().map(members).collect();
    assert_eq!(groups.get("operators"), Some(&1), "{groups:?}");
}
