//! What Google says about its own APIs: the discovery documents that its client library carries. Requests and answers
//! are judged by them, so that neither the operator nor the simulator can make up a field.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

/// One discovery document.
#[derive(Debug)]
pub struct Discovery {
    document: Value,
}

/// A method of the API that a request calls.
#[derive(Debug)]
pub struct Method<'d> {
    /// Its name, such as `directory.users.list`.
    pub id: &'d str,
    /// The scopes of which a token needs one.
    pub scopes: Vec<&'d str>,
    /// Values of the parameters in the path.
    pub path: BTreeMap<&'d str, String>,
    definition: &'d Value,
}

impl Discovery {
    /// Reads the document of this name, such as `admin.directory_v1`, from the folder of the client library.
    pub fn read(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("{name}.json"));
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { document: serde_json::from_slice(&text)? })
    }

    /// The names of the fields of a schema.
    pub fn fields(&self, schema: &str) -> Vec<&str> {
        let properties = self.document["schemas"][schema]["properties"].as_object();
        properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str).collect()
    }

    /// The method that a request calls. `path` begins with a slash and is percent-decoded by segment.
    pub fn method(&self, http_method: &str, path: &str) -> Result<Method<'_>> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        find(&self.document, http_method, &segments)
            .with_context(|| format!("{http_method} {path} is no method of the API"))
    }

    /// Judges the parameters in the query: names, types, bounds, and what must be there.
    pub fn judge_query(&self, method: &Method<'_>, query: &BTreeMap<String, String>) -> Result<()> {
        let own = method.definition["parameters"].as_object();
        let global = self.document["parameters"].as_object();
        for (name, value) in query {
            let parameter = own
                .and_then(|own| own.get(name))
                .filter(|parameter| parameter["location"] == "query")
                .or_else(|| global.and_then(|global| global.get(name)))
                .with_context(|| format!("{} has no parameter {name}", method.id))?;
            judge_text(parameter, value).with_context(|| format!("{}, parameter {name}={value}", method.id))?;
        }
        for (name, parameter) in own.into_iter().flatten() {
            let missing =
                parameter["required"] == true && parameter["location"] == "query" && !query.contains_key(name);
            ensure!(!missing, "{} needs the parameter {name}", method.id);
        }
        Ok(())
    }

    /// Judges the body of a request.
    pub fn judge_request(&self, method: &Method<'_>, body: &Value) -> Result<()> {
        let schema = method.definition["request"]["$ref"].as_str();
        let schema = schema.with_context(|| format!("{} takes no body", method.id))?;
        self.judge(&self.document["schemas"][schema], body, schema)
    }

    /// Judges the body of an answer.
    pub fn judge_answer(&self, method: &Method<'_>, body: &Value) -> Result<()> {
        let schema = method.definition["response"]["$ref"].as_str();
        let schema = schema.with_context(|| format!("{} has no answer", method.id))?;
        self.judge(&self.document["schemas"][schema], body, schema)
    }

    /// What of an answer a `fields` mask leaves; a field that the answer's schema does not have is refused.
    pub fn masked(&self, method: &Method<'_>, body: &Value, mask: &str) -> Result<Value> {
        let schema = &self.document["schemas"][method.definition["response"]["$ref"].as_str().unwrap_or_default()];
        let (mask, rest) = Mask::parse(mask)?;
        ensure!(rest.is_empty(), "the mask ends before {rest:?}");
        self.judge_mask(schema, &mask)?;
        Ok(mask.apply(body))
    }

    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(name) => &self.document["schemas"][name],
            None => schema,
        }
    }

    fn judge(&self, schema: &Value, value: &Value, place: &str) -> Result<()> {
        let schema = self.resolve(schema);
        match schema["type"].as_str().with_context(|| format!("{place} has no type"))? {
            "any" => Ok(()),
            "array" => {
                let list = value.as_array().with_context(|| format!("{place} is no list"))?;
                list.iter().try_for_each(|item| self.judge(&schema["items"], item, &format!("{place}[]")))
            }
            "object" => {
                let object = value.as_object().with_context(|| format!("{place} is no object"))?;
                object.iter().try_for_each(|(name, value)| {
                    let place = format!("{place}.{name}");
                    let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                    self.judge(known.with_context(|| format!("{place} is unknown"))?, value, &place)
                })
            }
            "boolean" if value.is_boolean() => Ok(()),
            "integer" | "number" if value.is_number() => Ok(()),
            kind @ ("boolean" | "integer" | "number") => bail!("{place} is no {kind}"),
            "string" => {
                let text = value.as_str().with_context(|| format!("{place} is no text"))?;
                judge_text(schema, text).with_context(|| place.to_owned())
            }
            other => bail!("{place} has the unknown type {other}"),
        }
    }

    fn judge_mask(&self, schema: &Value, mask: &Mask) -> Result<()> {
        let schema = self.resolve(schema);
        let schema = if schema["type"] == "array" { self.resolve(&schema["items"]) } else { schema };
        if schema["type"] == "any" {
            return Ok(());
        }
        for (name, below) in &mask.0 {
            let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            let known = known.with_context(|| format!("Invalid field selection {name}"))?;
            self.judge_mask(known, below)?;
        }
        Ok(())
    }
}

/// A parameter or a text by what the document says of it.
fn judge_text(schema: &Value, text: &str) -> Result<()> {
    if let Some(allowed) = schema["enum"].as_array() {
        ensure!(allowed.iter().any(|allowed| allowed == text), "{text} is none of {allowed:?}");
    }
    match schema["type"].as_str() {
        Some("integer") => {
            let number: i64 = text.parse().with_context(|| format!("{text} is no integer"))?;
            let bound = |name: &str| schema[name].as_str().and_then(|bound| bound.parse::<i64>().ok());
            ensure!(bound("minimum").is_none_or(|least| number >= least), "{number} is too small");
            ensure!(bound("maximum").is_none_or(|most| number <= most), "{number} is too large");
        }
        Some("boolean") => ensure!(matches!(text, "true" | "false"), "{text} is not boolean"),
        _ => {}
    }
    match schema["format"].as_str() {
        Some("int64" | "uint64") => drop(text.parse::<i128>().with_context(|| format!("{text} is no integer"))?),
        Some("date-time") => drop(text.parse::<jiff::Timestamp>().with_context(|| format!("{text} is no time"))?),
        _ => {}
    }
    Ok(())
}

fn find<'d>(resource: &'d Value, http_method: &str, segments: &[&str]) -> Option<Method<'d>> {
    let methods = resource["methods"].as_object().into_iter().flat_map(Map::values);
    for definition in methods.filter(|definition| definition["httpMethod"] == http_method) {
        let flat = definition.get("flatPath").unwrap_or(&definition["path"]).as_str()?;
        if let Some(path) = matched(flat, segments) {
            let scopes = definition["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            return Some(Method { id: definition["id"].as_str()?, scopes, path, definition });
        }
    }
    let mut resources = resource["resources"].as_object().into_iter().flat_map(Map::values);
    resources.find_map(|resource| find(resource, http_method, segments))
}

/// The parameters of a path, if it has the form of the template: `users/{userKey}`, `{id}:signJwt`.
fn matched<'d>(template: &'d str, segments: &[&str]) -> Option<BTreeMap<&'d str, String>> {
    let parts: Vec<&'d str> = template.split('/').collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (part, segment) in parts.into_iter().zip(segments) {
        match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
            Some((name, verb)) => {
                let value = segment.strip_suffix(verb).filter(|value| !value.is_empty())?;
                parameters.insert(name, value.to_owned());
            }
            None if part == *segment => {}
            None => return None,
        }
    }
    Some(parameters)
}

/// A `fields` mask: `kind,users(id,name/givenName)`. Nothing below a name means all of it.
#[derive(Debug, Default)]
struct Mask(BTreeMap<String, Mask>);

impl Mask {
    fn parse(mut text: &str) -> Result<(Self, &str)> {
        let mut mask = Self::default();
        loop {
            let end = text.find(['/', '(', ')', ',']).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            ensure!(!name.is_empty(), "the mask lacks a name before {rest:?}");
            let (below, rest) = if let Some(rest) = rest.strip_prefix('(') {
                let (below, rest) = Self::parse(rest)?;
                (below, rest.strip_prefix(')').context("the mask lacks a closing parenthesis")?)
            } else if let Some(rest) = rest.strip_prefix('/') {
                let end = rest.find([')', ',']).unwrap_or(rest.len());
                (Self::parse(rest.get(..end).unwrap_or_default())?.0, rest.get(end..).unwrap_or_default())
            } else {
                (Self::default(), rest)
            };
            mask.0.entry(name.to_owned()).or_default().0.extend(below.0);
            match rest.strip_prefix(',') {
                Some(rest) => text = rest,
                None => return Ok((mask, rest)),
            }
        }
    }

    fn apply(&self, value: &Value) -> Value {
        match value {
            _ if self.0.is_empty() => value.clone(),
            Value::Array(list) => list.iter().map(|item| self.apply(item)).collect(),
            Value::Object(object) => {
                let kept =
                    self.0.iter().filter_map(|(name, below)| Some((name.clone(), below.apply(object.get(name)?))));
                Value::Object(kept.collect())
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mask_leaves_what_it_names() {
        let body =
            json!({ "kind": "k", "etag": "e", "users": [{ "id": "1", "name": { "givenName": "Ada", "x": 1 } }] });
        let (mask, rest) = Mask::parse("kind,users(id,name/givenName)").unwrap();
        assert_eq!(rest, "");
        assert_eq!(mask.apply(&body), json!({ "kind": "k", "users": [{ "id": "1", "name": { "givenName": "Ada" } }] }));
        assert!(Mask::parse("users(id").is_err());
    }

    #[test]
    fn a_path_gives_its_parameters() {
        let path = matched(
            "v1/projects/{p}/serviceAccounts/{s}:signJwt",
            &["v1", "projects", "-", "serviceAccounts", "a@b:signJwt"],
        );
        assert_eq!(path.unwrap()["s"], "a@b");
        assert!(matched("users/{userKey}", &["users"]).is_none());
        assert!(matched("users/{userKey}", &["users", ""]).is_none());
    }
}
