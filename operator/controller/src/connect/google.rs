//! The Google source of a spec.

use super::{ConnectError, Kind, Lookup};
use directory_sync_api::convert;
use directory_sync_api::mapping::Mapping;
use directory_sync_api::source::{GoogleCredentials, GoogleSource as Spec};
use directory_sync_core::mapping::{GroupMapping, UserMapping};
use directory_sync_core::read::ReadCaps;
use directory_sync_sources::Source;
use directory_sync_sources::google::{Backoff, Credentials, Endpoints, GoogleConfig, GoogleSource, Groups, Timeouts};
use secrecy::SecretString;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The password that Google gives every key file in PKCS#12.
const P12_PASSWORD: &str = "notasecret";

pub(super) async fn source(
    spec: &Spec,
    written: Option<&Mapping>,
    users: UserMapping,
    groups: GroupMapping,
    lookup: &mut Lookup<'_>,
) -> Result<Box<dyn Source>, ConnectError> {
    if written.and_then(|mapping| mapping.group.as_ref()).is_some_and(|group| group.members.is_some()) {
        return Err(ConnectError::Invalid {
            path: "spec.mapping.group.members",
            message: "Google lists the members of its groups by itself; leave it out".to_owned(),
        });
    }
    let tls = spec.tls.clone().unwrap_or_default();
    let ca_pem = match &tls.ca_bundle {
        Some(bundle) => Some(lookup.ca_bundle("spec.source.google.tls.caBundle", bundle).await?.into_bytes()),
        None => None,
    };
    let requests_per_second = u32::try_from(spec.requests_per_second).ok().and_then(NonZeroU32::new);
    let config = GoogleConfig {
        endpoints: spec.base_url.as_deref().map_or_else(Endpoints::default, Endpoints::below),
        ca_pem,
        plaintext: tls.plaintext.is_some(),
        credentials: credentials(&spec.credentials, spec.base_url.is_some(), lookup).await?,
        delegated_admin: spec.delegated_admin.clone(),
        customer: spec.customer.clone(),
        domain: spec.domain.clone(),
        user_query: spec.user_query.clone(),
        only_groups: spec.only_groups.clone(),
        groups: spec.groups.as_ref().map(|groups| Groups { query: groups.query.clone() }),
        user_mapping: Arc::new(users),
        group_mapping: Arc::new(groups),
        requests_per_second: requests_per_second.ok_or_else(|| ConnectError::Invalid {
            path: "spec.source.google.requestsPerSecond",
            message: "write a number greater than zero".to_owned(),
        })?,
        timeouts: Timeouts {
            request: convert::positive_duration("spec.source.google.timeout", &spec.timeout)?.unsigned_abs(),
            ..Timeouts::default()
        },
        backoff: Backoff::default(),
        caps: ReadCaps::default(),
    };
    Ok(Box::new(GoogleSource::new(config)?))
}

async fn credentials(
    spec: &GoogleCredentials,
    elsewhere: bool,
    lookup: &mut Lookup<'_>,
) -> Result<Credentials, ConnectError> {
    const PATH: &str = "spec.source.google.credentials";
    match (&spec.json_key_secret_ref, &spec.p12_key, &spec.workload_identity) {
        (Some(key), None, None) => {
            let path = "spec.source.google.credentials.jsonKeySecretRef";
            Ok(Credentials::JsonKey(SecretString::from(lookup.text(path, Kind::Secret, &key.name, &key.key).await?)))
        }
        (None, Some(p12), None) => {
            let path = "spec.source.google.credentials.p12Key.secretRef";
            let file = lookup.value(path, Kind::Secret, &p12.secret_ref.name, &p12.secret_ref.key).await?;
            let path = "spec.source.google.credentials.p12Key.passwordSecretRef";
            let password = match &p12.password_secret_ref {
                Some(from) => lookup.text(path, Kind::Secret, &from.name, &from.key).await?,
                None => P12_PASSWORD.to_owned(),
            };
            let service_account = p12.service_account.clone();
            Ok(Credentials::P12Key { file, password: password.into(), service_account })
        }
        // What proves who the operator is goes to Google and to nobody else, also where the API server's rules are off.
        (None, None, Some(_)) if elsewhere => Err(ConnectError::Invalid {
            path: "spec.source.google.baseURL",
            message: "the workload's own token is sent to nobody but Google; remove it".to_owned(),
        }),
        (None, None, Some(workload)) => Ok(Credentials::Workload {
            token_file: lookup.references.workload_token(&workload.token).ok_or_else(|| ConnectError::Invalid {
                path: "spec.source.google.credentials.workloadIdentity.token",
                message: format!("the token `{}` is in the operator's pod alone; here, use a key", workload.token),
            })?,
            provider: workload.provider.clone(),
            service_account: workload.service_account.clone(),
        }),
        _ => Err(ConnectError::Missing { path: PATH, what: "jsonKeySecretRef, p12Key or workloadIdentity" }),
    }
}
