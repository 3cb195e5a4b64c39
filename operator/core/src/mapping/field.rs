//! One field of a mapping, compiled.

use super::attribute::{AttributeList, holds_secrets, is_attribute};
use super::expression::{ATTRIBUTE_BYTES, VALUE_BYTES};
use super::text::{Use, mail_address, text};
use super::{Entry, Expression, MappingError, VALUE_LIMIT, VALUES_LIMIT, Value};
use cel::objects::{Key, Map};
use std::collections::HashMap;
use std::sync::Arc;

/// Where the texts of a field come from.
#[derive(Debug)]
pub(super) enum Field {
    /// Not mapped: always empty.
    Unmapped,
    /// The attribute at this place.
    Attribute(usize),
    /// An expression over the attributes at these places, by the names it uses.
    Cel { expression: Expression, attributes: Vec<(Key, usize)> },
    /// The same for everybody.
    Fixed(String),
}

impl Field {
    /// Compiles the field at `path` and adds the attributes it needs.
    pub(super) fn compile(
        path: &str,
        value: Option<&Value>,
        attributes: &mut AttributeList,
    ) -> Result<Self, MappingError> {
        match value {
            None => Ok(Self::Unmapped),
            Some(Value::Value(text)) => Ok(Self::Fixed(text.trim().to_owned())),
            Some(Value::Attribute(name)) if holds_secrets(name) => {
                Err(MappingError::SecretAttribute { field: path.to_owned(), name: name.clone() })
            }
            Some(Value::Attribute(name)) if is_attribute(name) => Ok(Self::Attribute(attributes.place(name))),
            Some(Value::Attribute(name)) => {
                Err(MappingError::AttributeName { field: path.to_owned(), name: name.clone() })
            }
            Some(Value::Cel(text)) => {
                let expression = Expression::compile(text, &["entry", "dn"], Some("entry"))
                    .map_err(|error| MappingError::Expression { field: path.to_owned(), error })?;
                let names = expression.members().to_vec();
                let mut places = Vec::with_capacity(names.len());
                for name in names {
                    if !is_attribute(&name) {
                        return Err(MappingError::AttributeName { field: path.to_owned(), name });
                    }
                    if holds_secrets(&name) {
                        return Err(MappingError::SecretAttribute { field: path.to_owned(), name });
                    }
                    let place = attributes.place(&name);
                    places.push((Key::from(name), place));
                }
                Ok(Self::Cel { expression, attributes: places })
            }
        }
    }

    /// Hands every text of the field to `take`, in no order, which says what became of it. An error: what the field
    /// should be cannot be told, and nothing of it was taken.
    pub(super) fn each(
        &self,
        entry: &Entry<'_>,
        malformed: &mut u64,
        mut take: impl FnMut(&str) -> Use,
    ) -> Result<(), Unknown> {
        let (mut taken, mut unusable) = (0_u64, 0_u64);
        let mut count = |used: Use| match used {
            Use::Taken => taken += 1,
            Use::PassedOver => {}
            Use::Malformed => unusable += 1,
        };
        match self {
            Self::Unmapped => {}
            Self::Fixed(text) => count(take(text)),
            Self::Attribute(place) => {
                let values = entry.values.get(*place).map_or(&[][..], Vec::as_slice);
                if values.len() > VALUES_LIMIT || values.iter().any(|value| value.len() > VALUE_LIMIT) {
                    *malformed += 1;
                    return Err(Unknown);
                }
                for value in values {
                    match text(value) {
                        Some("") => {}
                        Some(text) => count(take(text)),
                        None => count(Use::Malformed),
                    }
                }
            }
            Self::Cel { expression, attributes } => {
                let texts = evaluate(expression, attributes, entry, malformed);
                let texts = texts.inspect_err(|Unknown| *malformed += 1)?;
                for text in &texts {
                    count(take(text));
                }
            }
        }
        *malformed += unusable;
        if unusable > 0 && taken == 0 { Err(Unknown) } else { Ok(()) }
    }

    /// Writes the field's text into `field`: the smallest by code points if there are several, so that it does not
    /// depend on their order.
    pub(super) fn write(&self, entry: &Entry<'_>, malformed: &mut u64, field: &mut String) -> Result<(), Unknown> {
        let mut first = true;
        self.each(entry, malformed, |text| {
            if first || text < field.as_str() {
                field.clear();
                field.push_str(text);
                first = false;
            }
            Use::Taken
        })
    }

    /// Writes the smallest mail address of the field into `address`.
    pub(super) fn write_address(
        &self,
        entry: &Entry<'_>,
        malformed: &mut u64,
        address: &mut String,
    ) -> Result<(), Unknown> {
        self.each(entry, malformed, |text| {
            let found = match mail_address(text) {
                Ok(found) => found,
                Err(used) => return used,
            };
            if address.is_empty() || found < address.as_str() {
                address.clear();
                address.push_str(found);
            }
            Use::Taken
        })
    }
}

/// The source does not say what a field should be: its values are too many, too long or unusable, or its expression
/// comes to no result. That is not the same as having no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown;

fn evaluate(
    expression: &Expression,
    attributes: &[(Key, usize)],
    entry: &Entry<'_>,
    malformed: &mut u64,
) -> Result<Vec<String>, Unknown> {
    let mut map = HashMap::with_capacity(attributes.len());
    for (name, place) in attributes {
        let values = entry.values.get(*place).map_or(&[][..], Vec::as_slice);
        let (mut texts, mut unusable) = (Vec::with_capacity(values.len()), 0);
        for value in values {
            match text(value) {
                Some("") => {}
                Some(text) => texts.push(text),
                None => unusable += 1,
            }
        }
        *malformed += unusable;
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let too_long = texts.iter().any(|text| text.len() > VALUE_BYTES);
        if too_long || bytes > ATTRIBUTE_BYTES || values.len() > VALUES_LIMIT {
            return Err(Unknown);
        }
        texts.sort_unstable();
        if !texts.is_empty() {
            map.insert(name.clone(), cel::Value::List(Arc::new(texts.into_iter().map(cel::Value::from).collect())));
        } else if unusable > 0 {
            // To the expression it would look as if there were none.
            return Err(Unknown);
        }
    }
    if entry.name.len() > VALUE_BYTES {
        return Err(Unknown);
    }
    let entry_value = cel::Value::Map(Map { map: Arc::new(map) });
    let variables = vec![("entry", entry_value), ("dn", cel::Value::from(entry.name))];
    let result = expression.evaluate(variables).map_err(|_| Unknown)?;
    let mut texts = Vec::new();
    push_texts(&result, &mut texts)?;
    Ok(texts)
}

/// The texts that a result holds. Null holds none; a field cannot be made of other than texts, numbers and truth values.
fn push_texts(result: &cel::Value, texts: &mut Vec<String>) -> Result<(), Unknown> {
    let text = match result {
        cel::Value::Null => return Ok(()),
        cel::Value::String(text) => text.trim().to_owned(),
        cel::Value::Bool(truth) => truth.to_string(),
        cel::Value::Int(number) => number.to_string(),
        cel::Value::UInt(number) => number.to_string(),
        cel::Value::List(list) => return list.iter().try_for_each(|item| push_texts(item, texts)),
        _ => return Err(Unknown),
    };
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > VALUE_LIMIT || texts.len() >= VALUES_LIMIT {
        return Err(Unknown);
    }
    texts.push(text);
    Ok(())
}
