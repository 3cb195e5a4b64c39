//! What has come from the server and is not used up yet: cut into messages, counted, checked and decoded. Nothing here
//! reads or writes.

use super::EntrySink;
use super::entry;
use super::message::{self, Answer, Request};
use super::totals::Totals;
use crate::ldap::LdapError;
use crate::ldap::ber::{self, BerError};
use crate::ldap::config::Caps;
use crate::ldap::syntax::{Syntax, Syntaxes};
use directory_sync_core::mapping::Entry;
use std::ops::Range;
use std::sync::Arc;

/// The bytes from one server.
pub(super) struct Answers {
    url: String,
    pub(super) caps: Caps,
    totals: Arc<Totals>,
    /// What the values of attributes are that no table knows.
    pub(super) syntaxes: Arc<Syntaxes>,
    /// Bytes that are no whole message yet, at the end those that came last.
    pub(super) bytes: Vec<u8>,
    outstanding: Option<(u32, Request)>,
    page_entries: usize,
    page_bytes: usize,
}

/// What the bytes received so far give.
#[derive(Debug)]
pub(super) enum Step {
    /// A message for the library, by its place in the bytes.
    Forward(Range<usize>),
    /// Nothing until more arrives.
    Wait,
}

impl Answers {
    /// Nothing has come, and nothing was asked. What comes is added to the totals of the read.
    pub(super) fn new(url: String, caps: Caps, totals: Arc<Totals>) -> Self {
        Self {
            url,
            caps,
            totals,
            syntaxes: Arc::default(),
            bytes: Vec::new(),
            outstanding: None,
            page_entries: 0,
            page_bytes: 0,
        }
    }

    /// Takes what follows for the answer to this request, and begins to count anew.
    pub(super) fn are_for(&mut self, id: u32, request: Request) {
        self.outstanding = Some((id, request));
        self.page_entries = 0;
        self.page_bytes = 0;
    }

    /// Whether something was asked and not answered yet.
    pub(super) fn are_due(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Whether entries are coming, and more are to be expected.
    pub(super) fn are_many(&self) -> bool {
        self.page_entries > 0 && self.outstanding.is_some()
    }

    /// Decodes entries from `used` on, up to the next message that is for the library. `used` is moved behind what is
    /// used up.
    pub(super) fn decode(&mut self, used: &mut usize, sink: &mut dyn EntrySink) -> Result<Step, LdapError> {
        let mut values = vec![Vec::new(); sink.attributes().len()];
        let syntaxes: Vec<Syntax> = sink.attributes().iter().map(|attribute| self.syntaxes.of(attribute)).collect();
        let names: Vec<_> = sink.attributes().iter().map(|attribute| self.syntaxes.names(attribute)).collect();
        loop {
            let rest = self.bytes.get(*used..).unwrap_or_default();
            let framed = ber::frame(rest, self.caps.message_bytes).map_err(|error| self.refuse(error))?;
            let Some(length) = framed else { return Ok(Step::Wait) };
            let message = rest.get(..length).unwrap_or_default();
            let range = *used..*used + length;
            *used += length;
            match message::check(message, self.outstanding).map_err(|error| self.refuse(error))? {
                Answer::Entry(body) => {
                    self.page_entries += 1;
                    self.page_bytes += length;
                    let found = entry::decode(body, sink.attributes(), &names, &mut values)
                        .map_err(|error| self.refuse(error))?;
                    let ranges = found.ranges.iter().map(|(_, values)| values);
                    self.check_caps(length, values.iter().chain(ranges).map(Vec::len).sum())?;
                    for (description, range) in &found.ranges {
                        if !sink.range(description, range) {
                            entry::overfill(description, sink.attributes(), &mut values);
                        }
                    }
                    match entry::texts(&syntaxes, &values) {
                        None => sink.entry(&Entry { name: found.name, values: &values })?,
                        Some(texts) => {
                            let values: Vec<Vec<&[u8]>> =
                                texts.iter().map(|values| values.iter().map(AsRef::as_ref).collect()).collect();
                            sink.entry(&Entry { name: found.name, values: &values })?;
                        }
                    }
                }
                Answer::Reference(body) => {
                    self.page_entries += 1;
                    self.page_bytes += length;
                    self.check_caps(length, 0)?;
                    let targets = message::references(body).map_err(|error| self.refuse(error))?;
                    sink.reference(&targets)?;
                }
                Answer::Result(_) => {
                    self.outstanding = None;
                    return Ok(Step::Forward(range));
                }
                Answer::Disconnection => {
                    let problem = "it gave notice of disconnection".to_owned();
                    return Err(LdapError::ConnectionLost { url: self.url.clone(), problem });
                }
            }
        }
    }

    /// Counts an entry or a reference of so many bytes and values, and refuses what is too much for a page or for the
    /// read.
    fn check_caps(&self, bytes: usize, values: usize) -> Result<(), LdapError> {
        let over = |what: &str, cap: usize| LdapError::CapExceeded {
            url: self.url.clone(),
            problem: format!("more than {cap} {what} in one page"),
        };
        if self.page_entries > self.caps.page_entries {
            return Err(over("entries", self.caps.page_entries));
        }
        if self.page_bytes > self.caps.page_bytes {
            return Err(over("bytes", self.caps.page_bytes));
        }
        match self.totals.add(bytes, values, &self.caps) {
            None => Ok(()),
            Some((what, cap)) => Err(LdapError::CapExceeded {
                url: self.url.clone(),
                problem: format!("more than {cap} {what} in one read"),
            }),
        }
    }

    fn refuse(&self, error: BerError) -> LdapError {
        refusal(&self.url, error)
    }
}

/// That bytes are refused, and whose they are.
pub(super) fn refusal(url: &str, error: BerError) -> LdapError {
    let (url, problem) = (url.to_owned(), error.to_string());
    match error {
        BerError::TooLarge { .. } | BerError::TooDeep { .. } | BerError::TooMany { .. } => {
            LdapError::CapExceeded { url, problem }
        }
        BerError::Invalid(_) => LdapError::Malformed { url, problem },
    }
}
