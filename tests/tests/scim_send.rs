//! From a source through plan and gate into a real SCIM server: what is sent, and what becomes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scim;

use directory_sync_core::operation::Verb;
use directory_sync_core::rules::{Adoption, Removal};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use reqwest::Method;
use scim::{Company, Synchronisation, group, person, reasons};
use serde_json::{Value, json};

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

#[tokio::test]
async fn whoever_is_changed_between_read_and_deletion_is_left_and_planned_anew() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    let mut sync = Synchronisation::of(&server);
    sync.settle(&Company::small()).await;
    sync.rules.removal = Removal::Delete;
    let company = Company::small().without("cleo");
    let renamed = async || {
        let mut cleo = found(&server, "Users", "cleo").await;
        cleo["displayName"] = json!("Cleo the Second");
        let path = format!("Users/{}", cleo["id"].as_str().unwrap());
        server.request(Method::PUT, &path, Some(&cleo)).await.unwrap();
    };
    let applied = sync.run_while(&company, renamed).await;
    assert_eq!(reasons(&applied, Verb::DeleteUser), ["TargetObjectChanged"]);
    assert_eq!(found(&server, "Users", "cleo").await["displayName"], "Cleo the Second");
    assert_eq!(reasons(&sync.run(&company).await, Verb::DeleteUser), ["Done"]);
    assert!(found(&server, "Users", "cleo").await.is_null());
}

#[tokio::test]
async fn a_group_that_somebody_else_changes_meanwhile_gets_its_member_all_the_same() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    let mut sync = Synchronisation::of(&server);
    let mut company = Company::small();
    sync.settle(&company).await;
    let guest = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "guest"});
    let guest = server.create("Users", &guest).await.unwrap()["id"].clone();
    company.groups[1] = group("board", &["ada", "bob"]);
    let guest_joins = async || {
        let mut board = found(&server, "Groups", "board").await;
        board["members"].as_array_mut().unwrap().push(json!({"value": guest, "type": "User"}));
        let path = format!("Groups/{}", board["id"].as_str().unwrap());
        server.request(Method::PUT, &path, Some(&board)).await.unwrap();
    };
    let applied = sync.run_while(&company, guest_joins).await;
    assert_eq!(reasons(&applied, Verb::AddMember), ["Done"]);
    assert_eq!(found(&server, "Groups", "board").await["members"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn people_who_want_each_others_addresses_cost_the_service_no_request() {
    let server = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
    let mut sync = Synchronisation::of(&server);
    let mut company = Company::small();
    company.people[1].aliases.clear();
    sync.settle(&company).await;
    company.person("ada").address = "bob@example.com".to_owned();
    company.person("bob").address = "ada@example.com".to_owned();
    assert!(sync.run(&company).await.outcomes().is_empty());
    // One of them gets another address for a while, as the warning asks for: then both come into line.
    company.person("ada").address = "meanwhile@example.com".to_owned();
    for expected in [1, 1] {
        assert_eq!(reasons(&sync.run(&company).await, Verb::UpdateUser), vec!["Done"; expected]);
    }
    company.person("ada").address = "bob@example.com".to_owned();
    sync.settle(&company).await;
    assert_eq!(found(&server, "Users", "ada").await["userName"], "bob@example.com");
    assert_eq!(found(&server, "Users", "bob").await["userName"], "ada@example.com");
}
