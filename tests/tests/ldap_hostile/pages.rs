//! Pages that do not end, or end otherwise than they should.

use super::{config, error_of, error_of_search, ldap_mapping, reason_of_search};
use directory_sync_core::disposition::Classified;
use directory_sync_sources::ldap::{LdapConfig, LdapSource, Only, Search};
use directory_sync_tests::ldap_server::LdapServer;
use directory_sync_tests::ldap_server::messages;

#[tokio::test]
async fn a_server_that_ignores_the_page_size_is_read_up_to_the_cap() {
    let flood = |count: usize| {
        move |id: u8| {
            let people = (0..count).flat_map(|number| messages::person(id, &format!("p{number}")));
            people.chain(messages::done(id, 0, None)).collect::<Vec<_>>()
        }
    };
    assert_eq!(reason_of_search(flood(101)).await, "SourceLimitExceeded");

    let server = LdapServer::misbehave_once(move |mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        session.send(&flood(100)(id)).await?;
        session.wait().await
    })
    .await
    .unwrap();
    let read = LdapSource::new(config(&server)).unwrap().read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 100);
}

#[tokio::test]
async fn pages_without_end_meet_the_cap_on_entries() {
    let error = error_of(|mut session| async move {
        session.bind().await?;
        for page in 0_u32.. {
            let id = session.search().await?;
            session.send(&messages::person(id, &format!("p{page}"))).await?;
            session.send(&messages::person(id, &format!("q{page}"))).await?;
            session.send(&messages::done(id, 0, Some(&page.to_be_bytes()))).await?;
        }
        Ok(())
    })
    .await;
    assert_eq!(error.reason(), "ReadTooLarge", "{error}");
}

#[tokio::test]
async fn a_cookie_that_repeats_ends_the_read() {
    let error = error_of(|mut session| async move {
        session.bind().await?;
        loop {
            let id = session.search().await?;
            session.send(&messages::done(id, 0, Some(b"again"))).await?;
        }
    })
    .await;
    assert_eq!(error.reason(), "ReadRepeatsPages", "{error}");
}

#[tokio::test]
async fn a_last_page_that_does_not_say_that_it_is_the_last_is_no_end() {
    let error = error_of(|mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        session.send(&messages::done(id, 0, Some(b"more"))).await?;
        let id = session.search().await?;
        session.send(&messages::done(id, 0, None)).await?;
        session.wait().await
    })
    .await;
    assert_eq!(error.reason(), "ReadIncomplete", "{error}");
}

#[tokio::test]
async fn a_limit_of_the_server_is_an_incomplete_read() {
    for (code, limit) in [(3, "time limit"), (4, "size limit"), (11, "administrative limit")] {
        let error =
            error_of_search(move |id| [messages::person(id, "ada"), messages::done(id, code, Some(b""))].concat())
                .await;
        assert_eq!(error.reason(), "SourceLimitExceeded");
        assert!(error.to_string().contains(limit), "{error}");
    }
}

#[tokio::test]
async fn other_result_codes_are_errors_of_their_own() {
    for (code, reason) in
        [(32, "SourceBaseNotFound"), (50, "SourceAccessDenied"), (51, "SourceUnavailable"), (1, "SourceSearchRefused")]
    {
        assert_eq!(reason_of_search(move |id| messages::done(id, code, None)).await, reason);
    }
    let error = error_of_search(|id| messages::done(id, 32, None)).await;
    assert!(error.to_string().contains("ou=People,dc=example,dc=com"), "{error}");
}

#[tokio::test]
async fn one_cookie_for_all_pages_is_read_to_the_end_but_not_in_circles() {
    let server = LdapServer::misbehave_once(|mut session| async move {
        session.bind().await?;
        for (page, cookie) in [(0, b"7".as_slice()), (1, b"7"), (2, b"")] {
            let id = session.search().await?;
            session.send(&messages::person(id, &format!("p{page}"))).await?;
            session.send(&messages::done(id, 0, Some(cookie))).await?;
        }
        session.wait().await
    })
    .await
    .unwrap();
    let read = LdapSource::new(config(&server)).unwrap().read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 3);

    let error = error_of(|mut session| async move {
        session.bind().await?;
        loop {
            let id = session.search().await?;
            session.send(&messages::person(id, "always-the-same")).await?;
            session.send(&messages::done(id, 0, Some(b"7"))).await?;
        }
    })
    .await;
    assert_eq!(error.reason(), "ReadRepeatsPages", "{error}");
}

#[tokio::test]
async fn entries_that_come_twice_count_once_and_entries_after_the_end_are_refused() {
    let server = LdapServer::misbehave_once(|mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        session.send(&[messages::person(id, "ada"), messages::person(id, "ada")].concat()).await?;
        session.send(&messages::done(id, 0, Some(b""))).await?;
        session.wait().await
    })
    .await
    .unwrap();
    let read = LdapSource::new(config(&server)).unwrap().read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 1);
    let reason = reason_of_search(|id| messages::person(id.wrapping_add(1), "ada"));
    assert_eq!(reason.await, "SourceMalformedAnswer");
    let late = |id| [messages::done(id, 0, Some(b"more")), messages::person(id, "late")].concat();
    assert_eq!(reason_of_search(late).await, "SourceMalformedAnswer");
}

#[tokio::test]
async fn the_same_entries_page_after_page_meet_the_cap_on_what_a_read_takes() {
    let error = error_of(|mut session| async move {
        session.bind().await?;
        for page in 0_u32.. {
            let id = session.search().await?;
            for number in 0..50 {
                session.send(&messages::person(id, &format!("p{}", (page + number) % 100))).await?;
            }
            session.send(&messages::done(id, 0, Some(&page.to_be_bytes()))).await?;
        }
        Ok(())
    })
    .await;
    assert_eq!(error.reason(), "SourceLimitExceeded");
    assert!(error.to_string().contains("600 entries in one read"), "{error}");
}

#[tokio::test]
async fn groups_without_members_meet_the_cap_on_entries_when_people_are_chosen_by_groups() {
    let server = LdapServer::misbehave_once(|mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        session.send(&messages::group(id, "staff", "member", &["uid=ada,ou=People,dc=example,dc=com"], "1")).await?;
        session.send(&messages::done(id, 0, Some(b""))).await?;
        for page in 0_u32.. {
            let id = session.search().await?;
            for number in 0..10 {
                session.send(&messages::group(id, &format!("g{page}-{number}"), "member", &[], "1")).await?;
            }
            session.send(&messages::done(id, 0, Some(&page.to_be_bytes()))).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let groups = Search { base_dn: "ou=Groups,dc=example,dc=com".to_owned(), ..config(&server).users[0].clone() };
    let staff = "cn=staff,ou=Groups,dc=example,dc=com".to_owned();
    let config = LdapConfig {
        groups: vec![groups],
        group_mapping: Some(ldap_mapping::groups()),
        only: Only { groups: vec![staff], ..Only::default() },
        ..config(&server)
    };
    let error = LdapSource::new(config).unwrap().read_all().await.unwrap_err();
    assert_eq!(error.reason(), "ReadTooLarge", "{error}");
}
