//! One page of a list: decoded element by element, each reduced at once to what is needed of it, so that a page takes
//! little more memory than its text.

use super::attribute::Object;
use super::json::{Bounded, RESOURCE_BUDGET, whole};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// What the elements of one page may take together after they were reduced, in bytes.
const PAGE_BUDGET: usize = 64 << 20;

/// Longest page token that is taken, in bytes.
pub(super) const PAGE_TOKEN_CAP: usize = 4096;

/// What a list looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// `kind` of a page. Google leaves empty lists out, so that without it a bare `{}` from something in between
    /// would pass for an empty directory.
    pub(super) kind: &'static str,
    /// Name of the elements.
    pub(super) name: &'static str,
    /// How many elements were asked for, and so the most that a page has.
    pub(super) most: usize,
}

/// What is kept of an element.
pub(super) trait Kept: Sized {
    /// About how much memory it takes, in bytes.
    fn size(&self) -> usize;
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page<T> {
    /// The elements.
    pub(super) items: Vec<T>,
    /// The token of the next page; `None`: this was all.
    pub(super) next: Option<String>,
}

impl<T: Kept> Page<T> {
    /// Decodes a page, or says what stands there instead. `keep` reduces an element, or says what is wrong with it.
    ///
    /// Only what was asked for is taken: another field could be a list whose name was damaged, and then everybody in it
    /// would be missing.
    pub(super) fn of(text: &[u8], list: List, keep: impl FnMut(Object) -> Result<T, String>) -> Result<Self, String> {
        let page = whole(text, Envelope { list, keep })?;
        match page.kind {
            Some(kind) if kind == list.kind => {}
            Some(kind) => return Err(format!("a resource of kind {kind} in place of {}", list.kind)),
            None => return Err(format!("an object without the kind {}", list.kind)),
        }
        Ok(Self { items: page.items.unwrap_or_default(), next: page.next.filter(|next| !next.is_empty()) })
    }
}

struct Found<T> {
    kind: Option<String>,
    items: Option<Vec<T>>,
    next: Option<String>,
}

struct Envelope<F> {
    list: List,
    keep: F,
}

impl<'de, T: Kept, F: FnMut(Object) -> Result<T, String>> DeserializeSeed<'de> for Envelope<F> {
    type Value = Found<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<T>, D::Error> {
        // Whatever comes, so that what is no object is told from what is no JSON.
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Kept, F: FnMut(Object) -> Result<T, String>> Visitor<'de> for Envelope<F> {
    type Value = Found<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Found<T>, A::Error> {
        let mut found = Found { kind: None, items: None, next: None };
        while let Some(name) = entries.next_key::<String>()? {
            let twice = match name.as_str() {
                "kind" => found.kind.replace(text(&mut entries, "a kind")?).is_some(),
                "nextPageToken" => {
                    let token = text(&mut entries, "a nextPageToken")?;
                    if token.len() > PAGE_TOKEN_CAP {
                        return Err(A::Error::custom("a nextPageToken that is too long"));
                    }
                    found.next.replace(token).is_some()
                }
                "etag" => {
                    entries.next_value::<IgnoredAny>()?;
                    false
                }
                name if name == self.list.name => {
                    let elements = Elements { list: self.list, keep: &mut self.keep };
                    found.items.replace(entries.next_value_seed(elements)?).is_some()
                }
                _ => {
                    let name = self.list.name;
                    return Err(A::Error::custom(format!("a page of {name} with a field that was not asked for")));
                }
            };
            if twice {
                return Err(A::Error::custom("a field that comes twice"));
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Found<T>, A::Error> {
        Err(A::Error::custom("JSON that is no object"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Found<T>, E> {
        Err(E::custom("JSON that is no object"))
    }

    fn visit_unit<E: Error>(self) -> Result<Found<T>, E> {
        Err(E::custom("JSON that is no object"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found<T>, E> {
        Err(E::custom("JSON that is no object"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Found<T>, E> {
        Err(E::custom("JSON that is no object"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Found<T>, E> {
        Err(E::custom("JSON that is no object"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Found<T>, E> {
        Err(E::custom("JSON that is no object"))
    }
}

/// A short text of the envelope.
fn text<'de, A: MapAccess<'de>>(entries: &mut A, what: &str) -> Result<String, A::Error> {
    let mut left = RESOURCE_BUDGET;
    match entries.next_value_seed(Bounded { left: &mut left })? {
        Value::String(text) => Ok(text),
        _ => Err(A::Error::custom(format!("{what} that is none"))),
    }
}

struct Elements<'k, F> {
    list: List,
    keep: &'k mut F,
}

impl<'de, T: Kept, F: FnMut(Object) -> Result<T, String>> DeserializeSeed<'de> for Elements<'_, F> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        let name = self.list.name;
        deserializer.deserialize_seq(self).map_err(|error| {
            // What is expected is a list; what came instead may be long and personal.
            if error.to_string().starts_with("invalid type") {
                D::Error::custom(format!("{name} that is no list"))
            } else {
                error
            }
        })
    }
}

impl<'de, T: Kept, F: FnMut(Object) -> Result<T, String>> Visitor<'de> for Elements<'_, F> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let List { name, most, .. } = self.list;
        let (mut items, mut kept) = (Vec::new(), 0_usize);
        loop {
            let mut left = RESOURCE_BUDGET;
            let Some(element) = elements.next_element_seed(Bounded { left: &mut left })? else { return Ok(items) };
            let Value::Object(element) = element else {
                return Err(A::Error::custom(format!("an element of {name} that is no object")));
            };
            if items.len() == most {
                return Err(A::Error::custom(format!("more {name} on a page than were asked for")));
            }
            let item = (self.keep)(element).map_err(A::Error::custom)?;
            kept = kept.saturating_add(item.size());
            if kept > PAGE_BUDGET {
                return Err(A::Error::custom(format!("a page of {name} that is too large")));
            }
            items.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const USERS: List = List { kind: "admin#directory#users", name: "users", most: 3 };

    impl Kept for String {
        fn size(&self) -> usize {
            self.len()
        }
    }

    fn page(text: &str) -> Result<(Vec<String>, Option<String>), String> {
        let id = |user: Object| match user.get("id") {
            Some(Value::String(id)) => Ok(id.clone()),
            _ => Err("a user without an id".to_owned()),
        };
        Page::of(text.as_bytes(), USERS, id).map(|page| (page.items, page.next))
    }

    #[test]
    fn a_page_has_elements_and_a_token_unless_it_is_the_last() {
        let whole = json!({ "kind": USERS.kind, "users": [{ "id": "1" }, { "id": "2" }], "nextPageToken": "t" });
        let both = ["1", "2"].map(str::to_owned).to_vec();
        assert_eq!(page(&whole.to_string()), Ok((both, Some("t".to_owned()))));
        assert_eq!(page(&json!({ "kind": USERS.kind, "etag": "e" }).to_string()), Ok((Vec::new(), None)));
    }

    #[test]
    fn a_page_that_may_lack_somebody_is_none() {
        for (text, words) in [
            ("{}", "without the kind"),
            (r#"{"kind":"admin#directory#groups","users":[]}"#, "a resource of kind admin#directory#groups"),
            (r#"{"kind":"admin#directory#users","uzers":[{"id":"1"}]}"#, "a field that was not asked for"),
            (r#"{"kind":"admin#directory#users","users":[{"id":"1"}],"users":[]}"#, "a field that comes twice"),
            (r#"{"kind":"admin#directory#users","users":[{"ix":"1"}]}"#, "a user without an id"),
            (r#"{"kind":"admin#directory#users","users":[null]}"#, "an element of users that is no object"),
            (r#"{"kind":"admin#directory#users","users":{"id":"1"}}"#, "users that is no list"),
            (r#"{"kind":"admin#directory#users","users":null}"#, "users that is no list"),
            (r#"{"kind":"admin#directory#users","nextPageToken":null}"#, "a nextPageToken that is none"),
            (r#"{"kind":"admin#directory#users","users":[{"id":"1"}]"#, "JSON that breaks off"),
            (r#"[{"id":"1"}]"#, "JSON that is no object"),
            ("7", "JSON that is no object"),
        ] {
            let error = page(text).unwrap_err();
            assert!(error.contains(words), "{error} of {text}");
        }
    }

    #[test]
    fn neither_more_elements_than_asked_for_nor_long_ones_are_kept() {
        let of = |id: &str, count: usize| json!({ "kind": USERS.kind, "users": vec![json!({ "id": id }); count] });
        assert!(page(&of("1", 4).to_string()).unwrap_err().contains("more users on a page than were asked for"));
        let long = "1".repeat(RESOURCE_BUDGET);
        assert!(page(&of(&long, 1).to_string()).unwrap_err().contains("too large"));
        let token = "t".repeat(PAGE_TOKEN_CAP + 1);
        let page = page(&json!({ "kind": USERS.kind, "nextPageToken": token }).to_string());
        assert!(page.unwrap_err().contains("too long"));
    }
}
