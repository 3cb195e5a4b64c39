//! Reading and looking up in a real OpenLDAP server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ldap_mapping;

use std::time::Duration;

use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::snapshot::Referencer;
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{Bind, LdapConfig, LdapError, LdapSource, Scope, Search, Timeouts, Tls};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;

fn search(base_dn: &str, filter: &str) -> Search {
    Search { base_dn: base_dn.to_owned(), scope: Scope::Subtree, filter: filter.to_owned() }
}

fn config(slapd: &Slapd) -> LdapConfig {
    let bind = Bind::Simple { username: READER_DN.to_owned(), password: slapd.reader_password().clone() };
    LdapConfig {
        tls: Tls { plaintext: true, ..Tls::default() },
        users: vec![search("ou=People,dc=example,dc=com", "(objectClass=inetOrgPerson)")],
        groups: vec![search("ou=Groups,dc=example,dc=com", "(objectClass=groupOfNames)")],
        page_size: 60,
        timeouts: Timeouts { idle: Duration::from_secs(10), read: Duration::from_secs(60) },
        group_mapping: Some(ldap_mapping::groups()),
        ..LdapConfig::new(vec![slapd.url()], bind, ldap_mapping::people())
    }
}

async fn start() -> (Slapd, Company) {
    let company = Company::small();
    (Slapd::start(&SlapdOptions::default(), &company).await.unwrap(), company)
}

async fn error_of(config: LdapConfig) -> LdapError {
    match LdapSource::new(config) {
        Ok(source) => source.read_all().await.expect_err("a read that must fail"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_read_over_several_pages_finds_what_ldapsearch_finds() {
    let (slapd, company) = start().await;
    let read = LdapSource::new(config(&slapd)).unwrap().read_all().await.unwrap();
    let snapshot = read.snapshot();

    let people = slapd.search(&["(objectClass=inetOrgPerson)", "entryUUID"]).await.unwrap();
    let people: Vec<&str> = people.lines().filter_map(|line| line.strip_prefix("entryUUID: ")).collect();
    assert_eq!(snapshot.counts().users, u64::try_from(people.len()).unwrap());
    assert_eq!(people.len(), company.people.len());
    let groups = slapd.search(&["(objectClass=groupOfNames)", "member"]).await.unwrap();
    assert_eq!(snapshot.counts().groups, u64::try_from(company.groups.len()).unwrap());
    let members = groups.lines().filter(|line| line.starts_with("member:")).count();
    let dangling = groups.lines().filter(|line| line.contains("uid=long.gone")).count();
    assert!(dangling > 0);
    assert_eq!(snapshot.counts().memberships, u64::try_from(members - dangling).unwrap());
}

#[tokio::test]
async fn an_attribute_is_read_by_each_of_its_names() {
    let (slapd, _) = start().await;
    let usual = LdapSource::new(config(&slapd)).unwrap().read_all().await.unwrap();
    let other = LdapConfig { user_mapping: ldap_mapping::people_by_other_names(), ..config(&slapd) };
    let other = LdapSource::new(other).unwrap().read_all().await.unwrap();
    for (person, same) in usual.snapshot().users().zip(other.snapshot().users()) {
        assert_eq!((person.id(), person.address()), (same.id(), same.address()));
        assert_eq!(person.family_name(), same.family_name());
        assert_eq!(person.display_name(), same.display_name());
    }
    assert!(other.snapshot().users().any(|person| !person.family_name().is_empty()));
}

#[tokio::test]
async fn tls_is_checked_against_the_given_authority() {
    let authority = CertificateAuthority::new("the authority of the directory").unwrap();
    let foreign = CertificateAuthority::new("another authority").unwrap();
    let company = Company::small();
    let options = |certificate| SlapdOptions { certificate: Some(certificate), ..SlapdOptions::default() };

    let certificate = authority.server_certificate(&["127.0.0.1"]).unwrap();
    let slapd = Slapd::start(&options(certificate), &company).await.unwrap();
    let ldaps = |slapd: &Slapd, authority: &CertificateAuthority| LdapConfig {
        urls: vec![slapd.ldaps_url().unwrap()],
        tls: Tls { ca_bundle: Some(authority.certificate_pem().to_owned()), ..Tls::default() },
        ..config(slapd)
    };
    let start_tls = |slapd: &Slapd, authority: &CertificateAuthority| LdapConfig {
        urls: vec![slapd.url()],
        tls: Tls { ca_bundle: Some(authority.certificate_pem().to_owned()), start_tls: true, ..Tls::default() },
        ..config(slapd)
    };
    for config in [ldaps(&slapd, &authority), start_tls(&slapd, &authority)] {
        let read = LdapSource::new(config).unwrap().read_all().await.unwrap();
        assert_eq!(read.snapshot().counts().users, 200);
    }
    for config in [ldaps(&slapd, &foreign), start_tls(&slapd, &foreign)] {
        assert_eq!(error_of(config).await.reason(), "SourceCertificateUntrusted");
    }
    let platform = LdapConfig { tls: Tls::default(), ..ldaps(&slapd, &authority) };
    assert_eq!(error_of(platform).await.reason(), "SourceCertificateUntrusted");

    let expired = authority.expired_server_certificate(&["127.0.0.1"]).unwrap();
    let slapd = Slapd::start(&options(expired), &company).await.unwrap();
    assert_eq!(error_of(ldaps(&slapd, &authority)).await.reason(), "SourceCertificateExpired");

    let misnamed = authority.server_certificate(&["ldap.example.com"]).unwrap();
    let slapd = Slapd::start(&options(misnamed), &company).await.unwrap();
    assert_eq!(error_of(ldaps(&slapd, &authority)).await.reason(), "SourceCertificateUntrusted");
}

#[tokio::test]
async fn a_new_authority_takes_the_place_of_the_old_one_without_a_restart() {
    let [old, new] = ["the old authority", "the new authority"].map(|name| CertificateAuthority::new(name).unwrap());
    let certificate = |authority: &CertificateAuthority| authority.server_certificate(&["127.0.0.1"]).unwrap();
    let options = SlapdOptions { certificate: Some(certificate(&old)), ..SlapdOptions::default() };
    let mut slapd = Slapd::start(&options, &Company::small()).await.unwrap();
    // Every run makes a source of what the Secret or the ConfigMap holds by then.
    let source = |slapd: &Slapd, bundle: String| {
        let tls = Tls { ca_bundle: Some(bundle), ..Tls::default() };
        LdapSource::new(LdapConfig { urls: vec![slapd.ldaps_url().unwrap()], tls, ..config(slapd) }).unwrap()
    };
    let both = [old.certificate_pem(), new.certificate_pem()].concat();
    let first = source(&slapd, old.certificate_pem().to_owned());
    assert_eq!(first.read_all().await.unwrap().snapshot().counts().users, 200);

    slapd.stop_serving();
    slapd.set_certificate(&certificate(&new)).unwrap();
    slapd.start_serving().await.unwrap();
    for stale in [first, source(&slapd, old.certificate_pem().to_owned())] {
        assert_eq!(stale.read_all().await.unwrap_err().reason(), "SourceCertificateUntrusted");
    }
    for bundle in [both, new.certificate_pem().to_owned()] {
        assert_eq!(source(&slapd, bundle).read_all().await.unwrap().snapshot().counts().users, 200);
    }
}

#[tokio::test]
async fn each_mistake_in_the_settings_has_its_own_name() {
    let (slapd, _) = start().await;
    let good = config(&slapd);
    let wrong_password = Bind::Simple { username: READER_DN.to_owned(), password: "not the password".into() };
    let cases = [
        (LdapConfig { bind: wrong_password, ..good.clone() }, "SourceAuthFailed", "Secret"),
        (
            LdapConfig { urls: vec!["ldap://no-such-host.invalid".to_owned()], ..good.clone() },
            "SourceHostUnknown",
            "no-such-host.invalid",
        ),
        (
            LdapConfig { urls: vec!["ldap://127.0.0.1:1".to_owned()], ..good.clone() },
            "SourceUnavailable",
            "127.0.0.1:1",
        ),
        (
            LdapConfig { users: vec![search("ou=Nowhere,dc=example,dc=com", "(uid=*)")], ..good.clone() },
            "SourceBaseNotFound",
            "ou=Nowhere",
        ),
        (
            LdapConfig { users: vec![search("ou=People,dc=example,dc=com", "(uid=*")], ..good.clone() },
            "SourceFilterInvalid",
            "users[0].filter",
        ),
        (LdapConfig { tls: Tls::default(), ..good.clone() }, "SourcePlaintextRefused", "ldaps://"),
        (LdapConfig { tls: Tls { start_tls: true, ..Tls::default() }, ..good.clone() }, "SourceTlsFailed", "StartTLS"),
        (
            LdapConfig {
                tls: Tls { ca_bundle: Some("nothing".to_owned()), ..Tls::default() },
                urls: vec!["ldaps://127.0.0.1".to_owned()],
                ..good.clone()
            },
            "SourceInvalid",
            "tls.caBundle",
        ),
    ];
    for (config, reason, part) in cases {
        let error = error_of(config).await;
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("not the password"));
    }
    let read = LdapSource::new(good).unwrap().read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 200);
}

#[tokio::test]
async fn the_limits_of_the_server_leave_no_snapshot() {
    let options = SlapdOptions { reader_limits: "size=100".to_owned(), ..SlapdOptions::default() };
    let slapd = Slapd::start(&options, &Company::small()).await.unwrap();
    assert_eq!(error_of(config(&slapd)).await.reason(), "SourceLimitExceeded");
}

#[tokio::test]
async fn confirm_tells_why_a_person_is_no_longer_there() {
    let (slapd, company) = start().await;
    let active = |entry: &&_| {
        let person: &&directory_sync_tests::peers::company::Person = entry;
        !person.disabled && person.mail.is_some()
    };
    let mut people = company.people.iter().filter(active).skip(3).step_by(7);
    let [gone, moved, filtered, unaddressed, disabled, kept] = std::array::from_fn(|_| people.next().unwrap());

    let mut config = config(&slapd);
    config.users = vec![search("ou=People,dc=example,dc=com", "(&(objectClass=inetOrgPerson)(!(title=Left)))")];
    let source = LdapSource::new(config).unwrap();
    slapd.delete(&gone.dn()).await.unwrap();
    slapd
        .change(&format!(
            "dn: {}\nchangetype: modrdn\nnewrdn: uid={}\ndeleteoldrdn: 1\nnewsuperior: dc=example,dc=com\n",
            moved.dn(),
            moved.uid
        ))
        .await
        .unwrap();
    slapd.replace(&filtered.dn(), "title", &["Left"]).await.unwrap();
    slapd.replace(&unaddressed.dn(), "mail", &[]).await.unwrap();
    slapd.replace(&disabled.dn(), "employeeType", &["disabled"]).await.unwrap();

    let lookups: Vec<_> = [gone, moved, filtered, unaddressed, disabled, kept]
        .map(|person| Lookup::User { id: person.entry_uuid() })
        .to_vec();
    let findings = source.confirm(&lookups, &Referencer::default()).await;
    assert_eq!(
        findings,
        [
            Finding::Gone,
            Finding::MovedOutOfScope,
            Finding::NoLongerMatches,
            Finding::LostAddress,
            Finding::Disabled,
            Finding::StillThere { members: None },
        ]
    );
}

#[tokio::test]
async fn confirm_reads_the_members_of_a_group_again() {
    let (slapd, company) = start().await;
    let source = LdapSource::new(config(&slapd)).unwrap();
    let read = source.read_all().await.unwrap();
    let referencer = read.snapshot().referencer();
    let group = company.groups.iter().find(|group| group.members.len() > 2).unwrap();
    let fewer: Vec<&str> = group.members.iter().skip(1).map(String::as_str).collect();
    slapd.replace(&group.dn(), "member", &fewer).await.unwrap();

    let lookups = [Lookup::Group { id: group.entry_uuid() }, Lookup::Group { id: "no-such-id".to_owned() }];
    let findings = source.confirm(&lookups, referencer).await;
    let Finding::StillThere { members: Some(members) } = &findings[0] else { panic!("{findings:?}") };
    assert_eq!(members.len(), fewer.len());
    assert_eq!(findings[1], Finding::Gone);
}

#[tokio::test]
async fn who_cannot_see_cannot_say_that_somebody_is_gone() {
    let (slapd, company) = start().await;
    let lookups = [Lookup::User { id: company.people[0].entry_uuid() }];
    // Nothing is shown to the anonymous.
    let blind = LdapConfig { bind: Bind::Anonymous, ..config(&slapd) };
    let stopped = LdapConfig { urls: vec!["ldap://127.0.0.1:1".to_owned()], ..config(&slapd) };
    for config in [blind, stopped] {
        let findings = LdapSource::new(config).unwrap().confirm(&lookups, &Referencer::default()).await;
        assert!(matches!(findings[..], [Finding::Unreadable { .. }]), "{findings:?}");
    }
}
