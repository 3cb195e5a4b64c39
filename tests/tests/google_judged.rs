//! Google as a source by the judgement of Google's own client library and documents: the same reads, tokens that are
//! tokens, and what is shown of the directory to those who set it up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "google/mod.rs"]
mod google;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use directory_sync_core::Disposition;
use directory_sync_core::disposition::Classified;
use directory_sync_core::snapshot::{Group, MemberKind, Snapshot};
use directory_sync_sources::Source;
use directory_sync_sources::google::{Credentials, GoogleConfig, GoogleSource, Groups};
use directory_sync_tests::google_directory::{
    CUSTOMER, ClientLibrary, Discovery, FURTHER_SCOPES, Fault, GoogleDirectory, PROVIDER, SCOPES, WORKLOAD_TOKEN,
};
use directory_sync_tests::peers::tls::{CertificateAuthority, ServerCertificate};
use google::{addresses, company, config, done_by_google, read, run, user_mapping};
use serde_json::{Value, json};

/// The same directory behind TLS; the URL to reach it by.
async fn encrypted(directory: &GoogleDirectory, certificate: &ServerCertificate) -> String {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    directory.also_known_as(&url);
    let behind = directory.url().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut behind = tokio::net::TcpStream::connect(behind).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut behind).await
            });
        }
    });
    url
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
async fn googles_own_client_library_reads_the_same() {
    let (directory, people, _) = company().await;
    directory.change(|tenant| {
        tenant.user_mut(&people[1]).unwrap()["customSchemas"] = json!({ "Employment": { "costCenter": "CC-7" } });
    });
    let further = json!({ "schema": "Employment", "missing": "199999999999999999999" });
    let theirs = done_by_google(&directory, "read", further).await;
    let mut config = config(&directory);
    config.user_mapping = user_mapping(&[("costCenter", "customSchemas.Employment.costCenter")]);
    let ours = read(&config).await.unwrap();
    let snapshot = ours.snapshot();

    assert_eq!((&theirs["userPages"], &theirs["groupPages"]), (&json!(3), &json!(1)));
    assert!(theirs["absences"].as_array().unwrap().iter().all(|absence| *absence == json!([404, "notFound"])));
    assert_eq!(theirs["one"]["customerId"], CUSTOMER);
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
        assert_eq!(theirs["groups"][group.id()]["email"], group.address());
        assert_eq!(theirs["groups"][group.id()]["description"], group.description());
        let theirs: BTreeSet<&str> =
            theirs["members"][group.id()].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(member_ids(snapshot, &group), theirs);
    }
    // What is asked for by itself says the same as the list.
    let id = theirs["group"]["id"].as_str().unwrap();
    let masked = theirs["group"].as_object().unwrap().iter().filter(|(name, _)| *name != "kind");
    assert!(masked.clone().count() > 1 && masked.into_iter().all(|(name, value)| theirs["groups"][id][name] == *value));
}

#[tokio::test]
async fn googles_own_client_library_finds_the_same_by_queries_and_domains() {
    let (directory, ..) = company().await;
    directory.change(|tenant| {
        tenant.user("zoe@other.example", json!({ "orgUnitPath": "/Staff" }));
        tenant.group("club@other.example");
    });
    let (users, groups, domain) = ("orgUnitPath=/Staff isSuspended=false", "email:st*", "other.example");
    let further = json!({ "user_query": users, "group_query": groups, "domain": domain });
    let theirs = done_by_google(&directory, "narrowed", further).await;
    let by_query = GoogleConfig {
        user_query: Some(users.to_owned()),
        groups: Some(Groups { query: Some(groups.to_owned()) }),
        ..config(&directory)
    };
    let by_domain = GoogleConfig { domain: Some(domain.to_owned()), ..config(&directory) };
    for (name, config) in [("query", by_query), ("domain", by_domain)] {
        let world = read(&config).await.unwrap();
        let groups: BTreeSet<_> = world.snapshot().groups().map(|group| group.address().to_owned()).collect();
        assert_eq!(theirs[name], json!([addresses(world.snapshot()), groups]), "{name}");
        assert!(!groups.is_empty());
    }
}

#[tokio::test]
async fn googles_own_client_library_finds_the_same_members_of_named_groups() {
    let (directory, people, groups) = company().await;
    directory.change(|tenant| tenant.join(&groups[1], &[&groups[0], &people[5]]));
    let further = json!({ "only_groups": ["board@example.com", "empty@example.com"] });
    let theirs = done_by_google(&directory, "scoped", further).await;
    let only = ["board@example.com", "empty@example.com"].map(str::to_owned).to_vec();
    let world = read(&GoogleConfig { only_groups: only, ..config(&directory) }).await.unwrap();
    let groups: BTreeSet<_> = world.snapshot().groups().map(|group| group.address().to_owned()).collect();
    assert_eq!(theirs, json!({ "people": addresses(world.snapshot()), "groups": groups }));
    assert_eq!((world.snapshot().user_count(), groups.len()), (6, 3));
}

#[tokio::test]
async fn googles_own_client_library_sees_the_same_domains_and_org_units() {
    let (directory, people, _) = company().await;
    directory.delegate_also(&FURTHER_SCOPES);
    directory.change(|tenant| {
        tenant.user_mut(&people[0]).unwrap()["orgUnitPath"] = json!("/Staff/Berlin");
        tenant.user("zoe@other.example", json!({}));
    });
    let argument = json!({
        "base": format!("{}/", directory.url()),
        "key_file": directory.key_file().unwrap(),
        "admin": "admin@example.com",
        "scopes": FURTHER_SCOPES,
    });
    let theirs = run(&directory, "overview", argument).await;
    assert_eq!(theirs["domains"], json!(["example.com", "other.example"]));
    let description = GoogleSource::new(config(&directory)).unwrap().describe().await.unwrap();
    let fact = |name: &str| description.facts.iter().find(|fact| fact.name == name).unwrap().value.clone();
    assert_eq!(fact("domains"), "example.com (primary), other.example");
    let units: Vec<_> = theirs["orgUnits"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(fact("org units"), units.join(", "));
    assert_eq!(units, ["/Staff", "/Staff/Berlin"]);
}

#[tokio::test]
async fn what_is_not_granted_and_not_needed_is_not_shown_and_nothing_fails() {
    let (directory, ..) = company().await;
    let config = GoogleConfig { domain: Some("example.com".to_owned()), ..config(&directory) };
    let source = GoogleSource::new(config).unwrap();
    let description = source.describe().await.unwrap();
    let fact = |name: &str| description.facts.iter().find(|fact| fact.name == name).unwrap().value.clone();
    for (name, scope) in ["domains", "org units"].into_iter().zip(FURTHER_SCOPES) {
        let value = fact(name);
        assert!(value.starts_with("not shown, which is no failure") && value.contains(scope), "{value}");
    }
    assert_eq!((fact("customer"), fact("domain")), (CUSTOMER.to_owned(), "example.com".to_owned()));
    // What is needed for a read is asked for apart, so that nothing of this stands in its way.
    assert!(source.read_all().await.is_ok());

    directory.delegate_also(&FURTHER_SCOPES);
    let elsewhere = GoogleConfig { domain: Some("nowhere.example".to_owned()), ..google::config(&directory) };
    let description = GoogleSource::new(elsewhere).unwrap().describe().await.unwrap();
    let domain = description.facts.iter().find(|fact| fact.name == "domain").unwrap();
    assert_eq!(domain.value, "nowhere.example, which is no domain of this customer");
}

#[tokio::test]
async fn a_description_says_how_the_connection_is_encrypted() {
    let authority = CertificateAuthority::new("of a proxy").unwrap();
    let (directory, ..) = company().await;
    let url = encrypted(&directory, &authority.server_certificate(&["localhost"]).unwrap()).await;
    let secure = GoogleConfig {
        ca_pem: Some(authority.certificate_pem().as_bytes().to_vec()),
        plaintext: false,
        ..google::config_for(&url, &directory.key_file().unwrap())
    };
    let description = GoogleSource::new(secure).unwrap().describe().await.unwrap();
    let encryption = description.encryption.unwrap();
    assert_eq!((encryption.protocol.as_str(), encryption.own_authority), ("TLS 1.3", true));
    assert_eq!((encryption.subject.as_str(), encryption.issuer.as_str()), ("CN=localhost", "CN=of a proxy"));
    assert!(encryption.valid_until.starts_with("4096-01-01"), "{}", encryption.valid_until);
    let open = GoogleSource::new(config(&directory)).unwrap().describe().await.unwrap();
    assert_eq!(open.encryption, None);
}

#[tokio::test]
async fn an_assertion_is_one_by_the_rules_of_googles_own_library() {
    let (directory, ..) = company().await;
    read(&config(&directory)).await.unwrap();
    let asked = directory.received().into_iter().find(|request| request.path == "/token").unwrap();
    let form: BTreeMap<String, String> = url_form(&asked.body);
    let audience = format!("{}/token", directory.url());
    let public_key = directory.key().unwrap().1;
    let argument = json!({ "assertion": form["assertion"], "public_key": public_key, "audience": audience });
    let claims = run(&directory, "verify", argument).await;
    assert_eq!((&claims["sub"], &claims["scope"]), (&json!("admin@example.com"), &json!(SCOPES.join(" "))));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
}

fn url_form(body: &str) -> BTreeMap<String, String> {
    reqwest::Url::parse(&format!("http://x/?{body}")).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_key_in_pkcs12_serves_as_well_with_googles_password_and_with_another() {
    let (directory, ..) = company().await;
    for password in ["notasecret", "open sesame"] {
        let argument = json!({ "private_key": directory.key().unwrap().0, "password": password });
        let file = run(&directory, "p12", argument).await;
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
    let ours = read(&workload(PROVIDER)).await.unwrap();
    assert_eq!(ours.snapshot().user_count(), 7);
    let argument = json!({
        "base": format!("{}/", directory.url()),
        "token_file": file.path(),
        "provider": PROVIDER,
        "service_account": directory.service_account(),
        "admin": "admin@example.com",
        "scopes": SCOPES,
    });
    // Google's own library ends its workload's token with the file, and trims nothing.
    std::fs::write(file.path(), WORKLOAD_TOKEN).unwrap();
    assert_eq!(run(&directory, "workload", argument).await, json!(addresses(ours.snapshot())));

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

#[tokio::test]
async fn what_is_asked_is_judged_also_where_the_answer_will_fail() {
    let (directory, ..) = company().await;
    directory.fail(|_| Some(Fault::Endless));
    let url = format!("{}/admin/directory/v1/users?customer=my_customer&page_token=x", directory.url());
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    assert!(answer.text().await.unwrap().contains("has no parameter page_token"));
    let ends = std::panic::AssertUnwindSafe(move || drop(directory));
    assert!(std::panic::catch_unwind(ends).is_err(), "the test of such a request fails");
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
