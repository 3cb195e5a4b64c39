//! From a source through plan and gate into a SCIM service, run after run.

#![allow(dead_code, reason = "each file of tests uses some of it")]

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use directory_sync_core::applied::{Answer, Applied};
use directory_sync_core::confirm::{self, Finding, Lookup};
use directory_sync_core::gate;
use directory_sync_core::operation::Verb;
use directory_sync_core::plan::plan;
use directory_sync_core::read::{CompleteRead, Next, Read, ReadCaps, SourceSide};
use directory_sync_core::rules::Rules;
use directory_sync_core::snapshot::{GroupRecord, UserRecord};
use directory_sync_core::state::State;
use directory_sync_targets::Target;
use directory_sync_targets::scim::{ScimConfig, ScimTarget};
use directory_sync_tests::http_server::{HttpServer, Received, Scripted};
use directory_sync_tests::peers::scim2_server::Scim2Server;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A directory as a test writes it down.
#[derive(Clone, Default)]
pub(crate) struct Company {
    pub(crate) people: Vec<UserRecord>,
    /// Id, which is the name too, and the ids of the members.
    pub(crate) groups: Vec<(String, Vec<String>)>,
}

pub(crate) fn person(id: &str, address: &str) -> UserRecord {
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

pub(crate) fn group(id: &str, members: &[&str]) -> (String, Vec<String>) {
    (id.to_owned(), members.iter().map(|&member| member.to_owned()).collect())
}

impl Company {
    /// Three people, one with an alias; a group of all and a group in it.
    pub(crate) fn small() -> Self {
        let mut bob = person("bob", "bob@example.com");
        bob.aliases = vec!["robert@example.com".to_owned()];
        Self {
            people: vec![person("ada", "ada@example.com"), bob, person("cleo", "cleo@example.com")],
            groups: vec![group("all", &["ada", "bob", "cleo", "board"]), group("board", &["ada"])],
        }
    }

    pub(crate) fn person(&mut self, id: &str) -> &mut UserRecord {
        self.people.iter_mut().find(|person| person.id == id).unwrap()
    }

    pub(crate) fn without(mut self, id: &str) -> Self {
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
pub(crate) struct Synchronisation {
    target: ScimTarget,
    pub(crate) rules: Rules,
    state: State,
    pub(crate) stop: CancellationToken,
}

impl Synchronisation {
    pub(crate) fn new(url: &str, token: secrecy::SecretString) -> Self {
        Self::with(url, token, |_| {})
    }

    /// The same with changes to how the service is reached.
    pub(crate) fn with(url: &str, token: secrecy::SecretString, change: impl FnOnce(&mut ScimConfig)) -> Self {
        let mut config = ScimConfig::new(url.parse().unwrap(), token);
        config.allow_plaintext = true;
        config.page_size = NonZeroU32::new(2).unwrap();
        config.members_per_request = NonZeroU32::new(3).unwrap();
        config.requests_per_second = NonZeroU32::new(500).unwrap();
        config.timeout = Duration::from_secs(2);
        config.attributes = ["department".to_owned()].into();
        change(&mut config);
        let rules = Rules { apply: true, ..Rules::default() };
        Self { target: ScimTarget::new(config).unwrap(), rules, state: State::new(), stop: CancellationToken::new() }
    }

    pub(crate) fn of(server: &Scim2Server) -> Self {
        Self::new(&server.url(), server.token().clone())
    }

    pub(crate) async fn run(&mut self, company: &Company) -> Applied {
        self.run_while(company, async || {}).await
    }

    /// The same, while somebody else does something between the read and the first change.
    pub(crate) async fn run_while(&mut self, company: &Company, meanwhile: impl AsyncFnOnce()) -> Applied {
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
        meanwhile().await;
        let applied = self.target.send(approved, &|_| {}, &self.stop).await;
        self.state = self.state.after(&judgement, &applied, now);
        applied
    }

    /// Brings the target into line; a second run then finds nothing to do.
    pub(crate) async fn settle(&mut self, company: &Company) -> Vec<Verb> {
        let applied = self.run(company).await;
        assert_eq!(applied.failed(), 0, "{:?}", answers(&applied));
        let again = self.run(company).await;
        assert!(again.outcomes().is_empty(), "{:?}", answers(&again));
        applied.outcomes().iter().map(directory_sync_core::applied::Outcome::verb).collect()
    }
}

pub(crate) fn answers(applied: &Applied) -> Vec<String> {
    applied.outcomes().iter().map(|outcome| format!("{} {:?}", outcome.verb(), outcome.answer())).collect()
}

pub(crate) fn reasons(applied: &Applied, verb: Verb) -> Vec<&'static str> {
    let outcomes = applied.outcomes().iter().filter(|outcome| outcome.verb() == verb);
    outcomes
        .map(|outcome| match outcome.answer() {
            Answer::Done { .. } => "Done",
            Answer::AlreadyDone { .. } => "AlreadyDone",
            Answer::Failed { reason, .. } | Answer::NotSent { reason } => *reason,
        })
        .collect()
}

/// A service that is empty, takes everything, and fails where `fault` says so.
pub(crate) async fn taking(fault: impl Fn(&Received) -> Option<Scripted> + Send + Sync + 'static) -> HttpServer {
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

pub(crate) fn sent(server: &HttpServer, method: &str, path: &str) -> usize {
    server.received().iter().filter(|request| request.method == method && request.path == path).count()
}
