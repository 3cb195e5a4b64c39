//! What people write about themselves in a directory is shown, and does nothing: neither on a terminal, nor in a
//! spreadsheet, nor in a pull request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use assert_cmd::Command;
use base64::Engine as _;
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{READER_DN, Slapd, SlapdOptions};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Clears the screen, sets the title of the window, and turns the text around.
const TERMINAL: &str = "Ada\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}moc.elpmaxe";
/// Opens a cell of its own where the separator is the semicolon.
const SPREADSHEET: &str = "Grace;=HYPERLINK(\"https://evil.example\",\"x\")";
/// Would begin a formula by itself.
const FORMULA: &str = "=cmd|' /C calc'!A0";
/// A cell, code, a link, an image, HTML and a mention.
const MARKUP: &str = "a | b `c` [d](https://evil.example) ![e](f) <script>alert(1)</script> @octocat \\| *g* _h_ &amp;";

/// A line of LDIF (RFC 2849) with a value of any bytes.
fn line(attribute: &str, value: &str) -> String {
    format!("{attribute}:: {}\n", base64::prelude::BASE64_STANDARD.encode(value))
}

/// A directory of four people and a group with such names.
async fn directory() -> Slapd {
    let mut company = Company::small();
    company.people.truncate(1);
    company.groups.clear();
    let slapd = Slapd::start(&SlapdOptions::default(), &company).await.unwrap();
    for (uid, name) in [("terminal", TERMINAL), ("spreadsheet", SPREADSHEET), ("markup", MARKUP)] {
        let name = line("cn", name);
        let person = format!(
            "dn: uid={uid},ou=People,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {uid}\nsn: {uid}\n{name}mail: \
             {uid}@example.com\n"
        );
        slapd.change(&person).await.unwrap();
    }
    // The name of a group without an address is what a plan calls it by.
    let group = format!(
        "{}objectClass: groupOfNames\n{}member: uid=markup,ou=People,dc=example,dc=com\n",
        line("dn", &format!("cn={},ou=Groups,dc=example,dc=com", FORMULA.replace('=', "\\3D"))),
        line("cn", FORMULA)
    );
    slapd.change(&group).await.unwrap();
    slapd
}

/// The plan for that directory in a format.
fn plan(slapd: &Slapd, scim: &Scim2Server, format: &str) -> String {
    let sync = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "secrets" }, "stringData": {
            "username": READER_DN,
            "password": slapd.reader_password().expose_secret(),
            "token": scim.token().expose_secret(),
        } },
        { "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync", "metadata": { "name": "staff" }, "spec": {
            "source": { "ldap": {
                "urls": [slapd.url()],
                "tls": { "plaintext": "AllowPasswordsInClearText" },
                "bind": { "simple": { "secretRef": { "name": "secrets" } } },
                "users": [{ "baseDN": "ou=People,dc=example,dc=com", "filter": "(objectClass=inetOrgPerson)" }],
                "groups": [{ "baseDN": "ou=Groups,dc=example,dc=com", "filter": "(objectClass=groupOfNames)" }],
            } },
            "target": { "scim": {
                "url": scim.url(),
                "tls": { "plaintext": "AllowTokenInClearText" },
                "auth": { "bearerTokenSecretRef": { "name": "secrets", "key": "token" } },
            } },
        } },
    ] });
    let output = Command::new(assert_cmd::cargo::cargo_bin!("directory-sync-operator"))
        .args(["plan", "-f", "-", "-o", format])
        .write_stdin(sync.to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn drives_a_terminal(text: &str) -> bool {
    text.chars().any(|character| (character.is_control() && !"\r\n".contains(character)) || character == '\u{202e}')
}

/// The cells of the tables of a Markdown text, each as the text that a reader sees; everything else in a cell but text
/// is an error.
fn cells(markdown: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell: Option<String> = None;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_GFM) {
        match (event, &mut cell) {
            (Event::Start(Tag::TableCell), _) => cell = Some(String::new()),
            (Event::End(TagEnd::TableCell), _) => cells.extend(cell.take()),
            (Event::Text(text), Some(cell)) => cell.push_str(&text),
            (other, Some(_)) => panic!("a value became markup: {other:?}"),
            _ => {}
        }
    }
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_directory_are_shown_and_do_nothing() {
    let slapd = directory().await;
    let scim = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();

    let text = plan(&slapd, &scim, "text");
    assert!(!drives_a_terminal(&text), "{text:?}");
    assert!(text.contains("Ada\u{fffd}[2J\u{fffd}]0;owned\u{fffd}\u{fffd}31m\u{fffd}moc.elpmaxe"), "{text}");
    assert!(
        text.lines().any(|line| line.contains(SPREADSHEET)) && text.contains(MARKUP),
        "the rest is as it was: {text}"
    );

    let json = plan(&slapd, &scim, "json");
    assert!(!drives_a_terminal(&json), "{json:?}");
    let document: Value = serde_json::from_str(&json).unwrap();
    let operations = document["operations"].as_array().unwrap();
    for name in [TERMINAL, SPREADSHEET, MARKUP, FORMULA] {
        assert!(operations.iter().any(|operation| operation["name"] == name), "JSON keeps every value: {json}");
    }

    let csv = plan(&slapd, &scim, "csv");
    assert!(!drives_a_terminal(&csv), "{csv:?}");
    assert!(csv.contains(",\"'=cmd|' /C calc'!A0\","), "{csv}");
    assert!(csv.contains("Grace;'=HYPERLINK(") && !csv.contains(";=") && !csv.contains(",\"="), "{csv}");
    assert_eq!(csv.lines().count(), operations.len() + 1, "one line for each operation");

    let markdown = plan(&slapd, &scim, "markdown");
    assert!(!drives_a_terminal(&markdown), "{markdown:?}");
    let cells = cells(&markdown);
    assert_eq!(cells.len(), 5 * (operations.len() + 1), "no value opens a cell: {markdown}");
    assert!(cells.iter().any(|cell| cell == FORMULA), "{cells:?}");
    assert!(cells.iter().any(|cell| cell.contains(&format!("{MARKUP:?}"))), "{cells:?}");
}
