//! What has to hold for whatever answers in Google's place.

use super::attribute::{Attributes, Kind, Object};
use super::auth::{Token, oauth_error, token_of};
use super::client::taken;
use super::directory::{self, GROUPS, ID_CAP, MEMBERS, MemberKind, USERS};
use super::error::GoogleError;
use super::http::Answer;
use super::json;
use super::page::{Kept, PAGE_TOKEN_CAP, Page};
use directory_sync_core::mapping::{Entry, UserMapping, UserMappingSpec, Value};
use directory_sync_core::snapshot::UserRecord;
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use std::sync::LazyLock;

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
        token: token_of(&answer(200, token.as_bytes())).ok()?,
        attributes: Attributes::parse(Kind::User, mapping.attributes()).ok()?,
        mapping,
    })
});

fn answer(status: u16, body: &[u8]) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    Answer { url: "https://localhost/".to_owned(), status, wait: None, body: Ok(body.to_vec()) }
}

/// An element of a page as it came, with what is kept of it.
struct Element<T> {
    object: Object,
    kept: T,
}

impl<T: Kept> Kept for Element<T> {
    fn size(&self) -> usize {
        self.kept.size()
    }
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
    let status = STATUSES.get(usize::from(status) % STATUSES.len()).copied().unwrap_or_default();
    let answer = answer(status, body);
    let entry = |object: Object| {
        let kept = directory::entry(&object, "user", "primaryEmail", &setting.attributes)?;
        Ok(Element { object, kept })
    };
    let member = |object: Object| Ok(Element { kept: directory::member(&object), object });
    let failed = match list % 3 {
        0 => taken(&answer, &setting.token, |text| Page::of(text, USERS, entry)).map(|page| {
            page_holds(&page, USERS.most, status, body);
            page.items.iter().for_each(|user| user_holds(user, setting));
        }),
        1 => taken(&answer, &setting.token, |text| Page::of(text, GROUPS, entry)).map(|page| {
            page_holds(&page, GROUPS.most, status, body);
        }),
        _ => taken(&answer, &setting.token, |text| Page::of(text, MEMBERS, member)).map(|page| {
            page_holds(&page, MEMBERS.most, status, body);
            page.items.iter().for_each(member_holds);
        }),
    };
    if let Err(error) = failed {
        refusal_holds(&error, status, body);
    }
    token_holds(status, body);
}

fn page_holds<T>(page: &Page<T>, most: usize, status: u16, body: &[u8]) {
    assert_eq!(status, 200, "a refusal is taken for a page");
    assert!(page.items.len() <= most && page.items.len() * 2 <= body.len(), "more is read than was asked for or sent");
    assert!(page.next.as_ref().is_none_or(|next| (1..=PAGE_TOKEN_CAP).contains(&next.len())));
    let cut = body.trim_ascii_end().split_last().map(|(_, cut)| cut).unwrap_or_default();
    assert!(json::object(cut).is_err(), "what is cut off is taken for a page");
}

fn user_holds(user: &Element<directory::Entry>, setting: &Setting) {
    let values = user.kept.borrowed();
    assert!((1..=ID_CAP).contains(&user.kept.id.len()));
    assert_eq!(values.len(), setting.mapping.attributes().len());
    let mut record = UserRecord::default();
    if setting.mapping.map(&Entry { name: "", values: &values }, &mut record, &mut 0).is_ok() {
        assert!(!record.id.is_empty(), "somebody without an id");
        assert!(record.active || is_barred(&user.object), "somebody is not active, and Google did not say so");
    }
}

fn member_holds(member: &Element<directory::Member>) {
    let nobody = matches!(member.kept.kind, MemberKind::Stranger | MemberKind::Unclear);
    assert!(nobody || (1..=ID_CAP).contains(&member.kept.id.len()), "a member without an id");
}

fn is_barred(user: &Object) -> bool {
    ["suspended", "archived"].iter().any(|state| user.get(*state).and_then(serde_json::Value::as_bool) == Some(true))
}

fn refusal_holds(error: &GoogleError, status: u16, body: &[u8]) {
    message_holds(&error.to_string());
    let says_so = json::object(body).is_ok_and(|body| body.get("error").is_some_and(serde_json::Value::is_object));
    match error {
        // Somebody is gone, or the members of a group are withheld: only in Google's own words.
        GoogleError::NotFound { .. } => assert!(status == 404 && says_so),
        GoogleError::Forbidden { .. } | GoogleError::ApiDisabled { .. } => assert!(status == 403 && says_so),
        GoogleError::Refused { .. } => assert!(status >= 400 && says_so),
        GoogleError::Unauthorized { .. } => assert_eq!(status, 401),
        GoogleError::RateLimited { .. } => assert!(status == 429 || says_so),
        GoogleError::ServerError { .. } => assert!(status >= 500 || says_so),
        GoogleError::CutShort { .. } => assert!(status == 200 && json::object(body).is_err()),
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
    match token_of(&answer(status, body)) {
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
