//! What the simulated customer holds, and how its lists are searched and paged.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Immutable id of the customer.
pub const CUSTOMER: &str = "C0simulated";

/// The people, groups and memberships of one customer.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Immutable id of the customer, which every person carries.
    pub customer: String,
    /// People as `User` resources.
    pub users: Vec<Value>,
    /// Groups as `Group` resources.
    pub groups: Vec<Value>,
    /// Members as `Member` resources, by id of the group.
    pub members: BTreeMap<String, Vec<Value>>,
}

impl Default for Tenant {
    fn default() -> Self {
        let (users, groups, members) = Default::default();
        Self { customer: CUSTOMER.to_owned(), users, groups, members }
    }
}

impl Tenant {
    /// A customer with one administrator, `admin@example.com`.
    pub fn with_administrator() -> Self {
        let mut tenant = Self::default();
        tenant.user("admin@example.com", json!({ "isAdmin": true }));
        tenant
    }

    /// Adds a person; `change` is merged into the resource. Returns the id, which has 21 digits as Google's have.
    pub fn user(&mut self, address: &str, change: Value) -> String {
        let id = format!("1{:020}", self.users.len() + 1);
        let local = address.split('@').next().unwrap_or_default();
        let mut user = json!({
            "kind": "admin#directory#user",
            "id": id,
            "etag": format!("\"tenant/{id}\""),
            "primaryEmail": address,
            "name": { "givenName": local, "familyName": "Example", "fullName": format!("{local} Example") },
            "isAdmin": false,
            "suspended": false,
            "archived": false,
            "orgUnitPath": "/",
            "customerId": self.customer,
            "creationTime": "2024-05-06T07:08:09.000Z",
            "emails": [{ "address": address, "primary": true }],
        });
        merge(&mut user, change);
        self.users.push(user);
        id
    }

    /// Adds a group without members. Returns its id.
    pub fn group(&mut self, address: &str) -> String {
        let id = format!("0group{:09}", self.groups.len() + 1);
        self.groups.push(json!({
            "kind": "admin#directory#group",
            "id": id,
            "etag": format!("\"tenant/{id}\""),
            "email": address,
            "name": address.split('@').next().unwrap_or_default(),
            "description": format!("Everybody of {address}"),
            "directMembersCount": "0",
            "adminCreated": true,
        }));
        self.members.insert(id.clone(), Vec::new());
        id
    }

    /// Makes many people direct members of a group, by id, without looking for them.
    pub fn join_users(&mut self, group: &str, users: &[&str]) {
        let members = users.iter().map(|id| {
            json!({ "kind": "admin#directory#member", "id": id, "role": "MEMBER", "type": "USER", "status": "ACTIVE" })
        });
        self.members.entry(group.to_owned()).or_default().extend(members);
    }

    /// Makes people or groups direct members of a group, by id.
    pub fn join(&mut self, group: &str, members: &[&str]) {
        for &id in members {
            let of =
                |list: &[Value], field: &str| list.iter().find(|one| one["id"] == id).map(|one| one[field].clone());
            let (kind, email) = match (of(&self.users, "primaryEmail"), of(&self.groups, "email")) {
                (Some(email), _) => ("USER", email),
                (None, Some(email)) => ("GROUP", email),
                (None, None) if id == self.customer => ("CUSTOMER", Value::Null),
                (None, None) => ("EXTERNAL", json!(format!("{id}@elsewhere.example"))),
            };
            let mut member = json!({
                "kind": "admin#directory#member", "id": id, "role": "MEMBER", "type": kind, "status": "ACTIVE",
                "etag": format!("\"tenant/{group}/{id}\""),
            });
            if !email.is_null() {
                member["email"] = email;
            }
            self.members.entry(group.to_owned()).or_default().push(member);
        }
    }

    /// A person by id, primary address or alias.
    pub fn find_user(&self, key: &str) -> Option<&Value> {
        self.users
            .iter()
            .find(|user| user["id"] == key || user["primaryEmail"] == key || contains(&user["aliases"], key))
    }

    /// A group by id, address or alias.
    pub fn find_group(&self, key: &str) -> Option<&Value> {
        self.groups.iter().find(|group| group["id"] == key || group["email"] == key || contains(&group["aliases"], key))
    }

    /// A person, to be changed, by id.
    pub fn user_mut(&mut self, id: &str) -> Result<&mut Value> {
        self.users.iter_mut().find(|user| user["id"] == id).with_context(|| format!("there is no user {id}"))
    }
}

/// The people that a query selects, of one domain if one is given.
pub(super) fn users<'t>(tenant: &'t Tenant, domain: Option<&str>, query: Option<&str>) -> Result<Vec<&'t Value>> {
    let mut selected = Vec::new();
    for user in &tenant.users {
        let address = user["primaryEmail"].as_str().unwrap_or_default();
        if in_domain(address, domain)
            && matches(query, |field, operator, value| match (field, operator) {
                ("email", '=') => Ok(address == value),
                ("orgUnitPath", '=') => {
                    let path = user["orgUnitPath"].as_str().unwrap_or_default();
                    Ok(value == "/" || path == value || path.starts_with(&format!("{value}/")))
                }
                ("isSuspended", '=') => Ok(user["suspended"] == (value == "true")),
                _ => bail!("Invalid Input: query"),
            })?
        {
            selected.push(user);
        }
    }
    Ok(selected)
}

/// The groups that a query selects, of one domain if one is given.
pub(super) fn groups<'t>(tenant: &'t Tenant, domain: Option<&str>, query: Option<&str>) -> Result<Vec<&'t Value>> {
    let mut selected = Vec::new();
    for group in &tenant.groups {
        let address = group["email"].as_str().unwrap_or_default();
        if in_domain(address, domain)
            && matches(query, |field, operator, value| match (field, operator) {
                ("email", '=') => Ok(address == value),
                ("email", ':') => Ok(value.strip_suffix('*').is_some_and(|prefix| address.starts_with(prefix))),
                _ => bail!("Invalid Input: query"),
            })?
        {
            selected.push(group);
        }
    }
    Ok(selected)
}

/// One page: its elements, and the token of the next. A token is good for the list that it was given out for.
pub(super) fn page<'t>(
    list: &[&'t Value],
    of: &str,
    most: usize,
    token: Option<&str>,
) -> Result<(Vec<&'t Value>, Option<String>)> {
    let start = match token {
        None => 0,
        Some(token) => token
            .split('~')
            .nth(1)
            .and_then(|start| start.parse::<usize>().ok())
            .filter(|&start| start < list.len() && token == page_token(of, start))
            .context("Invalid Input: pageToken")?,
    };
    let end = list.len().min(start + most);
    let next = (end < list.len()).then(|| page_token(of, end));
    Ok((list.get(start..end).unwrap_or_default().to_vec(), next))
}

/// As with Google's, a token that was tampered with is none.
fn page_token(of: &str, start: usize) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    (of, start).hash(&mut hasher);
    format!("{of}~{start}~{:016x}", hasher.finish())
}

/// The domains of the customer: those of its people, the first of which is the primary one.
pub(super) fn domains(tenant: &Tenant) -> Value {
    let mut names: Vec<&str> = Vec::new();
    for user in &tenant.users {
        let domain = user["primaryEmail"].as_str().and_then(|address| address.rsplit('@').next()).unwrap_or_default();
        if !names.contains(&domain) {
            names.push(domain);
        }
    }
    let domain = |(at, name): (usize, &&str)| {
        json!({
            "kind": "admin#directory#domain", "etag": "\"simulated\"", "domainName": name, "isPrimary": at == 0,
            "verified": true, "creationTime": "1714979289000",
        })
    };
    let domains: Vec<Value> = names.iter().enumerate().map(domain).collect();
    json!({ "kind": "admin#directory#domains", "etag": "\"simulated\"", "domains": domains })
}

/// The org units that people are in, with those above, but without the top, which Google does not list.
pub(super) fn org_units(tenant: &Tenant) -> Value {
    let paths: BTreeSet<&str> = tenant
        .users
        .iter()
        .filter_map(|user| user["orgUnitPath"].as_str())
        .flat_map(|path| {
            path.char_indices().skip(1).filter(|&(_, c)| c == '/').map(|(at, _)| &path[..at]).chain([path])
        })
        .filter(|path| path.len() > 1)
        .collect();
    let unit = |path: &str| {
        json!({
            "kind": "admin#directory#orgUnit", "etag": "\"simulated\"", "orgUnitPath": path,
            "name": path.rsplit('/').next(), "orgUnitId": format!("id:{path}"), "blockInheritance": false,
        })
    };
    let mut body = json!({ "kind": "admin#directory#orgUnits", "etag": "\"simulated\"" });
    if !paths.is_empty() {
        body["organizationUnits"] = paths.into_iter().map(unit).collect();
    }
    body
}

/// Terms are separated by blanks, and all of them have to be true. Values may stand in single quotes.
fn matches(query: Option<&str>, is_true: impl Fn(&str, char, &str) -> Result<bool>) -> Result<bool> {
    for term in query.unwrap_or_default().split_whitespace() {
        let operator = term.find(['=', ':']).context("Invalid Input: query")?;
        let (field, rest) = term.split_at(operator);
        let (operator, value) = rest.split_at(1);
        let value = value.trim_matches('\'').replace("\\'", "'");
        if !is_true(field, operator.chars().next().unwrap_or_default(), &value)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn in_domain(address: &str, domain: Option<&str>) -> bool {
    domain.is_none_or(|domain| address.ends_with(&format!("@{domain}")))
}

fn contains(list: &Value, text: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|one| one == text))
}

fn merge(value: &mut Value, change: Value) {
    match (value, change) {
        (Value::Object(object), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(object.entry(name).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change,
    }
}
