//! How much memory a read takes when the server sends as much as it can. Alone in its process, because the memory of a
//! process is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "groups are not read here")]
mod ldap_mapping;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use directory_sync_core::disposition::Classified;
use directory_sync_sources::ldap::{Bind, Caps, LdapConfig, LdapSource, Scope, Search, Timeouts, Tls};
use directory_sync_tests::ldap_server::LdapServer;
use directory_sync_tests::ldap_server::messages::{self, SEARCH_DONE, SEARCH_ENTRY, value};

const MIB: usize = 1 << 20;

/// A field of `/proc/self/status`, in bytes.
fn status(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let kibibytes: usize = line.split_whitespace().next().unwrap().parse().unwrap();
    kibibytes * 1024
}

/// Reads from a server that answers the first search with this message so many times. Gives the reason of the error, and
/// by how many bytes the process grew meanwhile at most.
async fn flooded_by(message: impl Fn(u8) -> Vec<u8>, times: usize, caps: Caps) -> (&'static str, usize) {
    // The bind has the message id before.
    const SEARCH: u8 = 2;
    let message = Arc::new(message(SEARCH));
    let server = LdapServer::script(move |_, mut session| {
        let message = Arc::clone(&message);
        async move {
            session.bind().await?;
            let id = session.search().await?;
            for _ in 0..times {
                session.send(&message).await?;
            }
            session.send(&messages::done(id, 0, Some(b"more"))).await?;
            session.wait().await
        }
    })
    .await
    .unwrap();
    let bind = Bind::Simple { username: "cn=reader".to_owned(), password: "of a test".into() };
    let config = LdapConfig {
        tls: Tls { plaintext: true, ..Tls::default() },
        users: vec![Search {
            base_dn: "ou=People,dc=example,dc=com".to_owned(),
            scope: Scope::Subtree,
            filter: "(objectClass=*)".to_owned(),
        }],
        timeouts: Timeouts { idle: Duration::from_secs(30), read: Duration::from_secs(600) },
        caps,
        ..LdapConfig::new(vec![server.url()], bind, ldap_mapping::people())
    };
    let source = LdapSource::new(config).unwrap();
    // From here on, the high-water mark counts anew (proc(5)).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    let error = source.read_all().await.expect_err("a read that must fail");
    (error.reason(), status("VmHWM:").saturating_sub(before))
}

#[tokio::test]
async fn memory_stays_within_the_caps_whatever_a_server_sends() {
    let entry = |id: u8, attribute: &[u8], values: &[u8]| {
        let attribute = value(0x30, &[&value(4, &[attribute]), &value(0x31, &[values])]);
        let name = value(4, &[b"uid=a,ou=People,dc=example,dc=com"]);
        messages::message(id, &value(SEARCH_ENTRY, &[&name, &value(0x30, &[&attribute])]), &[])
    };
    let caps = Caps { message_bytes: 32 * MIB, page_entries: 200_000, ..Caps::default() };

    // As many values as fit into a message; and as many that are not asked for.
    let empty_values = [4, 0].repeat(15 * MIB);
    let (reason, grown) = flooded_by(|id| entry(id, b"mail", &empty_values), 1, caps).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 3 * caps.message_bytes, "{} MiB for values", grown / MIB);
    let unwanted = Caps { total_bytes: 100 << 20, ..caps };
    let (reason, grown) = flooded_by(|id| entry(id, b"photo", &empty_values), 4, unwanted).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 3 * caps.message_bytes, "{} MiB for values that nobody wanted", grown / MIB);
    drop(empty_values);

    // One person again and again.
    let (reason, grown) = flooded_by(|id| messages::person(id, "ada"), 200_001, caps).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 8 * MIB, "{} MiB for one person", grown / MIB);

    // References: half a gigabyte of them.
    let url = format!("ldap://elsewhere.example.com/{}", "x".repeat(8000));
    let flood = Caps { page_bytes: 512 * MIB, ..caps };
    let (reason, grown) = flooded_by(|id| messages::reference(id, &url), 80_000, flood).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 8 * MIB, "{} MiB for references", grown / MIB);

    // A result of which the library would make a tree.
    let parts = value(0xa9, &[&[4, 0].repeat(10 * MIB)]);
    let result = |id| messages::message(id, &value(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 0], &parts]), &[]);
    let (reason, grown) = flooded_by(result, 1, caps).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 2 * caps.message_bytes, "{} MiB for a result", grown / MIB);

    // Long values that nobody wants.
    let long = "n".repeat(60_000);
    let few = Caps { total_bytes: 256 << 20, ..caps };
    let attributes = |id| messages::entry(id, b"uid=b", &[("entryUUID", b"1"), ("description", long.as_bytes())]);
    let (reason, grown) = flooded_by(attributes, 10_000, few).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 8 * MIB, "{} MiB for what nobody wanted", grown / MIB);
}
