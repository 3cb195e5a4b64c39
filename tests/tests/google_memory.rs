//! How much memory Google's answers can take. Alone in its process, because the peak of the process is what is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "google/mod.rs"]
mod google;

use directory_sync_core::disposition::Classified;
use directory_sync_core::read::ReadCaps;
use directory_sync_sources::google::GoogleConfig;
use directory_sync_tests::google_directory::{Fault, GoogleDirectory, Tenant};
use google::{config, read};
use serde_json::json;

/// Peak of the process so far, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

async fn directory() -> GoogleDirectory {
    let mut tenant = Tenant::with_administrator();
    for n in 0..20 {
        tenant.group(&format!("g{n}@example.com"));
    }
    GoogleDirectory::start(tenant).await.unwrap()
}

#[tokio::test]
async fn no_answer_takes_much_more_memory_than_its_text() {
    // The texts that grow most when they are decoded: thirty megabytes would become gigabytes.
    let before = peak();
    for (element, field) in [(r#"{"a":0}"#, "addresses"), ("0", "addresses"), (r#""""#, "aliases"), ("[]", "phones")] {
        let directory = directory().await;
        let mut page = format!(r#"{{"kind":"admin#directory#users","users":[{{"id":"1","{field}":["#).into_bytes();
        while page.len() < 30 << 20 {
            page.extend_from_slice(element.as_bytes());
            page.push(b',');
        }
        page.extend_from_slice(format!("{element}]}}]}}").as_bytes());
        directory.fail(move |request| {
            request.path.ends_with("/users").then(|| Fault::Body(200, "application/json", page.clone()))
        });
        let error = read(&config(&directory)).await.unwrap_err();
        assert_eq!(error.reason(), "SourceMalformedAnswer", "{error}");
        assert!(error.to_string().contains("too large"), "{error}");
    }
    // The stand-in itself holds the text several times.
    let after = peak();
    assert!(after - before < 256, "{before} MiB became {after} MiB");

    // Members without an end in many groups at once, of which the cap is for all together.
    let directory = directory().await;
    directory.fail(|request| {
        let group = request.path.strip_suffix("/members")?;
        let member = |n: usize| json!({ "id": format!("{group}-{}-{n}", request.before), "type": "USER" });
        let members: Vec<_> = (0..200).map(member).collect();
        let next = format!("{}", request.before + 1);
        Some(Fault::Json(200, json!({ "kind": "admin#directory#members", "members": members, "nextPageToken": next })))
    });
    let caps = ReadCaps { memberships: 20_000, ..ReadCaps::default() };
    let error = read(&GoogleConfig { caps, ..config(&directory) }).await.unwrap_err();
    assert_eq!(error.reason(), "ReadTooLarge", "{error}");
    let pages = directory.received().iter().filter(|request| request.path.ends_with("/members")).count();
    assert!(pages < 20_000 / 200 + 20, "{pages} pages were asked for");
}
