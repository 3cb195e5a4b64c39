//! What the SCIM target makes of services that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::num::NonZeroU32;
use std::time::Duration;

use directory_sync_core::Disposition;
use directory_sync_core::read::{CompleteRead, TargetSide};
use directory_sync_targets::scim::{ScimConfig, ScimTarget};
use directory_sync_targets::{Target, TargetError};
use directory_sync_tests::http_server::{HttpServer, Received, Scripted};
use directory_sync_tests::peers::tls::CertificateAuthority;
use serde_json::{Value, json};

const TOKEN: &str = "canary-token";

fn config(url: &str) -> ScimConfig {
    let mut config = ScimConfig::new(url.parse().unwrap(), TOKEN.into());
    config.allow_plaintext = true;
    config.timeout = Duration::from_secs(2);
    config.requests_per_second = NonZeroU32::new(500).unwrap();
    config.page_size = NonZeroU32::new(2).unwrap();
    config
}

/// A service that describes itself, has no groups, and lists people as `users` says.
async fn service(users: impl Fn(&Received) -> Scripted + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(move |request| match request.path.as_str() {
        "/ServiceProviderConfig" => Scripted::json(200, &json!({"patch": {"supported": true}})),
        "/Schemas" => Scripted::json(404, &Value::Null),
        "/Groups" => Scripted::json(200, &json!({"totalResults": 0})),
        _ => users(request),
    })
    .await
    .unwrap()
}

async fn read(server: &HttpServer) -> Result<CompleteRead<TargetSide>, TargetError> {
    ScimTarget::new(config(&server.url())).unwrap().read().await
}

/// The error of a read whose list of people is always answered so; no message shows the token.
async fn failure(answer: Scripted) -> TargetError {
    let server = service(move |_| answer.clone()).await;
    let error = read(&server).await.unwrap_err();
    assert!(!error.to_string().contains(TOKEN), "{error}");
    error
}

fn people(total: usize, ids: &[&str]) -> Scripted {
    let people: Vec<_> = ids.iter().map(|id| json!({"id": id, "userName": format!("{id}@example.com")})).collect();
    Scripted::json(200, &json!({"totalResults": total, "Resources": people}))
}

#[tokio::test]
async fn every_refusal_has_its_name_and_says_what_to_do() {
    let detail = json!({"detail": format!("no\nluck with {TOKEN}")});
    for (status, reason, disposition, advice) in [
        (401, "TargetAuthFailed", Disposition::Stall, "Secret"),
        (403, "TargetForbidden", Disposition::Retry, "grant"),
        (404, "TargetNotFound", Disposition::Retry, "write as url the base"),
    ] {
        let error = failure(Scripted::json(status, &detail)).await;
        assert_eq!((error.reason(), error.disposition()), (reason, disposition));
        let message = error.to_string();
        assert!(message.contains(advice) && message.contains("no luck with [token]"), "{message}");
        assert!(message.contains("/Users"), "{message}");
    }
}

#[tokio::test]
async fn an_html_page_is_not_scim() {
    let page = Scripted { body: b"<html>Sign in</html>".to_vec(), ..Scripted::json(200, &Value::Null) };
    let error = failure(page.with("content-type", "text/html; charset=utf-8")).await;
    assert_eq!((error.reason(), error.disposition()), ("TargetNotScim", Disposition::Retry));
    assert!(error.to_string().contains("an HTML page"), "{error}");
}

#[tokio::test]
async fn json_without_the_form_of_a_list_is_not_scim() {
    assert_eq!(failure(Scripted::json(200, &json!({"hello": "world"}))).await.reason(), "TargetNotScim");
    assert_eq!(failure(Scripted::json(200, &json!([]))).await.reason(), "TargetNotScim");
    assert_eq!(
        failure(Scripted::json(200, &json!({"totalResults": 1, "Resources": "x"}))).await.reason(),
        "TargetNotScim"
    );
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let body = vec![b' '; (32 << 20) + 1];
    assert_eq!(failure(Scripted { body, ..people(0, &[]) }).await.reason(), "TargetAnswerTooLarge");
}

#[tokio::test]
async fn a_redirect_is_named_and_the_token_does_not_follow_it() {
    let elsewhere = service(|_| people(0, &[])).await;
    let location = format!("{}/login?next=Users", elsewhere.url());
    let error = failure(Scripted::json(302, &Value::Null).with("location", location)).await;
    assert_eq!(error.reason(), "TargetRedirects");
    assert!(error.to_string().contains(&format!("{}/login,", elsewhere.url())), "{error}");
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn a_429_is_waited_for_as_long_as_it_says() {
    let server = service(|request| match request.before {
        0 => Scripted::json(429, &Value::Null).with("retry-after", "1"),
        _ => people(1, &["a"]),
    })
    .await;
    let begun = std::time::Instant::now();
    assert_eq!(read(&server).await.unwrap().snapshot().user_count(), 1);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_429_that_asks_for_long_is_left_to_the_next_run() {
    let error = failure(Scripted::json(429, &Value::Null).with("retry-after", "600")).await;
    assert_eq!(
        (error.reason(), error.disposition()),
        ("TargetRateLimited", Disposition::Wait(Duration::from_secs(600)))
    );
}

#[tokio::test]
async fn a_passing_server_error_is_read_over() {
    let server = service(|request| match request.before {
        0 => Scripted::json(500, &Value::Null),
        _ => people(1, &["a"]),
    })
    .await;
    assert_eq!(read(&server).await.unwrap().snapshot().user_count(), 1);
}

#[tokio::test]
async fn a_lasting_server_error_is_named() {
    let error = failure(Scripted::json(503, &json!({"detail": "maintenance"}))).await;
    assert_eq!((error.reason(), error.disposition()), ("TargetServerError", Disposition::Retry));
    assert!(error.to_string().contains("503") && error.to_string().contains("maintenance"), "{error}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_unavailable() {
    let server = service(|_| people(0, &[]).after(Duration::from_secs(30))).await;
    let mut config = config(&server.url());
    config.timeout = Duration::from_millis(100);
    let error = ScimTarget::new(config).unwrap().read().await.unwrap_err();
    assert_eq!((error.reason(), error.disposition()), ("TargetUnavailable", Disposition::Retry));
}

#[tokio::test]
async fn nobody_listening_and_an_unknown_host_are_told_apart() {
    let reason = async |url: &str| ScimTarget::new(config(url)).unwrap().read().await.unwrap_err().reason();
    assert_eq!(reason("http://127.0.0.1:1/").await, "TargetUnavailable");
    assert_eq!(reason("http://no-such-host.invalid/").await, "TargetHostUnknown");
}

#[tokio::test]
async fn totals_that_lie_leave_no_snapshot() {
    let ended_early =
        service(|request| if request.before == 0 { people(5, &["a", "b"]) } else { people(5, &[]) }).await;
    assert_eq!(read(&ended_early).await.unwrap_err().reason(), "TargetReadIncomplete");
    let shrank = service(|request| if request.before == 0 { people(4, &["a", "b"]) } else { people(3, &["d"]) }).await;
    assert_eq!(read(&shrank).await.unwrap_err().reason(), "TargetReadIncomplete");
    let same_page_again = service(|_| people(4, &["a", "b"])).await;
    assert_eq!(read(&same_page_again).await.unwrap_err().reason(), "TargetReadIncomplete");
}

#[tokio::test]
async fn a_cursor_that_comes_twice_leaves_no_snapshot() {
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/ServiceProviderConfig" => Scripted::json(200, &json!({"patch": {}, "pagination": {"cursor": true}})),
        "/Schemas" => Scripted::json(404, &Value::Null),
        _ => Scripted::json(200, &json!({"Resources": [{"id": request.before.to_string()}], "nextCursor": "again"})),
    })
    .await
    .unwrap();
    assert_eq!(read(&server).await.unwrap_err().reason(), "TargetReadIncomplete");
    assert!(server.received().len() < 8);
}

#[tokio::test]
async fn members_that_cannot_be_read_are_unknown_and_not_absent() {
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/ServiceProviderConfig" => Scripted::json(200, &json!({"patch": {"supported": true}})),
        "/Schemas" => Scripted::json(404, &Value::Null),
        "/Users" => people(1, &["a"]),
        "/Groups" => Scripted::json(
            200,
            &json!({"totalResults": 2, "Resources": [{"id": "g", "displayName": "G"}, {"id": "h", "displayName": "H"}]}),
        ),
        "/Groups/g" => Scripted::json(200, &json!({"id": "g", "members": [{"value": "a"}]})),
        _ => Scripted::json(400, &Value::Null),
    })
    .await
    .unwrap();
    let read = read(&server).await.unwrap();
    let groups: Vec<_> =
        read.snapshot().groups().map(|group| (group.members().len(), group.members_unknown())).collect();
    assert_eq!(groups, [(1, false), (0, true)]);
}

#[tokio::test]
async fn the_token_goes_to_every_request_of_the_service_as_a_bearer_token() {
    let server = service(|_| people(0, &[])).await;
    read(&server).await.unwrap();
    for request in server.received() {
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
        assert!(request.headers["accept"].contains("application/scim+json"));
    }
}

/// Serves TLS handshakes with a certificate and nothing else.
async fn tls_server(certificate: &directory_sync_tests::peers::tls::ServerCertificate) -> String {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    url
}

#[tokio::test]
async fn a_foreign_or_expired_certificate_is_not_trusted() {
    let ours = CertificateAuthority::new("ours").unwrap();
    let foreign = CertificateAuthority::new("foreign").unwrap();
    for certificate in [
        foreign.server_certificate(&["localhost"]).unwrap(),
        ours.expired_server_certificate(&["localhost"]).unwrap(),
        ours.server_certificate(&["other.example.com"]).unwrap(),
    ] {
        let mut config = config(&tls_server(&certificate).await);
        config.ca_pem = Some(ours.certificate_pem().as_bytes().to_vec());
        let error = ScimTarget::new(config).unwrap().read().await.unwrap_err();
        assert_eq!(error.reason(), "TargetCertificateUntrusted", "{error}");
    }
}

#[tokio::test]
async fn a_ca_bundle_without_certificates_is_refused() {
    let mut config = config("https://localhost/");
    config.ca_pem = Some(b"no certificate".to_vec());
    assert_eq!(TargetError::from(ScimTarget::new(config).unwrap_err()).reason(), "TargetCaInvalid");
}

#[tokio::test]
async fn other_spellings_of_names_truths_counts_and_ids_are_understood() {
    let server = HttpServer::start(|request| match request.path.as_str() {
        "/ServiceProviderConfig" => Scripted::json(200, &json!({"PATCH": {"Supported": "True"}})),
        "/Schemas" => Scripted::json(403, &Value::Null),
        "/Users" => Scripted::json(
            200,
            &json!({"totalresults": "2", "startindex": 0, "itemsPerPage": 0, "resources": [
                {"ID": 7, "ExternalID": "e7", "USERNAME": "ada@example.com", "Active": "False", "Name": {"GivenName": "Ada"}},
                {"id": "8", "userName": "bob@example.com", "active": null},
            ]}),
        ),
        _ => Scripted::json(
            200,
            &json!({"totalResults": 1, "Resources": [{"id": 1, "displayName": "G", "Members": [{"Value": 7}]}]}),
        ),
    })
    .await
    .unwrap();
    let read = read(&server).await.unwrap();
    let people: Vec<_> =
        read.snapshot().users().map(|user| (user.id(), user.external_id(), user.given_name(), user.active())).collect();
    assert_eq!(people, [("7", "e7", "Ada", false), ("8", "", "", true)]);
    let group = read.snapshot().groups().next().unwrap();
    assert_eq!((group.id(), group.members().len(), group.unresolved_members()), ("1", 1, 0));
}

#[tokio::test]
async fn a_list_that_does_not_say_how_long_it_is_or_who_is_in_it_leaves_no_snapshot() {
    let without_total = json!({"Resources": [{"id": "a"}], "itemsPerPage": 1, "startIndex": 1});
    assert_eq!(failure(Scripted::json(200, &without_total)).await.reason(), "TargetNotScim");
    let without_id = json!({"totalResults": 1, "Resources": [{"userName": "ada@example.com"}]});
    let error = failure(Scripted::json(200, &without_id)).await;
    assert!(error.to_string().contains("an object without an id"), "{error}");
}

#[tokio::test]
async fn what_a_service_says_is_in_the_message_and_not_in_the_operators_own_words() {
    let error = failure(Scripted::json(400, &json!({"detail": "ada@example.com is odd"}))).await;
    assert!(error.to_string().contains("ada@example.com"), "{error}");
    assert!(!error.unquoted().contains("ada@example.com"), "{}", error.unquoted());
}
