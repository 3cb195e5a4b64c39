//! What becomes of changes at SCIM services that misbehave: requests are counted, and nothing is sent blindly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scim;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use directory_sync_core::operation::Verb;
use directory_sync_core::rules::Removal;
use directory_sync_tests::http_server::{HttpServer, Received, Scripted};
use scim::{Company, Synchronisation, answers, group, person, reasons, sent, taking};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn one_member_that_is_refused_does_not_keep_out_the_others() {
    let server = taking(|request| {
        let hit = request.method == "PATCH" && request.body.to_string().contains("\"value\":\"bob\"");
        hit.then(|| Scripted::json(400, &json!({"detail": "not him"})))
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    assert_eq!(applied.failed(), 1, "{:?}", answers(&applied));
    let mut members = reasons(&applied, Verb::AddMember);
    members.sort_unstable();
    assert_eq!(members, ["Done", "Done", "Done", "Done", "TargetRefused"]);
}

#[tokio::test]
async fn a_person_who_cannot_be_created_is_in_no_group_and_stops_nobody_else() {
    let server = taking(|request| {
        let hit = request.method == "POST" && request.body["externalId"] == "bob";
        hit.then(|| Scripted::json(400, &json!({"detail": "no more seats"})))
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    assert_eq!(applied.failed(), 2, "{:?}", answers(&applied));
    assert!(reasons(&applied, Verb::CreateUser).contains(&"TargetRefused"));
    assert!(reasons(&applied, Verb::AddMember).contains(&"MemberNotCreated"));
}

#[tokio::test]
async fn a_token_that_is_revoked_on_the_way_ends_the_run() {
    let server = taking(|request| {
        let hit = request.path == "/Users" && request.method == "POST" && request.before == 1;
        hit.then(|| Scripted::json(401, &Value::Null))
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    assert_eq!(reasons(&applied, Verb::CreateUser), ["Done", "TargetAuthFailed", "TargetAuthFailed"]);
    assert_eq!((sent(&server, "POST", "/Users"), sent(&server, "PATCH", "/Groups/all")), (2, 0));
}

/// Six people in no group.
fn six() -> Company {
    let people = (0..6).map(|number| person(&format!("p{number}"), &format!("p{number}@example.com"))).collect();
    Company { people, groups: Vec::new() }
}

#[tokio::test]
async fn three_people_who_are_refused_in_a_row_stop_nobody_else() {
    for status in [403, 500] {
        let server = taking(move |request| {
            let id = request.body["externalId"].as_str().unwrap_or_default();
            let hit = request.method == "POST" && ["p0", "p1", "p2"].contains(&id);
            hit.then(|| Scripted::json(status, &Value::Null))
        })
        .await;
        let applied = Synchronisation::new(&server.url(), "t".into()).run(&six()).await;
        let done = reasons(&applied, Verb::CreateUser);
        let failure = if status == 403 { "TargetForbidden" } else { "TargetServerError" };
        assert_eq!(done, [failure, failure, failure, "Done", "Done", "Done"]);
        assert_eq!(sent(&server, "GET", "/ServiceProviderConfig"), 2, "the service itself is asked how it is");
    }
}

#[tokio::test]
async fn a_service_that_fails_as_a_whole_ends_the_run_and_is_heard_on_when_to_come_back() {
    let down = AtomicBool::new(false);
    let server = taking(move |request| {
        let is_down = down.fetch_or(request.method == "POST", Ordering::SeqCst) || request.method == "POST";
        is_down.then(|| Scripted::json(503, &Value::Null).with("retry-after", "600"))
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&six()).await;
    assert_eq!(reasons(&applied, Verb::CreateUser), ["TargetServerError"; 6]);
    assert_eq!(sent(&server, "POST", "/Users"), 3);
    assert_eq!(applied.asked_to_wait(), Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn a_request_that_is_never_answered_stops_nobody_else() {
    let server = taking(|request| {
        let hit = request.method == "POST" && request.body["externalId"] == "p0";
        hit.then(|| Scripted::json(201, &Value::Null).after(Duration::from_secs(30)))
    })
    .await;
    let mut sync = Synchronisation::with(&server.url(), "t".into(), |config| config.timeout = Duration::from_secs(1));
    let applied = sync.run(&six()).await;
    assert_eq!(reasons(&applied, Verb::CreateUser), ["TargetUnavailable", "Done", "Done", "Done", "Done", "Done"]);
}

#[tokio::test]
async fn a_service_that_answers_nothing_any_more_ends_the_run() {
    let down = AtomicBool::new(false);
    let server = taking(move |request| {
        let is_down = down.fetch_or(request.method == "POST", Ordering::SeqCst) || request.method == "POST";
        is_down.then(|| Scripted::json(201, &Value::Null).after(Duration::from_secs(30)))
    })
    .await;
    let mut sync =
        Synchronisation::with(&server.url(), "t".into(), |config| config.timeout = Duration::from_millis(500));
    let applied = sync.run(&six()).await;
    assert_eq!(reasons(&applied, Verb::CreateUser), ["TargetUnavailable"; 6]);
    assert_eq!(sent(&server, "POST", "/Users"), 1);
}

#[tokio::test]
async fn a_creation_that_has_to_wait_a_moment_is_sent_again_when_the_service_said() {
    let server = taking(|request| {
        let hit = request.method == "POST" && request.before == 0;
        hit.then(|| Scripted::json(429, &Value::Null).with("retry-after", "1"))
    })
    .await;
    let begun = Instant::now();
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&six()).await;
    assert_eq!(reasons(&applied, Verb::CreateUser), ["Done"; 6]);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(sent(&server, "POST", "/Users"), 7);
}

#[tokio::test]
async fn what_a_long_pause_keeps_back_is_sent_by_the_next_run_after_it() {
    let server = holding(Vec::new(), Vec::new(), |request| {
        let hit = request.method == "POST" && request.before == 2;
        hit.then(|| Scripted::json(429, &Value::Null).with("retry-after", "600"))
    })
    .await;
    let mut sync = Synchronisation::new(&server.url(), "t".into());
    let applied = sync.run(&six()).await;
    let mut expected = vec!["Done"; 2];
    expected.extend(["TargetRateLimited"; 4]);
    assert_eq!(reasons(&applied, Verb::CreateUser), expected);
    assert_eq!(applied.asked_to_wait(), Some(Duration::from_secs(600)));
    assert_eq!(sent(&server, "POST", "/Users"), 3, "nothing is sent after it");
    let applied = sync.run(&six()).await;
    assert_eq!((reasons(&applied, Verb::CreateUser), applied.asked_to_wait()), (vec!["Done"; 4], None));
    assert!(sync.run(&six()).await.outcomes().is_empty());
}

#[tokio::test]
async fn a_stopped_run_finishes_the_request_under_way_and_sends_no_more() {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let server = taking(move |request| {
        if request.path == "/Users" && request.method == "POST" {
            stopping.cancel();
        }
        None
    })
    .await;
    let mut sync = Synchronisation::new(&server.url(), "t".into());
    sync.stop = stop;
    let applied = sync.run(&Company::small()).await;
    assert_eq!(reasons(&applied, Verb::CreateUser), ["Done", "Stopped", "Stopped"]);
    assert_eq!(sent(&server, "POST", "/Users"), 1);
}

#[tokio::test]
async fn after_a_lost_answer_the_group_itself_says_who_is_in_it() {
    let server = taking(|request| match (request.method.as_str(), request.path.as_str()) {
        ("PATCH", "/Groups/board") => Some(Scripted::json(500, &Value::Null)),
        ("GET", "/Groups/board") => Some(Scripted::json(200, &json!({"id": "board", "members": [{"value": "ada"}]}))),
        _ => None,
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    assert_eq!(applied.failed(), 0, "{:?}", answers(&applied));
    assert_eq!((sent(&server, "PATCH", "/Groups/board"), sent(&server, "GET", "/Groups/board")), (1, 1));
}

/// Ids of the members that requests about a group name, one list per request.
fn members_sent(server: &HttpServer, path: &str) -> Vec<Vec<String>> {
    let patches = server.received().into_iter().filter(|request| request.method == "PATCH" && request.path == path);
    let ids = |request: Received| {
        let values = request.body["Operations"][0]["value"].as_array().cloned().unwrap_or_default();
        values.iter().map(|value| value["value"].as_str().unwrap().to_owned()).collect()
    };
    patches.map(ids).collect()
}

#[tokio::test]
async fn after_a_lost_answer_only_the_members_who_are_still_missing_are_sent_again() {
    let server = taking(|request| match (request.method.as_str(), request.path.as_str(), request.before) {
        ("PATCH", "/Groups/all", 0) => Some(Scripted::json(502, &Value::Null)),
        ("GET", "/Groups/all", _) => Some(Scripted::json(200, &json!({"id": "all", "members": [{"value": "ada"}]}))),
        _ => None,
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    assert_eq!(applied.failed(), 0, "{:?}", answers(&applied));
    let batches = members_sent(&server, "/Groups/all");
    let (first, again) = (&batches[0], &batches[1]);
    assert!(first.len() == 3 && first[0] == "ada", "{batches:?}");
    assert_eq!((again.as_slice(), batches.len()), (&first[1..], 3));
    assert_eq!(sent(&server, "GET", "/Groups/all"), 1);
}

#[tokio::test]
async fn members_whose_addition_never_succeeds_are_sent_three_times_and_read_after_each() {
    let server = taking(|request| match (request.method.as_str(), request.path.as_str()) {
        ("PATCH", "/Groups/board") => Some(Scripted::json(500, &Value::Null)),
        ("GET", "/Groups/board") => Some(Scripted::json(200, &json!({"id": "board"}))),
        _ => None,
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    assert_eq!(applied.failed(), 1, "{:?}", answers(&applied));
    assert_eq!((sent(&server, "PATCH", "/Groups/board"), sent(&server, "GET", "/Groups/board")), (3, 3));
}

#[tokio::test]
async fn a_member_whom_the_service_does_not_know_keeps_nobody_else_out() {
    let server = taking(|request| match (request.method.as_str(), request.path.as_str()) {
        ("PATCH", _) if request.body.to_string().contains("\"value\":\"bob\"") => {
            Some(Scripted::json(404, &json!({"detail": "no such member"})))
        }
        ("GET", "/Groups/all") => Some(Scripted::json(200, &json!({"id": "all", "members": []}))),
        _ => None,
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    let mut members = reasons(&applied, Verb::AddMember);
    members.sort_unstable();
    assert_eq!(members, ["Done", "Done", "Done", "Done", "TargetObjectGone"]);
}

/// A person as a service holds them that is in line with the source.
fn copy(id: &str, of: &str) -> Value {
    let of = person(of, &format!("{of}@example.com"));
    json!({
        "id": id, "externalId": of.id, "userName": of.address, "displayName": of.display_name, "active": true,
        "name": {"givenName": of.given_name, "familyName": of.family_name}, "meta": {"version": "W/\"1\""},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"},
    })
}

/// A service that holds these people and groups, has versions, takes everything, keeps whom it is given, and fails
/// where `fault` says so.
async fn holding(
    people: Vec<Value>,
    groups: Vec<Value>,
    fault: impl Fn(&Received) -> Option<Scripted> + Send + Sync + 'static,
) -> HttpServer {
    let people = Mutex::new(people);
    let page = |objects: &[Value], request: &Received| {
        let begin = request.query.split('&').find_map(|part| part.strip_prefix("startIndex=")).unwrap();
        let begin: usize = begin.parse().unwrap();
        let page: Vec<_> = objects.iter().skip(begin - 1).take(2).collect();
        Scripted::json(200, &json!({"totalResults": objects.len(), "startIndex": begin, "Resources": page}))
    };
    HttpServer::start(move |request| {
        fault(request).unwrap_or_else(|| {
            let mut people = people.lock().unwrap();
            match (request.method.as_str(), request.path.as_str()) {
                ("GET", "/ServiceProviderConfig") => {
                    Scripted::json(200, &json!({"patch": {"supported": true}, "etag": {"supported": true}}))
                }
                ("GET", "/Users") => page(&people, request),
                ("GET", "/Groups") => page(&groups, request),
                ("GET", path) => {
                    let is = |object: &&Value| path.ends_with(&format!("/{}", object["id"].as_str().unwrap()));
                    let found = people.iter().chain(&groups).find(is);
                    found.map_or_else(|| Scripted::json(404, &Value::Null), |object| Scripted::json(200, object))
                }
                ("POST", _) => {
                    let mut person = request.body.clone();
                    person["id"] = person["externalId"].clone();
                    people.push(person.clone());
                    Scripted::json(201, &person)
                }
                _ => Scripted::json(204, &Value::Null),
            }
        })
    })
    .await
    .unwrap()
}

/// What `If-Match` held in the requests of a method.
fn conditions(server: &HttpServer, method: &str) -> Vec<String> {
    let received = server.received().into_iter().filter(|request| request.method == method);
    received.map(|request| request.headers.get("if-match").cloned().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_deletion_names_the_version_that_was_planned_for() {
    let people = vec![copy("u1", "ada"), copy("u2", "bob"), copy("u3", "cleo")];
    let server = holding(people, Vec::new(), |_| None).await;
    let company = Company { people: vec![person("ada", "ada@example.com")], groups: Vec::new() };
    let mut sync = Synchronisation::new(&server.url(), "t".into());
    let mut all = company.clone();
    all.people.extend([person("bob", "bob@example.com"), person("cleo", "cleo@example.com")]);
    assert!(sync.run(&all).await.outcomes().is_empty());
    sync.rules.removal = Removal::Delete;
    sync.rules.limits.source_shrink.percent = 100;
    assert_eq!(reasons(&sync.run(&company).await, Verb::DeleteUser), ["Done", "Done"]);
    assert_eq!(conditions(&server, "DELETE"), ["W/\"1\"", "W/\"1\""]);
}

#[tokio::test]
async fn members_are_changed_in_the_version_that_is_known_and_after_a_conflict_in_the_one_that_was_read() {
    let group_now = |version: &str| json!({"id": "g1", "members": [], "meta": {"version": version}});
    let mut all = group_now("W/\"1\"");
    all["externalId"] = json!("all");
    all["displayName"] = json!("all");
    let people = vec![copy("u1", "ada"), copy("u2", "bob"), copy("u3", "cleo"), copy("u4", "dan")];
    let server = holding(people, vec![all], move |request| match (request.method.as_str(), request.before) {
        ("PATCH", 0) => Some(Scripted::json(412, &Value::Null)),
        ("PATCH", 1) => Some(Scripted::json(200, &group_now("W/\"3\""))),
        ("GET", _) if request.path == "/Groups/g1" => Some(Scripted::json(200, &group_now("W/\"2\""))),
        _ => None,
    })
    .await;
    let ids = ["ada", "bob", "cleo", "dan"];
    let company = Company {
        people: ids.iter().map(|id| person(id, &format!("{id}@example.com"))).collect(),
        groups: vec![group("all", &ids)],
    };
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&company).await;
    assert_eq!(reasons(&applied, Verb::AddMember), ["Done"; 4], "{:?}", answers(&applied));
    assert_eq!(conditions(&server, "PATCH"), ["W/\"1\"", "W/\"2\"", "W/\"3\""]);
}

/// A service with three people to be renamed, each refused until somebody else was: `waits` says for whom.
async fn waiting(waits: &'static [(&'static str, &'static str)]) -> (HttpServer, Company) {
    let done = Mutex::new(HashSet::new());
    let people = vec![copy("u1", "ada"), copy("u2", "bob"), copy("u3", "cleo")];
    let server = holding(people, Vec::new(), move |request| {
        let id = request.path.strip_prefix("/Users/").filter(|_| request.method == "PATCH")?;
        let mut done = done.lock().unwrap();
        if waits.iter().any(|(who, whom)| *who == id && !done.contains(*whom)) {
            let (status, kind) = if id == "u1" { (409, "") } else { (400, "uniqueness") };
            return Some(Scripted::json(status, &json!({"scimType": kind, "detail": "taken"})));
        }
        done.insert(id.to_owned());
        None
    })
    .await;
    let mut company = Company::small();
    company.groups.clear();
    company.people[1].aliases.clear();
    company.people.iter_mut().for_each(|person| person.display_name.push_str(" II"));
    (server, company)
}

#[tokio::test]
async fn changes_that_wait_for_each_other_are_tried_until_none_of_them_succeeds_any_more() {
    let (server, company) = waiting(&[("u1", "u2"), ("u2", "u3")]).await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&company).await;
    assert_eq!(applied.failed(), 0, "{:?}", answers(&applied));
    let (server, company) = waiting(&[("u1", "u2"), ("u2", "u1")]).await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&company).await;
    let mut renamed = reasons(&applied, Verb::UpdateUser);
    renamed.sort_unstable();
    assert_eq!(renamed, ["Done", "TargetConflict", "TargetConflict"]);
    assert_eq!((sent(&server, "PATCH", "/Users/u1"), sent(&server, "PATCH", "/Users/u2")), (2, 2));
}

#[tokio::test]
async fn an_id_with_odd_characters_is_changed_in_its_place() {
    const PATH: &str = "/Users/a%2Fb%3F%23%25%20%C3%BC";
    let ada = copy("a/b?#% ü", "ada");
    let one = ada.clone();
    let server = holding(vec![ada], Vec::new(), move |request| {
        (request.method == "GET" && request.path == PATH).then(|| Scripted::json(200, &one))
    })
    .await;
    let mut company = Company { people: vec![person("ada", "ada@example.com")], groups: Vec::new() };
    company.people[0].display_name = "Countess".to_owned();
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&company).await;
    assert_eq!(reasons(&applied, Verb::UpdateUser), ["Done"]);
    assert_eq!(sent(&server, "PATCH", PATH), 1);
}
