//! From a source through plan and gate into a SCIM service: what is sent, and what becomes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use directory_sync_core::applied::{Answer, Applied};
use directory_sync_core::confirm::{self, Finding, Lookup};
use directory_sync_core::gate;
use directory_sync_core::operation::Verb;
use directory_sync_core::plan::plan;
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, SourceSide};
use directory_sync_core::rules::{Adoption, Removal, Rules};
use directory_sync_core::snapshot::{GroupRecord, UserRecord};
use directory_sync_core::state::State;
use directory_sync_targets::Target;
use directory_sync_targets::scim::{ScimConfig, ScimTarget};
use directory_sync_tests::http_server::{HttpServer, Received, Scripted};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A directory as a test writes it down.
#[derive(Clone, Default)]
struct Company {
    people: Vec<UserRecord>,
    /// Id, which is the name too, and the ids of the members.
    groups: Vec<(String, Vec<String>)>,
}

fn person(id: &str, address: &str) -> UserRecord {
    UserRecord {
        id: id.to_owned(),
        address: address.to_owned(),
        given_name: "Given".to_owned(),
        family_name: id.to_uppercase(),
        display_name: format!("Given {id}"),
        active: true,
        attributes: vec![("department".to_owned(), "Sales".to_owned())],
        ..UserRecord::default()
    }
}

fn group(id: &str, members: &[&str]) -> (String, Vec<String>) {
    (id.to_owned(), members.iter().map(|&member| member.to_owned()).collect())
}

impl Company {
    /// Three people, one with an alias; a group of all and a group in it.
    fn small() -> Self {
        let mut bob = person("bob", "bob@example.com");
        bob.aliases = vec!["robert@example.com".to_owned()];
        Self {
            people: vec![person("ada", "ada@example.com"), bob, person("cleo", "cleo@example.com")],
            groups: vec![group("all", &["ada", "bob", "cleo", "board"]), group("board", &["ada"])],
        }
    }

    fn person(&mut self, id: &str) -> &mut UserRecord {
        self.people.iter_mut().find(|person| person.id == id).unwrap()
    }

    fn without(mut self, id: &str) -> Self {
        self.people.retain(|person| person.id != id);
        self.groups.iter_mut().for_each(|(_, members)| members.retain(|member| member != id));
        self
    }

    fn read(&self) -> CompleteRead<SourceSide> {
        let mut read = Read::start(ReadCaps::default());
        let section = read.open("the company");
        for person in &self.people {
            let reference = read.referencer().reference(person.id.as_bytes());
            read.user(section, reference, person).unwrap();
        }
        for (id, members) in &self.groups {
            let record = GroupRecord { id: id.clone(), name: id.clone(), ..GroupRecord::default() };
            let reference = read.referencer().reference(id.as_bytes());
            let row = read.group(section, reference, &record).unwrap();
            for member in members {
                let reference = read.referencer().reference(member.as_bytes());
                read.member(section, row, reference).unwrap();
            }
        }
        read.page(section, Next::End).unwrap();
        read.finish().unwrap()
    }

    /// What looking this up in the directory finds.
    fn finding(&self, lookup: &Lookup, read: &CompleteRead<SourceSide>) -> Finding {
        match lookup {
            Lookup::User { id } => match self.people.iter().find(|person| person.id == *id) {
                None => Finding::Gone,
                Some(person) if !person.active => Finding::Disabled,
                Some(_) => Finding::StillThere { members: None },
            },
            Lookup::Group { id } => match self.groups.iter().find(|(group, _)| group == id) {
                None => Finding::Gone,
                Some((_, members)) => {
                    let referencer = read.snapshot().referencer();
                    let members: HashSet<_> =
                        members.iter().map(|member| referencer.reference(member.as_bytes())).collect();
                    Finding::StillThere { members: Some(members) }
                }
            },
        }
    }
}

/// One target that is brought into line again and again.
struct Synchronisation {
    target: ScimTarget,
    rules: Rules,
    state: State,
    stop: CancellationToken,
}

impl Synchronisation {
    fn new(url: &str, token: secrecy::SecretString) -> Self {
        let mut config = ScimConfig::new(url.parse().unwrap(), token);
        config.allow_plaintext = true;
        config.page_size = NonZeroU32::new(2).unwrap();
        config.members_per_request = NonZeroU32::new(3).unwrap();
        config.requests_per_second = NonZeroU32::new(500).unwrap();
        config.timeout = Duration::from_secs(2);
        config.attributes = ["department".to_owned()].into();
        let rules = Rules { apply: true, ..Rules::default() };
        Self { target: ScimTarget::new(config).unwrap(), rules, state: State::new(), stop: CancellationToken::new() }
    }

    fn of(server: &Scim2Server) -> Self {
        Self::new(&server.url(), server.token().clone())
    }

    async fn run(&mut self, company: &Company) -> Applied {
        let now = Timestamp::now();
        let source = company.read();
        let target = self.target.read().await.unwrap();
        let capabilities = self.target.discover().await.unwrap();
        let plan = plan(&source, &target, &self.rules, &capabilities, &self.state, now);
        let lookups = confirm::lookups(&plan, 1000);
        let findings = lookups.as_slice().iter().map(|lookup| company.finding(lookup, &source)).collect();
        let confirmed = confirm::confirm(plan, lookups, findings);
        let mut judgement = gate::judge(confirmed, &self.rules, &self.state, None, now);
        let approved = judgement.take_approved();
        let applied = self.target.send(approved, &|_| {}, &self.stop).await;
        self.state = self.state.after(&judgement, &applied, now);
        applied
    }

    /// Brings the target into line; a second run then finds nothing to do.
    async fn settle(&mut self, company: &Company) -> Vec<Verb> {
        let applied = self.run(company).await;
        assert_eq!(applied.failed(), 0, "{:?}", answers(&applied));
        let again = self.run(company).await;
        assert!(again.outcomes().is_empty(), "{:?}", answers(&again));
        applied.outcomes().iter().map(directory_sync_core::applied::Outcome::verb).collect()
    }
}

fn answers(applied: &Applied) -> Vec<String> {
    applied.outcomes().iter().map(|outcome| format!("{} {:?}", outcome.verb(), outcome.answer())).collect()
}

fn reasons(applied: &Applied, verb: Verb) -> Vec<&'static str> {
    let outcomes = applied.outcomes().iter().filter(|outcome| outcome.verb() == verb);
    outcomes
        .map(|outcome| match outcome.answer() {
            Answer::Done { .. } => "Done",
            Answer::AlreadyDone { .. } => "AlreadyDone",
            Answer::Failed { reason, .. } | Answer::NotSent { reason } => *reason,
        })
        .collect()
}

async fn found(server: &Scim2Server, kind: &str, external_id: &str) -> Value {
    let all = server.all(kind).await.unwrap();
    all.into_iter().find(|resource| resource["externalId"] == external_id).unwrap_or_default()
}

/// Everything that can happen to a company, on one kind of server.
async fn whole_story(options: Scim2ServerOptions) {
    let server = Scim2Server::start(options).await.unwrap();
    let mut sync = Synchronisation::of(&server);
    let mut company = Company::small();
    sync.settle(&company).await;
    let bob = found(&server, "Users", "bob").await;
    assert_eq!((&bob["userName"], &bob["active"]), (&json!("bob@example.com"), &json!(true)));
    assert_eq!(bob["emails"][1]["value"], "robert@example.com");
    assert_eq!(found(&server, "Groups", "all").await["members"].as_array().unwrap().len(), 4);

    // A new name and address, the old one kept; a new alias for another; a department nobody has any more.
    let ada = company.person("ada");
    ada.address = String::from("ada.king@example.com");
    ada.aliases = vec!["ada@example.com".to_owned()];
    ada.family_name = String::from("King");
    ada.attributes.clear();
    company.person("bob").aliases = vec!["bobby@example.com".to_owned()];
    sync.settle(&company).await;
    let ada = found(&server, "Users", "ada").await;
    assert_eq!((&ada["userName"], &ada["name"]["familyName"]), (&json!("ada.king@example.com"), &json!("King")));
    assert_eq!(ada["emails"][1]["value"], "ada@example.com");
    assert_eq!(found(&server, "Users", "bob").await["emails"][1]["value"], "bobby@example.com");

    // Somebody is disabled and comes back, somebody leaves a group, and somebody leaves for good.
    company.person("bob").active = false;
    assert_eq!(sync.settle(&company).await, [Verb::SuspendUser]);
    assert_eq!(found(&server, "Users", "bob").await["active"], false);
    company.person("bob").active = true;
    assert_eq!(sync.settle(&company).await, [Verb::RestoreUser]);
    company.groups[0].1.retain(|member| member != "bob");
    assert_eq!(sync.settle(&company).await, [Verb::RemoveMember]);
    sync.rules.removal = Removal::Delete;
    let company = company.without("cleo");
    assert!(sync.settle(&company).await.contains(&Verb::DeleteUser));
    assert!(found(&server, "Users", "cleo").await.is_null());
}

#[tokio::test]
async fn a_server_with_patch_and_versions_is_kept_in_line() {
    whole_story(Scim2ServerOptions::default()).await;
}

#[tokio::test]
async fn a_server_with_cursors_is_kept_in_line() {
    whole_story(Scim2ServerOptions::with_cursors(2)).await;
}

#[tokio::test]
async fn a_server_with_nothing_but_put_is_kept_in_line() {
    whole_story(Scim2ServerOptions::without(&["patch", "filter", "etag"])).await;
}

#[tokio::test]
async fn what_the_service_holds_beside_our_fields_is_kept() {
    for options in [Scim2ServerOptions::default(), Scim2ServerOptions::without(&["patch"])] {
        let server = Scim2Server::start(options).await.unwrap();
        let mut sync = Synchronisation::of(&server);
        let mut company = Company { people: vec![person("ada", "ada@example.com")], groups: Vec::new() };
        sync.settle(&company).await;
        let mut ada = found(&server, "Users", "ada").await;
        ada["nickName"] = json!("Countess");
        let path = format!("Users/{}", ada["id"].as_str().unwrap());
        server.request(reqwest::Method::PUT, &path, Some(&ada)).await.unwrap();
        company.person("ada").family_name = "King".to_owned();
        sync.settle(&company).await;
        let ada = found(&server, "Users", "ada").await;
        assert_eq!((&ada["nickName"], &ada["name"]["familyName"]), (&json!("Countess"), &json!("King")));
    }
}

#[tokio::test]
async fn somebody_with_the_same_address_is_taken_over_only_where_that_is_allowed() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    let there = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@example.com"});
    let id = server.create("Users", &there).await.unwrap()["id"].clone();
    let company = Company { people: vec![person("ada", "ada@example.com")], groups: Vec::new() };
    let mut sync = Synchronisation::of(&server);
    assert!(sync.run(&company).await.outcomes().is_empty());
    sync.rules.adoption = Adoption::ByAddress;
    assert!(sync.settle(&company).await.contains(&Verb::AdoptUser));
    assert_eq!(found(&server, "Users", "ada").await["id"], id);
}

#[tokio::test]
async fn two_objects_with_one_external_id_are_both_left_alone() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    for name in ["one", "two"] {
        let twin = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "externalId": "ada",
        });
        server.create("Users", &twin).await.unwrap();
    }
    let before = server.all("Users").await.unwrap();
    let company = Company { people: vec![person("ada", "ada@example.com")], groups: Vec::new() };
    assert!(Synchronisation::of(&server).run(&company).await.outcomes().is_empty());
    assert_eq!(server.all("Users").await.unwrap(), before);
}

/// A service that is empty, takes everything, and fails where `fault` says so.
async fn taking(fault: impl Fn(&Received) -> Option<Scripted> + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(move |request| {
        fault(request).unwrap_or_else(|| match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/ServiceProviderConfig") => Scripted::json(200, &json!({"patch": {"supported": true}})),
            ("GET", "/Schemas") => Scripted::json(404, &Value::Null),
            ("GET", _) => Scripted::json(200, &json!({"totalResults": 0})),
            ("POST", _) => Scripted::json(201, &json!({"id": request.body["externalId"]})),
            _ => Scripted::json(204, &Value::Null),
        })
    })
    .await
    .unwrap()
}

fn sent(server: &HttpServer, method: &str, path: &str) -> usize {
    server.received().iter().filter(|request| request.method == method && request.path == path).count()
}

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

#[tokio::test]
async fn one_refusal_for_lack_of_rights_stops_nobody_else_but_three_in_a_row_do() {
    let server = taking(|request| {
        let hit = request.path == "/Users" && request.method == "POST" && request.before == 0;
        hit.then(|| Scripted::json(403, &Value::Null))
    })
    .await;
    let applied = Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    assert_eq!(reasons(&applied, Verb::CreateUser), ["TargetForbidden", "Done", "Done"]);
    let server = taking(|request| (request.method == "POST").then(|| Scripted::json(403, &Value::Null))).await;
    Synchronisation::new(&server.url(), "t".into()).run(&Company::small()).await;
    assert_eq!(sent(&server, "POST", "/Users") + sent(&server, "POST", "/Groups"), 3);
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
}
