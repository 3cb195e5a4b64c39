//! What the way from bytes to people makes of damage, without a server.

use super::attribute::{Attributes, Kind, Object};
use super::auth::{Token, token_of};
use super::client::refusal;
use super::directory::{Entry, GROUPS, MEMBERS, Member, MemberKind, USERS, entry, member};
use super::error::GoogleError;
use super::http::Answer;
use super::page::{Kept, List, Page};
use directory_sync_core::mapping::{self, UserMapping, UserMappingSpec, Value};
use directory_sync_core::snapshot::UserRecord;
use reqwest::StatusCode;
use serde_json::json;

/// A page with the fields that Google's own answers have.
fn people() -> serde_json::Value {
    json!({
        "kind": "admin#directory#users",
        "nextPageToken": "next~500",
        "users": [
            {
                "id": "100000000000000000001", "customerId": "C0simulated", "primaryEmail": "ada@example.com",
                "name": { "givenName": "Ada", "familyName": "Lovelace", "fullName": "Ada Lovelace" },
                "suspended": false, "archived": true, "aliases": ["a@example.com", "al@example.com"],
                "emails": [{ "address": "ada@example.com", "primary": true }, { "address": "a@example.com" }],
                "organizations": [{ "title": "Analyst", "primary": true, "customType": "" }],
                "externalIds": [{ "value": "42", "type": "organization" }],
                "customSchemas": { "Employment": { "sites": [{ "type": "work", "value": "Zürich" }], "grade": 7.5 } },
            },
            { "id": "100000000000000000002", "customerId": "C0simulated", "primaryEmail": "bob@example.com" },
        ],
    })
}

fn groups() -> serde_json::Value {
    json!({
        "kind": "admin#directory#groups",
        "groups": [
            { "id": "023ckvvd4kecvcb", "email": "staff@example.com", "name": "Staff", "directMembersCount": "2" },
            { "id": "023ckvvd4kecvcc", "email": "board@example.com", "name": "Board", "aliases": ["b@example.com"] },
        ],
    })
}

fn members() -> serde_json::Value {
    json!({
        "kind": "admin#directory#members",
        "members": [
            { "id": "100000000000000000001", "type": "USER" },
            { "id": "023ckvvd4kecvcc", "type": "GROUP" },
            { "id": "C0simulated", "type": "CUSTOMER" },
        ],
    })
}

/// A linear congruential generator, so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    /// The text with a few bytes changed, taken away or put in, or cut off.
    fn damage(&mut self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(8) {
                0..3 => bytes[at] = u8::try_from(self.below(256)).unwrap(),
                3..5 => drop(bytes.remove(at)),
                5..7 => bytes.insert(at, b"[]{}\",:0ntf\\"[self.below(12)]),
                _ => bytes.truncate(at.max(8)),
            }
        }
        bytes
    }
}

/// Damages an answer again and again; `take` says whether it was read, and holds what has to hold of it then.
fn damaged(good: &serde_json::Value, times: usize, mut take: impl FnMut(&[u8]) -> bool) {
    let good = good.to_string().into_bytes();
    assert!(take(&good), "the sound answer is read");
    let mut chance = Chance(20_261_124);
    let read = (0..times).filter(|_| take(&chance.damage(&good))).count();
    let refused = times - read;
    assert!(read > times / 20 && refused > times / 10, "{read} were read and {refused} refused");
}

fn page<T: Kept>(bytes: &[u8], list: List, keep: impl Fn(&Object) -> Result<T, String>) -> Option<Vec<T>> {
    Page::of(bytes, list, |element| keep(&element)).ok().map(|page| page.items)
}

#[test]
fn a_damaged_page_of_people_is_refused_or_has_everybody() {
    let attribute = |name: &str| Value::Attribute(name.to_owned());
    let further = ["organizations.title;primary", "externalIds.value;organization", "customSchemas.Employment.sites"];
    let mapping = UserMapping::compile(&UserMappingSpec {
        id: Some(attribute("id")),
        email: Some(attribute("primaryEmail")),
        aliases: vec![attribute("aliases"), attribute("emails.address")],
        given_name: Some(attribute("name.givenName")),
        active: Some(attribute("active")),
        attributes: further.iter().map(|name| ((*name).to_owned(), attribute(name))).collect(),
        ..UserMappingSpec::default()
    })
    .unwrap();
    let attributes = Attributes::parse(Kind::User, mapping.attributes()).unwrap();
    let map = |user: &Entry| {
        let mut record = UserRecord::default();
        let entry = mapping::Entry { name: "", values: &user.borrowed() };
        mapping.map(&entry, &mut record, &mut 0).map(|()| record)
    };
    let sound = page(people().to_string().as_bytes(), USERS, |user| entry(user, "user", "primaryEmail", &attributes));
    let sound = map(&sound.unwrap()[0]).unwrap();
    assert_eq!((sound.active, sound.attributes.len()), (false, 3));
    damaged(&people(), 50_000, |bytes| {
        let users = page(bytes, USERS, |user| entry(user, "user", "primaryEmail", &attributes));
        users.is_some_and(|users| {
            assert_eq!(users.len(), 2, "{}", String::from_utf8_lossy(bytes));
            for user in &users {
                let _ = map(user);
            }
            true
        })
    });
}

#[test]
fn a_damaged_page_of_groups_is_refused_or_has_every_group() {
    let attributes = Attributes::parse(Kind::Group, &["id", "email", "name"].map(str::to_owned)).unwrap();
    damaged(&groups(), 20_000, |bytes| {
        let groups = page(bytes, GROUPS, |group| entry(group, "group", "email", &attributes));
        groups.is_some_and(|groups| groups.len() == 2 || panic!("{}", String::from_utf8_lossy(bytes)))
    });
}

#[test]
fn a_damaged_page_of_members_is_refused_or_has_every_member_or_one_that_is_unclear() {
    let kinds = [MemberKind::User, MemberKind::Group, MemberKind::Customer];
    damaged(&members(), 20_000, |bytes| {
        let members = page(bytes, MEMBERS, |one| Ok(member(one)));
        members.is_some_and(|members| {
            let is_clear = |(member, kind): (&Member, _)| member.kind == kind && !member.id.is_empty();
            let unclear = members.iter().any(|member| member.kind == MemberKind::Unclear);
            let whole = members.len() == 3 && members.iter().zip(kinds).all(is_clear);
            assert!(whole || unclear, "{}", String::from_utf8_lossy(bytes));
            true
        })
    });
}

fn answer(status: u16, bytes: &[u8]) -> Answer {
    let (url, status) = ("https://oauth2.googleapis.com/token".to_owned(), StatusCode::from_u16(status).unwrap());
    Answer { url, status, wait: None, body: Ok(bytes.to_vec()) }
}

fn token() -> Token {
    let good = json!({ "access_token": "canary", "expires_in": 3599, "token_type": "Bearer" });
    token_of(&answer(200, good.to_string().as_bytes())).unwrap()
}

#[test]
fn a_damaged_token_is_refused_or_fits_into_a_header() {
    use secrecy::ExposeSecret;
    let good = json!({ "access_token": "canary-token-1", "expires_in": 3599, "token_type": "Bearer" });
    damaged(&good, 20_000, |bytes| match token_of(&answer(200, bytes)) {
        Ok(token) => {
            let secret = token.secret().expose_secret();
            assert!(!secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()));
            true
        }
        Err(error) => {
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
            false
        }
    });
}

#[test]
fn a_damaged_refusal_is_never_an_absence_unless_it_was_one() {
    let token = token();
    let refused = |status: u16, reason: &str| {
        json!({ "error": { "code": status, "message": "It says no.",
            "errors": [{ "message": "It says no.", "domain": "global", "reason": reason }] } })
    };
    for (status, reason) in [(400, "invalid"), (401, "authError"), (403, "forbidden"), (503, "backendError")] {
        let mut chance = Chance(u64::from(status));
        for _ in 0..5_000 {
            let bytes = chance.damage(refused(status, reason).to_string().as_bytes());
            let error = refusal(&answer(status, &bytes), &token);
            assert!(!matches!(error, GoogleError::NotFound { .. }), "{error}");
            assert!(error.to_string().len() < 1_000, "{error}");
        }
    }
    let mut absences = 0;
    let mut chance = Chance(404);
    for _ in 0..5_000 {
        let bytes = chance.damage(refused(404, "notFound").to_string().as_bytes());
        if matches!(refusal(&answer(404, &bytes), &token), GoogleError::NotFound { .. }) {
            absences += 1;
            assert!(String::from_utf8(bytes).unwrap().contains("otFound"));
        }
    }
    assert!(absences > 500, "{absences}");
    for (status, body) in [(404, json!({})), (404, json!({ "error": {} })), (404, json!({ "error": "not found" }))] {
        let error = refusal(&answer(status, body.to_string().as_bytes()), &token);
        assert!(matches!(error, GoogleError::NotGoogle { .. }), "{error}");
    }
}
