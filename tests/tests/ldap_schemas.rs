//! The schemas on the servers that they are named after, all but that of Active Directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use directory_sync_api::convert;
use directory_sync_api::source::LdapSchema;
use directory_sync_api::sync::DirectorySyncSpec;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::plan::WarningKind;
use directory_sync_core::snapshot::{Snapshot, User};
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{Bind, ClientCertificate, Dereference, LdapConfig, LdapSource, Scope, Search, Tls};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::directory_389::{self, Directory389, FREEIPA_DN};
use directory_sync_tests::peers::slapd::{self, ODDITIES_DN, Overlay, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;
use serde_json::json;

/// A source with the mapping and the filters of a schema.
fn config(url: String, bind: Bind, base: &str, schema: &serde_json::Value) -> LdapConfig {
    let mut ldap = json!({
        "urls": ["ldaps://ldap.example.com"],
        "bind": { "anonymous": {} },
        "users": [{ "baseDN": base }],
    });
    ldap.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
    let spec: DirectorySyncSpec = serde_json::from_value(json!({
        "source": { "ldap": ldap },
        "target": { "scim": {
            "url": "https://app.example.com/scim/v2",
            "auth": { "bearerTokenSecretRef": { "name": "scim-token", "key": "token" } },
        } },
    }))
    .unwrap();
    let (people, groups) = convert::mapping(&spec).unwrap();
    let schema: LdapSchema = spec.source.ldap.unwrap().schema;
    let search =
        |filter: &str| vec![Search { base_dn: base.to_owned(), scope: Scope::Subtree, filter: filter.to_owned() }];
    LdapConfig {
        tls: Tls { plaintext: true, ..Tls::default() },
        users: search(schema.user_filter()),
        groups: search(schema.group_filter()),
        page_size: 50,
        group_mapping: Some(Arc::new(groups)),
        ..LdapConfig::new(vec![url], bind, Arc::new(people))
    }
}

fn openldap(server: &Slapd, base: &str) -> LdapConfig {
    let bind = Bind::Simple { username: slapd::READER_DN.to_owned(), password: server.reader_password().clone() };
    config(server.url(), bind, base, &json!({ "schema": "OpenLDAP", "lockedAccounts": "Inactive" }))
}

fn person<'s>(snapshot: &'s Snapshot, address: &str) -> User<'s> {
    snapshot.users().find(|user| user.address() == address).unwrap_or_else(|| panic!("{address} is missing"))
}

fn members(snapshot: &Snapshot, name: &str) -> (usize, u32) {
    let group = snapshot.groups().find(|group| group.name() == name).unwrap();
    (group.members().len(), group.unresolved_members())
}

async fn with_oddities() -> Slapd {
    let options = SlapdOptions { oddities: true, overlays: vec![Overlay::PasswordPolicy], ..SlapdOptions::default() };
    Slapd::start(&options, &Company::small()).await.unwrap()
}

#[tokio::test]
async fn openldap_with_unix_groups_other_addresses_and_locked_accounts() {
    let server = with_oddities().await;
    // What another server holds fails the read, and the sentence says which.
    let error = LdapSource::new(openldap(&server, ODDITIES_DN)).unwrap().read_all().await.unwrap_err();
    assert_eq!(error.reason(), "SourceReferral");
    assert!(error.to_string().contains("subsidiary.example.com"), "{error}");

    let one_level = |mut config: LdapConfig| {
        let below = config.users[0].clone();
        let unix = Search { base_dn: format!("ou=Unix,{ODDITIES_DN}"), ..below.clone() };
        // The referral is no inetOrgPerson, but a server sends references whatever the filter says.
        let beside = Search { base_dn: format!("uid=local.mail,{ODDITIES_DN}"), ..below.clone() };
        let locked = ["forever", "once"]
            .map(|which| Search { base_dn: format!("uid=locked.{which},{ODDITIES_DN}"), ..below.clone() });
        config.users = [vec![unix, beside], locked.to_vec()].concat();
        let groups = config.groups[0].clone();
        config.groups = [format!("ou=Unix,{ODDITIES_DN}"), format!("cn=unique,{ODDITIES_DN}")]
            .map(|base_dn| Search { base_dn, ..groups.clone() })
            .to_vec();
        config
    };
    let config = one_level(openldap(&server, ODDITIES_DN));
    let source = LdapSource::new(config).unwrap();
    let read = source.read_all().await.unwrap();
    let snapshot = read.snapshot();
    assert_eq!(
        person(snapshot, "local.mail@example.com").aliases().collect::<Vec<_>>(),
        ["l.mail@example.com", "postmaster@example.com"]
    );
    assert!(!person(snapshot, "locked.forever@example.com").active());
    assert!(person(snapshot, "locked.once@example.com").active());
    // One member, and one login that nobody has.
    assert_eq!(members(snapshot, "operators"), (1, 1));
    assert_eq!(members(snapshot, "capitals"), (0, 1), "the case of a login counts");
    assert_eq!(members(snapshot, "unique"), (2, 0));
    assert_eq!(read.warnings().of(WarningKind::FilterOnMapped), 0);

    // Members by login are known again when they are looked up.
    let operators = snapshot.groups().find(|group| group.name() == "operators").unwrap();
    let lookup = Lookup::Group { id: operators.id().to_owned() };
    let findings = source.confirm(&[lookup], snapshot.referencer()).await;
    let Finding::StillThere { members: Some(members) } = &findings[0] else { panic!("{findings:?}") };
    assert!(members.contains(&person(snapshot, "shell.user@example.com").reference().unwrap()));
}

#[tokio::test]
async fn a_filter_on_what_is_mapped_is_warned_of() {
    let server = with_oddities().await;
    let mut config = openldap(&server, "ou=People,dc=example,dc=com");
    config.users[0].filter = "(&(objectClass=inetOrgPerson)(mail=*))".to_owned();
    let read = LdapSource::new(config).unwrap().read_all().await.unwrap();
    let warning = read.warnings().iter().find(|warning| warning.kind == WarningKind::FilterOnMapped).unwrap();
    assert_eq!(warning.samples, ["users[0].filter tests mail"]);
}

#[tokio::test]
async fn an_alias_is_followed_if_that_is_wanted() {
    let server = with_oddities().await;
    let alias = format!("uid=alias.of.a.person,{ODDITIES_DN}");
    let read = async |aliases| {
        let config = LdapConfig { aliases, groups: Vec::new(), ..openldap(&server, &alias) };
        LdapSource::new(config).unwrap().read_all().await.unwrap().snapshot().counts().users
    };
    assert_eq!((read(Dereference::Never).await, read(Dereference::Finding).await), (0, 1));
}

#[tokio::test]
async fn an_account_that_lost_its_rights_finds_nobody_and_cannot_say_that_somebody_is_gone() {
    let company = Company::small();
    let server = Slapd::start(&SlapdOptions::default(), &company).await.unwrap();
    let source = LdapSource::new(openldap(&server, slapd::BASE_DN)).unwrap();
    let before = source.read_all().await.unwrap();
    assert_eq!(before.snapshot().counts().users, 200);
    let lookup = [Lookup::User { id: company.people[0].entry_uuid() }];

    server.restrict(&["to attrs=entryUUID by * none"]).await.unwrap();
    let without_id = source.read_all().await.unwrap();
    assert_eq!((without_id.snapshot().counts().users, without_id.snapshot().skipped().users_without_id), (0, 200));
    let findings = source.confirm(&lookup, before.snapshot().referencer()).await;
    assert!(matches!(findings[..], [Finding::Unreadable { .. }]), "{findings:?}");
}

#[tokio::test]
async fn a_client_certificate_is_an_account() {
    let authority = CertificateAuthority::new("the authority of the directory").unwrap();
    let own = authority.server_certificate(&["reader"]).unwrap();
    let options = SlapdOptions {
        certificate: Some(authority.server_certificate(&["127.0.0.1"]).unwrap()),
        client_authority_pem: Some(authority.certificate_pem().to_owned()),
        ..SlapdOptions::default()
    };
    let server = Slapd::start(&options, &Company::small()).await.unwrap();
    let tls = Tls {
        ca_bundle: Some(authority.certificate_pem().to_owned()),
        client_certificate: Some(ClientCertificate { certificate: own.certificate_pem, key: own.key_pem.into() }),
        ..Tls::default()
    };
    let config = LdapConfig {
        tls,
        bind: Bind::External,
        urls: vec![server.ldaps_url().unwrap()],
        ..openldap(&server, slapd::BASE_DN)
    };
    let read = LdapSource::new(config.clone()).unwrap().read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 200);

    let plain = LdapConfig { urls: vec![server.url()], tls: Tls { plaintext: true, ..config.tls }, ..config };
    assert!(LdapSource::new(plain).unwrap_err().to_string().contains("needs TLS"));
}

#[tokio::test]
async fn directory_389_gives_all_pages_one_cookie_and_is_read_whole() {
    let company = Company::small();
    let server = Directory389::start(&company).await.unwrap();
    let bind =
        Bind::Simple { username: directory_389::READER_DN.to_owned(), password: server.reader_password().clone() };
    let schema = json!({ "schema": "389DirectoryServer" });
    let source = LdapSource::new(config(server.url(), bind.clone(), slapd::BASE_DN, &schema)).unwrap();
    let read = source.read_all().await.unwrap();
    let snapshot = read.snapshot();
    assert_eq!(snapshot.counts().users, 200);
    assert_eq!(snapshot.counts().groups, company.groups.len() as u64);
    assert!(snapshot.users().all(User::active));

    let leaver = company.people.iter().find(|person| person.mail.is_some()).unwrap();
    let id = person(snapshot, leaver.mail.as_deref().unwrap()).id().to_owned();
    let other = person(snapshot, company.people.iter().rev().find_map(|person| person.mail.as_deref()).unwrap())
        .id()
        .to_owned();
    server.delete(&leaver.dn()).await.unwrap();
    let lookups = [Lookup::User { id }, Lookup::User { id: other }];
    let findings = source.confirm(&lookups, snapshot.referencer()).await;
    assert_eq!(findings, [Finding::Gone, Finding::StillThere { members: None }]);

    server.add_freeipa_accounts().await.unwrap();
    let source = LdapSource::new(config(server.url(), bind, FREEIPA_DN, &json!({ "schema": "FreeIPA" }))).unwrap();
    let read = source.read_all().await.unwrap();
    let alice = person(read.snapshot(), "alice@example.com");
    assert_eq!((alice.id(), alice.active()), ("7d3f6b52-0c1e-11ef-8a44-001a4a160001", true));
    assert_eq!(read.snapshot().users().filter(|user| !user.active()).count(), 1);
    assert!(read.snapshot().groups().any(|group| !group.members().is_empty()));
}
