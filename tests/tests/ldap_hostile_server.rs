//! What becomes of a read when the LDAP server misbehaves: an error that says why, never a snapshot, and the next
//! read is as good as any.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "not every test reads groups")]
mod ldap_mapping;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use directory_sync_core::disposition::Classified;
use directory_sync_core::read::ReadCaps;
use directory_sync_sources::ldap::{Bind, Caps, LdapConfig, LdapError, LdapSource, Scope, Search, Timeouts, Tls};
use directory_sync_tests::ldap_server::messages::{self, BIND_RESPONSE, EXTENDED_RESPONSE, SEARCH_DONE};
use directory_sync_tests::ldap_server::{LdapServer, Session};
use directory_sync_tests::peers::tls::CertificateAuthority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What to answer to the request with this message id.
type Answer = fn(u8) -> Vec<u8>;

fn config(server: &LdapServer) -> LdapConfig {
    let bind = Bind::Simple { username: "cn=reader".to_owned(), password: "of a test".into() };
    LdapConfig {
        tls: Tls { plaintext: true, ..Tls::default() },
        users: vec![Search {
            base_dn: "ou=People,dc=example,dc=com".to_owned(),
            scope: Scope::Subtree,
            filter: "(objectClass=*)".to_owned(),
        }],
        page_size: 2,
        timeouts: Timeouts { idle: Duration::from_millis(500), read: Duration::from_secs(20) },
        caps: Caps { page_entries: 100, read: ReadCaps { entries: 150, ..ReadCaps::default() }, ..Caps::default() },
        ..LdapConfig::new(vec![server.url()], bind, ldap_mapping::people())
    }
}

/// Reads from a server that misbehaves on the first connection, then again, which must succeed.
async fn error_of<F>(script: impl Fn(Session) -> F + Send + Sync + 'static) -> LdapError
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let server = LdapServer::misbehave_once(script).await.unwrap();
    let source = LdapSource::new(config(&server)).unwrap();
    let error = source.read_all().await.expect_err("a read that must fail");
    let again = source.read_all().await.expect("the next read");
    assert_eq!(again.snapshot().counts().users, 1);
    error
}

/// Reads from a server that answers the first search with these messages and then stays silent.
async fn error_of_search(answer: impl Fn(u8) -> Vec<u8> + Clone + Send + Sync + 'static) -> LdapError {
    error_of(move |mut session| {
        let answer = answer.clone();
        async move {
            session.bind().await?;
            let id = session.search().await?;
            session.send(&answer(id)).await?;
            session.wait().await
        }
    })
    .await
}

async fn reason_of_search(answer: impl Fn(u8) -> Vec<u8> + Clone + Send + Sync + 'static) -> &'static str {
    error_of_search(answer).await.reason()
}

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
async fn a_bind_that_is_refused_is_no_reason_to_try_again() {
    let error = error_of(|mut session| async move {
        let (id, _) = session.request().await?;
        session.send(&messages::result(id, BIND_RESPONSE, 49, "data 52e")).await?;
        session.wait().await
    })
    .await;
    assert_eq!(error.reason(), "SourceAuthFailed");
    assert_eq!(error.disposition(), directory_sync_core::Disposition::Stall);
    assert!(error.to_string().contains("data 52e") && !error.to_string().contains("of a test"), "{error}");
}

#[tokio::test]
async fn a_server_that_fails_at_the_bind_says_nothing_about_the_account() {
    for code in [1, 80] {
        let error = error_of(move |mut session| async move {
            let (id, _) = session.request().await?;
            session.send(&messages::result(id, BIND_RESPONSE, code, "")).await?;
            session.wait().await
        })
        .await;
        assert_eq!(error.reason(), "SourceUnavailable");
        assert_eq!(error.disposition(), directory_sync_core::Disposition::Retry);
    }
}

#[tokio::test]
async fn referrals_and_continuation_references_are_not_followed() {
    let elsewhere = "ldap://elsewhere.example.com/dc=x";
    let reference = |id: u8, url: &str| [messages::reference(id, url), messages::done(id, 0, Some(b""))].concat();
    for answer in [messages::referral as fn(u8, &str) -> Vec<u8>, reference] {
        let error = error_of_search(move |id| [messages::person(id, "ada"), answer(id, elsewhere)].concat()).await;
        assert_eq!(error.reason(), "SourceReferral");
        assert!(error.to_string().contains(elsewhere), "{error}");
    }
}

#[tokio::test]
async fn a_dropped_connection_is_an_incomplete_read() {
    for cut in [0, 1, 10] {
        let error = error_of(move |mut session| async move {
            session.bind().await?;
            let id = session.search().await?;
            let answer = messages::person(id, "ada");
            session.send(&answer[..answer.len() - cut]).await
        })
        .await;
        assert_eq!(error.reason(), "SourceReadIncomplete", "{error}");
    }
}

#[tokio::test]
async fn a_notice_of_disconnection_ends_the_read() {
    let reason = reason_of_search(|_| messages::result(0, EXTENDED_RESPONSE, 52, "shutting down"));
    assert_eq!(reason.await, "SourceReadIncomplete");
}

#[tokio::test]
async fn silence_and_a_drip_of_bytes_end_in_a_timeout() {
    assert_eq!(reason_of_search(|_| Vec::new()).await, "SourceTimedOut");
    let error = error_of(|mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        for byte in messages::person(id, "ada") {
            session.send(&[byte]).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        session.wait().await
    })
    .await;
    assert_eq!(error.reason(), "SourceTimedOut", "{error}");
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
async fn a_range_of_the_values_of_a_person_is_not_the_person() {
    let reason = reason_of_search(|id| messages::entry(id, b"uid=a", &[("entryUUID", b"1"), ("mail;range=0-1", b"x")]));
    assert_eq!(reason.await, "SourceReadIncomplete");
}

#[tokio::test]
async fn no_password_is_sent_without_encryption_unless_that_was_accepted() {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let server = LdapServer::misbehave_once(move |mut session| {
        let sender = sender.clone();
        async move { Ok(sender.send(session.everything().await?).await?) }
    })
    .await
    .unwrap();
    let mut receiver = receiver;
    let refused = LdapConfig { tls: Tls::default(), ..config(&server) };
    let error = LdapSource::new(refused).unwrap_err();
    assert_eq!(error.reason(), "SourcePlaintextRefused");
    assert!(tokio::time::timeout(Duration::from_millis(200), receiver.recv()).await.is_err(), "something was sent");
}

#[tokio::test]
async fn a_starttls_that_is_refused_or_answered_wrongly_sends_no_password() {
    let more_than_the_answer =
        |id| [messages::result(id, EXTENDED_RESPONSE, 0, ""), messages::result(1, BIND_RESPONSE, 0, "")].concat();
    let cases: [(Answer, &str); 4] = [
        (|id| messages::result(id, EXTENDED_RESPONSE, 53, "no TLS here"), "SourceTlsFailed"),
        (|id| messages::result(id, BIND_RESPONSE, 0, ""), "SourceMalformedAnswer"),
        (more_than_the_answer, "SourceMalformedAnswer"),
        (|_| b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "SourceMalformedAnswer"),
    ];
    for (answer, reason) in cases {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let server = LdapServer::misbehave_once(move |mut session| {
            let sender = sender.clone();
            async move {
                let (id, _) = session.request().await?;
                session.send(&answer(id)).await?;
                Ok(sender.send(session.everything().await.unwrap_or_default()).await?)
            }
        })
        .await
        .unwrap();
        let tls = Tls { start_tls: true, ..Tls::default() };
        let error = LdapSource::new(LdapConfig { tls, ..config(&server) }).unwrap().read_all().await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        let sent = receiver.recv().await.unwrap();
        assert!(!sent.windows(9).any(|window| window == b"of a test"), "the password was sent");
    }
}

#[tokio::test]
async fn the_next_url_is_tried_when_a_server_cannot_be_used_but_not_after_a_wrong_password() {
    let busy = LdapServer::misbehave_once(|mut session| async move {
        let (id, _) = session.request().await?;
        session.send(&messages::result(id, BIND_RESPONSE, 51, "busy")).await
    })
    .await
    .unwrap();
    let refusing = LdapServer::misbehave_once(|mut session| async move {
        let (id, _) = session.request().await?;
        session.send(&messages::result(id, BIND_RESPONSE, 49, "")).await
    })
    .await
    .unwrap();
    let urls = vec!["ldap://127.0.0.1:1".to_owned(), busy.url(), refusing.url(), "ldap://127.0.0.1:1".to_owned()];
    let source = LdapSource::new(LdapConfig { urls, ..config(&busy) }).unwrap();
    assert_eq!(source.read_all().await.unwrap_err().reason(), "SourceAuthFailed");
    // Now the second server answers, so the third is not asked.
    assert_eq!(source.read_all().await.unwrap().snapshot().counts().users, 1);
}

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
async fn referrals_lead_to_allowed_hosts_only() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let other = LdapServer::misbehave_once(move |mut session| {
        let sender = sender.clone();
        async move {
            sender.send(()).await?;
            session.bind().await?;
            let id = session.search().await?;
            session.send(&messages::person(id, "elsewhere")).await?;
            session.send(&messages::done(id, 0, Some(b""))).await?;
            session.wait().await
        }
    })
    .await
    .unwrap();
    let url = format!("{}/ou=Elsewhere,dc=example,dc=com", other.url());
    let refer = |url: String| {
        LdapServer::misbehave_once(move |mut session| {
            let url = url.clone();
            async move {
                session.bind().await?;
                let id = session.search().await?;
                session.send(&messages::person(id, "here")).await?;
                session.send(&messages::reference(id, &url)).await?;
                session.send(&messages::done(id, 0, Some(b""))).await?;
                session.wait().await
            }
        })
    };
    let server = refer(url.clone()).await.unwrap();
    let hosts = vec!["another.example.com".to_owned()];
    let error = LdapSource::new(LdapConfig { referral_hosts: hosts, ..config(&server) }).unwrap().read_all().await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains(&url) && error.to_string().contains("followReferrals.hosts"), "{error}");
    assert!(receiver.try_recv().is_err(), "a host that is not allowed was spoken to");

    let server = refer(url).await.unwrap();
    let hosts = vec!["127.0.0.1".to_owned()];
    let source = LdapSource::new(LdapConfig { referral_hosts: hosts, ..config(&server) }).unwrap();
    assert_eq!(source.read_all().await.unwrap().snapshot().counts().users, 2);
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

/// A name server that answers every question with one SRV record, and the source that asks it.
async fn of_domain(target: &'static [&'static str]) -> LdapError {
    let socket = tokio::net::UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let name_servers = vec![socket.local_addr().unwrap()];
    let answering = tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            // The name ends with an empty label, then come type and class.
            let end = 12 + question[12..length].iter().position(|&byte| byte == 0).unwrap() + 5;
            let mut name: Vec<u8> = Vec::new();
            for label in target {
                name.push(u8::try_from(label.len()).unwrap());
                name.extend(label.bytes());
            }
            name.push(0);
            // Priority, weight and port 389, then the name.
            let data = [&[0, 0, 0, 0, 0x01, 0x85], name.as_slice()].concat();
            let header = [question[0], question[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
            // A pointer to the name asked for, type SRV, class IN, no time to live.
            let record = [0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 0, 0, u8::try_from(data.len()).unwrap()];
            let answer = [&header, &question[12..end], &record, data.as_slice()].concat();
            let _ = socket.send_to(&answer, from).await;
        }
    });
    let server = LdapServer::misbehave_once(|mut session| async move { session.wait().await }).await.unwrap();
    let domain = Some("ad.example.test".to_owned());
    let config = LdapConfig { urls: Vec::new(), domain, name_servers, ..config(&server) };
    let error = LdapSource::new(config).unwrap().read_all().await.unwrap_err();
    answering.abort();
    error
}

#[tokio::test]
async fn the_servers_of_a_domain_come_from_its_records_and_lie_within_it() {
    let error = of_domain(&["DC1", "ad", "example", "test"]).await.to_string();
    assert!(error.contains("ldap://dc1.ad.example.test:389"), "{error}");
    let error = of_domain(&["dc1", "elsewhere", "test"]).await;
    assert_eq!(error.reason(), "SourceDomainLeadsAway");
    assert!(error.to_string().contains("dc1.elsewhere.test"), "{error}");
}

#[tokio::test]
async fn an_encrypted_connection_that_is_cut_off_is_an_incomplete_read() {
    let authority = CertificateAuthority::new("the authority of the directory").unwrap();
    let certificate = authority.server_certificate(&["127.0.0.1"]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            CertificateDer::pem_slice_iter(certificate.certificate_pem.as_bytes()).map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ldaps://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(socket).await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(&messages::result(1, BIND_RESPONSE, 0, "")).await.unwrap();
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(&messages::person(2, "ada")).await.unwrap();
        stream.flush().await.unwrap();
        // Half closed below TLS, which was not told: whoever is on the way can do that.
        stream.get_mut().0.shutdown().await.unwrap();
        std::future::pending::<()>().await;
    });
    let plain = LdapServer::misbehave_once(|mut session| async move { session.wait().await }).await.unwrap();
    let tls = Tls { ca_bundle: Some(authority.certificate_pem().to_owned()), ..Tls::default() };
    let config = LdapConfig { urls: vec![url], tls, ..config(&plain) };
    let error = LdapSource::new(config).unwrap().read_all().await.unwrap_err();
    assert_eq!(error.reason(), "SourceReadIncomplete", "{error}");
}
