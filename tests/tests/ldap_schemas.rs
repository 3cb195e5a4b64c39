//! The schema of OpenLDAP on a server of that name, with what is odd in such directories.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ldap_schema;

use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::plan::WarningKind;
use directory_sync_core::snapshot::{Snapshot, User};
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{Bind, ClientCertificate, Dereference, LdapConfig, LdapSource, Search, Tls};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::slapd::{self, ODDITIES_DN, Overlay, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;
use serde_json::json;

fn openldap(server: &Slapd, base: &str) -> LdapConfig {
    let bind = Bind::Simple { username: slapd::READER_DN.to_owned(), password: server.reader_password().clone() };
    ldap_schema::config(server.url(), bind, base, &json!({ "schema": "OpenLDAP", "lockedAccounts": "Inactive" }))
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
async fn what_a_schema_filters_on_is_not_warned_of() {
    let server = with_oddities().await;
    let mut config = openldap(&server, "ou=People,dc=example,dc=com");
    config.users[0].filter = "(&(objectClass=inetOrgPerson)(mail=*))".to_owned();
    config.schema_filters.push(config.users[0].filter.clone());
    let read = LdapSource::new(config).unwrap().read_all().await.unwrap();
    assert_eq!(read.warnings().of(WarningKind::FilterOnMapped), 0);
}

#[tokio::test]
async fn aliases_are_followed_where_that_is_wanted_and_one_that_leads_nowhere_is_passed_over() {
    let server = with_oddities().await;
    // The aliases alone: one of a person below another base, and one of nobody.
    server
        .change(&format!("dn: ou=Aliases,{ODDITIES_DN}\nobjectClass: organizationalUnit\nou: Aliases\n"))
        .await
        .unwrap();
    for name in ["alias.of.a.person", "alias.of.nobody"] {
        let moved = format!(
            "dn: uid={name},{ODDITIES_DN}\nchangetype: modrdn\nnewrdn: uid={name}\ndeleteoldrdn: 1\nnewsuperior: \
             ou=Aliases,{ODDITIES_DN}\n"
        );
        server.change(&moved).await.unwrap();
    }
    let source = |aliases, base: &str| {
        let config = LdapConfig { aliases, groups: Vec::new(), ..openldap(&server, base) };
        LdapSource::new(config).unwrap()
    };
    let below = format!("ou=Aliases,{ODDITIES_DN}");
    let itself = format!("uid=alias.of.a.person,{below}");
    let mut found = Vec::new();
    for aliases in [Dereference::Never, Dereference::Searching, Dereference::Finding, Dereference::Always] {
        let count = async |base: &str| source(aliases, base).read_all().await.unwrap().snapshot().counts().users;
        found.push((count(&below).await, count(&itself).await));
    }
    assert_eq!(found, [(0, 0), (1, 0), (0, 1), (1, 1)]);

    // Whoever came through an alias is not where the name of the entry says.
    for (aliases, base) in [(Dereference::Searching, &below), (Dereference::Finding, &itself)] {
        let source = source(aliases, base);
        let read = source.read_all().await.unwrap();
        let lookup = Lookup::User { id: read.snapshot().user(0).id().to_owned() };
        let findings = source.confirm(&[lookup], read.snapshot().referencer()).await;
        assert_eq!(findings, [Finding::StillThere { members: None }], "{aliases:?}");
    }
}

#[tokio::test]
async fn a_lost_right_on_the_address_leaves_people_without_one_and_on_the_entries_leaves_nobody() {
    let company = Company::small();
    let server = Slapd::start(&SlapdOptions::default(), &company).await.unwrap();
    let source = LdapSource::new(openldap(&server, "ou=People,dc=example,dc=com")).unwrap();
    let before = source.read_all().await.unwrap();
    let lookup = [Lookup::User { id: company.people[0].entry_uuid() }];

    server.restrict(&["to attrs=mail by * none"]).await.unwrap();
    let read = source.read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 200);
    assert!(read.snapshot().users().all(|user| user.address().is_empty()), "nobody has one, which the guards hold");

    server.restrict(&["to dn.children=\"ou=People,dc=example,dc=com\" by * none"]).await.unwrap();
    let read = source.read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 0);
    let findings = source.confirm(&lookup, before.snapshot().referencer()).await;
    assert!(matches!(findings[..], [Finding::Unreadable { .. }]), "{findings:?}");
}

#[tokio::test]
async fn the_groups_that_people_show_can_be_mapped() {
    let company = Company::small();
    let options = SlapdOptions { overlays: vec![Overlay::MemberOf], ..SlapdOptions::default() };
    let server = Slapd::start(&options, &company).await.unwrap();
    let council = company.group("Works Council").unwrap();
    let bind = Bind::Simple { username: slapd::READER_DN.to_owned(), password: server.reader_password().clone() };
    let schema = json!({ "schema": "OpenLDAP" });
    let in_council = format!("has(entry.memberOf) && '{}' in entry.memberOf ? '/Council' : '/'", council.dn());
    let mapping = json!({ "user": { "orgUnit": { "cel": in_council } } });
    let config = ldap_schema::config_with(server.url(), bind, "ou=People,dc=example,dc=com", &schema, &mapping);
    let read = LdapSource::new(config).unwrap().read_all().await.unwrap();
    let members = read.snapshot().users().filter(|user| user.org_unit() == "/Council").count();
    assert_eq!(members, council.members.len());
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
async fn other_names_and_whether_values_are_bytes_are_asked_of_the_schema_of_the_server() {
    let company = Company::small();
    let server = Slapd::start(&SlapdOptions::default(), &company).await.unwrap();
    let schema = "dn: cn=badges,cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: badges\n\
                  olcAttributeTypes: ( 1.3.6.1.4.1.4203.666.1.1 NAME 'badgeToken' EQUALITY octetStringMatch \
                  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )\n\
                  olcAttributeTypes: ( 1.3.6.1.4.1.4203.666.1.2 NAME ( 'oldToken' 'legacyToken' ) SUP badgeToken )\n\
                  olcObjectClasses: ( 1.3.6.1.4.1.4203.666.3.1 NAME 'badgeHolder' SUP top AUXILIARY \
                  MAY ( badgeToken $ oldToken ) )\n";
    server.change(schema).await.unwrap();
    let person = &company.people[0];
    let badge = format!(
        "dn: {}\nchangetype: modify\nadd: objectClass\nobjectClass: badgeHolder\n-\nadd: badgeToken\nbadgeToken: text\n-\n\
         add: oldToken\noldToken: text\n",
        person.dn()
    );
    server.change(&badge).await.unwrap();
    let bind = Bind::Simple { username: slapd::READER_DN.to_owned(), password: server.reader_password().clone() };
    for attribute in ["badgeToken", "OLDTOKEN", "legacyToken", "1.3.6.1.4.1.4203.666.1.1"] {
        let mapping = json!({ "user": { "id": { "attribute": attribute } } });
        let schema = json!({ "schema": "OpenLDAP" });
        let config = ldap_schema::config_with(server.url(), bind.clone(), &person.dn(), &schema, &mapping);
        let source = LdapSource::new(config).unwrap();
        let read = source.read_all().await.unwrap();
        // The digits of the letters, because by the schema they are none.
        assert_eq!(read.snapshot().user(0).id(), "74657874", "{attribute}");
        let lookup = Lookup::User { id: "74657874".to_owned() };
        let findings = source.confirm(&[lookup], read.snapshot().referencer()).await;
        assert_eq!(findings, [Finding::StillThere { members: None }], "{attribute}");
    }
}
