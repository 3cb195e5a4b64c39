//! Several servers: in turn, behind one name, and of a domain.

use super::config;
use directory_sync_core::disposition::Classified;
use directory_sync_sources::ldap::{LdapConfig, LdapError, LdapSource};
use directory_sync_tests::ldap_server::messages::{self, BIND_RESPONSE};
use directory_sync_tests::ldap_server::{LdapServer, Session};
use std::net::SocketAddr;
use tokio::task::JoinHandle;

#[tokio::test]
async fn the_next_url_is_tried_when_a_server_cannot_be_used_but_not_after_a_wrong_password() {
    let busy = LdapServer::misbehave_once(|mut session| async move {
        let (id, _) = session.request().await?;
        session.send(&messages::result(id, BIND_RESPONSE, 51, "busy")).await
    })
    .await
    .unwrap();
    let refusing = LdapServer::misbehave_once(|mut session| async move {
        let (id, _) = session.request().await?;
        session.send(&messages::result(id, BIND_RESPONSE, 49, "")).await
    })
    .await
    .unwrap();
    let urls = vec!["ldap://127.0.0.1:1".to_owned(), busy.url(), refusing.url(), "ldap://127.0.0.1:1".to_owned()];
    let source = LdapSource::new(LdapConfig { urls, ..config(&busy) }).unwrap();
    assert_eq!(source.read_all().await.unwrap_err().reason(), "SourceAuthFailed");
    // Now the second server answers, so the third is not asked.
    assert_eq!(source.read_all().await.unwrap().snapshot().counts().users, 1);
}

#[tokio::test]
async fn a_server_that_fails_in_the_middle_fails_the_read_and_the_next_read_is_of_another_one() {
    let first = LdapServer::script(|_, mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        session.send(&messages::person(id, "of-the-first")).await
    })
    .await
    .unwrap();
    let second = LdapServer::behave().await.unwrap();
    let config = LdapConfig { urls: vec![first.url(), second.url()], ..config(&first) };
    let source = LdapSource::new(config).unwrap();
    let error = source.read_all().await.unwrap_err();
    assert_eq!(error.reason(), "SourceReadIncomplete", "{error}");
    for _ in 0..2 {
        let read = source.read_all().await.unwrap();
        let addresses: Vec<&str> = read.snapshot().users().map(directory_sync_core::snapshot::User::address).collect();
        assert_eq!((read.server(), addresses), (Some(second.url().as_str()), vec!["ada@example.com"]));
    }
}

/// Serves as the domain controller of this name.
async fn serve_as(host: &str, mut session: Session) -> anyhow::Result<()> {
    session.bind().await?;
    let id = session.search().await?;
    session.send(&messages::domain_controller(id, host)).await?;
    session.send(&messages::done(id, 0, None)).await?;
    while let Ok(id) = session.search().await {
        session.send(&messages::person(id, "ada")).await?;
        session.send(&messages::done(id, 0, Some(b""))).await?;
    }
    Ok(())
}

#[tokio::test]
async fn of_many_domain_controllers_behind_one_name_the_same_is_read_again_while_it_is_there() {
    let hosts = ["dc1.example.com", "dc2.example.com", "dc1.example.com", "dc2.example.com"];
    let server = LdapServer::script(move |number, session| {
        let host = hosts.get(number).copied().unwrap_or("dc2.example.com");
        serve_as(host, session)
    })
    .await
    .unwrap();
    let config = LdapConfig { primary_groups: true, ..config(&server) };
    let source = LdapSource::new(config).unwrap();
    for host in ["dc1.example.com", "dc1.example.com", "dc2.example.com"] {
        assert_eq!(source.read_all().await.unwrap().server(), Some(host));
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_its_name_goes_by_the_name_that_leads_to_it() {
    let server = LdapServer::behave().await.unwrap();
    let by_address = LdapSource::new(config(&server)).unwrap();
    assert_eq!(by_address.read_all().await.unwrap().server(), Some(server.url().as_str()));
    let url = format!("ldap://localhost:{}", server.port());
    let by_name = LdapSource::new(LdapConfig { urls: vec![url.clone()], ..config(&server) }).unwrap();
    assert_eq!(by_name.read_all().await.unwrap().server(), Some(format!("{url} (127.0.0.1)").as_str()));
}

/// A name server that answers every question with one SRV record.
async fn name_server(target: &'static [&'static str], port: u16) -> (SocketAddr, JoinHandle<()>) {
    let socket = tokio::net::UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            // The name ends with an empty label, then come type and class.
            let end = 12 + question[12..length].iter().position(|&byte| byte == 0).unwrap() + 5;
            let mut name: Vec<u8> = Vec::new();
            for label in target {
                name.push(u8::try_from(label.len()).unwrap());
                name.extend(label.bytes());
            }
            name.push(0);
            // Priority, weight and port, then the name.
            let data = [&[0, 0, 0, 0], &port.to_be_bytes()[..], name.as_slice()].concat();
            let header = [question[0], question[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
            // A pointer to the name asked for, type SRV, class IN, no time to live.
            let record = [0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 0, 0, u8::try_from(data.len()).unwrap()];
            let answer = [&header, &question[12..end], &record, data.as_slice()].concat();
            let _ = socket.send_to(&answer, from).await;
        }
    });
    (address, answering)
}

async fn of_domain(target: &'static [&'static str]) -> LdapError {
    let (address, answering) = name_server(target, 389).await;
    let server = LdapServer::behave().await.unwrap();
    let domain = Some("ad.example.test".to_owned());
    let config = LdapConfig { urls: Vec::new(), domain, name_servers: vec![address], ..config(&server) };
    let error = LdapSource::new(config).unwrap().read_all().await.unwrap_err();
    answering.abort();
    error
}

#[tokio::test]
async fn the_servers_of_a_domain_come_from_its_records_and_lie_within_it() {
    let error = of_domain(&["DC1", "ad", "example", "test"]).await.to_string();
    assert!(error.contains("ldap://dc1.ad.example.test:389"), "{error}");
    let error = of_domain(&["dc1", "elsewhere", "test"]).await;
    assert_eq!(error.reason(), "SourceDomainLeadsAway");
    assert!(error.to_string().contains("dc1.elsewhere.test"), "{error}");
}

#[tokio::test]
async fn a_domain_is_read_from_the_server_that_its_records_name() {
    let server = LdapServer::behave().await.unwrap();
    // An address is a name that needs no name server, and the end of it a domain.
    let (address, answering) = name_server(&["127", "0", "0", "1"], server.port()).await;
    let domain = Some("0.0.1".to_owned());
    let config = LdapConfig { urls: Vec::new(), domain, name_servers: vec![address], ..config(&server) };
    let read = LdapSource::new(config).unwrap().read_all().await.unwrap();
    answering.abort();
    assert_eq!(read.snapshot().counts().users, 1);
    assert_eq!(read.server(), Some(server.url().as_str()));
}
