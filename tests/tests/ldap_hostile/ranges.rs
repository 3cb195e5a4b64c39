//! Attributes of which a server sends only a range of the values.

use super::{config, ldap_mapping};
use directory_sync_core::capabilities::Field;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::snapshot::Referencer;
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{LdapConfig, LdapSource, Search};
use directory_sync_tests::ldap_server::LdapServer;
use directory_sync_tests::ldap_server::messages;

/// What a server answers to the requests for the members of one group, one after the other: attribute, members, version.
type Ranges = &'static [(&'static str, &'static [&'static str], &'static str)];

const P0: &str = "uid=p0,ou=People,dc=example,dc=com";
const P1: &str = "uid=p1,ou=People,dc=example,dc=com";
const P2: &str = "uid=p2,ou=People,dc=example,dc=com";

/// Reads three people and one group of which the server gives out the members in ranges: how many members it has, and
/// whether they are unknown.
async fn members_in_ranges(ranges: Ranges) -> (usize, bool) {
    let server = LdapServer::misbehave_once(move |mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        for uid in ["p0", "p1", "p2"] {
            session.send(&messages::person(id, uid)).await?;
        }
        session.send(&messages::done(id, 0, Some(b""))).await?;
        let id = session.search().await?;
        session.send(&messages::group(id, "staff", "member;range=0-1", &[P0, P1], "1")).await?;
        session.send(&messages::done(id, 0, Some(b""))).await?;
        for (attribute, members, version) in ranges {
            let id = session.search().await?;
            session.send(&messages::group(id, "staff", attribute, members, version)).await?;
            session.send(&messages::done(id, 0, None)).await?;
        }
        while let Ok(id) = session.search().await {
            session.send(&messages::done(id, 80, None)).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let groups = Search { base_dn: "ou=Groups,dc=example,dc=com".to_owned(), ..config(&server).users[0].clone() };
    let config = LdapConfig { groups: vec![groups], group_mapping: Some(ldap_mapping::groups()), ..config(&server) };
    let read = LdapSource::new(config).unwrap().read_all().await.unwrap();
    let group = read.snapshot().group(0);
    (group.members().len(), group.members_unknown())
}

#[tokio::test]
async fn members_are_read_range_by_range_to_the_last() {
    let whole: Ranges = &[("member;range=0-1", &[P0, P1], "1"), ("member;range=2-*", &[P2], "1")];
    assert_eq!(members_in_ranges(whole).await, (3, false));
    let changed_once: Ranges =
        &[("member;range=0-1", &[P0, P1], "1"), ("member;range=2-*", &[], "2"), ("member;range=0-*", &[P0, P2], "2")];
    assert_eq!(members_in_ranges(changed_once).await, (2, false), "it is read again from the start");
}

#[tokio::test]
async fn a_range_that_fails_or_shrinks_in_between_leaves_the_members_unknown() {
    let cases: [Ranges; 5] = [
        // The next range is refused, is another than was asked for, does not come, or holds fewer than it says.
        &[("member;range=0-1", &[P0, P1], "1")],
        &[("member;range=0-1", &[P0, P1], "1"), ("member;range=3-*", &[P2], "1")],
        &[("member;range=0-1", &[P0, P1], "1"), ("member", &[], "1")],
        &[("member;range=0-2", &[P0, P1], "1")],
        // The group is another each time.
        &[
            ("member;range=0-1", &[P0, P1], "1"),
            ("member;range=2-*", &[], "2"),
            ("member;range=0-1", &[P0, P1], "3"),
            ("member;range=2-*", &[], "4"),
        ],
    ];
    for ranges in cases {
        assert!(members_in_ranges(ranges).await.1, "{ranges:?}");
    }
}

/// A person of whose addresses only a range comes, and another one.
async fn with_a_range_of_addresses() -> LdapServer {
    LdapServer::script(|_, mut session| async move {
        session.bind().await?;
        while let Ok(id) = session.search().await {
            let attributes: &[(&str, &[u8])] = &[("entryUUID", b"1"), ("mail;range=0-1", b"a@example.com")];
            session.send(&messages::entry(id, b"uid=a,ou=People,dc=example,dc=com", attributes)).await?;
            session.send(&messages::person(id, "ada")).await?;
            session.send(&messages::done(id, 0, Some(b""))).await?;
        }
        Ok(())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn an_attribute_of_a_person_of_which_only_a_range_came_is_unknown_and_the_others_are_read() {
    let server = with_a_range_of_addresses().await;
    let read = LdapSource::new(config(&server)).unwrap().read_all().await.unwrap();
    let unknown: Vec<bool> = read.snapshot().users().map(|user| user.unknown().contains(Field::Email)).collect();
    assert_eq!(unknown, [true, false]);
}

#[tokio::test]
async fn whose_address_came_in_part_cannot_be_confirmed_to_have_lost_it() {
    let server = LdapServer::script(|_, mut session| async move {
        session.bind().await?;
        while let Ok(id) = session.search().await {
            let attributes: &[(&str, &[u8])] = &[("entryUUID", b"1"), ("mail;range=0-1", b"a@example.com")];
            session.send(&messages::entry(id, b"uid=a,ou=People,dc=example,dc=com", attributes)).await?;
            session.send(&messages::done(id, 0, Some(b""))).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let source = LdapSource::new(config(&server)).unwrap();
    let findings = source.confirm(&[Lookup::User { id: "1".to_owned() }], &Referencer::default()).await;
    assert!(matches!(&findings[..], [Finding::Unreadable { .. }]), "{findings:?}");
}
