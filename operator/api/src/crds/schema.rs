//! What the derived schema lacks, or has too much of, for the API server.

use serde_json::Value;

/// The definition as it is applied: without formats that the API server does not know, without `nullable` (so that
/// an explicit null counts as left out, and gets the default), without the line breaks of doc comments, and with the default of the status, which keeps tools
/// that wait from taking a new resource for a ready one.
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
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = unwrapped(description);
            }
            fields.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

/// The text without the line breaks of the source code: `kubectl explain` makes its own.
fn unwrapped(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
