//! Messages that are no LDAP, or too much of it.

use super::{config, error_of, error_of_search, reason_of_search};
use directory_sync_core::disposition::Classified;
use directory_sync_sources::ldap::LdapSource;
use directory_sync_tests::ldap_server::LdapServer;
use directory_sync_tests::ldap_server::messages::{self, BIND_RESPONSE, SEARCH_DONE};

#[tokio::test]
async fn deep_nesting_before_the_bind_is_refused() {
    let error = error_of(|mut session| async move {
        session.send(&messages::nested(20_000)).await?;
        session.wait().await
    })
    .await;
    assert_eq!(error.reason(), "SourceLimitExceeded", "{error}");
}

#[tokio::test]
async fn deep_nesting_in_a_control_value_is_refused() {
    let reason = reason_of_search(|id| {
        let controls = messages::paged_control(&messages::nested(20_000));
        messages::message(id, &messages::value(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 0]]), &controls)
    });
    assert_eq!(reason.await, "SourceMalformedAnswer");
}

#[tokio::test]
async fn messages_that_would_break_the_library_are_refused() {
    let operations: [&'static [u8]; 5] = [
        &[0x30, 0],
        &[0x30, 3, 2, 1, 1],
        &[0x30, 5, 2, 1, 1, 0x7e, 0],
        &[0x30, 5, 2, 1, 1, BIND_RESPONSE, 0],
        &[0x30, 14, 2, 1, 1, BIND_RESPONSE, 7, 10, 1, 0, 4, 0, 4, 0, 0x80, 0],
    ];
    for bytes in operations {
        let error = error_of(move |mut session| async move {
            session.request().await?;
            session.send(bytes).await?;
            session.wait().await
        })
        .await;
        assert_eq!(error.reason(), "SourceMalformedAnswer", "{bytes:?}: {error}");
    }
}

#[tokio::test]
async fn a_giant_message_is_refused_when_its_length_is_announced() {
    let reason = reason_of_search(|_| vec![0x30, 0x84, 0x19, 0, 0, 0]);
    assert_eq!(reason.await, "SourceLimitExceeded");
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_refused_and_such_a_value_is_counted() {
    let reason = reason_of_search(|id| messages::entry(id, b"uid=\xff,dc=x", &[("entryUUID", b"1")]));
    assert_eq!(reason.await, "SourceMalformedAnswer");

    let server = LdapServer::misbehave_once(|mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        session.send(&messages::entry(id, b"uid=a,dc=x", &[("entryUUID", b"1"), ("mail", b"\xff\xfe")])).await?;
        session.send(&messages::done(id, 0, Some(b""))).await?;
        session.wait().await
    })
    .await
    .unwrap();
    let read = LdapSource::new(config(&server)).unwrap().read_all().await.unwrap();
    assert_eq!(read.snapshot().counts().users, 1);
    assert_eq!(read.snapshot().skipped().malformed_values, 1);
}

#[tokio::test]
async fn a_message_that_the_library_would_make_a_large_tree_of_is_refused() {
    let long_text = |id| messages::result(id, SEARCH_DONE, 0, &"x".repeat(1 << 20));
    let many_controls = |id| {
        let control = messages::value(0x30, &[&messages::value(4, &[b"1.2.3"])]);
        let controls = messages::value(0xa0, &[&control.repeat(100)]);
        messages::message(id, &messages::value(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 0]]), &controls)
    };
    let many_values = |id| {
        let part = messages::value(0xa9, &[&[4, 0].repeat(20_000)]);
        messages::message(id, &messages::value(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 0], &part]), &[])
    };
    for answer in [long_text as fn(u8) -> Vec<u8>, many_controls, many_values] {
        let error = error_of_search(answer).await;
        assert_eq!(error.reason(), "SourceLimitExceeded", "{error}");
    }
}
