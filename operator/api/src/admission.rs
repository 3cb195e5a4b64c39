//! What the API server does when a resource is written, for where there is none: a pipeline, an editor, a test.
//!
//! The same schema is used: unknown fields are refused, defaults are filled in, bounds, patterns and the rules that
//! span fields are judged. Rules about changes (`oldSelf`) need the stored object and are left to the API server.

use std::fmt;

use cel::{Context, Program};
use kube::CustomResourceExt;
use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::crds;

/// Why a resource is refused: one entry per mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub Vec<Violation>);

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where, such as `spec.source.ldap.urls[0]`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, violation) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{violation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// The resource as the API server would store it, without its status.
///
/// # Errors
/// Every mistake in the resource.
pub fn admit<K: CustomResourceExt + DeserializeOwned>(mut object: Value) -> Result<K, Refusal> {
    let name = K::crd_name();
    let definition = crds::definitions().into_iter().find(|definition| definition["metadata"]["name"] == name);
    let schema = definition.map(|definition| definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone());
    let mut judge = Judge::default();
    if let (Some(schema), Some(fields)) = (schema, object.as_object_mut()) {
        fields.remove("status");
        match fields.get_mut("spec") {
            Some(spec) => judge.value("spec", &schema["properties"]["spec"], spec),
            None => judge.refuse("spec", "is missing"),
        }
    }
    if judge.violations.is_empty() {
        serde_json::from_value(object)
            .map_err(|error| Refusal(vec![Violation { path: "spec".into(), message: error.to_string() }]))
    } else {
        Err(Refusal(judge.violations))
    }
}

#[derive(Default)]
struct Judge {
    violations: Vec<Violation>,
}

impl Judge {
    fn refuse(&mut self, path: &str, message: impl Into<String>) {
        self.violations.push(Violation { path: path.to_owned(), message: message.into() });
    }

    fn value(&mut self, path: &str, schema: &Value, value: &mut Value) {
        let before = self.violations.len();
        match (schema["type"].as_str().unwrap_or_default(), &mut *value) {
            ("object", Value::Object(_)) => self.object(path, schema, value),
            ("array", Value::Array(items)) => self.array(path, schema, items),
            ("string", Value::String(text)) => self.string(path, schema, text),
            ("integer", Value::Number(number)) => self.integer(path, schema, number.as_i64()),
            ("boolean", Value::Bool(_)) => {}
            (expected, _) => self.refuse(path, format!("must be of type {expected}")),
        }
        // A rule may rely on what the schema promises about the parts.
        if self.violations.len() == before {
            self.rules(path, schema, value);
        }
    }

    fn object(&mut self, path: &str, schema: &Value, value: &mut Value) {
        let Some(fields) = value.as_object_mut() else { return };
        fields.retain(|_, field| !field.is_null());
        let none = serde_json::Map::new();
        let known = schema["properties"].as_object().unwrap_or(&none);
        for name in fields.keys().filter(|name| !known.contains_key(*name)) {
            let names: Vec<_> = known.keys().map(String::as_str).collect();
            self.refuse(&format!("{path}.{name}"), format!("unknown field; known here: {}", names.join(", ")));
        }
        for (name, field_schema) in known {
            if let Some(default) = field_schema.get("default") {
                fields.entry(name.clone()).or_insert_with(|| default.clone());
            }
            let path = format!("{path}.{name}");
            match fields.get_mut(name) {
                Some(field) => self.value(&path, field_schema, field),
                None if lists(&schema["required"], name) => self.refuse(&path, "is missing"),
                None => {}
            }
        }
    }

    fn array(&mut self, path: &str, schema: &Value, items: &mut [Value]) {
        let count = items.len() as u64;
        if schema["minItems"].as_u64().is_some_and(|least| count < least) {
            self.refuse(path, format!("needs at least {} entries", schema["minItems"]));
        }
        if schema["maxItems"].as_u64().is_some_and(|most| count > most) {
            self.refuse(path, format!("has {count} entries; at most {} are allowed", schema["maxItems"]));
        }
        let keys = &schema["x-kubernetes-list-map-keys"];
        for (position, item) in items.iter().enumerate() {
            let same =
                |other: &Value| keys.as_array().is_some_and(|keys| keys.iter().all(|key| same_at(key, item, other)));
            if items[..position].iter().any(same) {
                self.refuse(&format!("{path}[{position}]"), "is named like an earlier entry; give each its own name");
            }
        }
        for (position, item) in items.iter_mut().enumerate() {
            self.value(&format!("{path}[{position}]"), &schema["items"], item);
        }
    }

    fn string(&mut self, path: &str, schema: &Value, text: &str) {
        if let Some(values) = schema["enum"].as_array() {
            if !values.iter().any(|value| value == text) {
                let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
                self.refuse(path, format!("must be one of {}", values.join(", ")));
            }
            return;
        }
        let length = text.chars().count() as u64;
        if schema["minLength"].as_u64().is_some_and(|least| length < least) {
            self.refuse(path, format!("must have at least {} characters", schema["minLength"]));
        }
        if schema["maxLength"].as_u64().is_some_and(|most| length > most) {
            self.refuse(path, format!("must have at most {} characters", schema["maxLength"]));
        }
        let Some(pattern) = schema["pattern"].as_str() else { return };
        if !Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)) {
            self.refuse(path, format!("must match {pattern}"));
        }
    }

    fn integer(&mut self, path: &str, schema: &Value, number: Option<i64>) {
        let Some(number) = number else { return self.refuse(path, "must be a whole number") };
        if schema["minimum"].as_f64().is_some_and(|least| (number as f64) < least) {
            self.refuse(path, format!("must be at least {}", schema["minimum"]));
        }
        if schema["maximum"].as_f64().is_some_and(|most| (number as f64) > most) {
            self.refuse(path, format!("must be at most {}", schema["maximum"]));
        }
    }

    fn rules(&mut self, path: &str, schema: &Value, value: &Value) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let expression = rule["rule"].as_str().unwrap_or_default();
            if !expression.contains("oldSelf") && !holds(expression, value) {
                self.refuse(path, rule["message"].as_str().unwrap_or(expression));
            }
        }
    }
}

/// Whether the rule is true of `value`. A rule that cannot be evaluated does not hold, as on the API server.
fn holds(expression: &str, value: &Value) -> bool {
    let Ok(program) = Program::compile(expression) else { return false };
    let mut context = Context::default();
    context.add_variable("self", value).is_ok() && program.execute(&context) == Ok(cel::Value::Bool(true))
}

fn lists(names: &Value, name: &str) -> bool {
    names.as_array().is_some_and(|names| names.iter().any(|entry| entry == name))
}

fn same_at(key: &Value, one: &Value, other: &Value) -> bool {
    key.as_str().is_some_and(|key| one[key] == other[key])
}
