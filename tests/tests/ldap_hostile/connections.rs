//! Connections that break, stay silent or are not encrypted.

use super::{config, error_of, reason_of_search};
use directory_sync_core::disposition::Classified;
use directory_sync_sources::ldap::{LdapConfig, LdapSource, Tls};
use directory_sync_tests::ldap_server::LdapServer;
use directory_sync_tests::ldap_server::messages::{self, BIND_RESPONSE, EXTENDED_RESPONSE};
use directory_sync_tests::peers::tls::CertificateAuthority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What to answer to the request with this message id.
type Answer = fn(u8) -> Vec<u8>;

#[tokio::test]
async fn a_bind_that_is_refused_is_no_reason_to_try_again() {
    let error = error_of(|mut session| async move {
        let (id, _) = session.request().await?;
        session.send(&messages::result(id, BIND_RESPONSE, 49, "data 52e")).await?;
        session.wait().await
    })
    .await;
    assert_eq!(error.reason(), "SourceAuthFailed");
    assert_eq!(error.disposition(), directory_sync_core::Disposition::Stall);
    assert!(error.to_string().contains("data 52e") && !error.to_string().contains("of a test"), "{error}");
}

#[tokio::test]
async fn a_server_that_fails_at_the_bind_says_nothing_about_the_account() {
    for code in [1, 80] {
        let error = error_of(move |mut session| async move {
            let (id, _) = session.request().await?;
            session.send(&messages::result(id, BIND_RESPONSE, code, "")).await?;
            session.wait().await
        })
        .await;
        assert_eq!(error.reason(), "SourceUnavailable");
        assert_eq!(error.disposition(), directory_sync_core::Disposition::Retry);
    }
}

#[tokio::test]
async fn a_dropped_connection_is_an_incomplete_read() {
    for cut in [0, 1, 10] {
        let error = error_of(move |mut session| async move {
            session.bind().await?;
            let id = session.search().await?;
            let answer = messages::person(id, "ada");
            session.send(&answer[..answer.len() - cut]).await
        })
        .await;
        assert_eq!(error.reason(), "SourceReadIncomplete", "{error}");
    }
}

#[tokio::test]
async fn a_notice_of_disconnection_ends_the_read() {
    let reason = reason_of_search(|_| messages::result(0, EXTENDED_RESPONSE, 52, "shutting down"));
    assert_eq!(reason.await, "SourceReadIncomplete");
}

#[tokio::test]
async fn silence_and_a_drip_of_bytes_end_in_a_timeout() {
    assert_eq!(reason_of_search(|_| Vec::new()).await, "SourceTimedOut");
    let error = error_of(|mut session| async move {
        session.bind().await?;
        let id = session.search().await?;
        for byte in messages::person(id, "ada") {
            session.send(&[byte]).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        session.wait().await
    })
    .await;
    assert_eq!(error.reason(), "SourceTimedOut", "{error}");
}

#[tokio::test]
async fn no_password_is_sent_without_encryption_unless_that_was_accepted() {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let server = LdapServer::misbehave_once(move |mut session| {
        let sender = sender.clone();
        async move { Ok(sender.send(session.everything().await?).await?) }
    })
    .await
    .unwrap();
    let mut receiver = receiver;
    let refused = LdapConfig { tls: Tls::default(), ..config(&server) };
    let error = LdapSource::new(refused).unwrap_err();
    assert_eq!(error.reason(), "SourcePlaintextRefused");
    assert!(tokio::time::timeout(Duration::from_millis(200), receiver.recv()).await.is_err(), "something was sent");
}

#[tokio::test]
async fn a_starttls_that_is_refused_or_answered_wrongly_sends_no_password() {
    let more_than_the_answer =
        |id| [messages::result(id, EXTENDED_RESPONSE, 0, ""), messages::result(1, BIND_RESPONSE, 0, "")].concat();
    let cases: [(Answer, &str); 4] = [
        (|id| messages::result(id, EXTENDED_RESPONSE, 53, "no TLS here"), "SourceTlsFailed"),
        (|id| messages::result(id, BIND_RESPONSE, 0, ""), "SourceMalformedAnswer"),
        (more_than_the_answer, "SourceMalformedAnswer"),
        (|_| b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "SourceMalformedAnswer"),
    ];
    for (answer, reason) in cases {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let server = LdapServer::misbehave_once(move |mut session| {
            let sender = sender.clone();
            async move {
                let (id, _) = session.request().await?;
                session.send(&answer(id)).await?;
                Ok(sender.send(session.everything().await.unwrap_or_default()).await?)
            }
        })
        .await
        .unwrap();
        let tls = Tls { start_tls: true, ..Tls::default() };
        let error = LdapSource::new(LdapConfig { tls, ..config(&server) }).unwrap().read_all().await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        let sent = receiver.recv().await.unwrap();
        assert!(!sent.windows(9).any(|window| window == b"of a test"), "the password was sent");
    }
}

#[tokio::test]
async fn an_encrypted_connection_that_is_cut_off_is_an_incomplete_read() {
    let authority = CertificateAuthority::new("the authority of the directory").unwrap();
    let certificate = authority.server_certificate(&["127.0.0.1"]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            CertificateDer::pem_slice_iter(certificate.certificate_pem.as_bytes()).map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ldaps://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(socket).await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(&messages::result(1, BIND_RESPONSE, 0, "")).await.unwrap();
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(&messages::person(2, "ada")).await.unwrap();
        stream.flush().await.unwrap();
        // Half closed below TLS, which was not told: whoever is on the way can do that.
        stream.get_mut().0.shutdown().await.unwrap();
        std::future::pending::<()>().await;
    });
    let plain = LdapServer::misbehave_once(|mut session| async move { session.wait().await }).await.unwrap();
    let tls = Tls { ca_bundle: Some(authority.certificate_pem().to_owned()), ..Tls::default() };
    let config = LdapConfig { urls: vec![url], tls, ..config(&plain) };
    let error = LdapSource::new(config).unwrap().read_all().await.unwrap_err();
    assert_eq!(error.reason(), "SourceReadIncomplete", "{error}");
}
