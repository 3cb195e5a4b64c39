//! Sources as their schemas make them.

use std::sync::Arc;

use directory_sync_api::convert;
use directory_sync_api::source::LdapSchema;
use directory_sync_api::sync::DirectorySyncSpec;
use directory_sync_sources::ldap::{Bind, LdapConfig, Scope, Search, Tls};
use serde_json::{Value as Json, json};

/// A source with the mapping and the filters of a schema.
pub(crate) fn config(url: String, bind: Bind, base: &str, schema: &Json) -> LdapConfig {
    config_with(url, bind, base, schema, &json!({}))
}

/// The same, with a mapping of one's own.
pub(crate) fn config_with(url: String, bind: Bind, base: &str, schema: &Json, mapping: &Json) -> LdapConfig {
    let mut ldap = json!({
        "urls": ["ldaps://ldap.example.com"],
        "bind": { "anonymous": {} },
        "users": [{ "baseDN": base }],
    });
    ldap.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
    let spec: DirectorySyncSpec = serde_json::from_value(json!({
        "source": { "ldap": ldap },
        "mapping": mapping,
        "target": { "scim": {
            "url": "https://app.example.com/scim/v2",
            "auth": { "bearerTokenSecretRef": { "name": "scim-token", "key": "token" } },
        } },
    }))
    .unwrap();
    let (people, groups) = convert::mapping(&spec).unwrap();
    let schema: LdapSchema = spec.source.ldap.unwrap().schema;
    let search =
        |filter: &str| vec![Search { base_dn: base.to_owned(), scope: Scope::Subtree, filter: filter.to_owned() }];
    LdapConfig {
        tls: Tls { plaintext: true, ..Tls::default() },
        users: search(schema.user_filter()),
        groups: search(schema.group_filter()),
        page_size: 50,
        schema_filters: vec![schema.user_filter().to_owned(), schema.group_filter().to_owned()],
        group_mapping: Some(Arc::new(groups)),
        ..LdapConfig::new(vec![url], bind, Arc::new(people))
    }
}
