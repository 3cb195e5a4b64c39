//! What Google says of the directory, and of single users and groups, for people who set it up.

use super::client::{Call, Client};
use super::config::{Credentials, GoogleConfig};
use super::directory::{Directory, Entry, GROUPS, ID_CAP, MEMBERS, USERS};
use super::error::GoogleError;
use super::page::{Kept, List};
use super::{attribute::Object, encryption};
use crate::{Fact, Sighting, SourceDescription};
use directory_sync_core::operation::Kind;
use serde_json::Value;
use std::fmt::Write as _;

/// Longest list of domains or org units, in bytes, and the most that are shown by name.
const LIST_CAP: usize = 8 << 20;
const SHOWN: usize = 10;

const DOMAINS: List = List { kind: "admin#directory#domains", name: "domains", most: 10_000 };
const ORG_UNITS: List = List { kind: "admin#directory#orgUnits", name: "organizationUnits", most: 100_000 };

/// A list that nothing is read from and that says what the directory looks like. Its scope is asked for apart, because
/// Google gives no token at all where one of several scopes is not granted.
struct Extra {
    name: &'static str,
    scope: &'static str,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    list: List,
}

const EXTRAS: [Extra; 2] = [
    Extra {
        name: "domains",
        scope: "https://www.googleapis.com/auth/admin.directory.domain.readonly",
        path: "domains",
        query: &[("fields", "kind,domains(domainName,isPrimary,verified,domainAliases(domainAliasName))")],
        list: DOMAINS,
    },
    Extra {
        name: "org units",
        scope: "https://www.googleapis.com/auth/admin.directory.orgunit.readonly",
        path: "orgunits",
        query: &[("type", "all"), ("fields", "kind,organizationUnits(orgUnitPath)")],
        list: ORG_UNITS,
    },
];

/// A domain or an org unit.
struct Named {
    name: String,
    /// What is special about it, with a blank before it.
    note: String,
}

impl Kept for Named {
    fn size(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.note.len()
    }
}

/// Whose directory it is, and what of it the administrator sees.
pub(super) async fn describe(directory: &Directory, config: &GoogleConfig) -> Result<SourceDescription, GoogleError> {
    let administrator = directory.user(&config.delegated_admin).await?;
    let customer = administrator.map(|user| user.customer).filter(|customer| !customer.is_empty());
    let customer = customer.unwrap_or_else(|| config.customer.clone());
    let page = directory.users(None, None).await?;
    let credentials = match &config.credentials {
        Credentials::JsonKey(_) => "a key of the service account in JSON",
        Credentials::P12Key { .. } => "a key of the service account in PKCS#12",
        Credentials::Workload { .. } => "the identity of the workload",
    };
    let more = if page.next.is_some() { "and more follow" } else { "and that is all" };
    let mut facts = vec![
        Fact { name: "account", value: format!("{}, by {credentials}", config.delegated_admin) },
        Fact { name: "customer", value: customer.clone() },
    ];
    let mut domains = Vec::new();
    for extra in &EXTRAS {
        let value = match named(config, &customer, extra).await {
            Ok(found) => {
                let value = in_words(&found);
                if extra.name == "domains" {
                    domains = found;
                }
                value
            }
            Err(error) => not_shown(extra, &error),
        };
        facts.push(Fact { name: extra.name, value });
    }
    let pages = format!("at most {} users, {} groups and {} members a page", USERS.most, GROUPS.most, MEMBERS.most);
    facts.extend([
        Fact { name: "page", value: format!("{} users on the first page, {more}", page.items.len()) },
        Fact {
            name: "limits",
            value: format!("{pages}; Google allows an administrator and a project 2,400 requests a minute"),
        },
        Fact { name: "pace", value: format!("{} requests a second at most", config.requests_per_second) },
    ]);
    if let Some(domain) = &config.domain {
        let is_known = domains.is_empty() || domains.iter().any(|known| known.name.eq_ignore_ascii_case(domain));
        let value = if is_known { domain.clone() } else { format!("{domain}, which is no domain of this customer") };
        facts.push(Fact { name: "domain", value });
    }
    facts.extend(config.user_query.clone().map(|value| Fact { name: "userQuery", value }));
    if !config.only_groups.is_empty() {
        facts.push(Fact { name: "onlyGroups", value: config.only_groups.join(", ") });
    }
    Ok(SourceDescription {
        server: config.endpoints.directory.clone(),
        product: Some("Google Workspace, Directory API v1".to_owned()),
        encryption: encryption::of(config).await,
        facts,
    })
}

/// One of the lists that are not needed.
async fn named(config: &GoogleConfig, customer: &str, extra: &Extra) -> Result<Vec<Named>, GoogleError> {
    let client = Client::new(config, &[extra.scope])?;
    let call = Call { path: &["customer", customer, extra.path], query: extra.query.to_vec() };
    let page = client.page(call, extra.list, LIST_CAP, None, |one| Ok(named_of(one))).await?;
    Ok(page.items)
}

fn named_of(object: &Object) -> Named {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is = |field: &str, truth: bool| object.get(field) == Some(&Value::Bool(truth));
    let mut note = String::new();
    if is("isPrimary", true) {
        note.push_str(" (primary)");
    }
    if is("verified", false) {
        note.push_str(" (not verified)");
    }
    let aliases = object.get("domainAliases").and_then(Value::as_array).into_iter().flatten();
    let aliases: Vec<&str> = aliases.filter_map(|alias| alias.get("domainAliasName")?.as_str()).take(SHOWN).collect();
    if !aliases.is_empty() {
        let _ = write!(note, " (also {})", aliases.join(", "));
    }
    let name = text("domainName") + &text("orgUnitPath");
    Named { name: name.chars().take(ID_CAP).collect(), note }
}

fn in_words(found: &[Named]) -> String {
    let shown: Vec<String> = found.iter().take(SHOWN).map(|one| format!("{}{}", one.name, one.note)).collect();
    match (shown.is_empty(), found.len() > SHOWN) {
        (true, _) => "none".to_owned(),
        (false, false) => shown.join(", "),
        (false, true) => format!("{}, … ({} in all)", shown.join(", "), found.len()),
    }
}

/// Why such a list is not shown. It is no failure: nothing is read from it.
fn not_shown(extra: &Extra, error: &GoogleError) -> String {
    match error {
        GoogleError::DelegationMissing { .. } => {
            format!("not shown, which is no failure; to see them here, grant the scope {} as well", extra.scope)
        }
        GoogleError::Forbidden { .. } => {
            format!("not shown, which is no failure; the role of the administrator does not cover {}", extra.name)
        }
        error => format!("not shown: {error}"),
    }
}

/// The user and the group that Google knows by an address, an alias or an id. Which list selects them is known only by
/// reading it.
pub(super) async fn find(directory: &Directory, key: &str) -> Result<Vec<Sighting>, GoogleError> {
    let mut sightings = Vec::new();
    let user = known(directory.user(key).await)?.filter(|user| !user.is_deleted);
    let group = known(directory.group(key).await)?;
    for (kind, found) in [(Kind::User, user), (Kind::Group, group)] {
        let Some(found) = found else { continue };
        sightings.push(Sighting {
            kind,
            name: found.address,
            id: found.id,
            selected_by: Vec::new(),
            passed_over_by: Vec::new(),
        });
    }
    Ok(sightings)
}

/// Google refuses what cannot be a key, and what belongs to others or was not granted, such as groups where none are
/// read: here that is as good as an absence.
fn known(answer: Result<Option<Entry>, GoogleError>) -> Result<Option<Entry>, GoogleError> {
    match answer {
        Err(GoogleError::Refused { .. } | GoogleError::Forbidden { .. }) => Ok(None),
        answer => answer,
    }
}
