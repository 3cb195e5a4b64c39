//! What a real directory says, before any plan, and what becomes of one person of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Output;

use assert_cmd::Command;
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::company::active_directory::BASE_DN;
use directory_sync_tests::peers::samba::{self, SambaDomainController};
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const PEOPLE: &str = "ou=People,dc=example,dc=com";

/// A stream with the sync and its Secrets; the target answers nowhere unless it is given.
fn stream(slapd: &Slapd, scim: Option<&Scim2Server>, spec: &Value) -> String {
    let url = scim.map_or("http://127.0.0.1:1/v2".to_owned(), Scim2Server::url);
    let mut sync = json!({
        "apiVersion": "directorysync.dev/v1alpha1",
        "kind": "DirectorySync",
        "metadata": { "name": "staff" },
        "spec": {
            "source": { "ldap": {
                "urls": [slapd.url()],
                "tls": { "plaintext": "AllowPasswordsInClearText" },
                "bind": { "simple": { "secretRef": { "name": "secrets" } } },
                "users": [{ "baseDN": PEOPLE, "filter": "(&(objectClass=inetOrgPerson)(!(uid=contractor*)))" }],
                "groups": [{ "baseDN": "ou=Groups,dc=example,dc=com", "filter": "(objectClass=groupOfNames)" }],
            } },
            "target": { "scim": {
                "url": url,
                "tls": { "plaintext": "AllowTokenInClearText" },
                "auth": { "bearerTokenSecretRef": { "name": "secrets", "key": "token" } },
            } },
        },
    });
    for (path, value) in spec.as_object().unwrap() {
        sync["spec"][path] = value.clone();
    }
    // What the target needs is not there where there is no target.
    let mut secrets = json!({ "username": READER_DN, "password": slapd.reader_password().expose_secret() });
    if let Some(scim) = scim {
        secrets["token"] = scim.token().expose_secret().into();
    }
    let secrets =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "secrets" }, "stringData": secrets });
    format!("---\n{secrets}\n---\n{sync}\n")
}

fn run(stream: &str, arguments: &[&str]) -> Output {
    Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator"))
        .args(arguments)
        .args(["-f", "-"])
        .env_remove("RUST_LOG")
        .write_stdin(stream)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn directory() -> Slapd {
    let slapd = Slapd::start(&SlapdOptions::default(), &Company::small()).await.unwrap();
    for (uid, mail) in [("ada", "mail: ada@example.com\n"), ("svc-print", "mail: svc-print@example.com\n")]
        .into_iter()
        .chain([("contractor1", "mail: contractor1@example.com\n"), ("nomail", "")])
    {
        let person = format!(
            "dn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid} Person\nsn: Person\n{mail}"
        );
        slapd.change(&person).await.unwrap();
    }
    slapd
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_described_counted_and_shown_without_any_target() {
    let slapd = directory().await;
    let exclude = json!({ "exclude": { "source": [{ "field": "email", "glob": "svc-*" }] } });
    let stream = stream(&slapd, None, &exclude);
    let output = run(&stream, &["source", "check", "--limit", "2"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{shown}{}", text(&output.stderr));
    for part in
        ["OpenLDAP", READER_DN, "dc=example,dc=com", "clear text", ", 1 excluded", "have no address", "mapped, 2 of"]
    {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let json: Value = serde_json::from_slice(&run(&stream, &["source", "check", "-o", "json"]).stdout).unwrap();
    let company = Company::small();
    let expected = company.people.len() as u64 + 3;
    assert_eq!((json["users"]["read"].as_u64(), json["users"]["excluded"].as_u64()), (Some(expected), Some(1)));
    assert_eq!(json["groups"]["mapped"].as_u64(), Some(company.groups.len() as u64));
    assert_eq!(json["firstUsers"].as_array().unwrap().len(), 10);
    assert!(json["warnings"].as_array().unwrap().iter().any(|warning| warning["kind"] == "WithoutAddress"), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_the_server_is_shown() {
    let authority = CertificateAuthority::new("Example CA").unwrap();
    let certificate = Some(authority.server_certificate(&["127.0.0.1"]).unwrap());
    let slapd =
        Slapd::start(&SlapdOptions { certificate, ..SlapdOptions::default() }, &Company::small()).await.unwrap();
    let ca = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "ca" }, "data": {
        "ca.crt": authority.certificate_pem(),
    } });
    let stream = stream(&slapd, None, &json!({})).replace(&slapd.url(), &slapd.ldaps_url().unwrap()).replace(
        "\"plaintext\":\"AllowPasswordsInClearText\"",
        "\"caBundle\":{\"configMapKeyRef\":{\"name\":\"ca\",\"key\":\"ca.crt\"}}",
    );
    let output = run(&format!("{stream}---\n{ca}\n"), &["source", "check"]);
    let shown = text(&output.stdout);
    for part in [
        "TLS 1.3, vouched for by an authority of the resource",
        "CN=127.0.0.1, by CN=Example CA",
        "valid until 4096-01-01",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}{}", text(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_selects_nobody_and_a_mapping_that_finds_nobody_are_seen() {
    let slapd = directory().await;
    let nobody = stream(&slapd, None, &json!({})).replace("(objectClass=inetOrgPerson)", "(objectClass=device)");
    let output = run(&nobody, &["source", "check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("Warning: nobody was read"), "{}", text(&output.stdout));

    let mapping = json!({ "mapping": { "user": { "email": { "attribute": "roomNumber" } } } });
    let output = run(&stream(&slapd, None, &mapping), &["source", "check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("spec.mapping.user.email: not one of the people read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_one_person_is_told_to_where_it_stops() {
    let (slapd, scim) = (directory().await, Scim2Server::start(Scim2ServerOptions::default()).await.unwrap());
    let rules = json!({ "exclude": { "source": [
        { "field": "email", "exact": "nobody@example.com" },
        { "field": "email", "glob": "svc-*" },
    ] } });
    let stream = stream(&slapd, Some(&scim), &rules);
    let said = |who: &str| {
        let output = run(&stream, &["explain", who]);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let dn = format!("uid=ada,{PEOPLE}");
    for who in ["ADA@example.com", &dn] {
        let (code, words) = said(who);
        assert_eq!(code, Some(2), "{words}");
        for part in [&format!("{dn}, selected by users[0]"), "create user ada@example.com", "waits: NotApplied"] {
            assert!(words.contains(part), "{part} in\n{words}");
        }
    }
    let (code, words) = said("svc-print@example.com");
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("exclude.source[1] (email glob svc-*)") && words.contains("left as it is"), "{words}");

    let json: Value =
        serde_json::from_slice(&run(&stream, &["explain", "ada@example.com", "-o", "json"]).stdout).unwrap();
    assert_eq!(
        (&json[0]["verdict"], &json[0]["operations"][0]["verb"]),
        (&json!("pending"), &json!("CreateUser")),
        "{json}"
    );

    let (code, words) = said("contractor1@example.com");
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("passed over by users[0], by its filter (&(objectClass=inetOrgPerson)"), "{words}");

    let (_, words) = said(&format!("uid=nomail,{PEOPLE}"));
    assert!(words.contains("it has no address in the source"), "{words}");

    let group = &Company::small().groups[0].name;
    let (code, words) = said(group);
    assert!(code == Some(2) && words.contains("create group") && words.contains("add member to"), "{words}");

    let (code, words) = said("stranger@example.com");
    assert_eq!(code, Some(1));
    assert!(words.contains("`stranger@example.com` is nobody"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_controller_is_known_by_what_it_says() {
    let samba = SambaDomainController::start().await.unwrap();
    let objects = [
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "secrets" }, "stringData": {
            "username": samba::READER_DN,
            "password": samba.reader_password().expose_secret(),
        } }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "ca" }, "data": {
            "ca.crt": samba.authority().certificate_pem(),
        } }),
        json!({ "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync", "metadata": { "name": "staff" },
            "spec": {
                "source": { "ldap": {
                    "urls": [samba.ldaps_url()],
                    "schema": "ActiveDirectory",
                    "tls": { "caBundle": { "configMapKeyRef": { "name": "ca", "key": "ca.crt" } } },
                    "bind": { "simple": { "secretRef": { "name": "secrets" } } },
                    "users": [{ "baseDN": BASE_DN }],
                    "groups": [{ "baseDN": BASE_DN }],
                } },
                "target": { "scim": {
                    "url": "https://127.0.0.1:1/v2",
                    "auth": { "bearerTokenSecretRef": { "name": "secrets", "key": "token" } },
                } },
            } }),
    ];
    let stream = objects.map(|object| format!("---\n{object}\n")).concat();
    let output = run(&stream, &["source", "check", "--limit", "1"]);
    let shown = text(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 2)), "{shown}{}", text(&output.stderr));
    for part in ["Active Directory (Samba Team", "TLS 1.", "vouched for by an authority of the resource", BASE_DN] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}
