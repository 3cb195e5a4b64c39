//! From a request to its answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::discovery::Discovery;
use super::{Fault, PROVIDER, Request, Shared, WORKLOAD_TOKEN, World, fault, tenant};

/// What the API answers: HTTP status and body.
type Answer = (u16, Value);

/// Takes a request down, lets it fail if it is to fail, and otherwise answers it.
pub(super) fn answer(shared: &Arc<Shared>, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let mut world = shared.world();
    let request = record(&mut world, method, uri, headers, body);
    // No part of the API, and asked for to look at the connection.
    if request.path == "/" {
        return fault::json(404, &Value::Null);
    }
    // What is asked has to be as documented also where the answer will not be.
    if let Err((status, body)) = judged_request(shared, &mut world, &request) {
        return fault::json(status, &body);
    }
    if let Some(fault) = world.faults.clone().and_then(|faults| faults(&request)) {
        if matches!(fault, Fault::Unauthorized) {
            world.grants.remove(&request.token);
        }
        if let Fault::Damaged(damage) = fault {
            let (status, body) = answered(shared, &mut world, &request);
            return fault::respond(Fault::Body(status, "application/json", damage.of(&body)));
        }
        return fault::respond(fault);
    }
    let (status, body) = answered(shared, &mut world, &request);
    fault::json(status, &body)
}

fn answered(shared: &Shared, world: &mut World, request: &Request) -> Answer {
    match request.path.as_str() {
        "/token" => token(world, request),
        "/v1/token" => exchange(shared, world, request),
        path if path.starts_with("/v1/") => sign(shared, world, request),
        _ => directory(shared, world, request),
    }
}

fn record(world: &mut World, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Request {
    let decode = |text: &str| {
        // As a form's only name, in which these three would mean something.
        let escaped = text.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
        form_urlencoded::parse(escaped.as_bytes()).map(|(name, _)| name.into_owned()).collect::<String>()
    };
    let path = uri.path().split('/').map(decode).collect::<Vec<_>>().join("/");
    let before = world.received.iter().filter(|other| other.method == method.as_str() && other.path == path).count();
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let request = Request {
        method: method.to_string(),
        path,
        query: pairs(uri.query().unwrap_or_default()),
        body: String::from_utf8_lossy(body).into_owned(),
        token: token.strip_prefix("Bearer ").unwrap_or_default().to_owned(),
        before,
    };
    world.received.push(request.clone());
    request
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// `POST /token`: an assertion for a token (RFC 7523).
fn token(world: &mut World, request: &Request) -> Answer {
    // Google's client library asserts for Google's own address wherever it asks.
    let mut audiences = vec!["https://oauth2.googleapis.com/token".to_owned()];
    audiences.extend(world.names.iter().map(|base| format!("{base}/token")));
    let tenant = &world.tenant;
    let is_user = |address: &str| tenant.find_user(address).is_some();
    match world.account.grant(&pairs(&request.body), &audiences, &world.delegated, is_user) {
        Ok(grant) => {
            world.issued += 1;
            let token = format!("canary-token-{}", world.issued);
            world.grants.insert(token.clone(), grant);
            (200, json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
        }
        Err((status, error, description)) => (status, json!({ "error": error, "error_description": description })),
    }
}

/// `sts.token`: a workload's token for one of Google's (RFC 8693).
fn exchange(shared: &Shared, world: &mut World, request: &Request) -> Answer {
    let asked = exchange_body(&request.body);
    if asked["subjectToken"] != WORKLOAD_TOKEN || asked["audience"] != PROVIDER {
        let description = "The audience in ID Token does not match the expected audience.";
        return (400, json!({ "error": "invalid_grant", "error_description": description }));
    }
    let body = json!({
        "access_token": "canary-federated",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 3600,
    });
    judged_answer(&shared.exchange, world, request, 200, body)
}

/// `iamcredentials.projects.serviceAccounts.signJwt`.
fn sign(shared: &Shared, world: &mut World, request: &Request) -> Answer {
    let asked: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let account = request.path.rsplit('/').next().and_then(|last| last.strip_suffix(":signJwt"));
    if request.token != "canary-federated" || account != Some(world.account.email.as_str()) {
        let message = "Permission 'iam.serviceAccounts.signJwt' denied on resource (or it may not exist).";
        return (403, json!({ "error": { "code": 403, "message": message, "status": "PERMISSION_DENIED" } }));
    }
    match world.account.sign(asked["payload"].as_str().unwrap_or_default()) {
        Ok(signed) => {
            let body = json!({ "keyId": world.account.key_id, "signedJwt": signed });
            judged_answer(&shared.iam_credentials, world, request, 200, body)
        }
        Err(error) => violated(world, format!("{error:#}")),
    }
}

/// The Directory API.
fn directory(shared: &Shared, world: &mut World, request: &Request) -> Answer {
    let Ok(method) = shared.directory.method(&request.method, &request.path) else {
        return violated(world, format!("{} {} is no method", request.method, request.path));
    };
    let Some(grant) = world.grants.get(&request.token) else {
        return error(401, "authError", "Invalid Credentials");
    };
    if !method.scopes.iter().any(|needed| grant.scopes.iter().any(|scope| scope == needed)) {
        return error(403, "insufficientPermissions", "Request had insufficient authentication scopes.");
    }
    let found = match called(world, method.id, &method.path, &request.query) {
        Ok(Some(body)) => body,
        Ok(None) => {
            let key = method.path.keys().next().copied().unwrap_or_default();
            return error(404, "notFound", &format!("Resource Not Found: {key}"));
        }
        Err(problem) => return error(400, "invalid", &problem.to_string()),
    };
    let (status, body) = judged_answer(&shared.directory, world, request, 200, found);
    match request.query.get("fields").filter(|_| status == 200) {
        Some(mask) => match shared.directory.masked(&method, &body, mask) {
            Ok(body) => (200, body),
            Err(problem) => error(400, "invalidParameter", &problem.to_string()),
        },
        None => (status, body),
    }
}

/// What a method gives; `None` if there is no such resource.
fn called(
    world: &World,
    id: &str,
    path: &BTreeMap<&str, String>,
    query: &BTreeMap<String, String>,
) -> Result<Option<Value>> {
    let tenant = &world.tenant;
    let get = |name: &str| query.get(name).map(String::as_str);
    let key = path.values().next().map(String::as_str).unwrap_or_default();
    let is_customer = |customer: &str| customer == "my_customer" || customer == tenant.customer;
    let list = |kind: &str, list: &[&Value], default: usize| {
        let asked = get("maxResults").and_then(|most| most.parse().ok()).unwrap_or(default);
        let (items, next) = tenant::page(list, kind, asked.min(world.most_per_page), get("pageToken"))?;
        let items: Vec<Value> = items.into_iter().map(|item| projected(item.clone(), query)).collect();
        let mut body = json!({ "kind": format!("admin#directory#{kind}"), "etag": "\"simulated\"" });
        if !items.is_empty() {
            body[kind] = items.into();
        }
        if let Some(next) = next {
            body["nextPageToken"] = next.into();
        }
        anyhow::Ok(body)
    };
    if matches!(id, "directory.users.list" | "directory.groups.list") {
        let whose = [get("customer"), get("domain"), get("userKey")].into_iter().flatten().count();
        anyhow::ensure!(whose == 1, "Bad Request");
        anyhow::ensure!(get("customer").is_none_or(is_customer), "Invalid Input: customer");
    }
    match id {
        "directory.users.list" => list("users", &tenant::users(tenant, get("domain"), get("query"))?, 100).map(Some),
        "directory.users.get" => Ok(tenant.find_user(key).cloned().map(|user| projected(user, query))),
        "directory.groups.list" => list("groups", &tenant::groups(tenant, get("domain"), get("query"))?, 200).map(Some),
        "directory.groups.get" => Ok(tenant.find_group(key).cloned()),
        "directory.members.list" => {
            let members = tenant.find_group(key).and_then(|group| tenant.members.get(group["id"].as_str()?));
            members.map(|members| list("members", &members.iter().collect::<Vec<_>>(), 200)).transpose()
        }
        "directory.domains.list" => Ok(is_customer(key).then(|| tenant::domains(tenant))),
        "directory.orgunits.list" => {
            anyhow::ensure!(get("type") == Some("all"), "{id} is simulated for type=all");
            Ok(is_customer(key).then(|| tenant::org_units(tenant)))
        }
        _ => anyhow::bail!("{id} is not simulated"),
    }
}

/// Custom schemas are shown if they are asked for.
fn projected(mut user: Value, query: &BTreeMap<String, String>) -> Value {
    let mask: Vec<&str> = query.get("customFieldMask").map(|mask| mask.split(',').collect()).unwrap_or_default();
    let projection = query.get("projection").map_or("basic", String::as_str);
    if let Some(schemas) = user.get_mut("customSchemas").and_then(Value::as_object_mut) {
        schemas.retain(|name, _| projection == "full" || (projection == "custom" && mask.contains(&name.as_str())));
        if schemas.is_empty() {
            user.as_object_mut().map(|user| user.remove("customSchemas"));
        }
    }
    user
}

/// The body of `sts.token` in JSON. Google takes it as a form as well (RFC 8693 §2.1), with names spelt as there.
fn exchange_body(body: &str) -> Value {
    if body.starts_with('{') {
        return serde_json::from_str(body).unwrap_or_default();
    }
    let camel = |name: String| {
        let words = name.split('_').enumerate();
        words
            .map(|(at, word)| match word.split_at_checked(1) {
                Some((first, rest)) if at > 0 => first.to_uppercase() + rest,
                _ => word.to_owned(),
            })
            .collect::<String>()
    };
    pairs(body).into_iter().map(|(name, value)| (camel(name), Value::from(value))).collect()
}

/// Judges a request by the document of the API that it is sent to. Of the token endpoint there is none.
fn judged_request(shared: &Shared, world: &mut World, request: &Request) -> std::result::Result<(), Answer> {
    let (discovery, body) = match request.path.as_str() {
        "/token" => return Ok(()),
        "/v1/token" => (&shared.exchange, exchange_body(&request.body)),
        path if path.starts_with("/v1/") => {
            (&shared.iam_credentials, serde_json::from_str(&request.body).unwrap_or_default())
        }
        _ => (&shared.directory, Value::Null),
    };
    let judge = || {
        let method = discovery.method(&request.method, &request.path)?;
        discovery.judge_query(&method, &request.query)?;
        if body.is_null() { Ok(()) } else { discovery.judge_request(&method, &body) }
    };
    judge().map_err(|problem: anyhow::Error| violated(world, format!("request: {problem:#}")))
}

fn judged_answer(discovery: &Discovery, world: &mut World, request: &Request, status: u16, body: Value) -> Answer {
    let judge = || {
        let method = discovery.method(&request.method, &request.path)?;
        discovery.judge_answer(&method, &body).with_context(|| format!("answer to {}", request.path))
    };
    match judge() {
        Ok(()) => (status, body),
        Err(problem) => violated(world, format!("{problem:#}")),
    }
}

fn violated(world: &mut World, problem: String) -> Answer {
    let answer = error(400, "notDocumented", &problem);
    world.violations.push(problem);
    answer
}

/// An error in Google's form.
pub(super) fn error(status: u16, reason: &str, message: &str) -> Answer {
    let body = json!({ "error": {
        "code": status,
        "message": message,
        "errors": [{ "message": message, "domain": "global", "reason": reason }],
    } });
    (status, body)
}
