//! Referrals and continuation references.

use super::{config, error_of_search, reason_of_search};
use directory_sync_core::disposition::Classified;
use directory_sync_sources::ldap::{LdapConfig, LdapSource};
use directory_sync_tests::ldap_server::LdapServer;
use directory_sync_tests::ldap_server::messages;

#[tokio::test]
async fn referrals_and_continuation_references_are_not_followed() {
    let elsewhere = "ldap://elsewhere.example.com/dc=x";
    let reference = |id: u8, url: &str| [messages::reference(id, url), messages::done(id, 0, Some(b""))].concat();
    for answer in [messages::referral as fn(u8, &str) -> Vec<u8>, reference] {
        let error = error_of_search(move |id| [messages::person(id, "ada"), answer(id, elsewhere)].concat()).await;
        assert_eq!(error.reason(), "SourceReferral");
        assert!(error.to_string().contains(elsewhere), "{error}");
    }
}

#[tokio::test]
async fn referrals_lead_to_allowed_hosts_only() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let other = LdapServer::misbehave_once(move |mut session| {
        let sender = sender.clone();
        async move {
            sender.send(()).await?;
            session.bind().await?;
            let id = session.search().await?;
            session.send(&messages::person(id, "elsewhere")).await?;
            session.send(&messages::done(id, 0, Some(b""))).await?;
            session.wait().await
        }
    })
    .await
    .unwrap();
    let url = format!("{}/ou=Elsewhere,dc=example,dc=com", other.url());
    let refer = |url: String| {
        LdapServer::misbehave_once(move |mut session| {
            let url = url.clone();
            async move {
                session.bind().await?;
                let id = session.search().await?;
                session.send(&messages::person(id, "here")).await?;
                session.send(&messages::reference(id, &url)).await?;
                session.send(&messages::done(id, 0, Some(b""))).await?;
                session.wait().await
            }
        })
    };
    let server = refer(url.clone()).await.unwrap();
    let hosts = vec!["another.example.com".to_owned()];
    let error = LdapSource::new(LdapConfig { referral_hosts: hosts, ..config(&server) }).unwrap().read_all().await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains(&url) && error.to_string().contains("followReferrals.hosts"), "{error}");
    assert!(receiver.try_recv().is_err(), "a host that is not allowed was spoken to");

    let server = refer(url).await.unwrap();
    let hosts = vec!["127.0.0.1".to_owned()];
    let source = LdapSource::new(LdapConfig { referral_hosts: hosts, ..config(&server) }).unwrap();
    assert_eq!(source.read_all().await.unwrap().snapshot().counts().users, 2);
}

#[tokio::test]
async fn a_filter_in_a_referral_that_cannot_be_sent_makes_it_one_that_is_not_followed() {
    for filter in ["(uid=a", &format!("{}(uid=a){}", "(!".repeat(1000), ")".repeat(1000))] {
        let url = format!("ldap://127.0.0.1:1/dc=x???{filter}");
        let server = LdapServer::misbehave_once(move |mut session| {
            let url = url.clone();
            async move {
                session.bind().await?;
                let id = session.search().await?;
                session.send(&messages::reference(id, &url)).await?;
                session.send(&messages::done(id, 0, Some(b""))).await?;
                session.wait().await
            }
        })
        .await
        .unwrap();
        let config = LdapConfig { referral_hosts: vec!["127.0.0.1".to_owned()], ..config(&server) };
        let error = LdapSource::new(config).unwrap().read_all().await.unwrap_err();
        assert_eq!(error.reason(), "SourceReferral", "{error}");
    }
}

#[tokio::test]
async fn references_have_caps_on_their_length_and_their_number() {
    let long = |id| messages::reference(id, &format!("ldap://elsewhere.example.com/{}", "x".repeat(8192)));
    assert_eq!(reason_of_search(long).await, "SourceMalformedAnswer");
    let many = |id| messages::reference(id, "ldap://elsewhere.example.com/dc=x").repeat(101);
    assert_eq!(reason_of_search(many).await, "SourceLimitExceeded");
}

#[tokio::test]
async fn a_server_to_which_a_referral_led_and_that_fails_does_not_make_the_other_one_a_failed_one() {
    let server = LdapServer::misbehave_once(|mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        session.send(&messages::reference(id, "ldap://127.0.0.1:1/dc=x")).await?;
        session.send(&messages::done(id, 0, Some(b""))).await?;
        session.wait().await
    })
    .await
    .unwrap();
    let second = LdapServer::behave().await.unwrap();
    let config = LdapConfig {
        urls: vec![server.url(), second.url()],
        referral_hosts: vec!["127.0.0.1".to_owned()],
        ..config(&server)
    };
    let source = LdapSource::new(config).unwrap();
    let error = source.read_all().await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1 cannot be reached"), "{error}");
    assert_eq!(source.read_all().await.unwrap().server(), Some(server.url().as_str()));
}
