//! What Google says of the directory, and of single users and groups, for people who set it up.

use super::attribute::Object;
use super::config::{Credentials, GoogleConfig};
use super::directory::{Directory, text};
use super::error::GoogleError;
use crate::{Fact, Sighting, SourceDescription};
use directory_sync_core::operation::Kind;

/// Whose directory it is, and what of it the administrator sees.
pub(super) async fn describe(directory: &Directory, config: &GoogleConfig) -> Result<SourceDescription, GoogleError> {
    let administrator = directory.user(&config.delegated_admin).await?;
    let customer = administrator.as_ref().map(|user| text(user, "customerId")).unwrap_or_default();
    let page = directory.users(None, None).await?;
    let credentials = match &config.credentials {
        Credentials::JsonKey(_) => "a key of the service account in JSON",
        Credentials::P12Key { .. } => "a key of the service account in PKCS#12",
        Credentials::Workload { .. } => "the identity of the workload",
    };
    let more = if page.next.is_some() { "and more follow" } else { "and that is all" };
    let mut facts = vec![
        Fact { name: "account", value: format!("{}, by {credentials}", config.delegated_admin) },
        Fact { name: "customer", value: if customer.is_empty() { &config.customer } else { customer }.to_owned() },
        Fact { name: "page", value: format!("{} users on the first page, {more}", page.items.len()) },
        Fact { name: "pace", value: format!("{} requests a second at most", config.requests_per_second) },
    ];
    let limits = [("domain", &config.domain), ("userQuery", &config.user_query)];
    facts.extend(limits.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value.clone()? })));
    if !config.only_groups.is_empty() {
        facts.push(Fact { name: "onlyGroups", value: config.only_groups.join(", ") });
    }
    Ok(SourceDescription {
        server: config.endpoints.directory.clone(),
        product: Some("Google Workspace, Directory API v1".to_owned()),
        encryption: None,
        facts,
    })
}

/// The user and the group that Google knows by an address, an alias or an id. Which list selects them is known only by
/// reading it.
pub(super) async fn find(directory: &Directory, key: &str) -> Result<Vec<Sighting>, GoogleError> {
    let mut sightings = Vec::new();
    let user = known(directory.user(key).await)?.filter(|user| !user.contains_key("deletionTime"));
    let group = known(directory.group(key).await)?;
    for (kind, found, name) in [(Kind::User, user, "primaryEmail"), (Kind::Group, group, "email")] {
        let Some(found) = found else { continue };
        sightings.push(Sighting {
            kind,
            name: text(&found, name).to_owned(),
            id: text(&found, "id").to_owned(),
            selected_by: Vec::new(),
            passed_over_by: Vec::new(),
        });
    }
    Ok(sightings)
}

/// Google refuses what cannot be a key, and what belongs to others or was not granted, such as groups where none are
/// read: here that is as good as an absence.
fn known(answer: Result<Option<Object>, GoogleError>) -> Result<Option<Object>, GoogleError> {
    match answer {
        Err(GoogleError::Refused { .. } | GoogleError::Forbidden { .. }) => Ok(None),
        answer => answer,
    }
}
