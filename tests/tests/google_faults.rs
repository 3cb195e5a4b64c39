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
        (
            Fault::Json(200, json!({ "kind": "admin#directory#users", "users": [{ "customerId": "C0simulated" }] })),
            "a user without an id",
        ),
        (
            Fault::Json(200, json!({ "kind": "admin#directory#users", "uzers": [{ "id": "1" }] })),
            "a field that was not asked for",
        ),
        (
            Fault::Json(200, json!({ "kind": "admin#directory#users", "users": vec![json!({ "id": "1" }); 501] })),
            "more users on a page than were asked for",
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
async fn whoever_waits_at_a_terminal_waits_within_a_bound() {
    let (directory, _) = company().await;
    let body = json!({ "kind": "admin#directory#users" }).to_string().into_bytes();
    directory.fail(move |request| {
        request.path.contains("/users").then(|| Fault::Drip(body.clone(), Duration::from_secs(1)))
    });
    let mut config = config(&directory);
    config.timeouts = Timeouts { request: Duration::from_secs(30), read: Duration::from_millis(300) };
    let source = GoogleSource::new(config).unwrap();
    let begun = Instant::now();
    assert_eq!(source.describe().await.unwrap_err().reason(), "SourceTimedOut");
    assert_eq!(source.find("ada@example.com").await.unwrap_err().reason(), "SourceTimedOut");
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
        assert_eq!((error.reason(), error.disposition()), ("ReadTooLarge", Disposition::Retry), "{error}");
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
    // All of them can be mended on Google's side, where no change is noticed from here: none may stall.
    for (status, reason, name) in [
        (400, "invalid", "SourceQueryRefused"),
        (403, "forbidden", "SourceAccessDenied"),
        (403, "insufficientPermissions", "SourceAccessDenied"),
        (403, "accessNotConfigured", "SourceAccessDenied"),
        (403, "domainCannotUseApis", "SourceAccessDenied"),
        (403, "quotaExceeded", "SourceRateLimited"),
        (403, "rateLimitExceeded", "SourceRateLimited"),
        (403, "userRateLimitExceeded", "SourceRateLimited"),
        (404, "notFound", "SourceNotFound"),
        (404, "domainNotFound", "SourceNotFound"),
        (429, "rateLimitExceeded", "SourceRateLimited"),
        (500, "internalError", "SourceUnavailable"),
        (503, "backendError", "SourceUnavailable"),
    ] {
        let error = failure(Fault::Refused(status, reason, "It says\nno with canary-token-1.")).await;
        assert_eq!((error.reason(), error.disposition()), (name, Disposition::Retry), "{status} {reason}: {error}");
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
    assert_eq!((error.reason(), error.disposition()), ("SourceScopeUnknown", Disposition::Retry));
    let sentence = error.to_string();
    assert!(sentence.contains("there is no group nobody@example.com"), "{sentence}");
    assert!(sentence.contains("correct the address") && sentence.contains("just created"), "{sentence}");

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
        assert_eq!((error.reason(), error.disposition()), ("SourceAuthFailed", Disposition::Retry));
        assert!(error.to_string().contains(advice), "{error}");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_tried_again() {
    let (directory, _) = company().await;
    let description = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
    let answer = json!({ "error": "invalid_grant", "error_description": description });
    directory.fail(move |request| (request.path == "/token").then(|| Fault::Json(400, answer.clone())));
    let error = read(&config(&directory)).await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("SourceAuthFailed", Disposition::Retry));
    assert!(error.to_string().contains("set the clock of the node right"), "{error}");
}

#[tokio::test]
async fn a_nested_group_that_is_deleted_meanwhile_fails_the_read_until_the_lists_agree() {
    let (directory, groups) = company().await;
    directory.change(|tenant| {
        let inner = tenant.group("inner@example.com");
        tenant.join(&groups[0], &[&inner]);
        // Deleted, and still in the list of its parent's members: Google's lists lag behind each other.
        tenant.groups.retain(|group| group["id"] != inner.as_str());
        tenant.members.remove(&inner);
    });
    let config = GoogleConfig { only_groups: vec!["staff@example.com".to_owned()], ..config(&directory) };
    let error = read(&config).await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("SourceScopeUnknown", Disposition::Retry));
    assert!(error.to_string().contains("take it out of the group that it is nested in"), "{error}");
    directory.change(|tenant| tenant.members.get_mut(&groups[0]).unwrap().retain(|one| one["type"] == "USER"));
    assert_eq!(addresses(read(&config).await.unwrap().snapshot()), ["ada@example.com"]);
}

#[tokio::test]
async fn a_nested_group_that_is_answered_with_another_leaves_unknown_who_is_meant() {
    let (directory, groups) = company().await;
    directory.change(|tenant| tenant.join(&groups[0], &[&groups[1]]));
    let path = format!("/admin/directory/v1/groups/{}", groups[1]);
    let other = json!({ "kind": "admin#directory#group", "id": "another", "email": "another@example.com" });
    directory.fail(move |request| (request.path == path).then(|| Fault::Json(200, other.clone())));
    let config = GoogleConfig { only_groups: vec!["staff@example.com".to_owned()], ..config(&directory) };
    let error = read(&config).await.unwrap_err();
    assert_eq!(error.reason(), "SourceScopeUnknown");
    assert!(error.to_string().contains("another group than the one that was asked for"), "{error}");
}

#[tokio::test]
async fn a_member_of_whom_it_cannot_be_told_who_that_is_leaves_the_members_unknown() {
    for unclear in [json!({ "type": "USER" }), json!({ "id": "1" }), json!({ "id": "1", "type": "ROBOT" })] {
        let (directory, groups) = company().await;
        let path = format!("/admin/directory/v1/groups/{}/members", groups[0]);
        let page = json!({ "kind": "admin#directory#members", "members": [unclear] });
        directory.fail(move |request| (request.path == path).then(|| Fault::Json(200, page.clone())));
        let world = read(&config(&directory)).await.unwrap();
        let unknown: Vec<_> =
            world.snapshot().groups().filter(|group| group.members_unknown()).map(Group::id).collect();
        assert_eq!(unknown, [&groups[0]]);
        let only = GoogleConfig { only_groups: vec!["staff@example.com".to_owned()], ..config(&directory) };
        assert_eq!(read(&only).await.unwrap_err().reason(), "SourceScopeUnknown");
    }
    // An address elsewhere has no id and can be nobody here.
    let (directory, groups) = company().await;
    let path = format!("/admin/directory/v1/groups/{}/members", groups[0]);
    let page = json!({ "kind": "admin#directory#members", "members": [{ "type": "EXTERNAL" }] });
    directory.fail(move |request| (request.path == path).then(|| Fault::Json(200, page.clone())));
    let world = read(&config(&directory)).await.unwrap();
    assert!(world.snapshot().groups().all(|group| !group.members_unknown()));
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
        Fault::Json(404, json!({ "error": { "code": 404, "message": "no such route" } })),
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
