//! The table: what is wrong, how the resource names it, and what it says.

use directory_sync_tests::http_server::Scripted;
use serde_json::{Value, json};

use crate::world::{self, Service, World};

/// One thing that can be wrong.
pub struct Case {
    /// The name of its resource.
    pub name: &'static str,
    pub fault: Fault,
    /// Reason of the condition and of the event, and label of the metric.
    pub reason: &'static str,
    /// Whether somebody has to mend it before there is another try.
    pub stalls: bool,
    /// The message of the condition, and of the event where nothing is quoted.
    pub sentence: String,
    /// Words of a server in the sentence. They may name people, so that the event leaves them out.
    pub quoted: Option<&'static str>,
}

impl Case {
    fn quoting(self, words: &'static str) -> Self {
        Self { quoted: Some(words), ..self }
    }
}

/// Somebody whom a service names in its answer.
pub const PERSON: &str = "ada.lovelace@example.com";

/// How something goes wrong, and with it how it is mended.
pub enum Fault {
    /// Somebody merges this into the spec, and writes the old spec again.
    Spec(Value),
    /// Somebody replaces what the resource refers to, and writes the old one again. Nobody asks for a run after that.
    Replaced(Value),
    /// The same by deleting it.
    Deleted { kind: &'static str, name: &'static str },
    /// The service answers wrongly, until it does not.
    Service(Service),
}

/// Nothing but the mistake repairs it.
const STALLS: bool = true;
/// It may pass by itself.
const RETRIES: bool = false;

/// The port of a service that nobody runs any more (RFC 863).
const NO_LISTENER: &str = "ldap://127.0.0.1:9";

/// All that the operator has to name.
pub async fn all(world: &World) -> anyhow::Result<Vec<Case>> {
    let mut cases = of_the_directory(world);
    cases.extend(of_the_searches(world));
    cases.extend(of_references());
    cases.extend(of_the_spec());
    cases.extend(of_the_service(world).await?);
    Ok(cases)
}

fn of_the_directory(world: &World) -> Vec<Case> {
    let ldaps = world.slapd.ldaps_url().unwrap_or_default();
    let port_without_tls = world.slapd.url().replace("ldap:", "ldaps:");
    let expired = world.expired.ldaps_url().unwrap_or_default();
    let foreign = world.foreign.ldaps_url().unwrap_or_default();
    vec![
        case(
            "wrong-password",
            replaced(world::reader("wrong-password", "not-this-one")),
            "SourceAuthFailed",
            STALLS,
            format!(
                "{ldaps} refuses the account (result code 49 invalidCredentials); correct the Secret that \
                 bind.simple.secretRef names, or, if the account was mended in the directory, ask for a run with the \
                 annotation directorysync.dev/requestedAt"
            ),
        ),
        case(
            "unknown-host",
            source(&json!({ "urls": ["ldaps://directory.invalid"] })),
            "SourceHostUnknown",
            RETRIES,
            "the host of ldaps://directory.invalid cannot be found (…); check the name in urls and the cluster's DNS",
        ),
        case(
            "no-listener",
            source(
                &json!({ "urls": [NO_LISTENER], "tls": { "caBundle": null, "plaintext": "AllowPasswordsInClearText" } }),
            ),
            "SourceUnavailable",
            RETRIES,
            format!(
                "{NO_LISTENER} cannot be reached (connection refused); check the port, the server and the network \
                 policies"
            ),
        ),
        case(
            "no-tls",
            source(&json!({ "urls": [port_without_tls] })),
            "SourceTlsFailed",
            RETRIES,
            format!(
                "TLS with {port_without_tls} failed (tls handshake eof); check that the port speaks TLS 1.2 or later"
            ),
        ),
        case(
            "expired-certificate",
            source(&json!({ "urls": [expired] })),
            "SourceCertificateExpired",
            RETRIES,
            format!("the certificate of {expired} is outside its period of validity; renew it on the server"),
        ),
        case(
            "foreign-certificate",
            source(&json!({ "urls": [foreign] })),
            "SourceCertificateUntrusted",
            RETRIES,
            format!(
                "the certificate of {foreign} is not trusted (an unknown authority signed it); put the authority that \
                 signed it into tls.caBundle, and use a host name that it covers"
            ),
        ),
        case(
            "two-servers",
            source(&json!({ "urls": [foreign, "ldaps://directory.invalid"] })),
            "SourceCertificateUntrusted",
            RETRIES,
            format!(
                "none of the servers can be used: (1) the certificate of {foreign} is not trusted (an unknown \
                 authority signed it); put the authority that signed it into tls.caBundle, and use a host name that it \
                 covers; (2) the host of ldaps://directory.invalid cannot be found (…); check the name in urls and the \
                 cluster's DNS"
            ),
        ),
    ]
}

fn of_the_searches(world: &World) -> Vec<Case> {
    let ldaps = world.slapd.ldaps_url().unwrap_or_default();
    vec![
        case(
            "wrong-base",
            people("ou=staff,dc=example,dc=com", "(objectClass=inetOrgPerson)"),
            "SourceBaseNotFound",
            RETRIES,
            format!(
                "{ldaps} has no entry ou=staff,dc=example,dc=com, or hides it from this account; correct baseDN, or \
                 grant the account the right to read it"
            ),
        ),
        case(
            "no-base",
            people("people", "(objectClass=inetOrgPerson)"),
            "SourceInvalid",
            STALLS,
            format!(
                "{ldaps} does not take people for a distinguished name; write baseDN as in ou=people,dc=example,dc=com"
            ),
        ),
        case(
            "bad-filter",
            people("ou=people,dc=example,dc=com", "(&(objectClass=person)"),
            "SourceFilterInvalid",
            STALLS,
            "spec.source.ldap.users[0].filter: the filter (&(objectClass=person) cannot be read; write it as in RFC \
             4515, for instance (objectClass=inetOrgPerson)",
        ),
    ]
}

fn of_references() -> Vec<Case> {
    vec![
        case(
            "no-secret",
            Fault::Deleted { kind: "secret", name: "no-secret-reader" },
            "ReferenceNotFound",
            STALLS,
            "spec.source.ldap.bind.simple.secretRef: there is no Secret named no-secret-reader in the namespace of \
             the resource; create it",
        ),
        case(
            "no-key",
            replaced(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "no-key-reader" } })),
            "ReferenceKeyUnusable",
            STALLS,
            "spec.source.ldap.bind.simple.secretRef: the Secret no-key-reader has no key `username`; add it",
        ),
        case(
            "empty-key",
            replaced(world::reader("empty-key", "")),
            "ReferenceKeyUnusable",
            STALLS,
            "spec.source.ldap.bind.simple.secretRef: `password` of the Secret empty-key-reader is empty; write the \
             value into it",
        ),
        case(
            "no-config-map",
            Fault::Deleted { kind: "configmap", name: "no-config-map-authorities" },
            "ReferenceNotFound",
            STALLS,
            "spec.source.ldap.tls.caBundle.configMapKeyRef: there is no ConfigMap named no-config-map-authorities in \
             the namespace of the resource; create it",
        ),
        case(
            "no-certificates",
            replaced(world::authorities("no-certificates", "see the wiki")),
            "SourceInvalid",
            STALLS,
            "spec.source.ldap.tls.caBundle: it holds no certificate; write the authority's certificate in PEM, from \
             its BEGIN to its END line",
        ),
    ]
}

fn of_the_spec() -> Vec<Case> {
    vec![
        case(
            "bad-cel",
            Fault::Spec(json!({ "mapping": { "user": { "orgUnit": { "cel": "'/' + entry.ou[0" } } } })),
            "InvalidMapping",
            STALLS,
            "spec.mapping.user.orgUnit.cel: line 1, column 17: missing ']' at the end",
        ),
        case(
            "unknown-variable",
            Fault::Spec(json!({ "mapping": { "user": { "orgUnit": { "cel": "'/' + person.ou[0]" } } } })),
            "InvalidMapping",
            STALLS,
            "spec.mapping.user.orgUnit.cel: line 1, column 7: there is no `person` here: an expression may use \
             `entry` and `dn`",
        ),
        case(
            "no-such-id",
            Fault::Spec(json!({ "mapping": { "user": { "id": { "attribute": "employeeId" } } } })),
            "MappingFindsNobody",
            RETRIES,
            "spec.mapping.user.id: not one of the people read (12) has an id by `employeeId`; name an attribute that \
             they have and that the account may read",
        ),
        case(
            "no-such-address",
            Fault::Spec(json!({ "mapping": { "user": { "email": { "cel": "entry.proxyAddresses[0]" } } } })),
            "MappingFindsNobody",
            RETRIES,
            "spec.mapping.user.email: not one of the people read (12) has an address by `entry.proxyAddresses[0]`; \
             name an attribute that they have and that the account may read",
        ),
        case(
            "bad-exclusion",
            Fault::Spec(json!({ "exclude": { "source": [{ "field": "email", "regex": "(svc-" }] } })),
            "InvalidExclusion",
            STALLS,
            "spec.exclude.source[0].regex: it is no regular expression (unclosed group); correct it, or write glob or \
             exact instead",
        ),
        case(
            "bad-protection",
            Fault::Spec(json!({ "protect": [{ "cel": "user.email ==" }] })),
            "InvalidExclusion",
            STALLS,
            "spec.protect[0].cel: line 1, column 14: something is missing at the end",
        ),
        case(
            "bad-cron",
            Fault::Spec(json!({ "schedule": { "cron": "61 * * * *" } })),
            "InvalidSchedule",
            STALLS,
            "spec.schedule.cron: \"61 * * * *\" names no due time (number out of bounds); write five fields such as \
             \"0 * * * *\"",
        ),
        case(
            "never",
            Fault::Spec(json!({ "schedule": { "cron": "0 0 30 2 *" } })),
            "InvalidSchedule",
            STALLS,
            "spec.schedule.cron: \"0 0 30 2 *\" names no due time (such a day never comes); write five fields such \
             as \"0 * * * *\"",
        ),
        case(
            "bad-time-zone",
            Fault::Spec(json!({ "schedule": { "timeZone": "Europe/Berlyn" } })),
            "InvalidTimeZone",
            STALLS,
            "spec.schedule.timeZone: \"Europe/Berlyn\" is no time zone known here; write an IANA name such as \
             Europe/Berlin",
        ),
    ]
}

async fn of_the_service(world: &World) -> anyhow::Result<Vec<Case>> {
    let scim = world.scim.url();
    let answers = |status, body: &Value| Service::start(Scripted::json(status, body));
    let forbids = answers(403, &json!({ "detail": format!("scope users.read is missing for {PERSON}") })).await?;
    let moved = answers(404, &Value::Null).await?;
    let fails = answers(500, &json!({ "detail": "database is down" })).await?;
    let page = Scripted { body: b"<html>Sign in</html>".to_vec(), ..Scripted::json(200, &Value::Null) };
    let html = Service::start(page.with("content-type", "text/html")).await?;
    let [forbids_url, moved_url, fails_url, html_url] = [&forbids, &moved, &fails, &html].map(Service::url);
    Ok(vec![
        case(
            "wrong-token",
            replaced(world::token("wrong-token", "not-this-one")),
            "TargetAuthFailed",
            STALLS,
            format!(
                "{scim}/… does not accept the token (HTTP 401): Authorization failure. The authorization header is \
                 invalid or missing; put a valid token into the Secret that auth.bearerTokenSecretRef names, or, \
                 if the service was made to accept this one, ask for a run with the annotation \
                 directorysync.dev/requestedAt"
            ),
        )
        .quoting("Authorization failure"),
        case(
            "wrong-path",
            target(&json!({ "url": format!("{scim}/people") })),
            "TargetNotFound",
            RETRIES,
            format!(
                "{scim}/people/… does not exist (HTTP 404): No resource type found at 'people'; write as url the base \
                 below which /Users lies"
            ),
        )
        .quoting("No resource type"),
        case(
            "unknown-service",
            target(&json!({ "url": "https://service.invalid/v2", "tls": null })),
            "TargetHostUnknown",
            RETRIES,
            "the host of https://service.invalid/v2/… cannot be found; check the name in url and the cluster's DNS",
        ),
        case(
            "forbidden",
            Fault::Service(forbids),
            "TargetForbidden",
            RETRIES,
            format!(
                "{forbids_url}/… forbids this to the token (HTTP 403): scope users.read is missing for {PERSON}; grant \
                 the token the right to read and write people and groups"
            ),
        )
        .quoting(PERSON),
        case(
            "moved",
            Fault::Service(moved),
            "TargetNotFound",
            RETRIES,
            format!("{moved_url}/… does not exist (HTTP 404); write as url the base below which /Users lies"),
        ),
        case(
            "broken",
            Fault::Service(fails),
            "TargetServerError",
            RETRIES,
            format!("{fails_url}/… failed (HTTP 500): database is down; look into the log of the service"),
        )
        .quoting("database is down"),
        case(
            "sign-in-page",
            Fault::Service(html),
            "TargetNotScim",
            RETRIES,
            format!(
                "{html_url}/… answered with an HTML page, not with SCIM; write as url the base of the SCIM service"
            ),
        ),
    ])
}

/// What the API server refuses, and the sentence by which it does.
pub fn refused() -> Vec<(Value, &'static str)> {
    vec![
        (
            json!({ "source": { "ldap": { "urls": ["ldap://ldap.example.com"] } } }),
            "an ldap:// URL sends the password in clear text; write ldaps://, or set tls.startTLS: true, or accept it \
             with tls.plaintext: AllowPasswordsInClearText",
        ),
        (
            json!({ "target": { "scim": { "tls": null } } }),
            "an http:// URL sends the token in clear text; write https://, or accept it with tls.plaintext: \
             AllowTokenInClearText",
        ),
        (
            json!({ "source": { "ldap": { "users": [{ "baseDN": "dc=com", "filter": "objectClass=person" }] } } }),
            "write an LDAP filter in parentheses, such as (objectClass=inetOrgPerson)",
        ),
        (
            json!({ "schedule": { "cron": "every full hour" } }),
            "write five cron fields: minute, hour, day of month, month, day of week, as in 0 * * * *",
        ),
        (
            json!({ "schedule": { "timeZone": "Berlin, Germany" } }),
            "write a time zone by its IANA name, such as Europe/Berlin or UTC",
        ),
        (json!({ "removal": { "deleteAfter": "30d" } }), "write a duration with units, such as 90s, 15m or 720h"),
        (
            json!({ "mapping": { "user": { "email": { "attribute": "mail", "value": "x" } } } }),
            "take the field from exactly one of attribute, cel or value",
        ),
        (
            json!({ "source": { "ldap": { "bind": { "anonymous": {} } } } }),
            "bind in exactly one way: simple (with a secretRef), external (with a secretRef), or anonymous: {}",
        ),
    ]
}

fn case(name: &'static str, fault: Fault, reason: &'static str, stalls: bool, sentence: impl Into<String>) -> Case {
    Case { name, fault, reason, stalls, sentence: sentence.into(), quoted: None }
}

fn source(ldap: &Value) -> Fault {
    Fault::Spec(json!({ "source": { "ldap": ldap } }))
}

fn target(scim: &Value) -> Fault {
    Fault::Spec(json!({ "target": { "scim": scim } }))
}

/// The people are searched for elsewhere, or by another filter.
fn people(base_dn: &str, filter: &str) -> Fault {
    source(&json!({ "users": [{ "baseDN": base_dn, "filter": filter }] }))
}

fn replaced(object: Value) -> Fault {
    Fault::Replaced(object)
}
