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

#[cfg(test)]
mod tests {
    use super::super::config::ScimConfig;
    use super::super::discovery::discover;
    use super::*;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, Method, StatusCode, Uri};
    use serde_json::json;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// What the service of a test holds and does wrong.
    #[derive(Default)]
    struct Service {
        people: Vec<Value>,
        log: Vec<String>,
        /// Statuses given after the work was done.
        lost_answers: Vec<u16>,
        /// Statuses given instead of the work.
        refusals: Vec<u16>,
    }

    type Shared = Arc<Mutex<Service>>;

    fn serve(service: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> (u16, Value) {
        let mut service = service.lock().unwrap();
        if uri.path() == "/ServiceProviderConfig" {
            let yes = json!({"supported": true});
            return (200, json!({"patch": yes, "filter": yes, "etag": yes}));
        }
        if uri.path() == "/Schemas" {
            return (404, Value::Null);
        }
        service.log.push(method.to_string());
        if *method == Method::GET {
            let one =
                service.people.iter().find(|person| uri.path() == format!("/Users/{}", person["id"].as_str().unwrap()));
            return match one {
                Some(person) => (200, person.clone()),
                None if uri.path() == "/Users" => {
                    (200, json!({"totalResults": service.people.len(), "Resources": service.people}))
                }
                None => (404, Value::Null),
            };
        }
        if let Some(status) = service.refusals.pop() {
            return (status, Value::Null);
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        let answer = if *method == Method::POST {
            let mut person = body;
            person["id"] = json!(format!("{}", service.people.len()));
            service.people.push(person.clone());
            (201, person)
        } else {
            let person = &mut service.people[0];
            if headers.get("if-match").is_some_and(|tag| tag.to_str().unwrap() != person["meta"]["version"]) {
                return (412, Value::Null);
            }
            person["title"] = body["Operations"][0]["value"].clone();
            (200, person.clone())
        };
        match service.lost_answers.pop() {
            Some(status) => (status, Value::Null),
            None => answer,
        }
    }

    async fn start(service: &Shared) -> (Client, Profile) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let shared = Arc::clone(service);
        let router = axum::Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (status, answer) = serve(&shared, &method, &uri, &headers, &body);
            let headers = [("content-type", "application/scim+json")];
            async move { (StatusCode::from_u16(status).unwrap(), headers, answer.to_string()) }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let mut config = ScimConfig::new(url.parse().unwrap(), "t".into());
        config.allow_plaintext = true;
        config.timeout = Duration::from_secs(5);
        config.requests_per_second = std::num::NonZeroU32::new(1000).unwrap();
        let client = Client::new(&config).unwrap();
        let profile = discover(&client, &config).await.unwrap();
        (client, profile)
    }

    fn service(service: Service) -> Shared {
        Arc::new(Mutex::new(service))
    }

    fn log(service: &Shared) -> Vec<String> {
        service.lock().unwrap().log.clone()
    }

    async fn create_ada(service: &Shared) -> Result<(String, Wrote), ScimError> {
        let (client, profile) = start(service).await;
        create(&client, &profile, "Users", &json!({"userName": "ada", "externalId": "e1"}), "e1").await
    }

    async fn retitle(service: &Shared) -> Result<Wrote, ScimError> {
        let (client, profile) = start(service).await;
        let change = |object: &mut Object| {
            object.insert("title".to_owned(), "Dr".into());
        };
        edit(&client, &profile, &["Users", "0"], &change).await
    }

    fn ada() -> Value {
        json!({"id": "0", "externalId": "e1", "userName": "ada", "meta": {"version": "W/\"1\""}})
    }

    #[tokio::test]
    async fn a_creation_whose_answer_was_lost_is_found_and_not_sent_again() {
        let service = service(Service { lost_answers: vec![500], ..Service::default() });
        assert_eq!(create_ada(&service).await.unwrap(), ("0".to_owned(), Wrote::Changed));
        assert_eq!(log(&service), ["POST", "GET"]);
        assert_eq!(service.lock().unwrap().people.len(), 1);
    }

    #[tokio::test]
    async fn a_creation_that_did_not_happen_is_sent_once_more() {
        let service = service(Service { refusals: vec![502], ..Service::default() });
        assert_eq!(create_ada(&service).await.unwrap().1, Wrote::Changed);
        assert_eq!(log(&service), ["POST", "GET", "POST"]);
    }

    #[tokio::test]
    async fn a_conflict_with_our_own_object_is_a_creation_done_before() {
        let service = service(Service { people: vec![ada()], refusals: vec![409], ..Service::default() });
        assert_eq!(create_ada(&service).await.unwrap(), ("0".to_owned(), Wrote::Same));
    }

    #[tokio::test]
    async fn a_conflict_with_somebody_else_takes_nobody_over() {
        let mut other = ada();
        other["externalId"] = json!("e2");
        let service = service(Service { people: vec![other], refusals: vec![409], ..Service::default() });
        assert_eq!(create_ada(&service).await.unwrap_err().refusal(), Some(409));
        assert_eq!(log(&service), ["POST", "GET"]);
    }

    #[tokio::test]
    async fn two_objects_with_one_mark_are_told_and_not_chosen_from() {
        let mut twin = ada();
        twin["id"] = json!("1");
        let service = service(Service { people: vec![ada(), twin], refusals: vec![409], ..Service::default() });
        let error = create_ada(&service).await.unwrap_err();
        assert!(error.to_string().contains("two objects"), "{error}");
    }

    #[tokio::test]
    async fn a_change_is_sent_once_and_what_is_already_so_not_at_all() {
        let service = service(Service { people: vec![ada()], ..Service::default() });
        assert_eq!(retitle(&service).await.unwrap(), Wrote::Changed);
        assert_eq!(retitle(&service).await.unwrap(), Wrote::Same);
        assert_eq!(log(&service), ["GET", "PATCH", "GET"]);
    }

    #[tokio::test]
    async fn after_a_change_in_between_the_object_is_read_again() {
        let service = service(Service { people: vec![ada()], refusals: vec![412], ..Service::default() });
        assert_eq!(retitle(&service).await.unwrap(), Wrote::Changed);
        assert_eq!(log(&service), ["GET", "PATCH", "GET", "PATCH"]);
    }

    #[tokio::test]
    async fn a_change_that_never_succeeds_comes_to_an_end() {
        let service = service(Service { people: vec![ada()], refusals: vec![412; 20], ..Service::default() });
        assert_eq!(retitle(&service).await.unwrap_err().refusal(), Some(412));
    }
}
