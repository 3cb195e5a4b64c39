//! Reading and looking up in a real 389 Directory Server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ldap_schema;

use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::snapshot::{Snapshot, User};
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{Bind, LdapConfig, LdapSource, Only};
use directory_sync_tests::peers::company::{Company, Person};
use directory_sync_tests::peers::directory_389::{CONFIG_DN, Directory389, FREEIPA_DN, READER_DN};
use directory_sync_tests::peers::slapd::BASE_DN;
use serde_json::json;

fn bind(server: &Directory389) -> Bind {
    Bind::Simple { username: READER_DN.to_owned(), password: server.reader_password().clone() }
}

fn config(server: &Directory389) -> LdapConfig {
    ldap_schema::config(server.url(), bind(server), BASE_DN, &json!({ "schema": "389DirectoryServer" }))
}

fn freeipa(server: &Directory389) -> LdapConfig {
    ldap_schema::config(server.url(), bind(server), FREEIPA_DN, &json!({ "schema": "FreeIPA" }))
}

fn person<'s>(snapshot: &'s Snapshot, address: &str) -> User<'s> {
    snapshot.users().find(|user| user.address() == address).unwrap_or_else(|| panic!("{address} is missing"))
}

fn lookup(snapshot: &Snapshot, address: &str) -> Lookup {
    Lookup::User { id: person(snapshot, address).id().to_owned() }
}

#[tokio::test]
async fn all_pages_have_one_cookie_and_are_read_to_the_end() {
    let company = Company::small();
    let server = Directory389::start(&company).await.unwrap();
    let read = LdapSource::new(config(&server)).unwrap().read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 200);
    assert_eq!(read.snapshot().counts().groups, company.groups.len() as u64);
    assert!(read.snapshot().users().all(User::active));
}

#[tokio::test]
async fn each_limit_of_the_server_is_told() {
    let server = Directory389::start(&Company::small()).await.unwrap();
    let error = async |page_size| {
        let source = LdapSource::new(LdapConfig { page_size, ..config(&server) }).unwrap();
        source.read_all().await.map(drop).map_err(|error| (error.reason(), error.to_string()))
    };
    // Of one page, which smaller pages do not meet.
    server.replace(READER_DN, "nsSizeLimit", &["50"]).await.unwrap();
    let (reason, sentence) = error(60).await.unwrap_err();
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(sentence.contains("at its size limit; raise that limit for the account, or lower pageSize"), "{sentence}");
    assert_eq!(error(20).await, Ok(()));
    server.replace(READER_DN, "nsPagedSizeLimit", &["70"]).await.unwrap();
    assert_eq!(error(60).await, Ok(()));
    assert_eq!(error(100).await.unwrap_err().0, "SourceLimitExceeded");
    // Of the candidates of a search, between two pages.
    server.replace(READER_DN, "nsSizeLimit", &[]).await.unwrap();
    server.replace(READER_DN, "nsPagedSizeLimit", &[]).await.unwrap();
    server.replace(READER_DN, "nsLookThroughLimit", &["30"]).await.unwrap();
    let (reason, sentence) = error(20).await.unwrap_err();
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(sentence.contains("administrative limit"), "{sentence}");
    server.replace(READER_DN, "nsLookThroughLimit", &[]).await.unwrap();
    // No pages at all.
    server.replace(CONFIG_DN, "nsslapd-maxsimplepaged-per-conn", &["0"]).await.unwrap();
    let (reason, sentence) = error(20).await.unwrap_err();
    assert_eq!(reason, "SourceSearchRefused");
    assert!(sentence.contains("unwillingToPerform"), "{sentence}");
}

#[tokio::test]
async fn confirm_tells_why_a_person_is_no_longer_there() {
    let company = Company::small();
    let server = Directory389::start(&company).await.unwrap();
    let mut config = config(&server);
    config.users[0].base_dn = format!("ou=People,{BASE_DN}");
    config.users[0].filter = "(&(objectClass=inetOrgPerson)(!(title=Left)))".to_owned();
    let source = LdapSource::new(config).unwrap();
    let read = source.read_all().await.unwrap();
    let mut people = company.people.iter().filter(|person| person.mail.is_some()).skip(3).step_by(7);
    let chosen: [&Person; 6] = std::array::from_fn(|_| people.next().unwrap());
    let lookups = chosen.map(|person| lookup(read.snapshot(), person.mail.as_deref().unwrap()));
    let [gone, moved, filtered, unaddressed, locked, _] = chosen;

    server.delete(&gone.dn()).await.unwrap();
    let moving = format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: uid={}\ndeleteoldrdn: 1\nnewsuperior: {BASE_DN}\n",
        moved.dn(),
        moved.uid
    );
    server.change(&moving).await.unwrap();
    server.replace(&filtered.dn(), "title", &["Left"]).await.unwrap();
    server.replace(&unaddressed.dn(), "mail", &[]).await.unwrap();
    server.replace(&locked.dn(), "nsAccountLock", &["TRUE"]).await.unwrap();

    let findings = source.confirm(&lookups, read.snapshot().referencer()).await;
    let expected = [
        Finding::Gone,
        Finding::MovedOutOfScope,
        Finding::NoLongerMatches,
        Finding::LostAddress,
        Finding::Disabled,
        Finding::StillThere { members: None },
    ];
    assert_eq!(findings, expected);
}

#[tokio::test]
async fn freeipa_keeps_its_own_identities_and_locks() {
    let server = Directory389::start(&Company::small()).await.unwrap();
    server.add_freeipa_accounts().await.unwrap();
    let source = LdapSource::new(freeipa(&server)).unwrap();
    let read = source.read_all().await.unwrap();
    let alice = person(read.snapshot(), "alice@example.com");
    assert_eq!((alice.id(), alice.active()), ("7d3f6b52-0c1e-11ef-8a44-001a4a160001", true));
    assert_eq!(read.snapshot().users().filter(|user| !user.active()).count(), 1);
    assert!(read.snapshot().groups().any(|group| !group.members().is_empty()));

    // Of two addresses, the first in the alphabet is the primary one.
    let people = ["alice@example.com", "bob@example.com", "c.cook@example.com"];
    let lookups = people.map(|address| lookup(read.snapshot(), address));
    server.delete(&format!("uid=carol,cn=users,{FREEIPA_DN}")).await.unwrap();
    let findings = source.confirm(&lookups, read.snapshot().referencer()).await;
    assert_eq!(findings, [Finding::StillThere { members: None }, Finding::Disabled, Finding::Gone]);
}

#[tokio::test]
async fn a_group_that_is_hidden_or_hides_its_members_chooses_nobody_and_fails_the_read() {
    let server = Directory389::start(&Company::small()).await.unwrap();
    server.add_freeipa_accounts().await.unwrap();
    let of_staff = |groups: bool| {
        let config = freeipa(&server);
        LdapConfig {
            groups: if groups { config.groups.clone() } else { Vec::new() },
            only: Only { groups: vec![format!("cn=staff,cn=groups,{FREEIPA_DN}")], ..Only::default() },
            ..config
        }
    };
    let everybody = LdapSource::new(of_staff(true)).unwrap().read_all().await.unwrap().snapshot().counts().users;
    let alone = LdapSource::new(of_staff(false)).unwrap().read_all().await.unwrap().snapshot().counts().users;
    assert!(everybody > 0 && alone == everybody, "a nested group is followed wherever it is: {alone}, {everybody}");

    let editors = format!("cn=editors,cn=groups,{FREEIPA_DN}");
    let deny = |target: &str| {
        format!(
            "({target})(version 3.0; acl \"Hidden\"; deny (read, search, compare) userdn = \"ldap:///{READER_DN}\";)"
        )
    };
    for target in ["targetattr = \"member\"", "targetattr = \"*\""] {
        server.replace(&editors, "aci", &[&deny(target)]).await.unwrap();
        for groups in [true, false] {
            let error = LdapSource::new(of_staff(groups)).unwrap().read_all().await.unwrap_err();
            assert_eq!(error.reason(), "SourceGroupUnreadable", "{target}: {error}");
        }
    }
}
