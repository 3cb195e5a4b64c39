//! What the tests of the Google source have in common.

#![allow(dead_code, reason = "each file of tests uses some of it")]

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use directory_sync_core::mapping::{GroupMapping, GroupMappingSpec, UserMapping, UserMappingSpec, Value};
use directory_sync_core::read::{CompleteRead, ReadCaps, SourceSide};
use directory_sync_core::snapshot::{MemberKind, Snapshot};
use directory_sync_sources::google::{
    Backoff, Credentials, Endpoints, GoogleConfig, GoogleError, GoogleSource, Groups, Timeouts,
};
use directory_sync_tests::google_directory::{GoogleDirectory, SCOPES, ServiceAccount, Tenant};
use serde_json::{Value as Json, json};

/// The whole directory, with the pauses of a test.
pub(crate) fn config(directory: &GoogleDirectory) -> GoogleConfig {
    config_for(&directory.url(), &directory.key_file().unwrap())
}

pub(crate) fn config_for(base: &str, key_file: &str) -> GoogleConfig {
    GoogleConfig {
        endpoints: Endpoints::below(base),
        ca_pem: None,
        plaintext: true,
        credentials: Credentials::JsonKey(key_file.into()),
        delegated_admin: "admin@example.com".to_owned(),
        customer: "my_customer".to_owned(),
        domain: None,
        user_query: None,
        only_groups: Vec::new(),
        groups: Some(Groups::default()),
        user_mapping: user_mapping(&[]),
        group_mapping: group_mapping(),
        requests_per_second: NonZeroU32::new(1000).unwrap(),
        timeouts: Timeouts { request: Duration::from_secs(2), read: Duration::from_secs(60) },
        backoff: Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(20), times: 3 },
        caps: ReadCaps::default(),
    }
}

/// A key file of nobody.
pub(crate) fn key_file() -> String {
    ServiceAccount::new().unwrap().key_file("https://oauth2.googleapis.com/token").unwrap()
}

pub(crate) fn user_mapping_spec(attributes: &[(&str, &str)]) -> UserMappingSpec {
    let attribute = |name: &str| Some(Value::Attribute(name.to_owned()));
    UserMappingSpec {
        id: attribute("id"),
        email: attribute("primaryEmail"),
        aliases: vec![Value::Attribute("aliases".to_owned())],
        given_name: attribute("name.givenName"),
        family_name: attribute("name.familyName"),
        display_name: attribute("name.fullName"),
        active: attribute("active"),
        attributes: attributes
            .iter()
            .map(|(name, path)| ((*name).to_owned(), Value::Attribute((*path).to_owned())))
            .collect(),
        ..UserMappingSpec::default()
    }
}

pub(crate) fn user_mapping(attributes: &[(&str, &str)]) -> Arc<UserMapping> {
    compiled(&user_mapping_spec(attributes))
}

pub(crate) fn compiled(spec: &UserMappingSpec) -> Arc<UserMapping> {
    Arc::new(UserMapping::compile(spec).unwrap())
}

fn group_mapping() -> Arc<GroupMapping> {
    let attribute = |name: &str| Some(Value::Attribute(name.to_owned()));
    let spec = GroupMappingSpec {
        id: attribute("id"),
        email: attribute("email"),
        name: attribute("name"),
        description: attribute("description"),
        members: vec![Value::Attribute("members".to_owned())],
    };
    Arc::new(GroupMapping::compile(&spec).unwrap())
}

/// One read; no message shows a token or a part of the key.
pub(crate) async fn read(config: &GoogleConfig) -> Result<CompleteRead<SourceSide>, GoogleError> {
    let read = GoogleSource::new(config.clone()).unwrap().read_all().await;
    if let Err(error) = &read {
        let message = format!("{error} {error:?}");
        assert!(!message.contains("canary") && !message.contains("PRIVATE KEY"), "{message}");
    }
    read
}

/// Addresses of all people, sorted.
pub(crate) fn addresses(snapshot: &Snapshot) -> Vec<String> {
    let addresses: BTreeSet<_> = snapshot.users().map(|user| user.address().to_owned()).collect();
    addresses.into_iter().collect()
}

/// Addresses of the members of a group, sorted.
pub(crate) fn members(snapshot: &Snapshot, group: &str) -> Vec<String> {
    let group = snapshot.groups().find(|one| one.address() == group).unwrap();
    let address = |member| match member {
        MemberKind::User(row) => snapshot.user(row).address().to_owned(),
        MemberKind::Group(row) => snapshot.group(row).address().to_owned(),
    };
    let members: BTreeSet<_> = group.members().iter().map(|member| address(member.kind())).collect();
    members.into_iter().collect()
}

/// 7 people and 3 groups, read 3 at a time.
pub(crate) async fn company() -> (GoogleDirectory, Vec<String>, Vec<String>) {
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

/// Has Google's client library do a task with the key of the service account.
pub(crate) async fn done_by_google(directory: &GoogleDirectory, task: &'static str, further: Json) -> Json {
    let mut argument = json!({
        "base": format!("{}/", directory.url()),
        "key_file": directory.key_file().unwrap(),
        "admin": "admin@example.com",
        "scopes": SCOPES,
    });
    argument.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    run(directory, task, argument).await
}

/// Has it do a task with these arguments.
pub(crate) async fn run(directory: &GoogleDirectory, task: &'static str, argument: Json) -> Json {
    let library = directory.library().clone();
    tokio::task::spawn_blocking(move || library.run(task, &argument)).await.unwrap().unwrap()
}
