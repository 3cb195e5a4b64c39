//! Attributes of SCIM objects in JSON. Their names are case-insensitive (RFC 7643 §2.1).

use serde_json::{Map, Value};

/// A SCIM object as the service sent it.
pub(super) type Object = Map<String, Value>;

/// The value of an attribute; `null` is no value (RFC 7643 §2.5).
pub(super) fn get<'o>(object: &'o Object, name: &str) -> Option<&'o Value> {
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
        .filter(|value| !value.is_null())
}

/// The key under which an object has an attribute: as the service writes it, or else as the RFC does.
pub(super) fn key<'o>(object: &'o Object, name: &'o str) -> &'o str {
    if object.contains_key(name) {
        return name;
    }
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).map_or(name, String::as_str)
}

/// A text, empty where there is none.
pub(super) fn text<'o>(object: &'o Object, name: &str) -> &'o str {
    get(object, name).and_then(Value::as_str).unwrap_or_default()
}

/// A truth value; some services write it as a text.
pub(super) fn truth(object: &Object, name: &str) -> Option<bool> {
    match get(object, name)? {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A count; some services write it as a text.
pub(super) fn count(object: &Object, name: &str) -> Option<u64> {
    match get(object, name)? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

/// A complex attribute.
pub(super) fn object<'o>(object: &'o Object, name: &str) -> Option<&'o Object> {
    get(object, name).and_then(Value::as_object)
}

/// The complex values of a multi-valued attribute.
pub(super) fn objects<'o>(object: &'o Object, name: &str) -> impl Iterator<Item = &'o Object> {
    get(object, name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Writes ids that a service gives as numbers, of objects and of members, as the texts that they should be
/// (RFC 7643 §3.1, §2.4); in a list, those of all its objects.
pub(super) fn write_ids_as_texts(object: &mut Object) {
    write_as_text(object, "id");
    for (list, id) in [("members", Some("value")), ("Resources", None)] {
        let key = key(object, list).to_owned();
        let values = object.get_mut(&key).and_then(Value::as_array_mut).into_iter().flatten();
        for value in values.filter_map(Value::as_object_mut) {
            match id {
                Some(id) => write_as_text(value, id),
                None => write_ids_as_texts(value),
            }
        }
    }
}

fn write_as_text(object: &mut Object, name: &str) {
    let key = key(object, name).to_owned();
    if let Some(value) = object.get_mut(&key).filter(|value| value.is_number()) {
        *value = value.to_string().into();
    }
}

/// The version of an object (`meta.version`), empty where it has none.
pub(super) fn version(object: &Object) -> &str {
    self::object(object, "meta").map_or("", |meta| text(meta, "version"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_compared_without_case_and_null_is_absent() {
        let object = json!({"USERNAME": "ada", "active": "False", "title": null, "n": "7"});
        let object = object.as_object().unwrap();
        assert_eq!(text(object, "userName"), "ada");
        assert_eq!(key(object, "userName"), "USERNAME");
        assert_eq!(truth(object, "active"), Some(false));
        assert_eq!(get(object, "title"), None);
        assert_eq!(count(object, "n"), Some(7));
    }

    #[test]
    fn ids_that_are_numbers_become_texts() {
        let mut list = json!({"Resources": [{"ID": 7, "members": [{"value": 8}, {"value": "nine"}], "title": 10}]});
        write_ids_as_texts(list.as_object_mut().unwrap());
        let members = json!([{"value": "8"}, {"value": "nine"}]);
        assert_eq!(list, json!({"Resources": [{"ID": "7", "members": members, "title": 10}]}));
    }
}
