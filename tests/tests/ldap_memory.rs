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

/// What a server sends in answer to a search. It is sent in small parts, because the server shares this process, whose
/// memory is measured.
struct Flood {
    head: Vec<u8>,
    /// Follows the head so many times.
    part: Vec<u8>,
    parts: usize,
    /// How often all of this is sent.
    times: usize,
}

/// The message id of the first search; the bind has the one before.
const SEARCH: u8 = 2;

impl Flood {
    /// Whole messages, one after the other.
    fn of(message: &[u8], times: usize) -> Self {
        const AT_ONCE: usize = 64;
        Self { head: Vec::new(), part: message.repeat(AT_ONCE), parts: times.div_ceil(AT_ONCE), times: 1 }
    }

    /// Messages that hold as many empty values as fit into so many bytes: `around` are the tags of what is around these,
    /// from the outside to the inside, each with what comes before the next one.
    fn of_empty_values(around: &[(u8, Vec<u8>)], bytes: usize, times: usize) -> Self {
        let part = [4, 0].repeat(32 * 1024);
        let parts = bytes / part.len();
        let mut head: Vec<u8> = Vec::new();
        for (tag, before) in around.iter().rev() {
            let length = u32::try_from(before.len() + head.len() + parts * part.len()).unwrap();
            head = [&[*tag, 0x84], &length.to_be_bytes()[..], before, &head].concat();
        }
        Self { head, part, parts, times }
    }
}

/// Reads from a server that answers the first search like this. Gives the reason of the error, and by how many bytes the
/// process grew meanwhile at most.
async fn flooded_by(flood: Flood, caps: Caps) -> (&'static str, usize) {
    let flood = Arc::new(flood);
    let server = LdapServer::script(move |_, mut session| {
        let flood = Arc::clone(&flood);
        async move {
            session.bind().await?;
            session.search().await?;
            for _ in 0..flood.times {
                session.send(&flood.head).await?;
                for _ in 0..flood.parts {
                    session.send(&flood.part).await?;
                }
            }
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
    let caps = Caps { message_bytes: 32 * MIB, page_entries: 50_000, ..Caps::default() };
    let entry_with = |attribute: &[u8]| {
        let name = value(4, &[b"uid=a,ou=People,dc=example,dc=com"]);
        vec![
            (0x30, vec![2, 1, SEARCH]),
            (SEARCH_ENTRY, name),
            (0x30, Vec::new()),
            (0x30, value(4, &[attribute])),
            (0x31, Vec::new()),
        ]
    };

    // As many values as fit into a message; and as many that are not asked for, message after message.
    let flood = Flood::of_empty_values(&entry_with(b"mail"), 30 * MIB, 1);
    let (reason, grown) = flooded_by(flood, caps).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 3 * caps.message_bytes, "{} MiB for values", grown / MIB);
    let flood = Flood::of_empty_values(&entry_with(b"photo"), 30 * MIB, 4);
    let (reason, grown) = flooded_by(flood, Caps { total_bytes: 100 << 20, ..caps }).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 3 * caps.message_bytes, "{} MiB for values that nobody wanted", grown / MIB);

    // One person again and again.
    let (reason, grown) = flooded_by(Flood::of(&messages::person(SEARCH, "ada"), 51_000), caps).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 8 * MIB, "{} MiB for one person", grown / MIB);

    // References without end, of the longest URLs.
    let url = format!("ldap://elsewhere.example.com/{}", "x".repeat(8000));
    let flood = Flood::of(&messages::reference(SEARCH, &url), 40_000);
    let (reason, grown) = flooded_by(flood, Caps { page_bytes: 256 * MIB, ..caps }).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 16 * MIB, "{} MiB for references", grown / MIB);

    // A result of which the library would make a tree.
    let around = [(0x30, vec![2, 1, SEARCH]), (SEARCH_DONE, vec![10, 1, 0, 4, 0, 4, 0]), (0xa9, Vec::new())];
    let (reason, grown) = flooded_by(Flood::of_empty_values(&around, 20 * MIB, 1), caps).await;
    assert_eq!(reason, "SourceLimitExceeded");
    assert!(grown < 2 * caps.message_bytes, "{} MiB for a result", grown / MIB);
}
