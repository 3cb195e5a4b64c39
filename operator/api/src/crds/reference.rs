//! The reference of the kinds, written from their schemas.

use std::fmt::Write;

use serde_json::Value;

/// The page: one chapter per kind, one row per field, and the rules that span fields.
pub(super) fn page(definitions: &[Value]) -> String {
    let mut page = String::from(
        "# Kinds\n\n\
         Generated from the schemas of `directorysync.dev/v1alpha1` by `cargo xtask generate`; `kubectl explain` shows \
         the same text. Durations are written like `90s`, `15m` or `720h`. A field marked with * must be given, \
         wherever the part it stands in is given.\n",
    );
    for definition in definitions {
        chapter(&mut page, definition);
    }
    page
}

fn chapter(page: &mut String, definition: &Value) {
    let names = &definition["spec"]["names"];
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let kind = text(&names["kind"]);
    let mut heading =
        format!("\n## {kind}\n\n{}\n\n`kubectl get {}`", text(&schema["description"]), text(&names["plural"]));
    for short in names["shortNames"].as_array().into_iter().flatten() {
        let _ = write!(heading, ", `kubectl get {}`", text(short));
    }
    page.push_str(&heading);
    page.push('\n');
    for part in ["spec", "status"] {
        let schema = &schema["properties"][part];
        if schema.is_null() {
            continue;
        }
        let _ = write!(page, "\n### {kind}.{part}\n\n| field | type | default | meaning |\n|---|---|---|---|\n");
        rows(page, "", schema);
        let mut sentences = Vec::new();
        rules(&mut sentences, part, schema);
        if !sentences.is_empty() {
            page.push_str("\nRefused by the API server:\n\n");
            for (path, sentence) in sentences {
                let _ = writeln!(page, "- `{path}`: {sentence}");
            }
        }
    }
}

fn rows(page: &mut String, prefix: &str, schema: &Value) {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let mark = if required.contains(&name.as_str()) { "*" } else { "" };
        let _ = writeln!(
            page,
            "| `{path}`{mark} | {} | {} | {} |",
            kind_of(field),
            default_of(field),
            cell(text(&field["description"]))
        );
        match text(&field["type"]) {
            "array" => rows(page, &format!("{path}[]"), &field["items"]),
            _ => rows(page, &path, field),
        }
    }
}

fn kind_of(field: &Value) -> String {
    let bounds = |low: &Value, high: &Value| match (low.as_f64(), high.as_f64()) {
        (Some(low), Some(high)) => format!(" {low}..{high}"),
        (Some(low), None) => format!(" from {low}"),
        (None, Some(high)) => format!(" to {high}"),
        (None, None) => String::new(),
    };
    match text(&field["type"]) {
        "array" => format!("list{} of {}", bounds(&field["minItems"], &field["maxItems"]), kind_of(&field["items"])),
        "integer" => format!("integer{}", bounds(&field["minimum"], &field["maximum"])),
        "string" => match field["enum"].as_array() {
            Some(values) => values.iter().map(|value| format!("`{}`", text(value))).collect::<Vec<_>>().join(", "),
            None if text(&field["format"]) == "date-time" => "time".into(),
            None => "string".into(),
        },
        other => other.into(),
    }
}

fn default_of(field: &Value) -> String {
    match &field["default"] {
        // The parts of an object have their defaults in their own rows.
        Value::Null | Value::Object(_) if text(&field["type"]) == "object" => compact_limit(&field["default"]),
        Value::Null => String::new(),
        Value::String(value) => format!("`{value}`"),
        other => format!("`{other}`"),
    }
}

/// A limit's default belongs to the limit as a whole and is shown whole.
fn compact_limit(default: &Value) -> String {
    match default.as_object() {
        Some(fields) if !fields.is_empty() && fields.values().all(Value::is_number) => {
            let parts: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("`{{{}}}`", parts.join(", "))
        }
        _ => String::new(),
    }
}

/// Rules about how fields belong together. Those about the form of one text say only what its description says.
fn rules(sentences: &mut Vec<(String, String)>, path: &str, schema: &Value) {
    if text(&schema["type"]) == "string" {
        return;
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        sentences.push((path.to_owned(), text(&rule["message"]).to_owned()));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        rules(sentences, &format!("{path}.{name}"), field);
    }
    if schema["items"].is_object() {
        rules(sentences, &format!("{path}[]"), &schema["items"]);
    }
}

fn cell(description: &str) -> String {
    description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
