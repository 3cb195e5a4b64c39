//! Google Workspace as a source, against a stand-in that Google's own descriptions and client library judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "google/mod.rs"]
mod google;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use directory_sync_api::DirectorySync;
use directory_sync_api::admission::admit;
use directory_sync_controller::connect::{Kind, ReferenceError, Referenced, References, Versions, connect};
use directory_sync_core::Disposition;
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_core::mapping::Value as From;
use directory_sync_core::snapshot::{Group, MemberKind, Snapshot, User};
use directory_sync_sources::Source;
use directory_sync_sources::google::{Credentials, GoogleConfig, GoogleSource, Groups};
use directory_sync_targets::Unobserved;
use directory_sync_tests::google_directory::{
    CUSTOMER, ClientLibrary, Discovery, GoogleDirectory, PROVIDER, SCOPES, Tenant, WORKLOAD_TOKEN,
};
use google::{addresses, config, members, read, user_mapping, user_mapping_spec};
use serde::Deserialize;
use serde_json::{Value, json};

/// 7 people and 3 groups, read 3 at a time.
async fn company() -> (GoogleDirectory, Vec<String>, Vec<String>) {
    let mut tenant = Tenant::with_administrator();
    let people: Vec<String> = ["ada", "bob", "cy", "dee", "eve", "fay"]
        .iter()
        .map(|name| tenant.user(&format!("{name}@example.com"), json!({ "orgUnitPath": "/Staff" })))
        .collect();
    let groups: Vec<String> =
        ["staff", "board", "empty"].iter().map(|name| tenant.group(&format!("{name}@example.com"))).collect();
    tenant.join(&groups[0], &[&people[0], &people[1], &people[2], &people[3], &groups[1]]);
    tenant.join(&groups[1], &[&people[4]]);
    let directory = GoogleDirectory::start(tenant).await.unwrap();
    directory.page_by(3);
    (directory, people, groups)
}

/// What Google says about the Directory API.
fn discovery() -> Discovery {
    let documents = ClientLibrary::installed().unwrap().documents().unwrap();
    Discovery::read(&documents, "admin.directory_v1").unwrap()
}

/// Ids of the members of a group.
fn member_ids<'s>(snapshot: &'s Snapshot, group: &Group<'s>) -> BTreeSet<&'s str> {
    let id = |member| match member {
        MemberKind::User(row) => snapshot.user(row).id(),
        MemberKind::Group(row) => snapshot.group(row).id(),
    };
    group.members().iter().map(|member| id(member.kind())).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[tokio::test]
async fn people_groups_and_members_are_read_page_by_page() {
    let (directory, people, groups) = company().await;
    let world = read(&config(&directory)).await.unwrap();
    let snapshot = world.snapshot();
    assert_eq!((snapshot.user_count(), snapshot.group_count()), (7, 3));
    let ada = snapshot.users().find(|user| user.id() == people[0]).unwrap();
    assert_eq!((ada.address(), ada.given_name(), ada.display_name()), ("ada@example.com", "ada", "ada Example"));
    assert!(ada.active());
    assert_eq!(
        members(snapshot, "staff@example.com"),
        ["ada@example.com", "board@example.com", "bob@example.com", "cy@example.com", "dee@example.com"]
    );
    assert_eq!(members(snapshot, "board@example.com"), ["eve@example.com"]);
    assert!(members(snapshot, "empty@example.com").is_empty());
    let group = snapshot.groups().find(|group| group.id() == groups[0]).unwrap();
    assert_eq!((group.name(), group.members_unknown()), ("staff", false));
    let pages = |path: &str| directory.received().iter().filter(|request| request.path.ends_with(path)).count();
    assert_eq!((pages("/users"), pages(&format!("/{}/members", groups[0]))), (3, 2));
}

#[tokio::test]
async fn googles_own_client_library_reads_the_same() {
    let (directory, people, _) = company().await;
    directory.change(|tenant| {
        tenant.user_mut(&people[1]).unwrap()["customSchemas"] = json!({ "Employment": { "costCenter": "CC-7" } });
    });
    let argument = json!({
        "base": format!("{}/", directory.url()),
        "key_file": directory.key_file().unwrap(),
        "admin": "admin@example.com",
        "scopes": SCOPES,
        "schema": "Employment",
        "missing": "199999999999999999999",
    });
    let library = directory.library().clone();
    let theirs = tokio::task::spawn_blocking(move || library.run("read", &argument)).await.unwrap().unwrap();
    let mut config = config(&directory);
    config.user_mapping = user_mapping(&[("costCenter", "customSchemas.Employment.costCenter")]);
    let ours = read(&config).await.unwrap();
    let snapshot = ours.snapshot();

    assert_eq!(theirs["userPages"], 3);
    assert_eq!(theirs["absence"], json!([404, "notFound"]));
    let users: BTreeMap<_, _> =
        snapshot.users().map(|user| (user.id().to_owned(), user.address().to_owned())).collect();
    let their_users: BTreeMap<String, String> = theirs["users"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, user)| (id.clone(), user["primaryEmail"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(users, their_users);
    assert_eq!(theirs["users"][&people[1]]["customSchemas"]["Employment"]["costCenter"], "CC-7");
    let bob = snapshot.users().find(|user| user.id() == people[1]).unwrap();
    assert_eq!(bob.attributes().collect::<Vec<_>>(), [("costCenter", "CC-7")]);
    for group in snapshot.groups() {
        assert_eq!(theirs["groups"][group.id()], group.address());
        let theirs: BTreeSet<&str> =
            theirs["members"][group.id()].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(member_ids(snapshot, &group), theirs);
    }
}

#[tokio::test]
async fn an_assertion_is_one_by_the_rules_of_googles_own_library() {
    let (directory, ..) = company().await;
    read(&config(&directory)).await.unwrap();
    let asked = directory.received().into_iter().find(|request| request.path == "/token").unwrap();
    let form: BTreeMap<String, String> = url_form(&asked.body);
    let audience = format!("{}/token", directory.url());
    let argument = json!({
        "assertion": form["assertion"], "public_key": directory.key().unwrap().1, "audience": audience,
    });
    let library = directory.library().clone();
    let claims = tokio::task::spawn_blocking(move || library.run("verify", &argument)).await.unwrap().unwrap();
    assert_eq!((&claims["sub"], &claims["scope"]), (&json!("admin@example.com"), &json!(SCOPES.join(" "))));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
}

fn url_form(body: &str) -> BTreeMap<String, String> {
    reqwest::Url::parse(&format!("http://x/?{body}")).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn many_requests_share_one_token_and_every_scope_is_to_read() {
    let (directory, ..) = company().await;
    read(&config(&directory)).await.unwrap();
    assert_eq!(directory.received().iter().filter(|request| request.path == "/token").count(), 1);
    // Without groups there is no need to see any.
    directory.delegate(&SCOPES[..1]);
    let without_groups = GoogleConfig { groups: None, ..config(&directory) };
    assert_eq!(read(&without_groups).await.unwrap().snapshot().group_count(), 0);
}

#[tokio::test]
async fn a_key_in_pkcs12_serves_as_well_with_googles_password_and_with_another() {
    let (directory, ..) = company().await;
    for password in ["notasecret", "open sesame"] {
        let argument = json!({ "private_key": directory.key().unwrap().0, "password": password });
        let library = directory.library().clone();
        let file = tokio::task::spawn_blocking(move || library.run("p12", &argument)).await.unwrap().unwrap();
        let file = decoded(file.as_str().unwrap());
        let with = |password: &str| GoogleConfig {
            credentials: Credentials::P12Key {
                file: file.clone().into(),
                password: password.into(),
                service_account: directory.service_account(),
            },
            ..config(&directory)
        };
        assert_eq!(read(&with(password)).await.unwrap().snapshot().user_count(), 7);
        let wrong = GoogleSource::new(with("wrong")).unwrap_err();
        assert_eq!((wrong.reason(), wrong.disposition()), ("SourceKeyInvalid", Disposition::Stall));
    }
}

#[tokio::test]
async fn a_workload_reads_without_a_key() {
    let (directory, ..) = company().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{WORKLOAD_TOKEN}\n")).unwrap();
    let workload = |provider: &str| GoogleConfig {
        credentials: Credentials::Workload {
            token_file: file.path().to_owned(),
            provider: provider.to_owned(),
            service_account: directory.service_account(),
        },
        ..config(&directory)
    };
    assert_eq!(read(&workload(PROVIDER)).await.unwrap().snapshot().user_count(), 7);

    let error = read(&workload("//iam.googleapis.com/another")).await.unwrap_err();
    assert_eq!(error.reason(), "SourceAuthFailed");
    assert!(error.to_string().contains("check provider"), "{error}");
    let elsewhere = GoogleConfig {
        credentials: Credentials::Workload {
            token_file: file.path().to_owned(),
            provider: PROVIDER.to_owned(),
            service_account: "other@simulated.iam.gserviceaccount.com".to_owned(),
        },
        ..config(&directory)
    };
    let error = read(&elsewhere).await.unwrap_err();
    assert_eq!(error.reason(), "SourceDelegationMissing");
    assert!(error.to_string().contains("roles/iam.serviceAccountTokenCreator"), "{error}");
    std::fs::remove_file(file.path()).unwrap();
    let error = read(&workload(PROVIDER)).await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("SourceTokenFileUnreadable", Disposition::Retry));
}

#[tokio::test]
async fn who_is_suspended_or_archived_is_inactive() {
    let (directory, people, _) = company().await;
    directory.change(|tenant| {
        tenant.user_mut(&people[0]).unwrap()["suspended"] = json!(true);
        tenant.user_mut(&people[1]).unwrap()["archived"] = json!(true);
    });
    let world = read(&config(&directory)).await.unwrap();
    let inactive: Vec<_> = world.snapshot().users().filter(|user| !user.active()).map(User::id).collect();
    assert_eq!(inactive, [&people[0], &people[1]]);
}

#[tokio::test]
async fn custom_schemas_and_lists_are_mapped_as_they_are_and_by_expressions() {
    let (directory, people, _) = company().await;
    directory.change(|tenant| {
        let ada = tenant.user_mut(&people[0]).unwrap();
        ada["customSchemas"] = json!({
            "Employment": { "costCenter": "CC-1", "sites": [{ "type": "work", "value": "Berlin" }, { "value": "Kiel" }] },
            "Secret": { "salary": 1 },
        });
        ada["organizations"] = json!([{ "title": "Fellow" }, { "title": "Head", "primary": true }]);
        ada["aliases"] = json!(["ada.l@example.com"]);
    });
    let mut spec = user_mapping_spec(&[
        ("costCenter", "customSchemas.Employment.costCenter"),
        ("title", "organizations.title;primary"),
    ]);
    let site = "'customSchemas.Employment.sites' in entry ? entry['customSchemas.Employment.sites'][1] : ''";
    spec.attributes.push(("site".to_owned(), From::Cel(site.to_owned())));
    let mut config = config(&directory);
    config.user_mapping = google::compiled(&spec);
    let world = read(&config).await.unwrap();
    let ada = world.snapshot().users().find(|user| user.id() == people[0]).unwrap();
    assert_eq!(ada.aliases().collect::<Vec<_>>(), ["ada.l@example.com"]);
    let attributes: Vec<_> = ada.attributes().collect();
    assert_eq!(attributes, [("costCenter", "CC-1"), ("site", "Kiel"), ("title", "Head")]);
    // Only the schema that is mapped is asked for.
    let asked = directory.received().into_iter().find(|request| request.path.ends_with("/users")).unwrap();
    assert_eq!((&*asked.query["projection"], &*asked.query["customFieldMask"]), ("custom", "Employment"));
}

#[test]
fn every_field_that_google_has_can_be_mapped_and_no_other() {
    let discovery = discovery();
    // What is written and never read, or says nothing about the person.
    let useless = ["hashFunction", "kind", "password", "thumbnailPhotoEtag"];
    for field in discovery.fields("User") {
        let path = match field {
            "customSchemas" => "customSchemas.A.b",
            "name" => "name.fullName",
            field => field,
        };
        let config = GoogleConfig {
            user_mapping: user_mapping(&[("x", path)]),
            ..google::config_for("http://127.0.0.1:1", &google::key_file())
        };
        assert_eq!(GoogleSource::new(config).is_ok(), !useless.contains(&field), "{field}");
    }
}

#[test]
fn the_judge_refuses_what_google_does_not_document() {
    let discovery = discovery();
    let list = discovery.method("GET", "/admin/directory/v1/users").unwrap();
    let query = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    for (name, value, sound) in [
        ("maxResults", "500", true),
        ("maxResults", "501", false),
        ("projection", "all", false),
        ("page_token", "x", false),
        ("fields", "kind", true),
    ] {
        assert_eq!(discovery.judge_query(&list, &query(name, value)).is_ok(), sound, "{name}={value}");
    }
    for (answer, sound) in [
        (json!({ "kind": "admin#directory#users", "users": [{ "id": "1", "suspended": true }] }), true),
        (json!({ "users": [{ "id": 1 }] }), false),
        (json!({ "users": [{ "mail": "a@example.com" }] }), false),
        (json!({ "people": [] }), false),
    ] {
        assert_eq!(discovery.judge_answer(&list, &answer).is_ok(), sound, "{answer}");
    }
    assert!(discovery.masked(&list, &json!({}), "users(id,mail)").is_err());
    assert!(discovery.method("GET", "/admin/directory/v1/people").is_err());
}

#[tokio::test]
async fn a_query_and_a_domain_narrow_the_people_and_the_groups() {
    let (directory, people, _) = company().await;
    directory.change(|tenant| {
        tenant.user_mut(&people[0]).unwrap()["orgUnitPath"] = json!("/Staff/Berlin");
        tenant.user("zoe@other.example", json!({ "orgUnitPath": "/Staff" }));
        tenant.group("club@other.example");
    });
    let query = GoogleConfig {
        user_query: Some("orgUnitPath=/Staff".to_owned()),
        groups: Some(Groups { query: Some("email:st*".to_owned()) }),
        ..config(&directory)
    };
    let world = read(&query).await.unwrap();
    assert_eq!((world.snapshot().user_count(), world.snapshot().group_count()), (7, 1));
    let domain = GoogleConfig { domain: Some("other.example".to_owned()), ..config(&directory) };
    let world = read(&domain).await.unwrap();
    assert_eq!(addresses(world.snapshot()), ["zoe@other.example"]);
    assert_eq!(world.snapshot().group_count(), 1);
}

#[tokio::test]
async fn only_members_of_the_named_groups_count_at_any_depth_and_through_circles() {
    let (directory, people, groups) = company().await;
    directory.change(|tenant| {
        let inner = tenant.group("inner@example.com");
        tenant.join(&groups[1], &[&inner]);
        // A circle: the innermost has the outermost as a member.
        tenant.join(&inner, &[&people[5], &groups[0]]);
    });
    let only = GoogleConfig { only_groups: vec!["board@example.com".to_owned()], ..config(&directory) };
    let world = read(&only).await.unwrap();
    let everybody = ["ada", "bob", "cy", "dee", "eve", "fay"].map(|name| format!("{name}@example.com"));
    assert_eq!(addresses(world.snapshot()), everybody);
    let found: BTreeSet<_> = world.snapshot().groups().map(|group| group.address().to_owned()).collect();
    assert_eq!(found, ["board", "inner", "staff"].map(|name| format!("{name}@example.com")).into());
    assert_eq!(members(world.snapshot(), "inner@example.com"), ["fay@example.com", "staff@example.com"]);

    let people_alone = GoogleConfig { groups: None, only_groups: vec!["empty@example.com".to_owned()], ..only };
    let world = read(&people_alone).await.unwrap();
    assert_eq!((world.snapshot().user_count(), world.snapshot().group_count()), (0, 0));
}

#[tokio::test]
async fn a_group_of_everybody_has_everybody() {
    let (directory, _, groups) = company().await;
    directory.change(|tenant| tenant.join(&groups[2], &[CUSTOMER]));
    let world = read(&config(&directory)).await.unwrap();
    assert_eq!(members(world.snapshot(), "empty@example.com").len(), 7);
    let only = GoogleConfig { only_groups: vec!["empty@example.com".to_owned()], ..config(&directory) };
    assert_eq!(read(&only).await.unwrap().snapshot().user_count(), 7);
}

/// The Secrets of the example.
struct Secrets(String);

#[async_trait::async_trait]
impl References for Secrets {
    async fn get(&self, _: Kind, name: &str) -> Result<Option<Referenced>, ReferenceError> {
        let (key, value) = if name == "google-reader" { ("key.json", &*self.0) } else { ("token", "target-token") };
        let values = [(key.to_owned(), value.as_bytes().to_vec().into())].into();
        Ok(Some(Referenced { version: "1".to_owned(), values }))
    }
}

#[tokio::test]
async fn the_example_leads_to_the_directory() {
    let (directory, people, _) = company().await;
    directory.change(|tenant| {
        tenant.group("contractors@example.com");
        tenant.user_mut(&people[0]).unwrap()["customSchemas"] = json!({ "Employment": { "costCenter": "CC-1" } });
    });
    let example = std::fs::read_to_string("../examples/google-to-scim.yaml").unwrap();
    let mut documents = serde_yaml::Deserializer::from_str(&example).map(|one| Value::deserialize(one).unwrap());
    let mut sync = documents.find(|document| document["kind"] == "DirectorySync").unwrap();
    let google = &mut sync["spec"]["source"]["google"];
    google["delegatedAdmin"] = json!("admin@example.com");
    google["baseURL"] = json!(directory.url());
    google["tls"] = json!({ "plaintext": "AllowTokenInClearText" });
    let sync: DirectorySync = admit(sync).unwrap();
    let secrets = Secrets(directory.key_file().unwrap());
    let connection = connect(&sync.spec, &secrets, &mut Versions::default(), Arc::new(Unobserved)).await.unwrap();
    assert_eq!(connection.source.kind(), "google");
    let world = connection.source.read().await.unwrap();
    let ada = world.snapshot().users().find(|user| user.id() == people[0]).unwrap();
    assert_eq!(ada.attributes().collect::<Vec<_>>(), [("costCenter", "CC-1")]);
    assert_eq!((world.snapshot().user_count(), world.snapshot().group_count()), (5, 3));
}

#[tokio::test]
async fn a_person_who_is_looked_up_is_found_with_the_reason() {
    let (directory, people, groups) = company().await;
    let source = GoogleSource::new(GoogleConfig {
        user_query: Some("orgUnitPath=/Staff".to_owned()),
        only_groups: vec!["staff@example.com".to_owned()],
        ..config(&directory)
    })
    .unwrap();
    let world = source.read_all().await.unwrap();
    directory.change(|tenant| {
        tenant.users.retain(|user| user["id"] != people[0].as_str());
        tenant.members.get_mut(&groups[0]).unwrap().retain(|member| member["id"] != people[1].as_str());
        tenant.user_mut(&people[2]).unwrap()["orgUnitPath"] = json!("/Left");
        tenant.user_mut(&people[3]).unwrap()["suspended"] = json!(true);
    });
    let lookups: Vec<_> = people.iter().map(|id| Lookup::User { id: id.clone() }).collect();
    let findings = source.confirm(&lookups, world.snapshot().referencer()).await;
    assert_eq!(
        findings,
        [
            Finding::Gone,
            Finding::MovedOutOfScope,
            Finding::NoLongerMatches,
            Finding::Disabled,
            Finding::StillThere { members: None },
            Finding::MovedOutOfScope,
        ]
    );
}

#[tokio::test]
async fn a_person_without_the_mapped_address_has_lost_it() {
    let (directory, people, _) = company().await;
    directory.change(|tenant| tenant.user_mut(&people[0]).unwrap()["recoveryEmail"] = json!("ada@home.example"));
    let mut spec = user_mapping_spec(&[]);
    spec.email = Some(From::Attribute("recoveryEmail".to_owned()));
    let source =
        GoogleSource::new(GoogleConfig { user_mapping: google::compiled(&spec), ..config(&directory) }).unwrap();
    let world = source.read_all().await.unwrap();
    directory.change(|tenant| tenant.user_mut(&people[0]).unwrap()["recoveryEmail"] = Value::Null);
    let lookup = [Lookup::User { id: people[0].clone() }];
    directory.change(|tenant| tenant.user_mut(&people[0]).unwrap().as_object_mut().unwrap().remove("recoveryEmail"));
    assert_eq!(source.confirm(&lookup, world.snapshot().referencer()).await, [Finding::LostAddress]);
}

#[tokio::test]
async fn a_group_that_is_looked_up_is_read_again() {
    let (directory, people, groups) = company().await;
    let source = GoogleSource::new(config(&directory)).unwrap();
    let world = source.read_all().await.unwrap();
    directory.change(|tenant| {
        tenant.members.get_mut(&groups[0]).unwrap().retain(|member| member["id"] == people[0].as_str());
        tenant.groups.retain(|group| group["id"] != groups[2].as_str());
    });
    let lookups = [Lookup::Group { id: groups[0].clone() }, Lookup::Group { id: groups[2].clone() }];
    let findings = source.confirm(&lookups, world.snapshot().referencer()).await;
    let ada = world.snapshot().users().find(|user| user.id() == people[0]).unwrap().reference().unwrap();
    assert_eq!(findings, [Finding::StillThere { members: Some([ada].into()) }, Finding::Gone]);
}
