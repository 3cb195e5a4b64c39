//! The LDAP source of a spec.

use super::{ConnectError, Kind, Lookup};
use directory_sync_api::convert;
use directory_sync_api::source::{LdapScope, LdapSearch, LdapSource as Spec};
use directory_sync_core::mapping::{GroupMapping, UserMapping};
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{Bind, Caps, LdapConfig, LdapSource, Scope, Search, Timeouts, Tls};
use secrecy::SecretString;
use std::sync::Arc;

pub(super) async fn source(
    spec: &Spec,
    users: UserMapping,
    groups: GroupMapping,
    lookup: &mut Lookup<'_>,
) -> Result<Box<dyn Source>, ConnectError> {
    let bind = match &spec.bind.simple {
        Some(simple) => {
            const PATH: &str = "spec.source.ldap.bind.simple.secretRef";
            let name = &simple.secret_ref.name;
            Bind::Simple {
                username: lookup.text(PATH, Kind::Secret, name, "username").await?,
                password: SecretString::from(lookup.text(PATH, Kind::Secret, name, "password").await?),
            }
        }
        None if spec.bind.anonymous.is_some() => Bind::Anonymous,
        None => return Err(ConnectError::Missing { path: "spec.source.ldap.bind", what: "simple or anonymous" }),
    };
    let tls = spec.tls.clone().unwrap_or_default();
    let ca_bundle = match &tls.ca_bundle {
        Some(bundle) => Some(lookup.ca_bundle("spec.source.ldap.tls.caBundle", bundle).await?),
        None => None,
    };
    let config = LdapConfig {
        urls: spec.urls.clone(),
        tls: Tls { ca_bundle, start_tls: tls.start_tls.unwrap_or_default(), plaintext: tls.plaintext.is_some() },
        bind,
        users: spec.users.iter().map(|search| self::search(search, spec.schema.user_filter())).collect(),
        groups: spec.groups.iter().map(|search| self::search(search, spec.schema.group_filter())).collect(),
        page_size: u32::try_from(spec.page_size).map_err(|_| ConnectError::Invalid {
            path: "spec.source.ldap.pageSize",
            message: "write a number greater than zero".to_owned(),
        })?,
        timeouts: Timeouts {
            idle: convert::positive_duration("spec.source.ldap.timeout", &spec.timeout)?.unsigned_abs(),
            ..Timeouts::default()
        },
        caps: Caps::default(),
        user_mapping: Arc::new(users),
        group_mapping: (!spec.groups.is_empty()).then(|| Arc::new(groups)),
    };
    Ok(Box::new(LdapSource::new(config)?))
}

fn search(spec: &LdapSearch, filter: &str) -> Search {
    Search {
        base_dn: spec.base_dn.clone(),
        scope: match spec.scope {
            LdapScope::Subtree => Scope::Subtree,
            LdapScope::OneLevel => Scope::OneLevel,
            LdapScope::Base => Scope::Base,
        },
        filter: spec.filter.as_deref().unwrap_or(filter).to_owned(),
    }
}
