//! Changing one object, also where it is not known what became of a request.

use super::attribute::{self, Object};
use super::client::{Call, Client};
use super::discovery::Profile;
use super::error::ScimError;
use super::list::List;
use super::resources;
use reqwest::Method;
use serde_json::Value;

/// How often a change is tried: a change in between (412) or a lost answer costs one.
const ATTEMPTS: usize = 3;

/// Whether a request had to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    /// Yes, and the service did it.
    Changed,
    /// No: the object was already as wanted.
    Same,
}

/// Reads an object, changes it and sends what differs, by PATCH or PUT; conditional where versions are announced.
pub(super) async fn edit(
    client: &Client,
    profile: &Profile,
    path: &[&str],
    change: &(dyn Fn(&mut Object) + Send + Sync),
) -> Result<Wrote, ScimError> {
    let mut failed = None;
    for _ in 0..=ATTEMPTS {
        let before = client.send(&Call::get("get", path)).await?.body;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(if failed.is_some() { Wrote::Changed } else { Wrote::Same });
        }
        let version = attribute::object(&before, "meta").map_or("", |meta| attribute::text(meta, "version"));
        let (operation, method, body) = if profile.patch {
            ("patch", Method::PATCH, resources::patch(&before, &after))
        } else {
            ("put", Method::PUT, Value::Object(after))
        };
        let call = Call::change(operation, method, path, Some(&body));
        let call = Call { version: if profile.etag { version } else { "" }, ..call };
        match client.send(&call).await {
            Ok(_) => return Ok(Wrote::Changed),
            // Somebody else changed it, or the answer was lost: the object itself says what is still to be done.
            Err(error) if error.refusal() == Some(412) || error.is_ambiguous() => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(failed.unwrap_or_else(|| ScimError::Stopped { url: client.url(path).into() }))
}

/// Creates an object, and finds out whether it exists before a second attempt.
pub(super) async fn create(
    client: &Client,
    profile: &Profile,
    endpoint: &str,
    body: &Value,
    external_id: &str,
) -> Result<(String, Wrote), ScimError> {
    let mut attempts = 2;
    loop {
        attempts -= 1;
        let error = match client.send(&Call::create(&[endpoint], body)).await {
            Ok(reply) => {
                let id = attribute::text(&reply.body, "id");
                if !id.is_empty() {
                    return Ok((id.to_owned(), Wrote::Changed));
                }
                if let Some(id) = reply.location_id {
                    return Ok((id, Wrote::Changed));
                }
                let found = "a creation without an id".to_owned();
                ScimError::NotScim { url: client.url(&[endpoint]).into(), found }
            }
            Err(error) => error,
        };
        let taken = error.refusal() == Some(409);
        if !taken && !error.is_ambiguous() {
            return Err(error);
        }
        match find(client, profile, endpoint, external_id).await? {
            Some(id) => return Ok((id, if taken { Wrote::Same } else { Wrote::Changed })),
            None if taken || attempts == 0 => return Err(error),
            None => {}
        }
    }
}

/// The id of the one object that bears our mark.
async fn find(
    client: &Client,
    profile: &Profile,
    endpoint: &str,
    external_id: &str,
) -> Result<Option<String>, ScimError> {
    let filter = profile.filter.then(|| format!("externalId eq {}", Value::from(external_id)));
    let mut list = List::new(client, profile, endpoint, filter);
    let mut found = None;
    while let Some(page) = list.page().await? {
        // A service may ignore the filter.
        for object in page.resources.iter().filter(|object| attribute::text(object, "externalId") == external_id) {
            if found.replace(attribute::text(object, "id").to_owned()).is_some() {
                return Err(ScimError::Refused {
                    url: client.url(&[endpoint]).into(),
                    status: 409,
                    scim_type: "uniqueness".to_owned(),
                    detail: ": two objects there bear the same externalId; remove one of them".to_owned(),
                });
            }
        }
    }
    Ok(found)
}
