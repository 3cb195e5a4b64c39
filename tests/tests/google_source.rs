//! Google Workspace as a source, against a stand-in that Google's own descriptions and client library judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "google/mod.rs"]
mod google;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use directory_sync_api::DirectorySync;
use directory_sync_api::admission::admit;
use directory_sync_controller::connect::{Kind, ReferenceError, Referenced, References, Versions, connect};
use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::mapping::Value as From;
use directory_sync_core::snapshot::User;
use directory_sync_sources::Source;
use directory_sync_sources::google::{GoogleConfig, GoogleSource, Groups};
use directory_sync_targets::Unobserved;
use directory_sync_tests::google_directory::{CUSTOMER, SCOPES};
use google::{addresses, company, config, members, read, user_mapping_spec};
use serde::Deserialize;
use serde_json::{Value, json};

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
async fn resources_of_one_project_and_administrator_share_one_pace() {
    let (directory, ..) = company().await;
    let slow = GoogleConfig { requests_per_second: NonZeroU32::new(10).unwrap(), ..config(&directory) };
    let other = GoogleConfig { requests_per_second: NonZeroU32::new(11).unwrap(), ..config(&directory) };
    let sources = [&slow, &slow, &slow].map(|config| GoogleSource::new(config.clone()).unwrap());
    let begun = Instant::now();
    for read in futures::future::join_all(sources.iter().map(GoogleSource::read_all)).await {
        read.unwrap();
    }
    // 8 requests each; the first 10 go out at once.
    let asked = directory.received().iter().filter(|request| request.path != "/token").count();
    let least = Duration::from_millis(100) * u32::try_from(asked - 10).unwrap();
    assert!(asked > 20 && begun.elapsed() >= least.mul_f64(0.9), "{asked} requests in {:?}", begun.elapsed());
    let begun = Instant::now();
    GoogleSource::new(other).unwrap().read_all().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "another rate is another pace");
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
