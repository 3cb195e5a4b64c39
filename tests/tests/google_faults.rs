//! What becomes of a read of Google when answers are not as they should be: an error with its name, never a snapshot
//! that lacks people.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "google/mod.rs"]
mod google;

use std::io::Write;
use std::time::{Duration, Instant};

use directory_sync_core::Disposition;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::read::ReadCaps;
use directory_sync_core::snapshot::Group;
use directory_sync_sources::Source;
use directory_sync_sources::google::{GoogleConfig, GoogleError, GoogleSource, Timeouts};
use directory_sync_tests::google_directory::{Fault, GoogleDirectory, Request, SCOPES, Tenant};
use google::{addresses, config, read};
use serde_json::json;

/// 3 people, read 2 at a time, and 2 groups with a member each; the ids of the groups.
async fn company() -> (GoogleDirectory, Vec<String>) {
    let mut tenant = Tenant::with_administrator();
    let people = ["ada", "bob"].map(|name| tenant.user(&format!("{name}@example.com"), json!({})));
    let groups = ["staff", "board"].map(|name| tenant.group(&format!("{name}@example.com")));
    tenant.join(&groups[0], &[&people[0]]);
    tenant.join(&groups[1], &[&people[1]]);
    let directory = GoogleDirectory::start(tenant).await.unwrap();
    directory.page_by(2);
    (directory, groups.to_vec())
}

fn lists_users(request: &Request) -> bool {
    request.path == "/admin/directory/v1/users"
}

/// The error of a read in which every list of people is answered so.
async fn failure(fault: Fault) -> GoogleError {
    let (directory, _) = company().await;
    directory.fail(move |request| lists_users(request).then(|| fault.clone()));
    read(&config(&directory)).await.unwrap_err()
}

/// The same, where the fault comes once and the rest is sound.
async fn recovers(fault: Fault) -> GoogleDirectory {
    let (directory, _) = company().await;
    directory.fail(move |request| (lists_users(request) && request.before == 0).then(|| fault.clone()));
    assert_eq!(read(&config(&directory)).await.unwrap().snapshot().user_count(), 3);
    directory
}

#[tokio::test]
async fn what_is_not_googles_answer_is_no_answer() {
    let html = |status| Fault::Body(status, "text/html; charset=utf-8", b"<html>Sign in</html>".to_vec());
    for (fault, words) in [
        (html(200), "an HTML page"),
        (html(403), "HTTP 403 and an HTML page"),
        (html(404), "HTTP 404 and an HTML page"),
        (Fault::Body(200, "text/plain", b"hello".to_vec()), "a text that is no JSON"),
        (Fault::Body(200, "application/json", Vec::new()), "a text that is no JSON"),
        (Fault::Json(200, json!([])), "JSON that is no object"),
        (Fault::Json(200, json!({})), "an object without the kind admin#directory#users"),
        (Fault::Json(200, json!({ "kind": "admin#directory#groups" })), "of kind admin#directory#groups"),
        (Fault::Json(200, json!({ "kind": "admin#directory#users", "users": {} })), "users that is no list"),
        (Fault::Json(200, json!({ "kind": "admin#directory#users", "users": [1] })), "an element of users"),
        (Fault::Json(200, json!({ "kind": "admin#directory#users", "nextPageToken": 7 })), "a nextPageToken"),
        (
            Fault::Json(200, json!({ "kind": "admin#directory#users", "users": [{ "id": "1" }] })),
            "without a customerId",
        ),
    ] {
        let error = failure(fault).await;
        assert_eq!((error.reason(), error.disposition()), ("SourceMalformedAnswer", Disposition::Retry), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_named_and_the_token_does_not_follow_it() {
    let (elsewhere, _) = company().await;
    let error = failure(Fault::Redirect(format!("{}/login?next=users", elsewhere.url()))).await;
    assert_eq!(error.reason(), "SourceRedirects");
    assert!(error.to_string().contains(&format!("redirects to {},", elsewhere.url())), "{error}");
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn a_compressed_body_that_nobody_asked_for_is_not_unpacked() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20]).unwrap();
    let error = failure(Fault::Encoded("gzip", bomb.finish().unwrap())).await;
    assert_eq!(error.reason(), "SourceMalformedAnswer");
    assert!(error.to_string().contains("an encoding that was not asked for"), "{error}");
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off() {
    let error = failure(Fault::Endless).await;
    assert_eq!(error.reason(), "SourceLimitExceeded", "{error}");
}

#[tokio::test]
async fn a_body_that_drips_in_is_not_waited_for() {
    let (directory, _) = company().await;
    let body = json!({ "kind": "admin#directory#users" }).to_string().into_bytes();
    directory.fail(move |request| lists_users(request).then(|| Fault::Drip(body.clone(), Duration::from_secs(1))));
    let mut config = config(&directory);
    config.timeouts = Timeouts { request: Duration::from_millis(300), ..config.timeouts };
    config.backoff.times = 1;
    let begun = Instant::now();
    let error = read(&config).await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("SourceTimedOut", Disposition::Retry), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_an_incomplete_read() {
    let half = br#"{"kind":"admin#directory#users","users":[{"id":"1"#.to_vec();
    for fault in [Fault::CutShort(half.clone()), Fault::Body(200, "application/json", half.clone())] {
        let error = failure(fault).await;
        assert_eq!((error.reason(), error.disposition()), ("SourceReadIncomplete", Disposition::Retry), "{error}");
    }
    recovers(Fault::CutShort(half)).await;
}

#[tokio::test]
async fn a_page_token_that_is_refused_is_an_incomplete_read() {
    for (status, reason) in [(400, "invalid"), (404, "notFound"), (410, "updatedMinTooLongAgo")] {
        let (directory, _) = company().await;
        directory.fail(move |request| {
            let later = lists_users(request) && request.query.contains_key("pageToken");
            later.then_some(Fault::Refused(status, reason, "Invalid Input: pageToken"))
        });
        let error = read(&config(&directory)).await.unwrap_err();
        assert_eq!((error.reason(), error.disposition()), ("SourceReadIncomplete", Disposition::Retry), "{error}");
    }
}

#[tokio::test]
async fn pages_that_repeat_or_never_end_are_an_incomplete_read() {
    let page = |token: String| Fault::Json(200, json!({ "kind": "admin#directory#users", "nextPageToken": token }));
    assert_eq!(failure(page("again".to_owned())).await.reason(), "ReadRepeatsPages");

    let (directory, _) = company().await;
    directory.fail(move |request| lists_users(request).then(|| page(request.before.to_string())));
    let caps = ReadCaps { pages: 20, ..ReadCaps::default() };
    let error = read(&GoogleConfig { caps, ..config(&directory) }).await.unwrap_err();
    assert_eq!(error.reason(), "ReadTooLarge", "{error}");
}

#[tokio::test]
async fn more_people_or_members_than_the_cap_are_an_incomplete_read() {
    let (directory, _) = company().await;
    for caps in [
        ReadCaps { entries: 4, ..ReadCaps::default() },
        ReadCaps { memberships: 1, ..ReadCaps::default() },
        ReadCaps { memberships: 0, ..ReadCaps::default() },
    ] {
        let error = read(&GoogleConfig { caps, ..config(&directory) }).await.unwrap_err();
        assert_eq!((error.reason(), error.disposition()), ("ReadTooLarge", Disposition::Stall), "{error}");
    }
}

#[tokio::test]
async fn people_of_another_customer_in_between_are_an_incomplete_read() {
    let (directory, _) = company().await;
    directory.change(|tenant| {
        tenant.customer = "C0another".to_owned();
        tenant.user("zoe@example.com", json!({}));
    });
    let error = read(&config(&directory)).await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("SourceReadIncomplete", Disposition::Retry));
    assert!(error.to_string().contains("customer C0another after people of customer C0simulated"), "{error}");
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let directory = recovers(Fault::Unauthorized).await;
    let tokens = |directory: &GoogleDirectory| directory.received().iter().filter(|r| r.path == "/token").count();
    assert_eq!(tokens(&directory), 2);

    let (directory, _) = company().await;
    directory.fail(|request| lists_users(request).then_some(Fault::Unauthorized));
    let error = read(&config(&directory)).await.unwrap_err();
    assert_eq!((error.reason(), tokens(&directory)), ("SourceAuthFailed", 2), "{error}");

    // Tokens that go out of use while many requests are under way are renewed by one of them.
    let (directory, _) = company().await;
    directory
        .fail(|request| (request.path.ends_with("/members") && request.before == 0).then_some(Fault::Unauthorized));
    assert_eq!(read(&config(&directory)).await.unwrap().snapshot().group_count(), 2);
    assert!(tokens(&directory) <= 3);
}

#[tokio::test]
async fn every_refusal_is_told_by_googles_reason() {
    use Disposition::{Retry, Stall};
    for (status, reason, name, disposition) in [
        (400, "invalid", "SourceQueryRefused", Stall),
        (403, "forbidden", "SourceAccessDenied", Retry),
        (403, "insufficientPermissions", "SourceAccessDenied", Retry),
        (403, "accessNotConfigured", "SourceAccessDenied", Retry),
        (403, "domainCannotUseApis", "SourceAccessDenied", Retry),
        (403, "quotaExceeded", "SourceRateLimited", Retry),
        (403, "rateLimitExceeded", "SourceRateLimited", Retry),
        (403, "userRateLimitExceeded", "SourceRateLimited", Retry),
        (404, "notFound", "SourceNotFound", Stall),
        (429, "rateLimitExceeded", "SourceRateLimited", Retry),
        (500, "internalError", "SourceUnavailable", Retry),
        (503, "backendError", "SourceUnavailable", Retry),
    ] {
        let error = failure(Fault::Refused(status, reason, "It says\nno with canary-token-1.")).await;
        assert_eq!((error.reason(), error.disposition()), (name, disposition), "{status} {reason}: {error}");
        if name != "SourceRateLimited" {
            assert!(error.to_string().contains("It says no with [token]."), "{error}");
        }
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_waited_out() {
    for fault in [
        Fault::Refused(403, "userRateLimitExceeded", "Slow down."),
        Fault::Refused(429, "rateLimitExceeded", "Slow down."),
        Fault::Refused(503, "backendError", "Later."),
        Fault::Body(502, "text/html", b"<html>Bad gateway</html>".to_vec()),
    ] {
        recovers(fault).await;
    }
    let begun = Instant::now();
    recovers(Fault::Later(429, "rateLimitExceeded", "1")).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_pause_is_left_to_the_next_run() {
    let error = failure(Fault::Later(429, "rateLimitExceeded", "600")).await;
    assert_eq!(error.disposition(), Disposition::Wait(Duration::from_secs(600)));
}

#[tokio::test]
async fn members_that_are_withheld_are_unknown_and_the_rest_is_read() {
    for (status, reason) in [(403, "forbidden"), (404, "notFound")] {
        let (directory, groups) = company().await;
        let path = format!("/admin/directory/v1/groups/{}/members", groups[0]);
        directory.fail(move |request| (request.path == path).then_some(Fault::Refused(status, reason, "No.")));
        let world = read(&config(&directory)).await.unwrap();
        let unknown: Vec<_> =
            world.snapshot().groups().filter(|group| group.members_unknown()).map(Group::id).collect();
        assert_eq!(unknown, [&groups[0]]);
        assert_eq!(google::members(world.snapshot(), "board@example.com"), ["bob@example.com"]);
    }
}

#[tokio::test]
async fn members_that_cannot_be_read_for_another_reason_fail_the_read() {
    let html = Fault::Body(403, "text/html", b"<html>Blocked</html>".to_vec());
    for (fault, reason) in [
        (Fault::Refused(503, "backendError", "Later."), "SourceUnavailable"),
        (Fault::Json(200, json!({})), "SourceMalformedAnswer"),
        (html, "SourceMalformedAnswer"),
    ] {
        let (directory, groups) = company().await;
        let path = format!("/admin/directory/v1/groups/{}/members", groups[0]);
        directory.fail(move |request| (request.path == path).then(|| fault.clone()));
        assert_eq!(read(&config(&directory)).await.unwrap_err().reason(), reason);
    }
}

#[tokio::test]
async fn without_the_members_of_a_named_group_nobody_knows_who_is_meant() {
    let (directory, groups) = company().await;
    let only = |group: &str| GoogleConfig { only_groups: vec![group.to_owned()], ..config(&directory) };
    let error = read(&only("nobody@example.com")).await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("SourceScopeUnknown", Disposition::Stall));
    assert!(error.to_string().contains("there is no group nobody@example.com"), "{error}");

    let path = format!("/admin/directory/v1/groups/{}/members", groups[0]);
    directory.fail(move |request| (request.path == path).then_some(Fault::Refused(403, "forbidden", "No.")));
    let error = read(&only("staff@example.com")).await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("SourceScopeUnknown", Disposition::Retry));
    assert_eq!(addresses(read(&only("board@example.com")).await.unwrap().snapshot()), ["bob@example.com"]);
}

#[tokio::test]
async fn a_token_that_is_not_given_says_what_to_grant() {
    let (directory, _) = company().await;
    directory.delegate(&SCOPES[..1]);
    let error = read(&config(&directory)).await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("SourceDelegationMissing", Disposition::Retry));
    let message = error.to_string();
    assert!(message.contains("grant the client 100000000000000000042 these scopes"), "{message}");
    assert!(message.ends_with(&SCOPES.join(",")), "{message}");

    let (directory, _) = company().await;
    let other_key = GoogleConfig {
        credentials: directory_sync_sources::google::Credentials::JsonKey(google::key_file().into()),
        ..config(&directory)
    };
    let nobody = GoogleConfig { delegated_admin: "nobody@example.com".to_owned(), ..config(&directory) };
    for (config, advice) in [(other_key, "create a new one"), (nobody, "as delegatedAdmin")] {
        let error = read(&config).await.unwrap_err();
        assert_eq!((error.reason(), error.disposition()), ("SourceAuthFailed", Disposition::Stall));
        assert!(error.to_string().contains(advice), "{error}");
    }
}

#[tokio::test]
async fn what_answers_in_place_of_the_token_endpoint_gets_nothing_more() {
    for (fault, reason) in [
        (Fault::Body(200, "text/html", b"<html>Sign in</html>".to_vec()), "SourceMalformedAnswer"),
        (Fault::Json(200, json!({ "token_type": "Bearer" })), "SourceMalformedAnswer"),
        (Fault::Json(200, json!({ "access_token": "a\nb", "token_type": "Bearer" })), "SourceMalformedAnswer"),
        (Fault::Json(200, json!({ "access_token": "mac", "token_type": "mac" })), "SourceMalformedAnswer"),
        (Fault::Json(403, json!({})), "SourceMalformedAnswer"),
        (Fault::Redirect("http://127.0.0.1:1/".to_owned()), "SourceRedirects"),
        (Fault::Endless, "SourceLimitExceeded"),
        (Fault::Refused(503, "backendError", "Later."), "SourceUnavailable"),
    ] {
        let (directory, _) = company().await;
        directory.fail(move |request| (request.path == "/token").then(|| fault.clone()));
        assert_eq!(read(&config(&directory)).await.unwrap_err().reason(), reason);
        assert!(directory.received().iter().all(|request| request.path == "/token"));
    }
}

#[tokio::test]
async fn a_token_over_an_open_line_needs_an_opt_in() {
    let (directory, _) = company().await;
    let config = GoogleConfig { plaintext: false, ..config(&directory) };
    assert_eq!(GoogleSource::new(config).unwrap_err().reason(), "SourcePlaintextRefused");
    assert!(directory.received().is_empty());
}

#[tokio::test]
async fn somebody_who_cannot_be_looked_up_is_not_gone() {
    let html = |status| Fault::Body(status, "text/html", b"<html>Not found</html>".to_vec());
    for fault in [
        html(404),
        Fault::Json(404, json!({})),
        Fault::Refused(403, "forbidden", "No."),
        Fault::Refused(503, "backendError", "Later."),
        Fault::Json(200, json!({ "kind": "admin#directory#user", "id": "another", "customerId": "C0simulated" })),
        Fault::Json(200, json!({})),
    ] {
        let (directory, groups) = company().await;
        let source = GoogleSource::new(config(&directory)).unwrap();
        let world = source.read_all().await.unwrap();
        let id = world.snapshot().users().next().unwrap().id().to_owned();
        directory.fail(move |request| {
            let one = request.path.starts_with("/admin/directory/v1/users/")
                || (request.path.starts_with("/admin/directory/v1/groups/") && !request.path.ends_with("/members"));
            one.then(|| fault.clone())
        });
        let lookups = [Lookup::User { id }, Lookup::Group { id: groups[0].clone() }];
        for finding in source.confirm(&lookups, world.snapshot().referencer()).await {
            assert!(matches!(finding, Finding::Unreadable { .. }), "{finding:?}");
        }
    }
}

#[tokio::test]
async fn an_absence_is_not_believed_of_an_administrator_who_sees_nobody() {
    let (directory, groups) = company().await;
    let source = GoogleSource::new(config(&directory)).unwrap();
    let world = source.read_all().await.unwrap();
    let lookups = [Lookup::User { id: "1".repeat(21) }, Lookup::Group { id: "0nobody".to_owned() }];
    assert_eq!(source.confirm(&lookups, world.snapshot().referencer()).await, [Finding::Gone, Finding::Gone]);

    directory.fail(|request| match request.path.as_str() {
        "/admin/directory/v1/users" => Some(Fault::Json(200, json!({ "kind": "admin#directory#users" }))),
        "/admin/directory/v1/groups" => Some(Fault::Json(200, json!({ "kind": "admin#directory#groups" }))),
        _ => None,
    });
    for finding in source.confirm(&lookups, world.snapshot().referencer()).await {
        let Finding::Unreadable { message } = finding else { panic!("{finding:?}") };
        assert!(message.contains("check the role of delegatedAdmin"), "{message}");
    }
    // Members that are withheld keep a group from losing any.
    let path = format!("/admin/directory/v1/groups/{}/members", groups[0]);
    directory.fail(move |request| (request.path == path).then_some(Fault::Refused(403, "forbidden", "No.")));
    let lookup = [Lookup::Group { id: groups[0].clone() }];
    let found = source.confirm(&lookup, world.snapshot().referencer()).await;
    assert_eq!(found, [Finding::StillThere { members: None }]);
}

#[tokio::test]
async fn damaged_answers_are_an_error_or_a_read_and_nothing_else() {
    let (directory, _) = company().await;
    let good = json!({
        "kind": "admin#directory#users",
        "users": [
            { "id": "1", "customerId": "C0simulated", "primaryEmail": "ada@example.com", "suspended": false,
              "name": { "givenName": "Ada", "familyName": "Lovelace", "fullName": "Ada Lovelace" },
              "aliases": ["a@example.com", "b@example.com"] },
            { "id": "2", "customerId": "C0simulated", "primaryEmail": "bob@example.com", "archived": true },
        ],
    });
    directory.fail(move |request| {
        lists_users(request).then(|| {
            let mut body = good.to_string().into_bytes();
            // A linear congruential generator, so that a failure can be repeated.
            let mut state = request.before as u64 + 1;
            let mut next = |below: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                usize::try_from(state >> 33).unwrap() % below
            };
            for _ in 0..=next(4) {
                let at = next(body.len());
                match next(4) {
                    0 => body[at] = u8::try_from(next(256)).unwrap(),
                    1 => drop(body.remove(at)),
                    2 => body.insert(at, b"[]{}\",:0ntf\\"[next(12)]),
                    _ => body.truncate(at.max(8)),
                }
            }
            Fault::Body(200, "application/json", body)
        })
    });
    let mut config = GoogleConfig { groups: None, ..config(&directory) };
    config.backoff.times = 0;
    let source = GoogleSource::new(config).unwrap();
    let (mut read, mut failed) = (0, 0);
    for _ in 0..300 {
        match source.read_all().await {
            Ok(world) => {
                assert!(world.snapshot().user_count() <= 2);
                read += 1;
            }
            Err(error) => {
                assert!(!error.reason().is_empty());
                failed += 1;
            }
        }
    }
    assert!(read > 10 && failed > 50, "{read} were read and {failed} failed");
}
