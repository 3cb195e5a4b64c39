//! What becomes of a read when the LDAP server misbehaves: an error that says why, never a snapshot, and the next
//! read is as good as any.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod connections;
#[path = "../ldap_mapping/mod.rs"]
mod ldap_mapping;
mod messages;
mod pages;
mod ranges;
mod referrals;
mod servers;

use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use directory_sync_core::disposition::Classified;
use directory_sync_core::read::ReadCaps;
use directory_sync_sources::ldap::{Bind, Caps, LdapConfig, LdapError, LdapSource, Scope, Search, Timeouts, Tls};
use directory_sync_tests::ldap_server::{LdapServer, Session};

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
        timeouts: Timeouts { idle: Duration::from_secs(5), read: Duration::from_secs(60) },
        caps: Caps {
            page_entries: 100,
            total_entries: 600,
            read: ReadCaps { entries: 150, ..ReadCaps::default() },
            ..Caps::default()
        },
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
