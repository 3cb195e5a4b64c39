//! One field of a mapping, compiled.

use super::attribute::{AttributeList, is_attribute};
use super::text::texts;
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
                    let place = attributes.place(&name);
                    places.push((Key::from(name), place));
                }
                Ok(Self::Cel { expression, attributes: places })
            }
        }
    }

    /// Hands every usable text of the field to `take`, in no order.
    pub(super) fn each(&self, entry: &Entry<'_>, malformed: &mut u64, mut take: impl FnMut(&str, &mut u64)) {
        match self {
            Self::Unmapped => {}
            Self::Fixed(text) => take(text, malformed),
            Self::Attribute(place) => {
                let mut unusable = 0;
                for text in texts(entry.values.get(*place).map_or(&[], Vec::as_slice), &mut unusable) {
                    take(text, malformed);
                }
                *malformed += unusable;
            }
            Self::Cel { expression, attributes } => {
                for text in evaluate(expression, attributes, entry, malformed) {
                    take(&text, malformed);
                }
            }
        }
    }

    /// Writes the field's text into `field`: the smallest by code points if there are several, so that it does not
    /// depend on their order.
    pub(super) fn write(&self, entry: &Entry<'_>, malformed: &mut u64, field: &mut String) {
        let mut first = true;
        self.each(entry, malformed, |text, _| {
            if first || text < field.as_str() {
                field.clear();
                field.push_str(text);
                first = false;
            }
        });
    }
}

fn evaluate(
    expression: &Expression,
    attributes: &[(Key, usize)],
    entry: &Entry<'_>,
    malformed: &mut u64,
) -> Vec<String> {
    let mut map = HashMap::with_capacity(attributes.len());
    for (name, place) in attributes {
        let mut unusable = 0;
        let values = entry.values.get(*place).map_or(&[][..], Vec::as_slice);
        let mut values: Vec<&str> = texts(values, &mut unusable).collect();
        *malformed += unusable;
        values.sort_unstable();
        if !values.is_empty() {
            let values = values.into_iter().map(cel::Value::from).collect();
            map.insert(name.clone(), cel::Value::List(Arc::new(values)));
        }
    }
    let entry_value = cel::Value::Map(Map { map: Arc::new(map) });
    let result = expression.evaluate(vec![("entry", entry_value), ("dn", cel::Value::from(entry.name))]);
    let mut texts = Vec::new();
    if let Some(result) = result {
        push_texts(&result, &mut texts, malformed);
    }
    texts
}

/// The texts that a result holds. Null holds none; what is no text, number or truth value counts as malformed.
fn push_texts(result: &cel::Value, texts: &mut Vec<String>, malformed: &mut u64) {
    if texts.len() >= VALUES_LIMIT {
        *malformed += 1;
        return;
    }
    let text = match result {
        cel::Value::Null => return,
        cel::Value::String(text) => text.trim().to_owned(),
        cel::Value::Bool(truth) => truth.to_string(),
        cel::Value::Int(number) => number.to_string(),
        cel::Value::UInt(number) => number.to_string(),
        cel::Value::List(list) => return list.iter().for_each(|item| push_texts(item, texts, malformed)),
        _ => {
            *malformed += 1;
            return;
        }
    };
    if text.len() > VALUE_LIMIT {
        *malformed += 1;
    } else if !text.is_empty() {
        texts.push(text);
    }
}
