//! From a spec and the values it refers to, to a source and a target.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use directory_sync_api::DirectorySyncSpec;
use directory_sync_api::convert::{mapping, positive_duration};
use directory_sync_api::references::SecretKeyReference;
use directory_sync_api::source::{LdapBind, LdapScope, LdapSearch};
use directory_sync_api::target::{ScimPaging, ScimUpdateMethod};
use directory_sync_sources::ldap::{Bind, Caps, LdapConfig, LdapSource, Scope, Search, Timeouts, Tls};
use directory_sync_targets::scim::{PagingChoice, ScimConfig, ScimTarget, UpdateChoice};
use secrecy::ExposeSecret as _;
use std::time::Duration;

use super::references::References;

/// The source of a spec. Nothing is sent yet.
pub fn source(spec: &DirectorySyncSpec, references: &References<'_>) -> Result<LdapSource> {
    let ldap = spec.source.ldap.as_ref().context("spec.source: name the source: write spec.source.ldap")?;
    let (users, groups) = mapping(spec)?;
    let tls = ldap.tls.clone().unwrap_or_default();
    let ca_bundle = match &tls.ca_bundle {
        Some(bundle) => references.certificates("spec.source.ldap.tls.caBundle", bundle)?,
        None => None,
    };
    Ok(LdapSource::new(LdapConfig {
        urls: ldap.urls.clone(),
        tls: Tls { ca_bundle, start_tls: tls.start_tls.unwrap_or(false), plaintext: tls.plaintext.is_some() },
        bind: bind(&ldap.bind, references)?,
        users: ldap.users.iter().map(search).collect(),
        groups: ldap.groups.iter().map(search).collect(),
        page_size: u32::try_from(ldap.page_size).context("spec.source.ldap.pageSize")?,
        timeouts: Timeouts { idle: duration("spec.source.ldap.timeout", &ldap.timeout)?, ..Timeouts::default() },
        caps: Caps::default(),
        user_mapping: Arc::new(users),
        group_mapping: (!ldap.groups.is_empty()).then(|| Arc::new(groups)),
    })?)
}

fn bind(bind: &LdapBind, references: &References<'_>) -> Result<Bind> {
    let Some(simple) = &bind.simple else {
        if bind.anonymous.is_some() {
            return Ok(Bind::Anonymous);
        }
        bail!("spec.source.ldap.bind: bind in exactly one way: simple (with a secretRef), or anonymous: {{}}");
    };
    let value = |key: &str| {
        let reference = SecretKeyReference { name: simple.secret_ref.name.clone(), key: key.to_owned() };
        references.secret("spec.source.ldap.bind.simple.secretRef", &reference)
    };
    Ok(Bind::Simple { username: value("username")?.expose_secret().to_owned(), password: value("password")? })
}

fn search(search: &LdapSearch) -> Search {
    Search {
        base_dn: search.base_dn.clone(),
        scope: match search.scope {
            LdapScope::Subtree => Scope::Subtree,
            LdapScope::OneLevel => Scope::OneLevel,
            LdapScope::Base => Scope::Base,
        },
        filter: search.filter.clone(),
    }
}

/// The target of a spec. Nothing is sent yet.
pub fn target(spec: &DirectorySyncSpec, references: &References<'_>) -> Result<ScimTarget> {
    let scim = spec.target.scim.as_ref().context("spec.target: name the target: write spec.target.scim")?;
    let (users, _) = mapping(spec)?;
    let tls = scim.tls.clone().unwrap_or_default();
    let certificates = match &tls.ca_bundle {
        Some(bundle) => references.certificates("spec.target.scim.tls.caBundle", bundle)?,
        None => None,
    };
    let token = references.secret("spec.target.scim.auth.bearerTokenSecretRef", &scim.auth.bearer_token_secret_ref)?;
    let config = ScimConfig {
        ca_pem: certificates.map(String::into_bytes),
        allow_plaintext: tls.plaintext.is_some(),
        page_size: at_least_one("spec.target.scim.pageSize", scim.page_size)?,
        paging: match scim.paging {
            ScimPaging::Auto => PagingChoice::Auto,
            ScimPaging::Index => PagingChoice::Index,
            ScimPaging::Cursor => PagingChoice::Cursor,
        },
        update_method: match scim.update_method {
            ScimUpdateMethod::Auto => UpdateChoice::Auto,
            ScimUpdateMethod::Patch => UpdateChoice::Patch,
            ScimUpdateMethod::Put => UpdateChoice::Put,
        },
        members_per_request: at_least_one("spec.target.scim.membersPerRequest", scim.members_per_request)?,
        requests_per_second: at_least_one("spec.target.scim.requestsPerSecond", scim.requests_per_second)?,
        timeout: duration("spec.target.scim.timeout", &scim.timeout)?,
        attributes: users.managed_attributes().map(str::to_owned).collect::<BTreeSet<_>>(),
        ..ScimConfig::new(scim.url.parse().context("spec.target.scim.url")?, token)
    };
    Ok(ScimTarget::new(config)?)
}

fn at_least_one(path: &'static str, number: i32) -> Result<NonZeroU32> {
    u32::try_from(number).ok().and_then(NonZeroU32::new).with_context(|| format!("{path}: write 1 or more"))
}

fn duration(path: &'static str, text: &str) -> Result<Duration> {
    Ok(Duration::try_from(positive_duration(path, text)?)?)
}
