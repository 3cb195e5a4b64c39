//! The SCIM target against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::num::NonZeroU32;

use directory_sync_core::capabilities::Field;
use directory_sync_core::snapshot::MemberKind;
use directory_sync_targets::Target;
use directory_sync_targets::scim::{ScimConfig, ScimTarget};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

fn target(server: &Scim2Server) -> ScimTarget {
    let mut config = ScimConfig::new(server.url().parse().unwrap(), server.token().clone());
    config.allow_plaintext = true;
    config.page_size = NonZeroU32::new(10).unwrap();
    config.requests_per_second = NonZeroU32::new(500).unwrap();
    config.attributes = ["department".to_owned(), "title".to_owned(), "shoeSize".to_owned()].into();
    ScimTarget::new(config).unwrap()
}

async fn person(server: &Scim2Server, name: &str) -> String {
    let person = json!({
        "schemas": [USER, ENTERPRISE], "externalId": format!("id-{name}"), "userName": format!("{name}@example.com"),
        "name": {"givenName": name, "familyName": "Müller"}, "active": name != "n7",
        "emails": [{"value": format!("{name}@example.com"), "primary": true}, {"value": format!("{name}@example.net")}],
        ENTERPRISE: {"department": "Sales"},
    });
    id(&server.create("Users", &person).await.unwrap())
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

async fn everything_is_read(options: Scim2ServerOptions) {
    let server = Scim2Server::start(options).await.unwrap();
    let mut members = Vec::new();
    for number in 0..35 {
        members.push(json!({"value": person(&server, &format!("n{number}")).await, "type": "User"}));
    }
    let inner = json!({"schemas": [GROUP], "displayName": "Inner", "externalId": "g-inner", "members": members});
    let inner = id(&server.create("Groups", &inner).await.unwrap());
    let outer = json!({"schemas": [GROUP], "displayName": "Outer", "members": [{"value": inner, "type": "Group"}]});
    server.create("Groups", &outer).await.unwrap();
    server.create("Groups", &json!({"schemas": [GROUP], "displayName": "Empty"})).await.unwrap();

    let read = target(&server).read().await.unwrap();
    let snapshot = read.snapshot();
    assert_eq!((snapshot.counts().users, snapshot.counts().groups, snapshot.counts().memberships), (35, 3, 36));
    let user = snapshot.users().find(|user| user.external_id() == "id-n7").unwrap();
    assert_eq!(user.address(), "n7@example.com");
    assert_eq!(user.aliases().collect::<Vec<_>>(), ["n7@example.net"]);
    assert_eq!((user.given_name(), user.family_name(), user.active()), ("n7", "Müller", false));
    assert_eq!(user.attributes().collect::<Vec<_>>(), [("department", "Sales")]);
    let outer = snapshot.groups().find(|group| group.name() == "Outer").unwrap();
    let MemberKind::Group(row) = outer.members()[0].kind() else { panic!("a group is nested") };
    assert_eq!((snapshot.group(row).name(), snapshot.group(row).external_id()), ("Inner", "g-inner"));
    assert_eq!(snapshot.group(row).members().len(), 35);
}

#[tokio::test]
async fn every_page_is_read_by_index() {
    everything_is_read(Scim2ServerOptions::default()).await;
}

#[tokio::test]
async fn every_page_is_read_by_cursor() {
    everything_is_read(Scim2ServerOptions::with_cursors(10)).await;
}

#[tokio::test]
async fn an_empty_service_is_read_as_empty() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    let read = target(&server).read().await.unwrap();
    assert_eq!(read.snapshot().user_count() + read.snapshot().group_count(), 0);
}

#[tokio::test]
async fn two_people_with_one_external_id_are_both_read() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    for name in ["a", "b"] {
        let twin = json!({"schemas": [USER], "userName": format!("{name}@example.com"), "externalId": "twin"});
        server.create("Users", &twin).await.unwrap();
    }
    let read = target(&server).read().await.unwrap();
    assert_eq!(read.snapshot().users().filter(|user| user.external_id() == "twin").count(), 2);
}

#[tokio::test]
async fn discovery_finds_what_the_server_has_a_place_for() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    let capabilities = target(&server).discover().await.unwrap();
    for field in [Field::ExternalId, Field::Email, Field::Aliases, Field::DisplayName, Field::Active] {
        assert!(capabilities.user_fields.contains(field), "{field}");
    }
    assert!(!capabilities.user_fields.contains(Field::OrgUnit));
    assert!(!capabilities.group_fields.contains(Field::Email));
    assert_eq!(capabilities.attributes.iter().collect::<Vec<_>>(), ["department", "title"]);
    assert!(capabilities.nested_groups);
}

#[tokio::test]
async fn a_wrong_token_is_told_as_one() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    let mut config = ScimConfig::new(server.url().parse().unwrap(), "wrong".into());
    config.allow_plaintext = true;
    assert_eq!(ScimTarget::new(config).unwrap().discover().await.unwrap_err().reason(), "TargetAuthFailed");
}
