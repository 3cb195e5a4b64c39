//! The SCIM target of a spec.

use super::{ConnectError, Kind, Lookup};
use directory_sync_api::convert;
use directory_sync_api::target::{ScimPaging, ScimTarget as Spec, ScimUpdateMethod};
use directory_sync_targets::scim::{PagingChoice, ScimConfig, ScimTarget, UpdateChoice};
use directory_sync_targets::{RequestObserver, Target};
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

pub(super) async fn target(
    spec: &Spec,
    attributes: BTreeSet<String>,
    lookup: &mut Lookup<'_>,
    observer: Arc<dyn RequestObserver>,
) -> Result<Box<dyn Target>, ConnectError> {
    let token = &spec.auth.bearer_token_secret_ref;
    let path = "spec.target.scim.auth.bearerTokenSecretRef";
    let token = SecretString::from(lookup.text(path, Kind::Secret, &token.name, &token.key).await?);
    let tls = spec.tls.clone().unwrap_or_default();
    let ca_pem = match &tls.ca_bundle {
        Some(bundle) => Some(lookup.ca_bundle("spec.target.scim.tls.caBundle", bundle).await?.into_bytes()),
        None => None,
    };
    let url = spec.url.parse().map_err(|error| ConnectError::Invalid {
        path: "spec.target.scim.url",
        message: format!("{error}; write a URL such as https://app.example.com/scim/v2"),
    })?;
    let config = ScimConfig {
        ca_pem,
        allow_plaintext: tls.plaintext.is_some(),
        page_size: positive("spec.target.scim.pageSize", spec.page_size)?,
        paging: match spec.paging {
            ScimPaging::Auto => PagingChoice::Auto,
            ScimPaging::Index => PagingChoice::Index,
            ScimPaging::Cursor => PagingChoice::Cursor,
        },
        update_method: match spec.update_method {
            ScimUpdateMethod::Auto => UpdateChoice::Auto,
            ScimUpdateMethod::Patch => UpdateChoice::Patch,
            ScimUpdateMethod::Put => UpdateChoice::Put,
        },
        members_per_request: positive("spec.target.scim.membersPerRequest", spec.members_per_request)?,
        requests_per_second: positive("spec.target.scim.requestsPerSecond", spec.requests_per_second)?,
        timeout: convert::positive_duration("spec.target.scim.timeout", &spec.timeout)?.unsigned_abs(),
        attributes,
        observer,
        ..ScimConfig::new(url, token)
    };
    Ok(Box::new(ScimTarget::new(config)?))
}

fn positive(path: &'static str, number: i32) -> Result<NonZeroU32, ConnectError> {
    u32::try_from(number).ok().and_then(NonZeroU32::new).ok_or_else(|| ConnectError::Invalid {
        path,
        message: format!("{number} is out of bounds; write a number greater than zero"),
    })
}
