//! Changing one object, also where it is not known what became of a request: then the object is read before anything
//! else, and only what is still different is sent again.

use super::attribute::{self, Object};
use super::client::{Call, Client};
use super::discovery::Profile;
use super::error::ScimError;
use super::list::List;
use super::resources;
use super::retry::Attempts;
use reqwest::Method;
use serde_json::Value;

/// Whether a request had to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    /// Yes, and the service did it.
    Changed,
    /// No: the object was already as wanted.
    Same,
}

impl Wrote {
    /// An object that is as wanted was made so by the request whose answer was lost, if there is one.
    pub(super) fn after(error: Option<&ScimError>) -> Self {
        if error.is_some_and(ScimError::is_ambiguous) { Self::Changed } else { Self::Same }
    }
}

/// What came of changing an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Whether a request had to be sent.
    pub wrote: Wrote,
    /// Version that the object has now; empty where it is not told.
    pub version: String,
}

/// Reads an object, changes it and sends what differs, by PATCH or PUT; conditional where versions are announced.
pub(super) async fn edit(
    client: &Client,
    profile: &Profile,
    path: &[&str],
    change: &(dyn Fn(&mut Object) + Send + Sync),
) -> Result<Written, ScimError> {
    let mut attempts = Attempts::new();
    let mut failed: Option<ScimError> = None;
    let mut may_send = true;
    loop {
        let (before, version) = match client.send(&Call::get("get", path)).await {
            Ok(reply) => (reply.body, reply.version),
            Err(looked) => return Err(instead(failed, looked)),
        };
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(Written { wrote: Wrote::after(failed.as_ref()), version });
        }
        if let Some(error) = failed.take().filter(|_| !may_send) {
            return Err(error);
        }
        let (operation, method, body) = if profile.patch {
            ("patch", Method::PATCH, resources::patch(&before, &after))
        } else {
            ("put", Method::PUT, Value::Object(after))
        };
        let call = Call::change(operation, method, path, Some(&body));
        let call = Call { version: if profile.etag { &version } else { "" }, ..call };
        match client.send(&call).await {
            Ok(reply) => return Ok(Written { wrote: Wrote::Changed, version: reply.version }),
            // Somebody else changed it, or the answer was lost: the object itself says what is still to be done.
            Err(error) if error.is_other_version() || error.is_ambiguous() => {
                may_send = client.may_try_again(&mut attempts, &error).await;
                failed = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Removes an object that has this version, as long as it is what the plan was made for (`unchanged`).
pub(super) async fn delete(
    client: &Client,
    profile: &Profile,
    path: &[&str],
    version: &str,
    unchanged: &(dyn Fn(&Object) -> bool + Send + Sync),
) -> Result<Wrote, ScimError> {
    let mut attempts = Attempts::new();
    let mut version = version.to_owned();
    let mut failed: Option<ScimError> = None;
    loop {
        let call = Call::change("delete", Method::DELETE, path, None);
        let call = Call { version: if profile.etag { &version } else { "" }, ..call };
        let error = match client.send(&call).await {
            Ok(_) => return Ok(Wrote::Changed),
            Err(error) if error.refusal() == Some(404) => return Ok(Wrote::after(failed.as_ref())),
            Err(error) if error.is_other_version() || error.is_ambiguous() => error,
            Err(error) => return Err(error),
        };
        let may_send = client.may_try_again(&mut attempts, &error).await;
        match client.send(&Call::get("get", path)).await {
            Ok(reply) if !unchanged(&reply.body) => return Err(ScimError::Changed { url: client.url(path).into() }),
            Ok(reply) => version = reply.version,
            Err(gone) if gone.refusal() == Some(404) => return Ok(Wrote::after(Some(&error))),
            Err(_) => return Err(error),
        }
        if !may_send {
            return Err(error);
        }
        failed = Some(error);
    }
}

/// What to tell where a change failed and the object could not be read after it either: that it is gone, or the change,
/// of which nothing more is known.
fn instead(failed: Option<ScimError>, looked: ScimError) -> ScimError {
    match failed {
        Some(failed) if looked.refusal().is_none() => failed,
        _ => looked,
    }
}

/// Creates an object, and finds out whether it exists before a second attempt.
pub(super) async fn create(
    client: &Client,
    profile: &Profile,
    endpoint: &str,
    body: &Value,
    external_id: &str,
) -> Result<(String, Wrote), ScimError> {
    let mut attempts = Attempts::new();
    loop {
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
        let taken = error.is_conflict();
        if !taken && !error.is_ambiguous() {
            return Err(error);
        }
        let may_send = !taken && client.may_try_again(&mut attempts, &error).await;
        match find(client, profile, endpoint, external_id).await {
            Ok(Some(id)) => return Ok((id, if taken { Wrote::Same } else { Wrote::Changed })),
            Ok(None) if may_send => {}
            Ok(None) => return Err(error),
            Err(looked) => return Err(instead(Some(error), looked)),
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
        /// Objects are changed by PUT alone, and have no versions.
        plain: bool,
        /// What somebody else does to the person as soon as a change was asked for.
        meanwhile: Option<fn(&mut Value)>,
        /// What `If-Match` held.
        conditions: Vec<String>,
    }

    type Shared = Arc<Mutex<Service>>;

    fn serve(service: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> (u16, Value) {
        let mut service = service.lock().unwrap();
        if uri.path() == "/ServiceProviderConfig" {
            let modern = json!({"supported": !service.plain});
            return (200, json!({"patch": modern, "filter": {"supported": true}, "etag": modern}));
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
        if let Some(tag) = headers.get("if-match") {
            service.conditions.push(tag.to_str().unwrap().to_owned());
        }
        let meanwhile = service.meanwhile.take();
        if let Some(status) = service.refusals.pop() {
            if let (Some(meanwhile), Some(person)) = (meanwhile, service.people.first_mut()) {
                meanwhile(person);
            }
            return (status, Value::Null);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let answer = if *method == Method::DELETE {
            let tag = service.people.first().map(|person| person["meta"]["version"].clone());
            let Some(tag) = tag else { return (404, Value::Null) };
            if headers.get("if-match").is_some_and(|asked| asked.to_str().unwrap() != tag) {
                return (412, Value::Null);
            }
            service.people.clear();
            (204, Value::Null)
        } else if *method == Method::POST {
            let mut person = body;
            person["id"] = json!(format!("{}", service.people.len()));
            service.people.push(person.clone());
            (201, person)
        } else {
            let person = &mut service.people[0];
            if headers.get("if-match").is_some_and(|tag| tag.to_str().unwrap() != person["meta"]["version"]) {
                return (412, Value::Null);
            }
            if *method == Method::PUT {
                *person = body;
            } else {
                person["title"] = body["Operations"][0]["value"].clone();
            }
            (200, person.clone())
        };
        if let (Some(meanwhile), Some(person)) = (meanwhile, service.people.first_mut()) {
            meanwhile(person);
        }
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
        edit(&client, &profile, &["Users", "0"], &change).await.map(|written| written.wrote)
    }

    /// Removes Ada as long as her title is the one that the plan saw: none.
    async fn remove_ada(service: &Shared, version: &str) -> Result<Wrote, ScimError> {
        let (client, profile) = start(service).await;
        let unchanged = |object: &Object| attribute::text(object, "title").is_empty();
        delete(&client, &profile, &["Users", "0"], version, &unchanged).await
    }

    fn retitled(person: &mut Value) {
        person["title"] = json!("Countess");
        person["meta"]["version"] = json!("W/\"2\"");
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
        for status in [412, 500] {
            let service = service(Service { people: vec![ada()], refusals: vec![status; 20], ..Service::default() });
            assert!(retitle(&service).await.unwrap_err().to_string().contains(&status.to_string()));
            assert_eq!(log(&service), ["GET", "PATCH", "GET", "PATCH", "GET", "PATCH", "GET"]);
        }
    }

    #[tokio::test]
    async fn a_change_whose_answer_was_lost_is_looked_at_and_not_sent_again() {
        for (plain, method) in [(false, "PATCH"), (true, "PUT")] {
            let service =
                service(Service { people: vec![ada()], lost_answers: vec![500], plain, ..Service::default() });
            assert_eq!(retitle(&service).await.unwrap(), Wrote::Changed);
            assert_eq!(log(&service), ["GET", method, "GET"]);
        }
    }

    #[tokio::test]
    async fn a_change_that_did_not_happen_is_sent_again_only_after_a_look() {
        let service = service(Service { people: vec![ada()], refusals: vec![502], ..Service::default() });
        assert_eq!(retitle(&service).await.unwrap(), Wrote::Changed);
        assert_eq!(log(&service), ["GET", "PATCH", "GET", "PATCH"]);
        assert_eq!(service.lock().unwrap().conditions, ["W/\"1\"", "W/\"1\""]);
    }

    #[tokio::test]
    async fn a_whole_object_that_is_sent_again_keeps_what_somebody_else_changed_in_between() {
        let meanwhile = Some((|person: &mut Value| person["nickName"] = json!("Al")) as fn(&mut Value));
        let service =
            service(Service { people: vec![ada()], refusals: vec![503], plain: true, meanwhile, ..Service::default() });
        assert_eq!(retitle(&service).await.unwrap(), Wrote::Changed);
        let ada = service.lock().unwrap().people[0].clone();
        assert_eq!((&ada["title"], &ada["nickName"]), (&json!("Dr"), &json!("Al")));
    }

    #[tokio::test]
    async fn a_service_that_does_not_know_a_request_is_not_asked_again() {
        let service = service(Service { people: vec![ada()], refusals: vec![501], ..Service::default() });
        assert!(retitle(&service).await.is_err());
        assert_eq!(log(&service), ["GET", "PATCH"]);
    }

    #[tokio::test]
    async fn only_the_version_that_was_planned_for_is_deleted() {
        let service = service(Service { people: vec![ada()], ..Service::default() });
        assert_eq!(remove_ada(&service, "W/\"1\"").await.unwrap(), Wrote::Changed);
        assert_eq!(service.lock().unwrap().conditions, ["W/\"1\""]);
        assert_eq!(log(&service), ["DELETE"]);
    }

    #[tokio::test]
    async fn whoever_was_changed_since_the_plan_is_not_deleted() {
        let mut changed = ada();
        retitled(&mut changed);
        let service = service(Service { people: vec![changed], ..Service::default() });
        let error = remove_ada(&service, "W/\"1\"").await.unwrap_err();
        assert!(matches!(error, ScimError::Changed { .. }), "{error}");
        assert_eq!((log(&service), service.lock().unwrap().people.len()), (vec!["DELETE".into(), "GET".into()], 1));
    }

    #[tokio::test]
    async fn a_new_version_without_a_change_that_matters_is_deleted_as_that_version() {
        let mut touched = ada();
        touched["meta"]["version"] = json!("W/\"7\"");
        let service = service(Service { people: vec![touched], ..Service::default() });
        assert_eq!(remove_ada(&service, "W/\"1\"").await.unwrap(), Wrote::Changed);
        assert_eq!(service.lock().unwrap().conditions, ["W/\"1\"", "W/\"7\""]);
    }

    #[tokio::test]
    async fn a_deletion_whose_answer_was_lost_is_looked_at_and_not_sent_again() {
        let service = service(Service { people: vec![ada()], lost_answers: vec![504], ..Service::default() });
        assert_eq!(remove_ada(&service, "").await.unwrap(), Wrote::Changed);
        assert_eq!(log(&service), ["DELETE", "GET"]);
    }

    #[tokio::test]
    async fn a_deletion_that_did_not_happen_is_not_sent_again_to_somebody_who_was_changed() {
        for plain in [false, true] {
            let service = service(Service {
                people: vec![ada()],
                refusals: vec![500],
                meanwhile: Some(retitled),
                plain,
                ..Service::default()
            });
            assert!(matches!(remove_ada(&service, "W/\"1\"").await, Err(ScimError::Changed { .. })));
            assert_eq!(log(&service), ["DELETE", "GET"]);
        }
    }

    #[tokio::test]
    async fn whoever_is_gone_already_needs_no_deletion() {
        let service = service(Service::default());
        assert_eq!(remove_ada(&service, "W/\"1\"").await.unwrap(), Wrote::Same);
    }
}
