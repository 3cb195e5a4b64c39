//! Reading a list page by page until the service itself says that it is whole.

use super::attribute::{self, Object};
use super::client::{Call, Client};
use super::discovery::Profile;
use super::error::ScimError;
use serde_json::Value;
use std::collections::HashSet;

/// One page and what the list says about itself.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The objects of the page.
    pub resources: Vec<Object>,
    /// Cursor or index of the next page; `None`: this was the last.
    pub next: Option<String>,
}

/// A list under way.
#[derive(Debug)]
pub(super) struct List<'l> {
    client: &'l Client,
    profile: &'l Profile,
    endpoint: &'l str,
    filter: Option<String>,
    progress: Progress,
}

impl<'l> List<'l> {
    /// All objects of an endpoint, or those that a filter selects.
    pub(super) fn new(client: &'l Client, profile: &'l Profile, endpoint: &'l str, filter: Option<String>) -> Self {
        let progress = if profile.cursor { Progress::by_cursor() } else { Progress::by_index() };
        Self { client, profile, endpoint, filter, progress }
    }

    /// The next page; `None` after the last.
    pub(super) async fn page(&mut self) -> Result<Option<Page>, ScimError> {
        let Some(position) = self.progress.position.clone() else { return Ok(None) };
        let count = self.profile.page_size.to_string();
        let place = if self.profile.cursor { "cursor" } else { "startIndex" };
        let mut query = vec![(place, position.as_str()), ("count", count.as_str())];
        if let Some(filter) = &self.filter {
            query.push(("filter", filter));
        }
        let path = [self.endpoint];
        let call = Call { query: &query, ..Call::get("list", &path) };
        let mut reply = self.client.send(&call).await?;
        let url = || self.client.url(&path).into();
        let resources = resources(&mut reply.body).map_err(|found| ScimError::NotScim { url: url(), found })?;
        if resources.iter().any(|resource| attribute::text(resource, "id").is_empty()) {
            // Whoever cannot be told from others would be taken for absent, and be created a second time.
            return Err(ScimError::NotScim { url: url(), found: "an object without an id".to_owned() });
        }
        let ids = resources.iter().map(|resource| attribute::text(resource, "id"));
        self.progress.take(&reply.body, ids).map_err(|fault| match fault {
            Fault::Form(found) => ScimError::NotScim { url: url(), found: found.to_owned() },
            Fault::Incomplete(what) => ScimError::ListIncomplete { url: url(), what },
        })?;
        Ok(Some(Page { resources, next: self.progress.position.clone() }))
    }
}

fn resources(body: &mut Object) -> Result<Vec<Object>, String> {
    let key = attribute::key(body, "Resources").to_owned();
    match body.remove(&key) {
        // RFC 7644 §3.4.2 lets them be missing where there are none.
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => values
            .into_iter()
            .map(|value| match value {
                Value::Object(object) => Ok(object),
                _ => Err("a list of something else than objects".to_owned()),
            })
            .collect(),
        Some(_) => Err("a list whose Resources are no array".to_owned()),
    }
}

/// Where a list stands, and whether its pages fit together.
#[derive(Debug)]
struct Progress {
    by_cursor: bool,
    position: Option<String>,
    /// What the last page gave as the total.
    total: Option<u64>,
    /// Ids seen: objects that move between pages come twice or not at all.
    seen: HashSet<String>,
    /// Objects received, repeated ones included.
    received: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Form(&'static str),
    Incomplete(String),
}

impl Progress {
    fn by_index() -> Self {
        Self { by_cursor: false, position: Some("1".to_owned()), total: None, seen: HashSet::new(), received: 0 }
    }

    /// RFC 9865 §2.1: an empty cursor asks for the first page.
    fn by_cursor() -> Self {
        Self { by_cursor: true, position: Some(String::new()), ..Self::by_index() }
    }

    fn take<'i>(&mut self, list: &Object, ids: impl ExactSizeIterator<Item = &'i str>) -> Result<(), Fault> {
        let total = attribute::count(list, "totalResults");
        if total.is_none() && !self.by_cursor {
            return Err(Fault::Form("a list without totalResults"));
        }
        if let (Some(before), Some(now)) = (self.total, total)
            && now < before
        {
            // Something was deleted in front of the next page, which has moved up: an object may have been skipped.
            return Err(Fault::Incomplete(format!("its total fell from {before} to {now} while it was read")));
        }
        self.total = total.or(self.total);
        let length = ids.len() as u64;
        self.received += length;
        let known = self.seen.len();
        self.seen.extend(ids.map(str::to_owned));
        let fresh = self.seen.len() - known;
        if self.by_cursor {
            let next = attribute::text(list, "nextCursor");
            self.position = (!next.is_empty()).then(|| next.to_owned());
        } else {
            self.position = self.next_index(list, length, fresh)?;
        }
        if self.position.is_none() {
            self.whole()?;
        }
        Ok(())
    }

    fn next_index(&self, list: &Object, length: u64, fresh: usize) -> Result<Option<String>, Fault> {
        let (asked, total) = (1 + self.received - length, self.total.unwrap_or_default());
        if let Some(begin) = attribute::count(list, "startIndex")
            && begin.max(1) != asked
            && length > 0
        {
            return Err(Fault::Incomplete(format!(
                "asked for the page at {asked}, the service gave the one at {begin}"
            )));
        }
        if self.received >= total {
            return Ok(None);
        }
        if length == 0 {
            return Err(Fault::Incomplete(format!("it announces {total} objects, and ended after {}", self.received)));
        }
        if fresh == 0 {
            return Err(Fault::Incomplete("the service gave the same page twice".to_owned()));
        }
        Ok(Some((self.received + 1).to_string()))
    }

    /// At the end as many different objects must have come as the list announces.
    fn whole(&self) -> Result<(), Fault> {
        let different = self.seen.len() as u64;
        match self.total {
            Some(total) if self.received < total || (different < total && different < self.received) => {
                Err(Fault::Incomplete(format!("it announces {total} objects, and gave {different} different ones")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn take(progress: &mut Progress, list: &Value, ids: &[&str]) -> Result<(), Fault> {
        progress.take(list.as_object().unwrap(), ids.iter().copied())
    }

    fn incomplete(result: &Result<(), Fault>) -> bool {
        matches!(result, Err(Fault::Incomplete(_)))
    }

    #[test]
    fn an_index_goes_on_from_what_was_received_until_the_total_is_reached() {
        let mut progress = Progress::by_index();
        take(&mut progress, &json!({"totalResults": 5}), &["a", "b"]).unwrap();
        assert_eq!(progress.position.as_deref(), Some("3"));
        take(&mut progress, &json!({"totalResults": 5, "startIndex": 3}), &["c", "d"]).unwrap();
        take(&mut progress, &json!({"totalResults": 5, "startIndex": 5}), &["e"]).unwrap();
        assert_eq!(progress.position, None);
    }

    #[test]
    fn an_empty_list_is_whole() {
        let mut progress = Progress::by_index();
        take(&mut progress, &json!({"totalResults": 0}), &[]).unwrap();
        assert_eq!(progress.position, None);
    }

    #[test]
    fn an_empty_page_before_the_total_is_incomplete() {
        let mut progress = Progress::by_index();
        take(&mut progress, &json!({"totalResults": 3}), &["a"]).unwrap();
        assert!(incomplete(&take(&mut progress, &json!({"totalResults": 3}), &[])));
    }

    #[test]
    fn a_total_that_falls_is_incomplete() {
        let mut progress = Progress::by_index();
        take(&mut progress, &json!({"totalResults": 3}), &["a"]).unwrap();
        assert!(incomplete(&take(&mut progress, &json!({"totalResults": 2}), &["b"])));
    }

    #[test]
    fn an_object_that_comes_twice_stands_for_one_that_was_missed() {
        let mut progress = Progress::by_index();
        take(&mut progress, &json!({"totalResults": 3}), &["a", "b"]).unwrap();
        assert!(incomplete(&take(&mut progress, &json!({"totalResults": 3}), &["b"])));
    }

    #[test]
    fn a_service_that_ignores_the_index_is_found_out() {
        let mut progress = Progress::by_index();
        take(&mut progress, &json!({"totalResults": 9}), &["a", "b"]).unwrap();
        assert!(incomplete(&take(&mut progress, &json!({"totalResults": 9}), &["a", "b"])));
        let mut progress = Progress::by_index();
        take(&mut progress, &json!({"totalResults": 9, "startIndex": 1}), &["a"]).unwrap();
        assert!(incomplete(&take(&mut progress, &json!({"totalResults": 9, "startIndex": 1}), &["b"])));
    }

    #[test]
    fn a_list_without_a_total_is_no_list() {
        assert!(matches!(take(&mut Progress::by_index(), &json!({}), &[]), Err(Fault::Form(_))));
    }

    #[test]
    fn cursors_end_where_no_next_one_is_given() {
        let mut progress = Progress::by_cursor();
        assert_eq!(progress.position.as_deref(), Some(""));
        take(&mut progress, &json!({"nextCursor": "x"}), &["a"]).unwrap();
        assert_eq!(progress.position.as_deref(), Some("x"));
        take(&mut progress, &json!({"nextCursor": "y"}), &[]).unwrap();
        take(&mut progress, &json!({}), &["b"]).unwrap();
        assert_eq!(progress.position, None);
    }

    #[test]
    fn cursors_that_end_before_the_total_are_incomplete() {
        let mut progress = Progress::by_cursor();
        assert!(incomplete(&take(&mut progress, &json!({"totalResults": 2}), &["a"])));
    }
}
