//! What is refused, as data: judged here without an API server, and by a real one in `tests/tests/kinds.rs`.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A change to the example that makes it one to refuse.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    /// What is wrong with it.
    pub(crate) wrong: String,
    /// A JSON merge patch (RFC 7396) of the example's spec.
    pub(crate) change: Value,
    /// What the refusal contains.
    pub(crate) sentence: String,
}

/// What is refused of the kinds beside `DirectorySync`.
#[derive(Debug, Deserialize)]
pub(crate) struct OtherKinds {
    /// By kind and name: specs that are accepted.
    pub(crate) accepted: BTreeMap<String, BTreeMap<String, Value>>,
    /// What is wrong with changes to them.
    pub(crate) refused: Vec<OtherCase>,
}

/// A change to an accepted spec that makes it one to refuse.
#[derive(Debug, Deserialize)]
pub(crate) struct OtherCase {
    /// What is wrong with it.
    pub(crate) wrong: String,
    /// The kind, and the name of the accepted spec.
    pub(crate) kind: String,
    pub(crate) of: String,
    /// A merge patch: what is created is the accepted spec with this change.
    pub(crate) create: Option<Value>,
    /// A merge patch: what was accepted and stored is changed so.
    pub(crate) update: Option<Value>,
    /// What the refusal contains.
    pub(crate) sentence: String,
}

/// All cases of `DirectorySync`.
pub(crate) fn of_syncs() -> Vec<Case> {
    serde_yaml::from_str(include_str!("../refused.yaml")).unwrap()
}

/// All cases of the other kinds.
pub(crate) fn of_other_kinds() -> OtherKinds {
    serde_yaml::from_str(include_str!("../refused-other-kinds.yaml")).unwrap()
}

/// The resource of the example, as a user would apply it.
pub(crate) fn example() -> Value {
    let text = include_str!("../../../../examples/openldap-to-scim.yaml");
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .find(|object| object["kind"] == "DirectorySync")
        .unwrap()
}

/// The example with a merge patch of its spec.
pub(crate) fn changed(patch: &Value) -> Value {
    let mut object = example();
    merge(&mut object["spec"], patch);
    object
}

/// Applies a JSON merge patch.
pub(crate) fn merge(value: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (name, change) in changes {
        if change.is_null() {
            value.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut value[name], change);
        }
    }
}
