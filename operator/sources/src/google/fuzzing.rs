//! What has to hold for whatever answers in Google's place.

use super::attribute::{Attributes, Kind, Object};
use super::auth::{Token, oauth_error, token_of};
use super::client::{PAGE_TOKEN_CAP, Page, resource};
use super::directory::{ID_CAP, member};
use super::error::GoogleError;
use super::http::{Answer, object_in};
use super::read::borrowed;
use directory_sync_core::mapping::{Entry, UserMapping, UserMappingSpec, Value};
use directory_sync_core::snapshot::UserRecord;
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use std::sync::LazyLock;

/// The lists that are read, and the `kind` of their pages.
const LISTS: [(&str, &str); 3] =
    [("users", "admin#directory#users"), ("groups", "admin#directory#groups"), ("members", "admin#directory#members")];
const STATUSES: [u16; 8] = [200, 400, 401, 403, 404, 412, 429, 503];
/// What the requests carried, and no message may.
const SECRET: &str = "ya29.canary";
/// Longest message, in characters.
const MESSAGE_CAP: usize = 1000;

struct Setting {
    token: Token,
    attributes: Attributes,
    mapping: UserMapping,
}

static SETTING: LazyLock<Option<Setting>> = LazyLock::new(|| {
    let attribute = |name: &str| Value::Attribute(name.to_owned());
    let further = ["organizations.title;primary", "externalIds.value;organization", "customSchemas.Employment.sites"];
    let spec = UserMappingSpec {
        id: Some(attribute("id")),
        email: Some(attribute("primaryEmail")),
        aliases: vec![attribute("aliases"), attribute("emails.address")],
        given_name: Some(attribute("name.givenName")),
        active: Some(attribute("active")),
        attributes: further.iter().map(|name| ((*name).to_owned(), attribute(name))).collect(),
        ..UserMappingSpec::default()
    };
    let mapping = UserMapping::compile(&spec).ok()?;
    let token = format!(r#"{{"access_token": "{SECRET}", "token_type": "Bearer"}}"#);
    Some(Setting {
        token: token_of(answer(200, token.as_bytes())).ok()?,
        attributes: Attributes::parse(Kind::User, mapping.attributes()).ok()?,
        mapping,
    })
});

fn answer(status: u16, body: &[u8]) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    Answer { url: "https://localhost/".to_owned(), status, wait: None, body: object_in(body) }
}

/// The first byte says which list was asked for, the second is the HTTP status; the rest is the body.
///
/// # Panics
///
/// If a page is taken that is not whole or of another kind, if what it brings is over its caps, or if a message tells
/// the token.
pub(crate) fn json(input: &[u8]) {
    let Some((&[list, status], body)) = input.split_first_chunk::<2>() else { return };
    let Some(setting) = &*SETTING else { unreachable!("the settings are valid") };
    let (list, kind) = LISTS.get(usize::from(list) % LISTS.len()).copied().unwrap_or_default();
    let status = STATUSES.get(usize::from(status) % STATUSES.len()).copied().unwrap_or_default();

    match resource(answer(status, body), kind, &setting.token) {
        Ok(object) => {
            assert_eq!(status, 200, "a refusal is taken for a resource");
            assert_eq!(object.get("kind").and_then(serde_json::Value::as_str), Some(kind));
            let whole = body.trim_ascii_end();
            let cut = whole.split_last().map(|(_, cut)| cut).unwrap_or_default();
            assert!(object_in(cut).is_err(), "what is cut off is taken for a resource");
            if let Ok(page) = Page::of(object, list) {
                page_holds(&page, body.len(), setting);
            }
        }
        Err(error) => refusal_holds(&error, status, body),
    }
    token_holds(status, body);
}

fn page_holds(page: &Page, length: usize, setting: &Setting) {
    assert!(page.items.len() * 2 <= length, "more is read than was sent");
    assert!(page.next.as_ref().is_none_or(|next| (1..=PAGE_TOKEN_CAP).contains(&next.len())));
    let mut record = UserRecord::default();
    for item in &page.items {
        let values = setting.attributes.values(item);
        assert_eq!(values.len(), setting.mapping.attributes().len());
        let entry = Entry { name: "", values: &borrowed(&values) };
        if setting.mapping.map(&entry, &mut record, &mut 0).is_ok() {
            assert!(!record.id.is_empty(), "somebody without an id");
            assert!(record.active || is_barred(item), "somebody is not active, and Google did not say so");
        }
        let member = member(item);
        assert!(member.is_none_or(|member| (1..=ID_CAP).contains(&member.id.len())));
    }
}

fn is_barred(user: &Object) -> bool {
    ["suspended", "archived"].iter().any(|state| user.get(*state).and_then(serde_json::Value::as_bool) == Some(true))
}

fn refusal_holds(error: &GoogleError, status: u16, body: &[u8]) {
    message_holds(&error.to_string());
    let says_so = object_in(body).is_ok_and(|body| body.get("error").is_some_and(serde_json::Value::is_object));
    match error {
        // Somebody is gone, or the members of a group are withheld: only in Google's own words.
        GoogleError::NotFound { .. } => assert!(status == 404 && says_so),
        GoogleError::Forbidden { .. } | GoogleError::ApiDisabled { .. } => assert!(status == 403 && says_so),
        GoogleError::Refused { .. } => assert!(status >= 400 && says_so),
        GoogleError::Unauthorized { .. } => assert_eq!(status, 401),
        GoogleError::RateLimited { .. } => assert!(status == 429 || says_so),
        GoogleError::ServerError { .. } => assert!(status >= 500 || says_so),
        GoogleError::CutShort { .. } => assert!(status == 200 && object_in(body).is_err()),
        GoogleError::NotGoogle { .. } => {}
        other => unreachable!("{other}"),
    }
}

/// The same body from a token endpoint.
fn token_holds(status: u16, body: &[u8]) {
    if let Some((code, detail)) = oauth_error(&answer(status, body), &SECRET.to_owned().into()) {
        message_holds(&code);
        message_holds(&detail);
    }
    match token_of(answer(status, body)) {
        Ok(token) => {
            let secret = token.secret().expose_secret();
            assert!(!secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(!format!("{token:?}").contains(secret) || secret.len() < 16, "a token is shown");
        }
        Err(error) => message_holds(&error.to_string()),
    }
}

fn message_holds(message: &str) {
    assert!(!message.contains(SECRET), "a message tells the token");
    assert!(message.chars().count() <= MESSAGE_CAP, "a message of {} bytes", message.len());
    assert!(!message.contains(char::is_control), "a message of several lines");
}
