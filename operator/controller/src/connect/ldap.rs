//! The LDAP source of a spec.

use super::{ConnectError, Kind, Lookup};
use directory_sync_api::convert;
use directory_sync_api::source::{DereferenceAliases, LdapSchema, LdapScope, LdapSearch, LdapSource as Spec};
use directory_sync_core::mapping::{GroupMapping, UserMapping};
use directory_sync_sources::Source;
use directory_sync_sources::ldap::{
    Bind, ClientCertificate, Dereference, Health, LdapConfig, LdapSource, Only, Scope, Search, Timeouts, Tls,
};
use secrecy::SecretString;
use std::sync::{Arc, LazyLock};

/// Which servers failed lately, for all resources: a server that is down is down for each of them.
static HEALTH: LazyLock<Arc<Health>> = LazyLock::new(Arc::default);

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
        None if spec.bind.external.is_some() => Bind::External,
        None if spec.bind.anonymous.is_some() => Bind::Anonymous,
        None => {
            return Err(ConnectError::Missing { path: "spec.source.ldap.bind", what: "simple, external or anonymous" });
        }
    };
    let client_certificate = match &spec.bind.external {
        Some(external) => {
            const PATH: &str = "spec.source.ldap.bind.external.secretRef";
            let name = &external.secret_ref.name;
            Some(ClientCertificate {
                certificate: lookup.text(PATH, Kind::Secret, name, "tls.crt").await?,
                key: SecretString::from(lookup.text(PATH, Kind::Secret, name, "tls.key").await?),
            })
        }
        None => None,
    };
    let tls = spec.tls.clone().unwrap_or_default();
    let ca_bundle = match &tls.ca_bundle {
        Some(bundle) => Some(lookup.ca_bundle("spec.source.ldap.tls.caBundle", bundle).await?),
        None => None,
    };
    // Groups by which people are chosen are read even where none are synchronised.
    let reads_groups = !spec.groups.is_empty() || !spec.only_groups.is_empty();
    let config = LdapConfig {
        domain: spec.domain.clone(),
        health: Arc::clone(&HEALTH),
        tls: Tls {
            ca_bundle,
            start_tls: tls.start_tls.unwrap_or_default(),
            plaintext: tls.plaintext.is_some(),
            client_certificate,
        },
        users: spec.users.iter().map(|search| self::search(search, spec.schema.user_filter())).collect(),
        groups: spec.groups.iter().map(|search| self::search(search, spec.schema.group_filter())).collect(),
        schema_filters: vec![spec.schema.user_filter().to_owned(), spec.schema.group_filter().to_owned()],
        mail_groups_only: spec.schema == LdapSchema::ActiveDirectory,
        only: Only { mail_domains: spec.only_mail_domains.clone(), groups: spec.only_groups.clone() },
        primary_groups: spec.schema == LdapSchema::ActiveDirectory,
        aliases: match spec.dereference_aliases {
            DereferenceAliases::Never => Dereference::Never,
            DereferenceAliases::Searching => Dereference::Searching,
            DereferenceAliases::Finding => Dereference::Finding,
            DereferenceAliases::Always => Dereference::Always,
        },
        referral_hosts: spec.follow_referrals.clone().unwrap_or_default().hosts,
        page_size: u32::try_from(spec.page_size).map_err(|_| ConnectError::Invalid {
            path: "spec.source.ldap.pageSize",
            message: "write a number greater than zero".to_owned(),
        })?,
        timeouts: Timeouts {
            idle: convert::positive_duration("spec.source.ldap.timeout", &spec.timeout)?.unsigned_abs(),
            ..Timeouts::default()
        },
        group_mapping: reads_groups.then(|| Arc::new(groups)),
        ..LdapConfig::new(spec.urls.clone(), bind, Arc::new(users))
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
