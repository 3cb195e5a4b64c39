//! JSON that is decoded only as far as a budget of memory allows: a few bytes of text can become hundreds in memory.

use super::attribute::Object;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// What one resource may take when it is decoded, in bytes. A person with everything about them takes a tenth of that.
pub(super) const RESOURCE_BUDGET: usize = 16 << 20;

/// What an element of a list takes besides what it holds: itself, and room to grow.
const ELEMENT: usize = 96;
/// What an object takes besides what it holds: a node of its map.
const OBJECT: usize = 700;
/// What an entry of an object takes besides name and value.
const ENTRY: usize = 64;
/// What a text takes besides its bytes.
const TEXT: usize = 32;

/// What is said of a text that ends too early.
pub(super) const BREAKS_OFF: &str = "JSON that breaks off";

/// Decodes a text that is one object, or says what it is instead.
pub(super) fn object(text: &[u8]) -> Result<Object, String> {
    let mut left = RESOURCE_BUDGET;
    match whole(text, Bounded { left: &mut left })? {
        Value::Object(object) => Ok(object),
        _ => Err("JSON that is no object".to_owned()),
    }
}

/// Decodes a text to its end.
pub(super) fn whole<'t, S: DeserializeSeed<'t>>(text: &'t [u8], seed: S) -> Result<S::Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let decoded = seed.deserialize(&mut deserializer);
    decoded.and_then(|decoded| deserializer.end().map(|()| decoded)).map_err(|error| {
        if error.is_data() {
            // Worded here, or of a type that was not expected; the parser adds where, which tells nobody anything.
            let text = error.to_string();
            text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned()
        } else if error.is_eof() && !text.is_empty() {
            BREAKS_OFF.to_owned()
        } else {
            "a text that is no JSON".to_owned()
        }
    })
}

/// Builds a value out of what is left of a budget. A field that comes twice is refused: which of the two counts would be
/// anybody's guess.
pub(super) struct Bounded<'b> {
    pub(super) left: &'b mut usize,
}

impl Bounded<'_> {
    fn charge<E: Error>(&mut self, cost: usize) -> Result<(), E> {
        *self.left = self.left.checked_sub(cost).ok_or_else(|| E::custom("a resource that is too large"))?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<Value, E> {
        self.charge(TEXT + text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(Bounded { left: self.left })? {
            self.charge(ELEMENT)?;
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.charge(OBJECT)?;
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            self.charge(ENTRY + name.len())?;
            let value = entries.next_value_seed(Bounded { left: self.left })?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a field that comes twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_decoded_is_what_is_written() {
        let text = r#"{"a":[1,-2,3.5,true,null,"ä\n"],"b":{"c":{}},"d":[]}"#;
        let expected = json!({ "a": [1, -2, 3.5, true, null, "ä\n"], "b": { "c": {} }, "d": [] });
        assert_eq!(Value::Object(object(text.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn what_cannot_be_decoded_is_named() {
        for (text, words) in [
            ("", "a text that is no JSON"),
            ("<html>", "a text that is no JSON"),
            ("{} {}", "a text that is no JSON"),
            (r#"{"a":"#, BREAKS_OFF),
            ("[]", "JSON that is no object"),
            ("7", "JSON that is no object"),
            (r#"{"a":1,"a":2}"#, "a field that comes twice"),
            (r#"{"a":[{"b":1,"b":1}]}"#, "a field that comes twice"),
        ] {
            assert_eq!(object(text.as_bytes()).unwrap_err(), words, "{text}");
        }
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(object(deep.as_bytes()).unwrap_err(), "a text that is no JSON");
    }

    #[test]
    fn what_would_take_too_much_memory_is_refused_before_it_does() {
        for (element, count) in [(r#"{"a":0}"#, 100_000), ("0", 1_000_000), (r#""""#, 1_000_000), ("[]", 1_000_000)] {
            let text = format!(r#"{{"a":[{}]}}"#, vec![element; count].join(","));
            assert!(text.len() < RESOURCE_BUDGET / 4);
            assert_eq!(object(text.as_bytes()).unwrap_err(), "a resource that is too large", "{element}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(RESOURCE_BUDGET));
        assert_eq!(object(long.as_bytes()).unwrap_err(), "a resource that is too large");
    }
}
