//! What the derived schema lacks, or has too much of, for the API server.

use serde_json::{Value, json};

/// What to write where a text is not of the form that its pattern asks for. The API server would show the pattern.
const SENTENCES: &[(&str, &str)] = &[
    (r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$", "write a duration with units, such as 90s, 15m or 720h"),
    (
        r"^\s*\S+(\s+\S+){4}\s*$",
        "write five cron fields: minute, hour, day of month, month, day of week, as in 0 * * * *",
    ),
    (
        r"^[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+)*$",
        "write a time zone by its IANA name, such as Europe/Berlin or UTC",
    ),
    (r"^\(.*\)$", "write an LDAP filter in parentheses, such as (objectClass=inetOrgPerson)"),
    (
        r"^ldaps?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$",
        "write an LDAP URL without a path, such as ldaps://ldap.example.com or ldap://ldap.example.com:389",
    ),
    (
        r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?$",
        "write an HTTP URL without a query, such as https://app.example.com/scim/v2",
    ),
    (r"^[^\s@]+@[^\s@]+$", "write an address, such as ada@example.com"),
    (r"^[^\s@/]+$", "write a domain, such as example.com"),
    (
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "write the name of an object: small letters, digits, hyphens and dots, with a letter or digit at both ends",
    ),
    (r"^[-._a-zA-Z0-9]+$", "write a key of a Secret or ConfigMap: letters, digits, hyphens, underscores and dots"),
    (
        r"^[A-Za-z0-9][A-Za-z0-9.;_-]*$",
        "write the name of an attribute, such as mail, userCertificate;binary or name.givenName",
    ),
    (
        r"^(id|email|aliases|givenName|familyName|displayName|orgUnit|name|description|attributes\.[A-Za-z][A-Za-z0-9_-]*)$",
        "write a field: id, email, aliases, givenName, familyName, displayName, orgUnit, name, description or \
         attributes.NAME",
    ),
    (
        r"^sha256:[0-9a-f]{64}$",
        "write the digest of a plan as in status.plan.digest: sha256: and 64 hexadecimal digits",
    ),
    (
        r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$",
        "write the name of a domain in DNS, such as ad.example.com",
    ),
    (
        r"^[A-Za-z][A-Za-z0-9_-]*$",
        "write a name that begins with a letter, of letters, digits, hyphens and underscores, such as costCenter",
    ),
    (
        r"^//iam\.googleapis\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+$",
        "write the whole name of the provider: \
         //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
    ),
    (r"^(my_customer|C[0-9A-Za-z]+)$", "write my_customer, or the id of a customer of Google, such as C03az79cb"),
];

/// The definition as it is applied: without formats that the API server does not know, without `nullable` (so that
/// an explicit null counts as left out, and gets the default), without the line breaks of doc comments, and with the
/// default of the status, which keeps tools that wait from taking a new resource for a ready one.
pub(super) fn finished(mut definition: Value, status_default: Option<&Value>) -> Value {
    if let Some(fields) = definition.as_object_mut() {
        fields.remove("status");
    }
    for version in definition["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        clean(schema);
        if let Some(default) = status_default {
            schema["properties"]["status"]["default"] = default.clone();
        }
    }
    definition
}

/// The plural name of the definition's kind.
pub(super) fn plural(definition: &Value) -> &str {
    definition["spec"]["names"]["plural"].as_str().unwrap_or_default()
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // A property may itself be called `nullable` or `format`; as a schema it would be an object.
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                fields.remove("nullable");
            }
            let unknown = fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint"));
            if unknown {
                fields.remove("format");
            }
            explain_pattern(fields);
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = unwrapped(description);
            }
            fields.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

/// Makes a rule with a sentence of a pattern.
fn explain_pattern(fields: &mut serde_json::Map<String, Value>) {
    let pattern = fields.get("pattern").and_then(Value::as_str).unwrap_or_default();
    if let Some((pattern, sentence)) = SENTENCES.iter().find(|(known, _)| *known == pattern) {
        fields.remove("pattern");
        let rule = json!({ "rule": format!("self.matches(r'{pattern}')"), "message": sentence });
        let rules = fields.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
        rules.as_array_mut().into_iter().for_each(|rules| rules.push(rule.clone()));
    }
}

/// The text without the line breaks of the source code: `kubectl explain` makes its own.
fn unwrapped(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_becomes_a_rule_that_says_what_to_write() {
        let mut schema = json!({ "type": "string", "pattern": r"^\(.*\)$" });
        clean(&mut schema);
        assert!(schema.get("pattern").is_none());
        let rule = &schema["x-kubernetes-validations"][0];
        assert_eq!(rule["rule"], r"self.matches(r'^\(.*\)$')");
        assert!(rule["message"].as_str().is_some_and(|sentence| sentence.contains("(objectClass=")));
    }

    #[test]
    fn every_sentence_belongs_to_a_pattern_of_the_kinds() {
        let kinds = serde_json::to_string(&crate::crds::definitions()).unwrap();
        for (pattern, sentence) in SENTENCES {
            assert!(kinds.contains(sentence), "no field has the pattern {pattern}");
        }
    }

    #[test]
    fn unsigned_formats_and_nullable_go_and_properties_of_those_names_stay() {
        let mut schema = json!({
            "properties": {
                "count": { "type": "integer", "format": "uint32", "nullable": true },
                "size": { "type": "integer", "format": "int64" },
                "nullable": { "type": "boolean" },
            }
        });
        clean(&mut schema);
        assert_eq!(
            schema,
            json!({
                "properties": {
                    "count": { "type": "integer" },
                    "size": { "type": "integer", "format": "int64" },
                    "nullable": { "type": "boolean" },
                }
            })
        );
    }
}
